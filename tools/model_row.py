"""Print the rows of data/models.csv that config.json files make.

    python tools/model_row.py CONFIG.json NAME [COLUMN=VALUE ...] >> data/models.csv
    python tools/model_row.py LIST.json >> data/models.csv

NAME is the model's as its publisher writes it; its id follows. Other cells that the file does not
state are given by column: aliases, hf_id, sources, source_seen, confidence, params_total, notes.
LIST.json holds a list of objects with ``config`` (a path, or the content of a config.json),
``name`` and such columns, for several rows at once.
Sizes that the table keeps are those of the reader; a test holds them to the published counts.
"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from gpuspec.base.paths import DATA
from gpuspec.catalog.models import model_from_config
from gpuspec.catalog.models.groups import groups_text
from gpuspec.catalog.models.record import Model


def row(config: str | dict[str, Any], name: str, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the cells of a model's row by column."""
    read = model_from_config(config, name)
    default = {field: info.default for field, info in Model.model_fields.items()}
    values = {field: getattr(read, field) for field in default}
    same_heads = read.v_head_dim == read.head_dim
    cells = {
        field: _cell(value)
        for field, value in values.items()
        if value != default[field] and not (field == "v_head_dim" and same_heads)
    }
    cells |= {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "groups": groups_text(read.groups),
    }
    cells |= {"params_total": str(read.params), "params_precision": "exact", "kind": read.kind}
    cells |= {"source_seen": date.today().isoformat(), "confidence": "high"}
    return {**cells, **stated}


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "|".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _asked(path: str, rest: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Return the rows that the arguments ask for."""
    if rest:
        name, *pairs = rest
        yield row(path, name, dict(pair.split("=", 1) for pair in pairs))
        return
    for entry in json.loads(Path(path).read_text("utf-8")):
        stated = {column: str(value) for column, value in entry.items()}
        name = stated.pop("name")
        del stated["config"]
        yield row(entry["config"], name, stated)


def main(path: str, *rest: str) -> None:
    """Print lines of CSV in the order of the table's columns."""
    with (DATA / "models.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    lines = csv.writer(sys.stdout, lineterminator="\n")
    for cells in _asked(path, rest):
        lines.writerow([cells.get(column, "") for column in columns])


if __name__ == "__main__":
    main(*sys.argv[1:])
