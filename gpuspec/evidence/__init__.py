"""Published measurements, the fits to them, and the errors that remain."""
