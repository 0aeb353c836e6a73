"""Published measurements, and what the formulas predict for each of them."""
