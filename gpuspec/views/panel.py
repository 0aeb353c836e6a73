"""What every control panel is made of: the panel itself and its controls."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from html import escape
from typing import Any

import ipywidgets as W
import pandas as pd
from traitlets import CUnicode

from gpuspec.base.ask import Ask, Asked, Range, asked
from gpuspec.base.errors import InputError, renamed
from gpuspec.base.rows import csv_text
from gpuspec.catalog.models import model, models
from gpuspec.views.language import say, spoken
from gpuspec.views.punctuation import punctuated

FORMATS = ("stored", "bf16", "fp8", "int8", "int4-awq", "nvfp4", "mxfp4")
"""Formats of weights to choose from."""
LABEL_WIDTH = 12
"""Characters of a label that its usual place holds."""
MOST_TABLES = 3
MOST_WORDS = 20
"""Names in a list that may be words of a language; longer lists are those of tables."""


class Typed(W.Text):
    """A box for whatever a person types, such as any number; it is checked when it is read."""

    value = CUnicode().tag(sync=True)
    within: Range | None = None
    """What a number that is no field of a record may be."""

    @property
    def given(self) -> object:
        """What was typed, as its record reads it."""
        if self.within is None:
            return self.value
        try:
            return self.within.read(self.value, False)
        except InputError as error:
            raise renamed(error, self.description) from None


class Panel:
    """Widgets above a picture that follows them, and the table behind it to take away.

    ``panel.controls[name]`` is the widget of a parameter, ``panel.answer`` the table behind the
    picture, ``panel.picture.value`` its SVG, ``panel.note.value`` what `told` says of it and
    ``panel.message.value`` what is wrong, if anything is. Of a `question` the panel names what it
    leaves as it is; a text says so in words of its own. `tables` are what is saved as CSV.
    """

    def __init__(
        self,
        controls: dict[str, W.Widget],
        answer: Callable[..., object],
        draw: Callable[..., str],
        told: Callable[..., str] = lambda _: "",
        question: Ask | str = "",
        tables: Callable[..., Mapping[str, pd.DataFrame]] | None = None,
    ) -> None:
        self.controls, self._answer, self._draw, self._told = controls, answer, draw, told
        self._tables = tables or _tables
        self.picture, self.note, self.message = W.HTML(), W.HTML(), W.HTML()
        self.files, self.others = W.HTML(), W.HTML(escape(left_out(question, controls)))
        self.answer: object = None
        self._svg = ""
        for control in controls.values():
            _said(control)
        for control in controls.values():
            control.observe(self._changed, names="value")
        self._changed()
        for control in controls.values():
            control.layout = W.Layout(width="24em")
        wrapping = W.Layout(display="flex", flex_flow="row wrap")
        above = W.Box(list(controls.values()), layout=wrapping)
        below = [self.note, self.picture, self.files, self.others]
        self.view = W.VBox([above, self.message, *below])

    def _changed(self, _: object = None) -> None:
        self.message.value = f"<i>{escape(say('Working …'))}</i>"
        try:
            values = {n: getattr(c, "given", c.value) for n, c in self.controls.items()}
            self.answer = self._answer(**values)
        except InputError as error:
            self.message.value = f"<b>{escape(_in_language(str(error)))}</b>"
            self.picture.value = f'<div style="opacity: 0.4">{self._svg}</div>'
            return
        self.note.value = escape(_in_language(self._told(self.answer)))
        svg = self._draw(self.answer)
        self._svg = svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
        self.picture.value = self._svg
        self.files.value = _saved(self._tables(self.answer))
        self.message.value = ""

    def _repr_mimebundle_(self, **options: object) -> object:
        return self.view._repr_mimebundle_(**options)


def _said(control: W.Widget) -> None:
    """Put what a control says into the language that is spoken; its values stay."""
    if spoken() == "en":
        return
    control.description = say(control.description)
    options = getattr(control, "options", ())
    if 0 < len(options) <= MOST_WORDS:
        value = control.value
        named = [o if isinstance(o, tuple) else (str(o), o) for o in options]
        control.options = [(say(str(label)), of) for label, of in named]
        control.value = value


def _in_language(text: str) -> str:
    return punctuated(say(text))


def left_out(question: Ask | str, controls: Iterable[str]) -> str:
    """Say which fields of a question a panel leaves as they were asked; empty for none."""
    if isinstance(question, str):
        return say(question)
    rest = [f for f in asked(type(question)) if f.name not in set(controls)]
    values = [(f.name, getattr(question, f.name)) for f in rest]
    stated = [f"{name} = {_shown(v)}" for name, v in values if v is not None and v != ()]
    said = say("As in the parameters above: {values}.")  # names and values stay as they are typed
    return said.format(values=", ".join(stated)) if stated else ""


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _tables(answer: object) -> dict[str, pd.DataFrame]:
    """Return the tables of an answer: those among its parts."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    found = []
    for part in parts:
        inner = [getattr(part, f.name) for f in fields_of(part)] if is_dataclass(part) else [part]
        found += [table for table in inner if isinstance(table, pd.DataFrame)]
    return {f"table-{i}": table for i, table in enumerate(found[:MOST_TABLES], 1)}


def _saved(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return links that save tables as CSV; the page itself holds them."""
    links = []
    for name, table in tables.items():
        frame = table.reset_index() if table.index.name is not None else table
        frame = frame.rename(columns=str)
        text = csv_text(list(frame.columns), frame.to_dict("records"))
        data = base64.b64encode(text.encode("utf-8-sig")).decode()
        file = escape(f"{name}.csv", quote=True)
        links.append(f'<a download="{file}" href="data:text/csv;base64,{data}">{file}</a>')
    return say("Save what is shown: {files}", files=", ".join(links)) if links else ""


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


def number(name: str, value: float, least: float, most: float, unit: str = "") -> Typed:
    """Return a box for any number from `least` to `most` that is no field of a record."""
    made = Typed(f"{value:.6g}", description=name, style=label_style(name), continuous_update=False)
    made.within = Range(least, most, unit)
    made.tooltip = _in_language(made.within.valid(False))
    return made


def _label(field: Asked) -> str:
    shown = field.unit in ("s", "USD", "requests/s")
    name = field.name.removesuffix(f"_{field.unit.lower()}") if shown else field.name
    return name.replace("_", " ") + (f", {field.unit}" if shown else "")


def controls(question: Ask, *names: str) -> dict[str, W.Widget]:
    """Return controls of fields as their record says, started at the question."""
    fields = {field.name: field for field in asked(type(question))}
    return {n: _control(fields[n], getattr(question, n)) for n in names}


def _control(field: Asked, value: Any) -> W.Widget:
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
    text = "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    told = [field.help, *([field.range.valid(field.whole)] if field.range else [])]
    tooltip = "; ".join(_in_language(part) for part in told)
    about = {"tooltip": tooltip, "placeholder": say("blank") if field.blank else ""}
    style = label_style(label)
    return Typed(text, description=label, style=style, continuous_update=False, **about)
