"""Control panel of the training notebook."""

import pandas as pd

from gpuspec.topics.training import TrainingQuestion, deadline_table, runs_table
from gpuspec.topics.training.pictures import days_by_gpus
from gpuspec.topics.training.words import deadline_finding, runs_ground
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, controls

POWER_LIMITS_W = (300, 350, 400, 450, 500, 550, 600, 650, 700)
NODES_GPUS = (1, 2, 4, 8)
NETWORKS_GB_S = (0, 1.25, 3.125, 12.5, 50, 100, 200, 400)


def training_panel(question: TrainingQuestion) -> Panel:
    """Return a panel over the question "trained when, on how many", started at `question`."""
    shown = controls(
        question,
        "model",
        "tokens",
        "deadline_days",
        "seq_len",
        "global_batch",
        "precision",
        "fp8_recipe",
        power_limit_w=POWER_LIMITS_W,
        gpus_per_node=NODES_GPUS,
        node_network_gb_s=NETWORKS_GB_S,
    )

    def answer(**values: object) -> tuple[TrainingQuestion, pd.DataFrame]:
        asked = question.but(**values)
        return asked, runs_table(asked)

    def draw(answered: tuple[TrainingQuestion, pd.DataFrame]) -> str:
        asked, runs = answered
        title = deadline_finding(asked, deadline_table(asked, runs))
        return figure(days_by_gpus(runs, asked.deadline_days, title), title, title).svg

    def told(answered: tuple[TrainingQuestion, pd.DataFrame]) -> str:
        asked, runs = answered
        ground = runs_ground(deadline_table(asked, runs))
        return " ".join(filter(None, [ground, asked.doubts, asked.network.doubts]))

    return Panel(shown, answer, draw, told)
