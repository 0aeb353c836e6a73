"""Print the row of data/models.csv that a config.json makes.

    python tools/model_row.py CONFIG.json NAME [COLUMN=VALUE ...] >> data/models.csv

NAME is the model's as its publisher writes it; its id follows. Other cells that the file does not
state are given by column: aliases, hf_id, sources, source_seen, confidence, params_total, notes.
Sizes that the table keeps are those of the reader; a test holds them to the published counts.
"""

import csv
import sys
from datetime import date

from gpuspec.base.paths import DATA
from gpuspec.catalog.models import model
from gpuspec.catalog.models.groups import groups_text
from gpuspec.catalog.models.record import Model


def row(path: str, name: str, stated: dict[str, str]) -> dict[str, str]:
    """Return the cells of a model's row by column."""
    read = model(path)
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
    return cells | stated


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "|".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main(path: str, name: str, *pairs: str) -> None:
    """Print one line of CSV in the order of the table's columns."""
    with (DATA / "models.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    cells = row(path, name, dict(pair.split("=", 1) for pair in pairs))
    csv.writer(sys.stdout, lineterminator="\n").writerow([cells.get(c, "") for c in columns])


if __name__ == "__main__":
    main(*sys.argv[1:])
