"""``python -m gpuspec.evidence.fits [TOPIC...]``: fit everything, or some topics, and store it."""

import sys

from gpuspec.base.errors import UnknownNameError
from gpuspec.evidence.fits import (
    collectives,
    disaggregated,
    hpc,
    images,
    inference,
    learning,
    memory,
    mig,
    posttraining,
    training,
)
from gpuspec.evidence.fits.store import write

TOPICS = {
    "memory": memory,
    "collectives": collectives,
    "inference": inference,
    "disaggregated": disaggregated,
    "training": training,
    "posttraining": posttraining,
    "hpc": hpc,
    "mig": mig,
    "images": images,
    "learning": learning,
}

for name in sys.argv[1:]:
    if name not in TOPICS:
        sys.exit(str(UnknownNameError("topic", name, TOPICS)))
for name in sys.argv[1:] or TOPICS:
    write(name, TOPICS[name].calibrate())
