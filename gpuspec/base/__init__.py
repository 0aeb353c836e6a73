"""Errors, units, paths, files: what everything stands on."""
