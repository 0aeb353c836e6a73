"""Write a scenario as the YAML file that is read as it is."""

import os
from pathlib import Path
from typing import Any

from gpuspec.base import files
from gpuspec.base.comments import with_comments
from gpuspec.base.errors import InputError
from gpuspec.decision.scenario.reading import SUFFIXES, scenario_path
from gpuspec.decision.scenario.records import Scenario

HEAD = "# gpuspec plan {name} answers this; docs/decision.md has every field.\n"
ASSUMED = "# Nobody stated these: they were taken, and page 1 names them.\n"
OURS = (HEAD.split("{")[0], ASSUMED.rstrip())
"""How the comments begin that are written here."""
_BESIDE = ("table", "lengths")


def scenario_text(s: Scenario, path: Path) -> str:
    """Return the content of the file `path`: what is stated of a scenario, and nothing else."""
    content = _plain(s.model_dump(mode="json", exclude_unset=True))
    prices = content.get("prices", {})
    if prices.get("file"):
        prices["file"] = _from(path, prices["file"])
    for work in content["workloads"]:
        for name in _BESIDE:
            if isinstance(work.get(name), str):
                work[name] = _from(path, work[name])
    assumed = content.pop("assumed", None)
    text = HEAD.format(name=path.name) + _yaml(content)
    return text + (ASSUMED + _yaml({"assumed": assumed}) if assumed else "")


def save(s: Scenario, given: str, source: str | None = None) -> Path:
    """Write a scenario to a file that is not the one it was read from, with its comments.

    Raises
    ------
    InputError
        Where it cannot be written there; names the file.
    """
    path = files.path_of("save", given)
    if path.suffix.lower() not in SUFFIXES[:2]:
        raise InputError("save", given, "give the name of a file that ends in .yaml")
    if source and path.exists() and Path(source).exists() and path.samefile(source):
        raise InputError("save", given, "it is the file that was read; name another")
    files.check_writable("save", path)
    text = scenario_text(s, path)
    if source and (read := scenario_path(source)).suffix.lower() != ".json":
        said = files.read_text("scenario", read, files.MOST_SCENARIO_BYTES)
        text = with_comments(text, said, OURS)
    files.write_atomically(path, text.encode())
    return path


def _yaml(content: object) -> str:
    import yaml

    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text


def _plain(part: Any) -> Any:
    """Return values without those that are blank, whole numbers without a point."""
    if isinstance(part, dict):
        first = {n: part[n] for n in ("kind", "name") if n in part}
        return {n: _plain(v) for n, v in (first | part).items() if v is not None and v != []}
    if isinstance(part, list):
        return [_plain(v) for v in part]
    whole = isinstance(part, float) and part.is_integer() and abs(part) < 1e15
    return int(part) if whole else part


def _from(path: Path, file: str) -> str:
    """Return the name of a file as seen from the folder in which a scenario is written."""
    return os.path.relpath(file, path.parent)
