"""Training jobs: a question, its layouts, and the tables that answer it."""

from gpuspec.topics.training.answer import (
    checkpoint_table,
    deadline_table,
    fine_tuning_table,
    fp8_table,
    mfu_table,
    node_table,
    parts_table,
    runs_table,
    scaling_table,
    size_table,
)
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.layouts import (
    layout_grid,
    layout_table,
    rejections,
)
