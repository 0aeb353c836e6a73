"""Control panel of the training notebook."""

from collections.abc import Callable
from typing import Any, TypeVar

import pandas as pd

from gpuspec.topics.training import TrainingQuestion, deadline_table, runs_table
from gpuspec.topics.training.pictures import days_by_gpus
from gpuspec.topics.training.words import deadline_finding, runs_ground
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, controls

Run = TypeVar("Run", bound=Any)
"""A question of training or of reinforcement learning."""
Controls = dict[str, Any]


def run_panel(
    question: Run,
    shown: Controls,
    tables: Callable[[Run], tuple[pd.DataFrame, pd.DataFrame]],
    finding: Callable[[Run, pd.DataFrame], str],
    sentences: Callable[[Run, pd.DataFrame], str],
) -> Panel:
    """Return a panel that draws days against GPUs, of any kind of training.

    Parameters
    ----------
    tables : callable
        Of a question: its runs, and of each GPU the one that meets the deadline.
    finding, sentences : callable
        Of a question and the latter: the title, and what stands below the picture.
    """

    def answer(**values: object) -> tuple[Run, pd.DataFrame, pd.DataFrame]:
        asked = question.but(**values)
        return (asked, *tables(asked))

    def draw(answered: tuple[Run, pd.DataFrame, pd.DataFrame]) -> str:
        asked, runs, chosen = answered
        title = finding(asked, chosen)
        return figure(days_by_gpus(runs, asked.deadline_days, title), title, title).svg

    def told(answered: tuple[Run, pd.DataFrame, pd.DataFrame]) -> str:
        asked, _, chosen = answered
        return sentences(asked, chosen)

    return Panel(shown, answer, draw, told, question)


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
        "power_limit_w",
        "gpus_per_node",
        "node_network_gb_s",
    )

    def tables(asked: TrainingQuestion) -> tuple[pd.DataFrame, pd.DataFrame]:
        runs = runs_table(asked)
        return runs, deadline_table(asked, runs)

    def sentences(asked: TrainingQuestion, chosen: pd.DataFrame) -> str:
        return " ".join(filter(None, [runs_ground(chosen), asked.doubts, asked.network.doubts]))

    return run_panel(question, shown, tables, deadline_finding, sentences)
