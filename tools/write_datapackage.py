"""Write the schemas of ``data/datapackage.json`` whose tables have a record.

    python tools/write_datapackage.py [--check]

Columns stand in the order of the table's first line. A table without a record is declared by its
schema alone, and left as it is; so are the keys, the sources and the titles of all tables.
"""

import csv
import json
import re
import sys
from datetime import date
from typing import Any

from gpuspec.base.ask import Asked
from gpuspec.base.paths import DATA
from gpuspec.catalog.columns import MOST_NUMBER, Matching, columns_of
from gpuspec.catalog.tables import RECORDS, record

PACKAGE = DATA / "datapackage.json"
UNITS = re.compile(r"_(gb_s|mhz|gb|mib|gib|mb|tflops|tops|w|us)(?=_per|_low|_high|_total|$)")
AS_WRITTEN = """BF16 CPU DPX FLOPs FP16 FP32 FP4 FP64 FP8 GFLOP GPU GPUs HF INT32 INT8 JPEG KV L2 LM
LoRA MIG MLP NCCL NIC NVDEC NVJPEG NVLink NVLS NVSwitch OFA PCIe QK RAM SM TDP TF32"""
WORDS = {word.lower(): word for word in AS_WRITTEN.split()}


def heading(name: str) -> str:
    """Return the title of a column: its name in words, its unit left out.

    >>> heading("nvlink_gb_s_per_gpu")
    'NVLink per GPU'
    """
    name = re.sub("_kw$", "_power", re.sub("^gb_s(?=_)|(?<=_)gbit_s$", "rate", name))
    words = " ".join(WORDS.get(word, word) for word in UNITS.sub("", name).split("_"))
    return words[0].upper() + words[1:]


def field_schema(name: str, column: Asked, key: bool) -> dict[str, Any]:
    """Return the Table Schema of one column; `key` says whether it alone is the primary key."""
    kinds = ((bool, "boolean"), (date, "date"), (float, "number"), (int, "integer"))
    kind = next(
        (word for kind, word in kinds if kind in column.parts and not column.many), "string"
    )
    rules: dict[str, Any] = {"required": True} if column.stated else {}
    if key or column.extra.get("unique"):
        rules["unique"] = True
    for part in column.parts:
        if isinstance(part, Matching):
            rules["pattern"] = part.pattern
    if column.choices:
        rules["enum"] = list(column.choices)
    if column.range and column.range.least > -MOST_NUMBER:
        rules["minimum"] = column.range.least
    if column.range and column.range.most < MOST_NUMBER:
        rules["maximum"] = column.range.most
    schema = {"name": name, "type": kind, "title": heading(name), "description": column.help}
    schema |= {"unit": column.unit} if column.unit else {}
    return schema | ({"constraints": rules} if rules else {})


def package_text() -> str:
    """Return the package with the schemas that the records give."""
    package = json.loads(PACKAGE.read_text("utf-8"))
    for resource in package["resources"]:
        if resource["name"] in RECORDS:
            with (DATA / resource["path"]).open(encoding="utf-8", newline="") as file:
                names = next(csv.reader(file))
            columns, key = columns_of(record(resource["name"])), resource["schema"]["primaryKey"]
            fields = [field_schema(n, columns[n], key == [n]) for n in names]
            resource["schema"]["fields"] = fields
    return json.dumps(package, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the package, or with ``--check`` say whether it would change."""
    text = package_text()
    changed = PACKAGE.read_text("utf-8") != text
    if changed:
        print(PACKAGE.relative_to(DATA.parent))
        if "--check" not in sys.argv:
            PACKAGE.write_text(text, "utf-8")
    return int(changed and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
