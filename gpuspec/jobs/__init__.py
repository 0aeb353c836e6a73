"""Training jobs: questions, layouts, tables."""
