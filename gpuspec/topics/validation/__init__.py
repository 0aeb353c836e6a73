"""Predicted against measured, for the shipped tables and for measurements of your own."""
