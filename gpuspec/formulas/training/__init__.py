"""Training: seconds of a step, FLOP and utilisation, and whole runs."""

from gpuspec.constants.training import TrainingTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.training.communication import expert_counts
from gpuspec.formulas.training.flops import (
    hardware_flops_per_token,
    model_flops_per_token,
    utilisation,
)
from gpuspec.formulas.training.offload import offload_seconds
from gpuspec.formulas.training.run import (
    FAILURES_PER_GPU_DAY,
    RESTART_S,
    checkpoint_bytes,
    checkpoint_interval_s,
    goodput,
    host_memory_gb,
    storage_bytes,
    training_seconds,
)
from gpuspec.formulas.training.step import PARTS, Cluster, assembled, step_parts
from gpuspec.formulas.training.words import parallel_sizes
from gpuspec.formulas.training.work import PCIE_SHARE, StepWork, step_work
