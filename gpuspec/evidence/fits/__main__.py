"""``python -m gpuspec.evidence.fits``: fit everything again and store it."""

from gpuspec.evidence.fits import collectives, hpc, inference, memory, training

memory.main()
collectives.main()
inference.main()
training.main()
hpc.main()
