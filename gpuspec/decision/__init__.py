"""The scenario, and two views of its answer: a plan (one time) and an upgrade (over quarters)."""
