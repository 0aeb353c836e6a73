"""What fits where: one question about memory, and the tables that answer it."""

from gpuspec.topics.memory.ask import MemoryQuestion
from gpuspec.topics.memory.serving import (
    SERVING_KINDS,
    layouts_around,
    request_kv_bytes,
    sequences_by_context,
    serving_table,
    smallest_serving,
    state_bytes,
    utilization_table,
    weights_table,
)
from gpuspec.topics.memory.training import training_table
