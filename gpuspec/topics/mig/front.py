"""Page 1 of the tenants report: the answer, what it rests on, and what to do next."""

import pandas as pd

from gpuspec.topics.mig import MigQuestion
from gpuspec.topics.mig.packing import Packing
from gpuspec.topics.mig.words import packing_finding
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step, grounds_line
from gpuspec.views.language import say
from gpuspec.views.words import counted, listed


def opening(question: MigQuestion, packing: Packing) -> str:
    """Say on how many GPUs the tenants fit, and how many they would take without slices."""
    said = f"{packing_finding(question, packing)}."
    placed = len(question.everyone) - len(packing.unplaced)
    if not placed:
        return said
    text = "With at least a GPU of its own for each tenant it would be {gpus}."
    return f"{said} {say(text, gpus=counted(placed, 'GPU'))}"


def rests(question: MigQuestion, places: pd.DataFrame) -> list[str]:
    """Say what the answer rests on; `places` are those of the tenants."""
    order = ("measured", "near", "far")
    levels: dict[str, str] = {}
    for place, level in places[["place", "ground"]].itertuples(index=False):
        gpu = place.rsplit(" of ", 1)[-1]
        levels[gpu] = max(level, levels.get(gpu, level), key=order.index)
    return [grounds_line(levels) if levels else "", question.doubts]


def steps(packing: Packing) -> list[Step]:
    """Return what to do next."""
    kinds = [f"{n} x {kind}" for kind, n in packing.gpus.items() if n]
    text = "ask for {gpus}, and for the right to switch MIG on."
    cut = say(
        "cut one GPU with the commands below, and run the largest tenant in its slice for a day."
    )
    ask = say(text, gpus=listed(kinds)) if kinds else say("ask for GPUs with more memory.")
    return [Step("Purchasing", QUOTES_DAYS, ask), Step("Operations", TRIAL_DAYS, cut)]
