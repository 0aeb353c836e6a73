"""The page, tables and pictures of a decision, and what would change it."""
