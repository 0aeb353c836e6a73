"""``python -m gpuspec.calibration``: fit everything again and store it."""

from gpuspec.calibration import inference, memory

memory.main()
inference.main()
