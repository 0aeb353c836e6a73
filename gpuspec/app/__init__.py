"""The page for a browser: a question as a form, its answer live, and what to take away."""
