"""Constants fitted to published measurements, and the errors that remain."""

from gpuspec.evidence.fits.inference import (
    held_out_values,
    inference_errors,
    inference_interval,
    ratio_interval,
)
from gpuspec.evidence.fits.memory import (
    FIT_KINDS,
    KINDS,
    fit_memory_terms,
    held_out_errors,
    interval,
    memory_errors,
    memory_terms,
    summary,
)
