"""What every control panel is made of: the panel itself and its controls."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import ipywidgets as W

from gpuspec.base.ask import Ask, Asked, asked
from gpuspec.base.errors import InputError
from gpuspec.catalog.models import model, models

FORMATS = ("stored", "bf16", "fp8", "int8", "int4-awq", "nvfp4", "mxfp4")
"""Formats of weights to choose from."""
POWERS_OF_TWO = [2**i for i in range(0, 21)]
SHARES = [i / 20 for i in range(0, 21)]
DECADES = [m * 10.0**e for e in range(-3, 15) for m in (1, 2, 5)]
LABEL_WIDTH = 12
"""Characters of a label that its usual place holds."""


class Panel:
    """Widgets above a picture that follows them.

    ``panel.controls[name]`` is the widget of a parameter, ``panel.answer`` the table behind the
    picture, ``panel.picture.value`` its SVG, ``panel.note.value`` what `told` says of it and
    ``panel.message.value`` what is wrong, if anything is.
    """

    def __init__(
        self,
        controls: dict[str, W.Widget],
        answer: Callable[..., object],
        draw: Callable[..., str],
        told: Callable[..., str] = lambda _: "",
    ) -> None:
        self.controls, self._answer, self._draw, self._told = controls, answer, draw, told
        self.picture, self.note, self.message = W.HTML(), W.HTML(), W.HTML()
        self.answer: object = None
        for control in controls.values():
            control.observe(self._changed, names="value")
        self._changed()
        for control in controls.values():
            control.layout = W.Layout(width="24em")
        wrapping = W.Layout(display="flex", flex_flow="row wrap")
        above = W.Box(list(controls.values()), layout=wrapping)
        self.view = W.VBox([above, self.message, self.note, self.picture])

    def _changed(self, _: object = None) -> None:
        try:
            self.answer = self._answer(**{n: c.value for n, c in self.controls.items()})
        except InputError as error:
            self.message.value = f"<b>{escape(str(error))}</b>"
            return
        self.message.value, self.note.value = "", escape(self._told(self.answer))
        svg = self._draw(self.answer)
        self.picture.value = svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)

    def _repr_mimebundle_(self, **options: object) -> object:
        return self.view._repr_mimebundle_(**options)


def label_style(name: str) -> dict[str, str]:
    """Return how wide a label is: as all others, or as a longer one needs."""
    return {"description_width": "7em" if len(name) <= LABEL_WIDTH else "initial"}


def choice(name: str, values: Iterable[object], value: object) -> W.Dropdown:
    """Return a drop-down list that shows `value` first chosen."""
    return W.Dropdown(options=list(values), value=value, description=name, style=label_style(name))


def model_choice(name: str) -> W.Dropdown:
    """Return a list of the language models of the table, and `name` where it is none of them."""
    names = list(models().query("kind == 'llm'").index)
    other = [] if name in names else [(model(name).name, name)]
    return choice("model", [*other, *((n, n) for n in names)], name)


def slider(
    name: str, values: Iterable[float], value: float | None, written: str = "{:g}"
) -> W.SelectionSlider:
    """Return a slider over `values` and `value`, each written in the given format.

    Blank, which is "" to the control, comes first where the value is None.
    """
    numbers = sorted({*values, *(() if value is None else (value,))})
    blank: list[tuple[str, float | str]] = [("blank", "")] if value is None else []
    shown = [*blank, *((written.format(v), v) for v in numbers)]
    start = "" if value is None else value
    style = label_style(name)
    return W.SelectionSlider(options=shown, value=start, description=name, style=style)


def box(name: str, field: Asked, value: float) -> W.Widget:
    """Return a box that takes any number within the range of a field."""
    assert field.range is not None
    kind = W.BoundedIntText if field.whole else W.BoundedFloatText
    least, most = field.range.least, field.range.most
    told = field.valid + (f" ({field.unit})" if field.unit else "")
    ends = {"value": value, "min": least, "max": most, "tooltip": f"{field.help}; {told}"}
    return kind(**ends, description=name, style=label_style(name))


def boxes(question: Ask, *names: str) -> dict[str, W.Widget]:
    """Return a box to type in for each of some numbers, started at the question."""
    fields = {field.name: field for field in asked(type(question))}
    return {n: box(_label(fields[n]), fields[n], getattr(question, n)) for n in names}


def _label(field: Asked) -> str:
    shown = field.unit in ("s", "USD", "requests/s")
    return field.name.replace("_", " ") + (f", {field.unit}" if shown else "")


def controls(question: Ask, *names: str, **values: Sequence[float]) -> dict[str, W.Widget]:
    """Return controls of fields as their record says, started at the question.

    `values` are numbers that a slider of a field steps through, where its range says too little.
    """
    fields = {field.name: field for field in asked(type(question))}
    wanted = [*names, *values]
    return {n: _control(fields[n], getattr(question, n), values.get(n)) for n in wanted}


def _control(field: Asked, value: Any, values: Sequence[float] | None) -> W.Widget:
    label = _label(field)
    if field.name == "model":
        return model_choice(value)
    if field.name == "weights":
        first = ", ".join(value) if field.many else value  # all that are tried, or one of them
        return choice(label, [first, *(form for form in FORMATS if form != first)], first)
    if field.choices:
        blank = [("blank", "")] if field.blank else []
        named = [*blank, *((name, name) for name in field.choices)]
        return choice(label, named, "" if value is None else value)
    if bool in field.parts:
        return W.Checkbox(value=value, description=label, style=label_style(label))
    if field.many:
        style = label_style(label)
        return W.SelectMultiple(options=value, value=value, description=label, style=style)
    assert field.range is not None  # what is left are numbers
    share = field.range.most <= 1
    steps = values or (SHARES if share else POWERS_OF_TWO if field.whole else DECADES)
    inside = [s for s in steps if field.range.holds(s)]
    return slider(label, inside, value, "{:.0%}" if share else "{:,}" if field.whole else "{:g}")
