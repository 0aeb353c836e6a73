"""Control panel of reinforcement learning."""

import pandas as pd

from gpuspec.topics.posttraining.answer import deadline_table, runs_table
from gpuspec.topics.posttraining.ask import PostTrainingQuestion
from gpuspec.topics.posttraining.words import run_finding, run_sentences
from gpuspec.topics.training.panel import run_panel
from gpuspec.views.panel import Panel, controls


def posttraining_panel(question: PostTrainingQuestion) -> Panel:
    """Return a panel over the question "learnt when, on how many", started at `question`."""
    shown = controls(
        question,
        "model",
        "algorithm",
        "steps",
        "prompts",
        "generations",
        "osl",
        "max_osl",
        "placement",
        "precision",
    )

    def tables(asked: PostTrainingQuestion) -> tuple[pd.DataFrame, pd.DataFrame]:
        runs = runs_table(asked)
        return runs, deadline_table(asked, runs)

    return run_panel(question, shown, tables, run_finding, run_sentences)
