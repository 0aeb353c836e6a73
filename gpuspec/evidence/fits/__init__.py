"""Constants fitted to published measurements, and the errors that remain."""
