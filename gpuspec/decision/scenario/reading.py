"""Read a scenario from a file or a mapping, and say what is wrong with it in one sentence."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gpuspec.base import files
from gpuspec.base.ask import BRANCHES, known_names, said
from gpuspec.base.documents import from_yaml, read_document, scalar
from gpuspec.base.errors import InputError, UnknownNameError, renamed
from gpuspec.base.paths import DATA
from gpuspec.catalog.models import model
from gpuspec.catalog.models.typical import typical_model
from gpuspec.decision.scenario import records

SHIPPED = DATA / "scenarios"
SUFFIXES = (".yaml", ".yml", ".json")
MOST_WORKLOADS = 100
_PARTS: dict[str, type[BaseModel]] = {
    "budget": records.Budget,
    "limits": records.SiteLimits,
    "owned": records.Owned,
    "assumed": records.Assumed,
}
_PARTS |= {"allow": records.Allow, "effort": records.Effort, "prices": records.Prices}


def scenario_names() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def scenario(
    given: str | Path | Mapping[str, object], changes: Mapping[str, object] | None = None
) -> records.Scenario:
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
        content = changed(content, path, files.bounded(path, value))
    _check_keys(files.bounded("scenario", content))
    return _checked(_sized(_with_paths(content, folder)))


def changed(content: object, path: str, value: object) -> Any:
    """Return a copy of nested mappings and lists with the value at `path` replaced.

    >>> changed({"a": [{"b": 1}]}, "a[0].b", 2)
    {'a': [{'b': 2}]}
    """
    steps = [step for step in path.replace("[", ".[").split(".") if step]
    if not steps or len(steps) > files.MOST_DEPTH:
        raise InputError(path, value, "give a place such as budget.monthly_usd or workloads[0].isl")
    return _changed(content, steps, value, path)


def _changed(content: object, steps: list[str], value: object, path: str) -> object:
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


def scenario_path(given: str | Path) -> Path:
    """Return the file of a shipped name, or that of a path."""
    shipped = str(given) in scenario_names()
    return SHIPPED / f"{given}.yaml" if shipped else files.path_of("scenario", given)


def _content(given: str | Path) -> tuple[dict[str, object], Path]:
    text, path = str(given), scenario_path(given)
    if path.suffix.lower() not in SUFFIXES and not path.exists():
        if _names_a_model(text):
            valid = f"it is a model; ask about one in a line: --model {text} --users 200, or "
            valid += f"--model {text} --tokens 1e9 --deadline 30d to train it, without a scenario"
            raise InputError("scenario", text, valid)
        raise UnknownNameError("scenario", text, scenario_names())
    content = read_document("scenario", path, files.MOST_SCENARIO_BYTES)
    if not isinstance(content, dict):
        raise InputError("scenario", text, "it must hold name, workloads and the like at its top")
    return content, path.parent


def _names_a_model(text: str) -> bool:
    """Return whether a text names a model of the table, or a size for which one stands."""
    try:
        return bool(typical_model(text) or model(text))
    except InputError:
        return False


def _check_keys(content: Mapping[str, object]) -> None:
    """Find the first key that no record has; pydantic would not say which was meant."""
    _check_names(content, records.Scenario, "")
    for name, record in _PARTS.items():
        _check_names(content.get(name), record, name)
    workloads = content.get("workloads")
    if not isinstance(workloads, list | tuple):
        return
    if len(workloads) > MOST_WORKLOADS:
        raise InputError("workloads", workloads, f"give at most {MOST_WORKLOADS}")
    for place, workload in enumerate(workloads):
        where = f"workloads[{place}]"
        if not isinstance(workload, Mapping):
            raise InputError(where, workload, "give kind, name and the rest as key: value")
        kind = workload.get("kind")
        if not isinstance(kind, str) or kind not in records.KINDS:
            raise UnknownNameError(f"{where}.kind", kind, records.KINDS)
        _check_names(workload, records.KINDS[kind], where)


def _check_names(part: object, record: type[BaseModel], where: str) -> None:
    if isinstance(part, list | tuple):
        for place, item in enumerate(part):
            _check_names(item, record, f"{where}[{place}]")
    for key, value in part.items() if isinstance(part, Mapping) else ():
        field = f"{where}.{key}" if where else str(key)
        if key not in known_names(record):
            raise UnknownNameError(field, key, record.model_fields)
        if key == "name" and isinstance(value, str):
            files.check_text(field, value, lines=False)


def _with_paths(content: Mapping[str, object], folder: Path) -> dict[str, object]:
    """Let the files that a scenario names lie beside it."""
    prices, workloads = content.get("prices"), content.get("workloads")
    if isinstance(prices, Mapping) and isinstance(prices.get("file"), str) and prices["file"]:
        prices = {**prices, "file": str(folder / files.path_of("prices.file", prices["file"]))}
    if isinstance(workloads, list | tuple):
        workloads = [{**w, **_beside(w, folder)} for w in workloads]
    beside = {"prices": prices, "workloads": workloads}
    return {**content, **{name: beside[name] for name in beside if name in content}}


def _beside(workload: Mapping[str, object], folder: Path) -> dict[str, str]:
    files_of = {name: workload.get(name) for name in ("table", "lengths")}
    return {n: str(folder / file) for n, file in files_of.items() if isinstance(file, str) and file}


def _sized(content: Mapping[str, object]) -> dict[str, object]:
    """Put a typical model where a workload states a size of one, and say so under ``assumed``."""
    works, assumed = content.get("workloads"), content.get("assumed") or []
    if not isinstance(works, list | tuple) or not isinstance(assumed, list | tuple):
        return dict(content)
    found, said = [], list(assumed)
    for place, work in enumerate(works):
        name = work.get("model") if work["kind"] in ("training", "inference") else None
        where = f"workloads[{place}].model"
        try:
            model = typical_model(name) if isinstance(name, str) else None
        except InputError as error:
            raise renamed(error, where) from None
        if model:
            said = [row for row in said if not isinstance(row, Mapping) or row["field"] != where]
            said.append({"field": where, "said": name})
            work = {**work, "model": model}
        found.append(work)
    return {**content, "workloads": found} | ({"assumed": said} if said else {})


def _checked(content: Mapping[str, object]) -> records.Scenario:
    with files.refusing("scenario", content, "it cannot be read"):
        try:
            return records.Scenario.model_validate(content)
        except ValidationError as error:
            raise said(error, branches=(*BRANCHES, *records.KINDS), items=True) from None


def parsed(text: str, field: str = "--param") -> object:
    """Read a value as YAML does: a number, a day, a list, a text.

    >>> parsed("2e11"), parsed("[A100, H100]"), parsed("H100 PCIe")
    (200000000000.0, ['A100', 'H100'], 'H100 PCIe')
    """
    value = files.check_text(field, text).strip()
    read = from_yaml if value[:1] in ("[", "{", "'", '"') else scalar
    return read(field, value, value)
