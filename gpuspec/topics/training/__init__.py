"""Training jobs: a question, its layouts, and the tables that answer it."""

from gpuspec.topics.training.answer import (
    best_layout,
    checkpoint_table,
    deadline_table,
    fine_tuning_table,
    fp8_table,
    mfu_table,
    node_table,
    parts_table,
    run_figures,
    runs_table,
    scaling_table,
    size_table,
)
from gpuspec.topics.training.ask import Job, TrainingQuestion
from gpuspec.topics.training.layouts import (
    BOUNDS,
    layout_grid,
    layout_parts,
    layout_table,
    rejections,
    step_quantity,
)
