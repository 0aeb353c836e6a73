"""Read a scenario from a file or a mapping, and say what is wrong with it in one sentence."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gpuspec.base.ask import BRANCHES, known_names
from gpuspec.base.documents import from_yaml, read_document, scalar
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import (
    MOST_DEPTH,
    MOST_SCENARIO_BYTES,
    bounded,
    check_text,
    path_of,
    refusing,
)
from gpuspec.base.paths import DATA
from gpuspec.decision.scenario.records import KINDS, Allow, Budget, Limits, Owned, Prices, Scenario

SHIPPED = DATA / "scenarios"
SUFFIXES = (".yaml", ".yml", ".json")
MOST_WORKLOADS = 100
_PARTS: dict[str, type[BaseModel]] = {
    "budget": Budget,
    "limits": Limits,
    "owned": Owned,
    "allow": Allow,
    "prices": Prices,
}


def scenario_names() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def scenario(
    given: str | Path | Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> Scenario:
    """Return the checked scenario of a shipped name, of a YAML or JSON file, or of a mapping.

    Parameters
    ----------
    given : str, Path or mapping
        ``"article-b"`` (see `scenario_names`), ``"mine.yaml"``, or the content itself.
    changes : mapping, optional
        Values by path that replace those of the file, such as
        ``{"budget.monthly_usd": 50000, "workloads[0].concurrency": 128}``.

    Raises
    ------
    InputError
        Names the field, as ``workloads[1].isl``, the value and what is valid.
    UnknownNameError
        For a key, a model, a GPU or a scenario that nothing is called; lists close matches.

    >>> scenario("article-b").workloads[0].kind
    'inference'
    """
    content, folder = (dict(given), Path()) if isinstance(given, Mapping) else _content(given)
    for path, value in (changes or {}).items():
        content = changed(content, path, bounded(path, value))
    _check_keys(bounded("scenario", content))
    return _checked(_with_paths(content, folder))


def changed(content: Any, path: str, value: Any) -> Any:
    """Return a copy of nested mappings and lists with the value at `path` replaced.

    >>> changed({"a": [{"b": 1}]}, "a[0].b", 2)
    {'a': [{'b': 2}]}
    """
    steps = [step for step in path.replace("[", ".[").split(".") if step]
    if not steps or len(steps) > MOST_DEPTH:
        raise InputError(path, value, "give a place such as budget.monthly_usd or workloads[0].isl")
    return _changed(content, steps, value, path)


def _changed(content: Any, steps: list[str], value: Any, path: str) -> Any:
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if first.startswith("["):
        items = list(content) if isinstance(content, list | tuple) else []
        place = re.fullmatch(r"\[(\d{1,9})\]", first, re.ASCII)
        at = int(place[1]) if place else len(items)
        if at >= len(items):
            has = f"has the places 0 to {len(items) - 1}" if items else "is empty"
            raise InputError(path, value, f"the list {has}")
        items[at] = _changed(items[at], rest, value, path)
        return items
    if not isinstance(content, Mapping | None):
        raise InputError(path, value, "there is no such place in the scenario")
    inner = dict(content or {})
    return {**inner, first: _changed(inner.get(first), rest, value, path)}


def _content(given: str | Path) -> tuple[dict[str, Any], Path]:
    text, path = str(given), path_of("scenario", given)
    if text in scenario_names():
        path = SHIPPED / f"{text}.yaml"
    elif path.suffix.lower() not in SUFFIXES and not path.exists():
        raise UnknownNameError("scenario", text, scenario_names())
    found = read_document("scenario", path, MOST_SCENARIO_BYTES)
    if not isinstance(found, dict):
        raise InputError("scenario", text, "it must hold name, workloads and the like at its top")
    return found, path.parent


def _check_keys(content: Mapping[str, Any]) -> None:
    """Find the first key that no record has; pydantic would not say which was meant."""
    _known(content, Scenario, "")
    for name, record in _PARTS.items():
        parts: Any = content.get(name)
        listed = isinstance(parts, list | tuple)
        for place, part in enumerate(parts if listed else [parts]):
            if isinstance(part, Mapping):
                _known(part, record, f"{name}[{place}]." if listed else f"{name}.")
    workloads = content.get("workloads")
    if isinstance(workloads, list | tuple) and len(workloads) > MOST_WORKLOADS:
        raise InputError("workloads", workloads, f"give at most {MOST_WORKLOADS}")
    for place, workload in enumerate(workloads if isinstance(workloads, list | tuple) else []):
        where = f"workloads[{place}]"
        if not isinstance(workload, Mapping):
            raise InputError(where, workload, "give kind, name and the rest as key: value")
        kind = workload.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise UnknownNameError(f"{where}.kind", kind, KINDS)
        _known(workload, KINDS[kind], f"{where}.")


def _known(part: Mapping[str, Any], record: type[BaseModel], where: str) -> None:
    known = known_names(record)
    for key, value in part.items():
        if key not in known:
            raise UnknownNameError(f"{where}{key}", key, record.model_fields)
        if key == "name" and isinstance(value, str):
            check_text(f"{where}name", value, lines=False)


def _with_paths(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Let the files that a scenario names lie beside it."""
    found = dict(content)
    prices = found.get("prices")
    if isinstance(prices, Mapping) and isinstance(prices.get("file"), str) and prices["file"]:
        beside = folder / path_of("prices.file", prices["file"])
        found["prices"] = {**prices, "file": str(beside)}
    workloads = found.get("workloads")
    if isinstance(workloads, list | tuple):
        found["workloads"] = [
            {**w, "table": str(folder / w["table"])}
            if isinstance(w, Mapping) and isinstance(w.get("table"), str)
            else w
            for w in workloads
        ]
    return found


