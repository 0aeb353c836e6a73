"""What a quantisation section comes to, and the keys in which files state it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog.models.patterns import Patterns
from gpuspec.catalog.precision import precision

MOST_NAMES = 200_000
Section = Mapping[str, Any]


class Unknown(Exception):
    """A quantisation that is not known; says which."""


@dataclass(frozen=True)
class Rule:
    """Modules by name, or a whole part of the model, with the format that they have."""

    form: str
    names: tuple[str, ...] = ()
    part: str = ""
    patterns: Patterns = field(default_factory=lambda: Patterns((), [0]), compare=False)


@dataclass(frozen=True)
class Scheme:
    """The format of the layers' matrices and what differs, later rules before earlier ones."""

    default: str
    rules: tuple[Rule, ...] = ()
    head: str = ""
    """Format of the output projection; empty: 16 bits unless a rule names it."""
    kv: str = ""
    notes: tuple[str, ...] = ()


class Keys:
    """Reads the keys of a section; each complaint names the key, its value and what is valid."""

    def __init__(self, values: object, source: str) -> None:
        if not isinstance(values, Mapping):
            raise InputError(source, values, "an object of keys and values is needed")
        self.values: Section = values
        self.source = source

    def text(self, *keys: str) -> str:
        """Return a text, empty where none is stated."""
        for key in keys:
            value = self.values.get(key)
            if isinstance(value, str):
                return value
            if value is not None:
                raise InputError(f"{self.source} {key}", value, "a text is needed")
        return ""

    def number(self, *keys: str, default: float = 0.0) -> float:
        """Return a number from -1 to a million."""
        for key in keys:
            value = self.values.get(key)
            if value is None:
                continue
            if type(value) in (int, float) and -1 <= value <= 1e6:
                return float(value)
            raise InputError(f"{self.source} {key}", value, "a number from -1 to 1,000,000")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        raise InputError(f"{self.source} {key}", value, "true or false is needed")

    def section(self, key: str) -> "Keys":
        """Return the object under a key, empty where there is none."""
        return Keys(self.values.get(key) or {}, f"{self.source} {key}")

    def sections(self, key: str) -> Iterator[tuple[str, "Keys"]]:
        """Yield the objects under a key with their names."""
        inner = self.section(key)
        if len(inner.values) > MOST_NAMES:
            raise InputError(inner.source, len(inner.values), f"at most {MOST_NAMES:,} names")
        for name in inner.values:
            if isinstance(name, str) and inner.values[name] is not None:
                yield name, inner.section(name)

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty where there is none; one text is a list of one."""
        value = self.values.get(key)
        value = [] if value is None else [value] if isinstance(value, str) else value
        texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
        if not texts or len(value) > MOST_NAMES:
            raise InputError(f"{self.source} {key}", value, "a list of names is needed")
        return tuple(value)


def whole_numbers(bits: float, group: float, zero_points: bool, source: str) -> str:
    """Return the format of whole numbers of some bits with an FP16 scale a group.

    `group` is -1 or 0 for one scale a channel.

    >>> whole_numbers(4, 128, True, "config.json"), whole_numbers(3, 64, False, "config.json")
    ('int4-awq', '3.25bit')
    """
    if not 1 <= bits <= 16 or (bits != int(bits) and group > 0):
        raise InputError(f"{source} bits", bits, "whole numbers have 1 to 16 bits")
    return _whole(bits, group, zero_points)


@cache
def _whole(bits: float, group: float, zero_points: bool) -> str:
    if bits == 16:
        return "bf16"
    if group <= 0:
        return {8.0: "int8", 4.0: "int4-channel"}.get(float(bits), f"{bits:g}bit")
    overhead = 16 + bits * zero_points
    try:
        form = precision(f"int{bits:g}-g{group:g}{'' if zero_points else '-sym'}")
    except UnknownNameError:
        return f"{bits + overhead / group:.6g}bit"
    return form.id
