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
from gpuspec.catalog.models.groups import grouped, groups_text
from gpuspec.catalog.models.record import NO_WINDOW, LayerColumns, Model

EXPERTS = ("experts", "active_experts", "expert_ffn", "shared_experts", "shared_expert_ffn")


def row(config: str | dict[str, Any], name: str, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the cells of a model's row by column."""
    read = _by_groups(model_from_config(config, name))
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


def _by_groups(read: Model) -> Model:
    """Return the model with groups where no period says which of its layers see everything."""
    if not read.global_layers:
        return read
    each = {field: getattr(read, field) for field in LayerColumns.model_fields}
    layers = []
    for has_experts, window in zip(read.moe_mask(), read.layer_windows(), strict=True):
        seen = {"sliding_window": 0 if window == NO_WINDOW else int(window)}
        layers.append(each | seen | ({} if has_experts else dict.fromkeys(EXPERTS, 0)))
    common, groups = grouped(layers)
    whole = {field: getattr(read, field) for field in Model.model_fields} | common
    whole |= {"groups": groups, "global_layers": (), "global_every": 0}
    return Model(**whole | {"dense_layers": 0, "moe_every": 1})


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
