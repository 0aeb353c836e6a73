"""``python -m gpuspec.evidence.fits``: fit everything again and store it."""

from gpuspec.evidence.fits import collectives, hpc, inference, memory, mig, training
from gpuspec.evidence.fits.store import write

for topic in (memory, collectives, inference, training, hpc, mig):
    write(topic.__name__.rsplit(".", 1)[-1], topic.calibrate())
