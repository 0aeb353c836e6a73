"""From a Matplotlib figure to SVG and PNG: the same drawing gives the same bytes."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.transforms import Bbox

from gpuspec.views import TEXT_IN_PICTURES
from gpuspec.views.charts import FACES
from gpuspec.views.markdown import printable

# The salt and the missing date make the bytes a function of the drawing alone.
_SVG: Any = {"svg.hashsalt": "gpuspec", "svg.image_inline": True}
PNG_DPI, PNG_COLORS = 96, 32
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def drawn(fig: Figure, tight: bool) -> str:
    """Return a Matplotlib figure, whose texts are `settled`, as SVG."""
    stream = io.StringIO()
    kept = os.environ.get(TEXT_IN_PICTURES)
    settings = {**_SVG, **FACES, "svg.fonttype": "none" if kept else "path"}
    with mpl.rc_context(settings), _faces_found_once():
        box = _laid_out(fig, tight)
        fig.savefig(stream, format="svg", bbox_inches=box, metadata=_NO_METADATA)
    svg = printable(stream.getvalue())
    return svg[svg.index("<svg") :]


@contextmanager
def _faces_found_once() -> Iterator[None]:
    """Look for each face once while settings stay: else every layout of a text looks again."""
    fontManager.findfont = cache(fontManager.findfont)  # type: ignore[assignment]
    try:
        yield
    finally:
        del fontManager.findfont


def as_png(fig: Figure, tight: bool) -> bytes:
    """Return a figure that has been drawn as a small PNG, of `PNG_COLORS` colours."""
    from PIL import Image

    stream, small = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(FACES):
        fig.savefig(stream, format="png", dpi=PNG_DPI, bbox_inches="tight" if tight else None)
    Image.open(stream).convert("RGB").quantize(PNG_COLORS).save(small, "png", optimize=True)
    return small.getvalue()


class _Measured(FigureCanvasSVG):
    """A canvas on which a layout is measured by one renderer, which keeps the sizes of texts."""

    def __init__(self, fig: Figure) -> None:
        super().__init__(fig)
        width, height = fig.get_size_inches() * fig.dpi
        self._renderer = RendererSVG(width, height, io.StringIO())

    def get_renderer(self) -> RendererSVG:
        """Return that renderer."""
        return self._renderer


def _laid_out(fig: Figure, tight: bool) -> Bbox | None:
    """Place the parts of a drawing without drawing it; return what `tight` cuts it to.

    `savefig` by itself draws it once to lay it out and once to write it.
    """
    fig.set_dpi(72)  # as SVG is written
    measured = _Measured(fig).get_renderer()
    engine = fig.get_layout_engine()
    if engine is not None:
        engine.execute(fig)
        with mpl.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
            fig.set_layout_engine(None)  # "none" would leave one, and a drawing for it
    if not tight:
        return None
    return fig.get_tightbbox(measured).padded(mpl.rcParams["savefig.pad_inches"])


def close(fig: Figure) -> None:
    """Forget `fig` in pyplot, or the inline backend would show it a second time."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(fig)
