"""What every control panel is made of: the panel itself and its controls."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets as W

from gpuspec.base.errors import InputError
from gpuspec.catalog.models import Model, models

POWERS_OF_TWO = [2**i for i in range(0, 21)]
LABEL = {"description_width": "7em"}


class Panel:
    """Widgets above a picture that follows them.

    ``panel.controls[name]`` is the widget of a parameter, ``panel.answer`` the table behind the
    picture, ``panel.picture.value`` its SVG and ``panel.message.value`` what is wrong, if
    anything is.
    """

    def __init__(
        self, controls: dict[str, Any], answer: Callable[..., Any], draw: Callable[..., str]
    ) -> None:
        self.controls, self._answer, self._draw = controls, answer, draw
        self.picture, self.message = W.HTML(), W.HTML()
        self.answer: Any = None
        for control in controls.values():
            control.observe(self._changed, names="value")
        self._changed()
        for control in controls.values():
            control.layout = W.Layout(width="24em")
        wrapping = W.Layout(display="flex", flex_flow="row wrap")
        above = W.Box(list(controls.values()), layout=wrapping)
        self.view = W.VBox([above, self.message, self.picture])

    def _changed(self, _: Any = None) -> None:
        try:
            self.answer = self._answer(**{n: c.value for n, c in self.controls.items()})
        except InputError as error:
            self.message.value = f"<b>{escape(str(error))}</b>"
            return
        self.message.value = ""
        svg = self._draw(self.answer)
        self.picture.value = svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.view._repr_mimebundle_(**options)


def choice(name: str, values: Iterable[Any], value: Any) -> Any:
    """Return a drop-down list that shows `value` first chosen."""
    return W.Dropdown(options=list(values), value=value, description=name, style=LABEL)


def model_choice(network: Model) -> Any:
    """Return a list of the language models of the table, and `network` where it is none of them."""
    names = list(models().query("kind == 'llm'").index)
    known = network.id in names
    options: list[Any] = [(name, name) for name in names]
    options = options if known else [(network.name, network), *options]
    return choice("model", options, network.id if known else network)


def slider(name: str, values: Sequence[float], value: float, written: str = "{:g}") -> Any:
    """Return a slider over `values` and `value`, each written in the given format."""
    shown = [(written.format(v), v) for v in sorted({*values, value})]
    return W.SelectionSlider(options=shown, value=value, description=name, style=LABEL)


def power_slider(name: str, value: int) -> Any:
    """Return a slider over the powers of two up to a million, and `value`."""
    return slider(name, POWERS_OF_TWO, value, "{:,}")
