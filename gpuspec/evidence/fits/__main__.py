"""``python -m gpuspec.calibration``: fit everything again and store it."""

from gpuspec.calibration import collectives, hpc, inference, memory, training

memory.main()
collectives.main()
inference.main()
training.main()
hpc.main()
