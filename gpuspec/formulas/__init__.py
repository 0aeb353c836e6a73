"""Pure functions over arrays: memory, serving, training, networks, HPC, MIG, cost."""
