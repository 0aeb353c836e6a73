"""``python -m gpuspec.evidence.fits``: fit everything again and store it."""

from gpuspec.evidence.fits import collectives, hpc, inference, memory, mig, training

for topic in (memory, collectives, inference, training, hpc, mig):
    topic.main()
