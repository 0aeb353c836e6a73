"""Control panel of the overview notebook."""

from collections.abc import Sequence
from typing import get_args

import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.topics.overview.answer import attainable_flops, attainable_sentence, with_units
from gpuspec.topics.overview.ask import Rate
from gpuspec.topics.overview.pictures import roofline
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, number


def roofline_panel(gpus: Sequence[Gpu], precision: str) -> Panel:
    """Return a panel over the roofline: which rate at which number format and intensity."""
    controls = {
        "precision": choice("format", get_args(get_args(Rate)[0]), precision),
        "intensity": number("FLOP a byte", 64.0, 0.01, 1e6, "FLOP/byte"),
    }

    def answer(precision: str, intensity: float) -> tuple[list[Gpu], str, float]:
        return with_units(gpus, precision), precision, intensity

    def table(answered: tuple[list[Gpu], str, float]) -> dict[str, pd.DataFrame]:
        able, chosen, at = answered
        rows = [(g.name, chosen, at, attainable_flops(g, chosen, at) / 1e12) for g in able]
        names = ["gpu", "precision", "flop_per_byte", "tflops"]
        return {"attainable": pd.DataFrame(rows, columns=names)}

    def draw(answered: tuple[list[Gpu], str, float]) -> str:
        able, chosen, at = answered
        title = attainable_sentence(able, chosen, at)
        return figure(roofline(able, chosen, title, at), title, title).svg

    return Panel(controls, answer, draw, tables=table)
