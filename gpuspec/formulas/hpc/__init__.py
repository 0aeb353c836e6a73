"""Scientific computing on one GPU and on many, and dynamic programming: formulas over arrays."""

from gpuspec.catalog.workloads import Exchange, Work
from gpuspec.formulas.hpc.dynamic import (
    ALGORITHMS,
    Chip,
    DynamicTerms,
    cell_updates_s,
    dynamic_parts,
    instructions_per_cell,
)
from gpuspec.formulas.hpc.machine import Machine
from gpuspec.formulas.hpc.roofline import (
    HpcTerms,
    bound,
    fixed_seconds,
    gpu_parts,
    gpu_seconds,
    joined,
    power_share,
    serial_seconds,
    transfer_seconds,
)
from gpuspec.formulas.hpc.scaling import (
    energy_joules,
    exchange_seconds,
    exposed_seconds,
    surface_units,
    waiting,
)
