"""What the tests keep of predictions, answers and notebooks, so that a change can be reviewed."""
