"""Control panel of reinforcement learning."""

import pandas as pd

from gpuspec.topics.posttraining.answer import deadline_table, runs_table
from gpuspec.topics.posttraining.ask import PostTrainingQuestion
from gpuspec.topics.posttraining.words import run_finding, run_sentences
from gpuspec.topics.training.pictures import days_by_gpus
from gpuspec.views.display import figure
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

    def answer(**values: object) -> tuple[PostTrainingQuestion, pd.DataFrame]:
        asked = question.but(**values)
        return asked, runs_table(asked)

    def draw(answered: tuple[PostTrainingQuestion, pd.DataFrame]) -> str:
        asked, runs = answered
        title = run_finding(asked, deadline_table(asked, runs))
        return figure(days_by_gpus(runs, asked.deadline_days, title), title, title).svg

    def told(answered: tuple[PostTrainingQuestion, pd.DataFrame]) -> str:
        asked, runs = answered
        return run_sentences(asked, deadline_table(asked, runs))

    return Panel(shown, answer, draw, told)
