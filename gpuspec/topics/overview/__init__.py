"""The generations in real units: rates, memory, ridge points."""
