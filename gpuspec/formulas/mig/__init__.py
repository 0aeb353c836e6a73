"""Multi-Instance GPU: profiles, placement rules, and what a slice is as a GPU."""

from gpuspec.formulas.mig.commands import create_commands
from gpuspec.formulas.mig.rules import (
    COMPUTE_SLICES,
    MEMORY_SLICES,
    Geometry,
    Placement,
    Placements,
    counts,
    geometry,
    layouts,
    maximal_layouts,
    patterns,
    plain_profile,
)
from gpuspec.formulas.mig.slices import (
    compute_share,
    memory_share,
    slice_gpu,
    slice_memory_bytes,
    slice_sms,
)
