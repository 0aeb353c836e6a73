"""Groups of layers that differ from the rest of a network, as a table's cell states them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from gpuspec.base.errors import InputError

MOST_LAYERS = 10_000
_PART = re.compile(r"(\d{1,5})(?:-(\d{1,5})(?:/(\d{1,5}))?)?")


Fields = tuple[tuple[str, Any], ...]
"""Columns with their values."""


@dataclass(frozen=True)
class LayerGroup:
    """Layers by number, from 0, and the columns in which they differ, with their values."""

    layers: tuple[int, ...]
    fields: Fields


def layer_numbers(text: str) -> tuple[int, ...]:
    """Return the layers of a text such as ``"0-2,5"`` or ``"3-59/4"``, in order.

    >>> layer_numbers("0-2,5,7-15/4")
    (0, 1, 2, 5, 7, 11, 15)
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if not match:
            raise InputError("layers", text, 'write layers such as "0-2,5" or "3-59/4"')
        first, last, step = match.groups()
        end, every = int(last or first), int(step or 1)
        if end >= MOST_LAYERS or every == 0:
            raise InputError("layers", text, f"layers below {MOST_LAYERS:,}, steps from 1")
        numbers += range(int(first), end + 1, every)
    return tuple(numbers)


def layers_text(layers: Sequence[int]) -> str:
    """Return how a cell writes some layers; the inverse of `layer_numbers`.

    >>> layers_text([0, 1, 2, 5, 9, 13, 17])
    '0-2,5-17/4'
    """
    parts, rest = [], list(layers)
    while rest:
        step = rest[1] - rest[0] if len(rest) > 1 else 1
        run = 1
        while run < len(rest) and rest[run] - rest[run - 1] == step:
            run += 1
        if run == 2 and step > 1:
            run = 1
        every = f"/{step}" if run > 1 and step > 1 else ""
        parts.append(f"{rest[0]}-{rest[run - 1]}{every}" if run > 1 else str(rest[0]))
        rest = rest[run:]
    return ",".join(parts)


def grouped(layers: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], tuple[LayerGroup, ...]]:
    """Return the fields of the commonest kind that attends, and the groups that differ from it.

    Parameters
    ----------
    layers : sequence of mappings
        The fields of every layer, in order; all state the same fields.
    """
    kinds: dict[Fields, list[int]] = {}
    for number, fields in enumerate(layers):
        kinds.setdefault(tuple(sorted(fields.items())), []).append(number)
    attending = {kind: n for kind, n in kinds.items() if dict(kind).get("heads")}
    most = dict(max((attending or kinds).items(), key=lambda item: len(item[1]))[0])
    groups = [
        LayerGroup(tuple(numbers), tuple((k, v) for k, v in kind if most[k] != v))
        for kind, numbers in kinds.items()
        if dict(kind) != most
    ]
    return most, tuple(groups)


def groups_text(groups: Sequence[LayerGroup]) -> str:
    """Return the cell that states some groups; the inverse of reading it."""
    cells = [{"layers": layers_text(g.layers)} | dict(g.fields) for g in groups]
    return json.dumps(cells) if cells else ""


def _read(value: object) -> object:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError:
            raise InputError("", value, "write a JSON list of objects") from None
    if not isinstance(value, list):
        return value
    groups = []
    for cell in value:
        if isinstance(cell, LayerGroup):
            groups.append(cell)
            continue
        if not isinstance(cell, dict) or not isinstance(cell.get("layers"), str):
            valid = 'each group is an object with its "layers" and the columns that differ'
            raise InputError("", cell, valid)
        fields = tuple(sorted((k, v) for k, v in cell.items() if k != "layers"))
        if any(not isinstance(v, int | str) for _, v in fields):
            raise InputError("", cell, "columns of a layer are whole numbers, flags and words")
        groups.append(LayerGroup(layer_numbers(cell["layers"]), fields))
    return tuple(groups)


Groups = Annotated[tuple[LayerGroup, ...], BeforeValidator(_read)]
