"""Page 1 of the memory report: the answer, what it rests on, and what to do next."""

import pandas as pd

from gpuspec.topics.memory import MemoryQuestion
from gpuspec.topics.memory.words import formats_sentence, serving_finding
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step, grounds_line
from gpuspec.views.language import say
from gpuspec.views.words import listed, rows


def opening(question: MemoryQuestion, table: pd.DataFrame, smallest: pd.DataFrame) -> str:
    """Say what holds the load, and which GPUs hold it alone."""
    alone = [str(r.gpu) for r in rows(table[table["gpus"] == 1]) if r.fits]
    last = say("No GPU holds it alone.")
    last = say("Alone, {gpus} holds it.", gpus=listed(alone, " or ")) if alone else last
    return f"{serving_finding(question, smallest)}. {last}"


def rests(question: MemoryQuestion, smallest: pd.DataFrame) -> list[str]:
    """Say what the answer rests on."""
    levels = {str(r.gpu): str(r.ground["level"]) for r in rows(smallest)}
    text = "What counts is the upper end of the 80 % interval of what is needed."
    return [formats_sentence(question), say(text), grounds_line(levels)]


def steps(smallest: pd.DataFrame) -> list[Step]:
    """Return what to do next."""
    fits = [f"{r.gpus} x {r.gpu}" for r in rows(smallest) if r.fits]
    start = say("start the engine on rented GPUs of one kind, and read the free cache in its log.")
    text = "ask for the price of {fits}, with the memory that the driver reports."
    ask = say(text, fits=listed(fits, " or ")) if fits else ""
    less = say("try a smaller number format, shorter contexts or more GPUs.")
    found = Step("Purchasing", QUOTES_DAYS, ask) if ask else Step("Engineering", QUOTES_DAYS, less)
    return [found, Step("Engineering", TRIAL_DAYS, start)]
