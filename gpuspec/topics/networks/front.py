"""Page 1 of the network report: the answer, what it rests on, and what to do next."""

import pandas as pd

from gpuspec.topics.networks import NetworksQuestion
from gpuspec.topics.networks.ground import table_ground
from gpuspec.topics.networks.words import fastest, scale_finding
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step, grounds_line
from gpuspec.views.language import say
from gpuspec.views.words import listed


def opening(question: NetworksQuestion, inside: pd.DataFrame, between: pd.DataFrame) -> str:
    """Say what links give in a node, and what is left of it between nodes."""
    rates = [
        say("{rate:,.0f} GB/s over {name}", rate=r, name=n) for n, r in fastest(inside).items()
    ]
    values = {"what": question.operation.replace("_", "-"), "gpus": question.gpus_per_node}
    text = "A large {what} of {gpus} GPUs in one node runs at {rates}."
    return f"{say(text, **values, rates=listed(rates))} {scale_finding(between)}."


def rests(question: NetworksQuestion, inside: pd.DataFrame) -> list[str]:
    """Say what the answer rests on."""
    last = [group.iloc[-1] for _, group in inside.groupby("wiring", sort=False)]
    levels = {name: level for name, (level, _) in table_ground(last, question.operation).items()}
    return [say("Rates are those of the largest message."), grounds_line(levels)]


def steps() -> list[Step]:
    """Return what to do next."""
    text = (
        "have each seller state the link within a node, the network of each GPU, and whether GPUs "
    )
    text += "on PCIe reach each other without the host."
    run = say(
        "run nccl-tests on all GPUs of a rented server and hold the bus bandwidth against it."
    )
    return [Step("Purchasing", QUOTES_DAYS, say(text)), Step("Engineering", TRIAL_DAYS, run)]
