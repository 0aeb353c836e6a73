"""``python -m gpuspec.calibration``: fit everything again and store it."""

from gpuspec.calibration import collectives, inference, memory, training

memory.main()
collectives.main()
inference.main()
training.main()
