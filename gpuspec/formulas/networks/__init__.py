"""Seconds and bandwidth of collectives: NCCL's over any fabric, and the engines' own kernels."""

from gpuspec.formulas.networks.collectives import (
    OPERATIONS,
    algorithm_bandwidth,
    bus_bandwidth,
    collective_seconds,
)
from gpuspec.formulas.networks.engines import (
    all_reduce_seconds,
    all_to_all_seconds,
    point_to_point_seconds,
)
