"""Many tenants on few GPUs: which slices each needs, and how they are packed."""

from gpuspec.topics.mig.ask import MigQuestion
from gpuspec.topics.mig.delivery import CLASSES, MODEL_WORK, delivery_table
from gpuspec.topics.mig.options import WHOLE_GPU, slice_engine, tenant_options, useful_options
from gpuspec.topics.mig.packing import Packing, faults, layouts_of, pack
