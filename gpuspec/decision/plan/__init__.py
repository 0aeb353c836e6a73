"""The planner\x27s views."""
