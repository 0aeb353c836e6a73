"""Reading a config.json as what it is: a file from somewhere else that may hold anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpuspec.base.documents import from_json
from gpuspec.base.errors import InputError, brief
from gpuspec.base.files import MOST_CONFIG_BYTES, check_text, read_text

MAX_LAYERS = 10_000
MAX_WIDTH = 10_000_000
MAX_TOKENS = 10**9


class Config:
    """A JSON object read through typed getters; each complaint names the key, value and remedy.

    A key that is absent or null has its default; a key without a default must be there.

    Parameters
    ----------
    values : object
        The content of the file, or of a part of it.
    label : str
        How to call it in a complaint.
    names : mapping, optional
        Names of a thing in the files of different families and library versions, such as
        ``{"heads": ["num_attention_heads", "n_head"]}``; two of them may not contradict.
    defaults : mapping, optional
        What the family's own code takes for keys that are absent.
    """

    def __init__(
        self,
        values: object,
        label: str,
        names: Mapping[str, Sequence[str]] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(values, dict):
            raise InputError(label, values, "it must be a JSON object of keys and values")
        self.values, self.label = values, label
        self.names, self.defaults = names or {}, defaults or {}
        self.read: set[str] = set()
        """Keys that have been asked for, whatever came of it."""

    def __contains__(self, key: str) -> bool:
        """Tell whether the file states a thing, under any of its names."""
        return any(self.values.get(name) is not None for name in self.names.get(key, (key,)))

    def count(
        self, *keys: str, default: int | None = None, most: int = MAX_WIDTH, least: int = 1
    ) -> int:
        """Return a whole number; further keys are other names of the same thing.

        A list with one number for every layer, all the same, is that number.
        """
        value, name = self.found(keys, default)
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0] if type(value[0]) is int else value
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise self.error(name, value, f"a whole number from {least:,} to {most:,} is needed")

    def many(self, *keys: str, default: int | None = 0, most: int = MAX_WIDTH) -> int:
        """Return a whole number that may be 0, for none."""
        return self.count(*keys, default=default, most=most, least=0)

    def layers(self, *keys: str) -> int:
        """Return the number of layers."""
        return self.count(*(keys or ("layers",)), most=MAX_LAYERS)

    def tokens(self, *keys: str, default: int = 0) -> int:
        """Return a number of tokens (a context, a window), 0 for none."""
        return self.count(*keys, default=default, most=MAX_TOKENS, least=0)

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        value, name = self.found((key,), default)
        if isinstance(value, bool):
            return value
        raise self.error(name, value, "true or false is needed")

    def number(self, key: str, default: float) -> float:
        """Return a number above 0, such as a factor."""
        value, name = self.found((key,), default)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9:
            return float(value)
        raise self.error(name, value, "a number above 0 is needed")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text."""
        value, name = self.found((key,), default)
        if isinstance(value, str):
            return check_text(f"{self.label} {name}", value, lines=False)
        raise self.error(name, value, "a text is needed")

    def section(self, key: str) -> "Config":
        """Return the object under a key, empty when there is none."""
        return Config(self.found((key,), {})[0], f"{self.label} {key}")

    def items(self, key: str, kind: type, length: int | None = None) -> list[Any]:
        """Return a list of one kind of value, empty when there is none."""
        value, name = self.found((key,), [])
        kinds = isinstance(value, list) and all(type(item) is kind for item in value)
        if not kinds or (length is not None and len(value) not in (0, length)):
            many = "" if length is None else f", {length:,} of them"
            raise self.error(name, value, f"a list of {kind.__name__} is needed{many}")
        return list(value)

    def per_layer(self, key: str, layers: int, default: int | None = None) -> list[int]:
        """Return a whole number for every layer, from a list of them or from one for all."""
        value, name = self.found((key,), default)
        if not isinstance(value, list):
            return [self.count(key, default=default)] * layers
        if len(value) != layers or any(
            type(item) is not int or not 1 <= item <= MAX_WIDTH for item in value
        ):
            raise self.error(name, value, f"a whole number for each of {layers:,} layers is needed")
        return list(value)

    def error(self, key: str, value: object, valid: str) -> InputError:
        """Return the complaint about the value of a key."""
        return InputError(f"{self.label} {key}", value, valid)

    def found(self, keys: Sequence[str], default: object = None) -> tuple[Any, str]:
        """Return what stands under one of the names of some keys, and that name."""
        names = [name for key in keys for name in self.names.get(key, (key,))]
        self.read.update(names)
        stated = [name for name in names if self.values.get(name) is not None]
        for name in stated[1:]:
            if _same(self.values[name]) != _same(self.values[stated[0]]):
                valid = f"{stated[0]} says {brief(self.values[stated[0]])} of the same thing"
                raise self.error(name, self.values[name], valid)
        if stated:
            return self.values[stated[0]], stated[0]
        absent = not any(name in self.values for name in names)
        for name in (*keys, *names):
            if absent and self.defaults.get(name) is not None:
                return self.defaults[name], name
        if default is None:
            raise InputError(f"{self.label} {names[0]}", None, "the key is missing and needed")
        return default, names[0]


def read_config(source: str | Path | dict[str, object]) -> tuple[object, str]:
    """Return the content of a config.json (or the dict given) and how to call it."""
    if isinstance(source, dict):
        return source, "config"
    if not isinstance(source, str | Path):
        raise InputError("config", source, "give the path of a config.json, or a dict")
    text, name = read_text("config", source, MOST_CONFIG_BYTES), Path(source).name
    return from_json("config", text, str(source), finite=False), name


def _same(value: Any) -> Any:
    """Return what a list repeats for every layer, anything else as it is."""
    equal = isinstance(value, list) and value and value.count(value[0]) == len(value)
    return value[0] if equal else value
