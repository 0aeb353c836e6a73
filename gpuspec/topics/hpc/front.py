"""Page 1 of the simulation report: the answer, what it rests on, and what to do next."""

import pandas as pd

from gpuspec.topics.hpc import HpcQuestion
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step, grounds_line
from gpuspec.views.language import say
from gpuspec.views.words import listed, rows


def opening(question: HpcQuestion, speeds: pd.DataFrame, classes: pd.DataFrame) -> str:
    """Say how much faster the application runs, and between what all classes lie."""
    first, name = str(speeds["gpu"].iloc[0]), question.workload.name
    others = list(rows(speeds))[1:]
    if not others:
        return say("Only {first} was asked for: nothing to compare with.", first=first)
    times = [say("{speed:.2f} times as fast on {gpu}", speed=r.speed, gpu=r.gpu) for r in others]
    text = "{name} runs {times} as on {first}."
    said = say(text, name=name, times=listed(times), first=first)
    last = str(others[-1].gpu)
    group = classes[classes["gpu"] == last]["speed"]
    text = "Over all classes of simulation {gpu} is {least:.1f} to {most:.1f} times as fast."
    return f"{said} {say(text, gpu=last, least=group.min(), most=group.max())}"


def rests(speeds: pd.DataFrame) -> list[str]:
    """Say what the answer rests on."""
    spans = [
        say("{low:.2f} to {high:.2f} ({gpu})", low=r.speed_low, high=r.speed_high, gpu=r.gpu)
        for r in list(rows(speeds))[1:]
    ]
    levels = {str(r.gpu): str(r.ground["level"]) for r in rows(speeds)}
    bounds = listed(list(dict.fromkeys(speeds["bound"])))
    said = [say("The application is bound by {bounds}.", bounds=bounds)]
    if spans:
        said.append(say("The 80 % interval of its speed is {spans}.", spans=listed(spans)))
    return [*said, grounds_line(levels)]


def steps(speeds: pd.DataFrame) -> list[Step]:
    """Return what to do next."""
    names = listed([str(r.gpu) for r in rows(speeds)])
    text = "rent {gpus} for a day and time one case of production on each: your own ratio replaces "
    text += "the estimate."
    price = say("ask for prices: a GPU that costs more times as much as it is faster does not pay.")
    return [
        Step("Group that owns the code", TRIAL_DAYS, say(text, gpus=names)),
        Step("Purchasing", QUOTES_DAYS, price),
    ]
