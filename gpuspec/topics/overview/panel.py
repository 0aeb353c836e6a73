"""Control panel of the overview notebook."""

from collections.abc import Sequence
from typing import get_args

from gpuspec.catalog import Gpu
from gpuspec.topics.overview.answer import attainable_sentence, with_units
from gpuspec.topics.overview.ask import Rate
from gpuspec.topics.overview.pictures import roofline
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, slider

INTENSITIES = [2.0**i for i in range(0, 14)]


def roofline_panel(gpus: Sequence[Gpu], precision: str) -> Panel:
    """Return a panel over the roofline: which rate at which number format and intensity."""
    controls = {
        "precision": choice("format", get_args(get_args(Rate)[0]), precision),
        "intensity": slider("FLOP a byte", INTENSITIES, 64.0, "{:,.0f}"),
    }

    def answer(precision: str, intensity: float) -> tuple[list[Gpu], str, float]:
        return with_units(gpus, precision), precision, intensity

    def draw(answered: tuple[list[Gpu], str, float]) -> str:
        able, chosen, at = answered
        title = attainable_sentence(able, chosen, at)
        return figure(roofline(able, chosen, title, at), title, title).svg

    return Panel(controls, answer, draw)
