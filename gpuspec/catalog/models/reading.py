"""Reading a config.json as what it is: a file from somewhere else that may hold anything."""

from pathlib import Path
from typing import Any

from gpuspec.base.documents import from_json
from gpuspec.base.errors import InputError
from gpuspec.base.files import MOST_CONFIG_BYTES, check_text, read_text

MAX_LAYERS = 10_000
MAX_WIDTH = 10_000_000
MAX_TOKENS = 10**9


class Config:
    """A JSON object read through typed getters; each complaint names the key, value and remedy.

    A key that is absent or null has its default; a key without a default must be there.
    """

    def __init__(self, values: object, label: str) -> None:
        if not isinstance(values, dict):
            raise InputError(label, values, "it must be a JSON object of keys and values")
        self.values, self.label = values, label

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def count(
        self, *keys: str, default: int | None = None, most: int = MAX_WIDTH, least: int = 1
    ) -> int:
        """Return a whole number; further keys are other names of the same thing."""
        value, name = self._find(keys, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise self.error(name, value, f"a whole number from {least:,} to {most:,} is needed")

    def layers(self, *keys: str) -> int:
        """Return the number of layers."""
        return self.count(*(keys or ("num_hidden_layers",)), most=MAX_LAYERS)

    def tokens(self, *keys: str, default: int = 0) -> int:
        """Return a number of tokens (a context, a window), 0 for none."""
        return self.count(*keys, default=default, most=MAX_TOKENS, least=0)

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        value, name = self._find((key,), default)
        if isinstance(value, bool):
            return value
        raise self.error(name, value, "true or false is needed")

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text."""
        value, name = self._find((key,), default)
        if isinstance(value, str):
            return check_text(f"{self.label} {name}", value, lines=False)
        raise self.error(name, value, "a text is needed")

    def section(self, key: str) -> "Config":
        """Return the object under a key, empty when there is none."""
        return Config(self._find((key,), {})[0], f"{self.label} {key}")

    def items(self, key: str, kind: type, length: int | None = None) -> list[Any]:
        """Return a list of one kind of value, empty when there is none."""
        value, name = self._find((key,), [])
        kinds = isinstance(value, list) and all(type(item) is kind for item in value)
        if not kinds or (length is not None and len(value) not in (0, length)):
            many = "" if length is None else f", {length:,} of them"
            raise self.error(name, value, f"a list of {kind.__name__} is needed{many}")
        return list(value)

    def error(self, key: str, value: object, valid: str) -> InputError:
        """Return the complaint about the value of a key."""
        return InputError(f"{self.label} {key}", value, valid)

    def _find(self, keys: tuple[str, ...], default: object) -> tuple[Any, str]:
        for key in keys:
            if key in self:
                return self.values[key], key
        if default is None:
            names = " or ".join(keys)
            raise InputError(f"{self.label} {names}", None, "the key is missing and needed")
        return default, keys[0]


def read_config(source: str | Path | dict[str, object]) -> tuple[object, str]:
    """Return the content of a config.json (or the dict given) and how to call it."""
    if isinstance(source, dict):
        return source, "config"
    if not isinstance(source, str | Path):
        raise InputError("config", source, "give the path of a config.json, or a dict")
    text, name = read_text("config", source, MOST_CONFIG_BYTES), Path(source).name
    return from_json("config", text, str(source), finite=False), name
