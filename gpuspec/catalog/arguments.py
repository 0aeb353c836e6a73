"""Arguments of engines, trainers and tools; columns as in ``data/engine_arguments.csv``."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from gpuspec.catalog.columns import Matching, Record, Texts, column, record_from
from gpuspec.catalog.tables import edition, table_rows

Slug = Matching(r"[a-z0-9]+(-[a-z0-9]+)*")


class Argument(Record):
    """How a command is told one setting, or that it cannot be told."""

    id: str = column("The command and the setting", unique=True)
    command: str = column("Command that takes it, without what it is given")
    setting: str = column("What is set, in our words")
    argument: str = column(
        "The argument, or the key of the command's file; empty: the command's first argument, or "
        "that it has none, which `cannot` says",
        "",
    )
    kind: Literal["", "text", "number", "flag", "choice", "list"] = column(
        "What it takes: a text, a number, nothing (flag), one of its own words, a list; empty: the "
        "command has no such argument",
        "",
    )
    values: Texts = column(
        "Its words for ours, as ours=its, separated by |; a value that is not here cannot be said",
        (),
    )
    left_out: str = column("Value of ours for which nothing is written: what it does anyway", "")
    cannot: str = column(
        "Sentence for what cannot be said to this command; {value} stands for ours", ""
    )
    version: str = column("Version of the command that the row was read from")


class Filled(NamedTuple):
    """What a command is given."""

    words: tuple[object, ...]
    """Arguments and their values, in the order of the table."""
    keys: dict[str, object]
    """Keys of its file, with dots between levels, and their values."""
    cannot: tuple[str, ...]
    """Sentences for what it cannot be told."""
    version: str


def arguments_of(command: str) -> tuple[Argument, ...]:
    """Return the arguments of a command, one's own rows among them."""
    return tuple(a for a in _arguments(*edition()) if a.command == command)


@lru_cache(maxsize=8)
def _arguments(folder: Any, stamp: object) -> tuple[Argument, ...]:
    rows = table_rows("engine-arguments", folder)
    return tuple(record_from(Argument, row) for row in rows)


def filled(command: str, settings: Mapping[str, object]) -> Filled:
    """Return what a command is given for these settings; those that are None or False are not set.

    >>> filled("vllm serve", {"model": "m", "tp_of_group": 8, "pp": 1, "kv_format": "int8"})[:3]
    (('m', '--tensor-parallel-size', '8'), {}, ('vLLM keeps no cache in int8.',))
    """
    words: list[object] = []
    keys: dict[str, object] = {}
    cannot: list[str] = []
    known = arguments_of(command)
    for row in known:
        value = settings.get(row.setting)
        ours = text_of(value)
        if value is None or value is False or ours == row.left_out:
            continue
        its = dict(pair.split("=", 1) for pair in row.values)
        if not row.kind or (its and ours not in its):
            cannot += [row.cannot.format(value=ours)] if row.cannot else []
            continue
        said = its.get(ours, value)
        if row.argument.startswith("-"):
            words += [row.argument] if row.kind == "flag" else [row.argument, _word(said)]
        elif row.argument:
            keys[row.argument] = said
        else:
            words.append(_word(said))
    return Filled(tuple(words), keys, tuple(cannot), known[0].version)


def text_of(value: object) -> str:
    """Return a value as the table writes it.

    >>> text_of(8.0), text_of(0.95), text_of(True)
    ('8', '0.95', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _word(value: object) -> object:
    return value if isinstance(value, str) else text_of(value)