def _checked(content: Mapping[str, Any]) -> Scenario:
    with refusing("scenario", content, "it cannot be read"):
        try:
            return Scenario.model_validate(content)
        except ValidationError as error:
            raise _said(error.errors(include_url=False)[0]) from None


def _said(problem: Any) -> InputError:
    """Turn the first problem that pydantic found into ours, with the path of its field."""
    where = _path(problem["loc"])
    inner = (problem.get("ctx") or {}).get("error")
    if isinstance(inner, InputError):
        own = inner.field if inner.field not in ("gpu", "gpus", "model") else ""
        field = own if own.startswith("workloads") else ".".join(filter(None, (where, own)))
        if isinstance(inner, UnknownNameError):
            found = UnknownNameError.__new__(UnknownNameError)
            found.close = inner.close
            InputError.__init__(found, field, inner.value, inner.valid)
            return found
        return InputError(field, inner.value, inner.valid)
    if problem["type"] == "missing":
        return InputError(where, None, "it must be given")
    if problem["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return UnknownNameError(where, problem["input"], known)
    return InputError(where, problem["input"], _valid(problem))


def _valid(problem: Any) -> str:
    if problem["type"] == "too_short":
        return "give at least one"
    if problem["type"] == "too_long":
        return f"give at most {problem['ctx']['max_length']:,}"
    if problem["type"] == "tuple_type":
        return "give a list"
    said = str(problem["msg"])
    return said.replace("Input should be", "it must be").replace("Value error, ", "")


def _path(places: tuple[Any, ...]) -> str:
    path = ""
    for place in places:
        if isinstance(place, int):
            path += f"[{place}]"
        elif place in BRANCHES or "[" in place or (place in KINDS and path.endswith("]")):
            continue  # the branch of a union is no field
        else:
            path += f".{place}" if path else str(place)
    return path


def parsed(text: str, field: str = "--param") -> Any:
    """Read a value as YAML does: a number, a day, a list, a text.

    >>> parsed("2e11"), parsed("[A100, H100]"), parsed("H100 PCIe")
    (200000000000.0, ['A100', 'H100'], 'H100 PCIe')
    """
    given = check_text(field, text).strip()
    read = from_yaml if given[:1] in ("[", "{", "'", '"') else scalar
    return read(field, given, given)
