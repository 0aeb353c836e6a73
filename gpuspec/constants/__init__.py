"""Fitted constants and the intervals that every answer reads."""
