"""Page 1 of the training report: the answer, what it rests on, and what to do next."""

import pandas as pd

from gpuspec.topics.training import TrainingQuestion
from gpuspec.topics.training.words import due
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step, grounds_line
from gpuspec.views.language import say
from gpuspec.views.words import count_words, days_with_interval, listed, rows


def opening(question: TrainingQuestion, answer: pd.DataFrame) -> str:
    """Say which GPUs train the model in time, and how long the fewest take."""
    q = question
    values = {"name": q.network.name, "tokens": count_words(q.tokens), "due": due(q)}
    met, works = [r for r in rows(answer) if r.meets], [r for r in rows(answer) if r.works]
    if met:
        text = "{name} is trained on {tokens} tokens {due} by {gpus}."
        gpus = listed([f"{r.gpus:,} x {r.gpu}" for r in met], " or ")
        said = say(text, **values, gpus=gpus)
    else:
        text = "No number of GPUs that was tried trains {name} on {tokens} tokens {due}."
        said = say(text, **values)
    if not works:
        return said
    first = min(met, key=lambda r: r.gpus) if met else min(works, key=lambda r: r.days)
    days = days_with_interval(first.days, first.days_low, first.days_high)
    text = "{gpus:,} x {gpu} take {days}, failures and checkpoints included."
    return " ".join([said, say(text, gpus=first.gpus, gpu=first.gpu, days=days)])


def rests(answer: pd.DataFrame) -> list[str]:
    """Say what the answer rests on."""
    levels = {str(r.gpu): str(r.ground["level"]) for r in rows(answer) if r.works}
    text = "Of every layout that fits memory the fastest counts; in brackets is the 80 % interval."
    return [say(text), grounds_line(levels) if levels else ""]


def steps(answer: pd.DataFrame) -> list[Step]:
    """Return what to do next."""
    met = [f"{r.gpus:,} x {r.gpu}" for r in rows(answer) if r.meets]
    text = "ask for the price and the day of delivery of {gpus}."
    ask = say(text, gpus=listed(met, " or ")) if met else ""
    less = say("choose a later day, fewer tokens or more GPUs than were tried.")
    run = say("run a hundred steps on one node and hold the time of a step against table 1.")
    first = (
        Step("Purchasing", QUOTES_DAYS, ask) if ask else Step("Project owner", QUOTES_DAYS, less)
    )
    return [first, Step("Engineering", TRIAL_DAYS, run)]
