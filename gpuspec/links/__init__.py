"""Collectives and networks: tables of the interconnect notebook."""
