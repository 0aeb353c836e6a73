"""Columns of tables: declared once, and shown under that heading everywhere."""

import ast
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from gpuspec.views.columns import COLUMNS, column, headings, readable
from gpuspec.views.display import table

ROOT = Path(__file__).parents[1]
UNITS = {"USD", "CNY", "USD a month", "kW", "GB", "GiB", "GB/s", "GPUs", "GPU-hours"}
HEADINGS = {c.heading for c in COLUMNS.values()} - set(COLUMNS) - UNITS
DATA = re.compile(
    r"NVIDIA .+|(of |GPUs: )?[A-Z]+\d+\w* [A-Z]\w+( \d+ GB)?( against .+)?"
    r"|\w+-\w+-\d+( against \w+-\w+-\d+)?|(of|GPUs:) \w+-\w+-\d+"
    r"|\w\d+ (weak|strong)|\d+ [KMG]iB"
)
"""Columns that are named after what was asked: GPUs, sizes of messages."""
LABELS = {"pictures.py", "panel.py"}
"""Modules whose texts stand on axes and controls."""
NAMING = {"set_index", "rename_axis", "groupby", "sort_values", "drop"}


def sources():
    for path in sorted((ROOT / "gpuspec").rglob("*.py")):
        if path.name not in LABELS and path != ROOT / "gpuspec/views/columns.py":
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield path.name, "".join(cell["source"])


def naming(source):
    """Return the texts of a module that may name a column: of lists, mappings, look-ups."""
    nodes = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict):
            nodes += ast.iter_child_nodes(node)
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            nodes += node.elts
        elif isinstance(node, ast.Subscript):
            nodes.append(node.slice)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in NAMING:
            nodes += node.args + [keyword.value for keyword in node.keywords]
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_a_heading_is_written_once():
    other = {  # fields of an SVG file; how classes of networks end
        "gpuspec/views/drawing.py": {"Format", "Type"},
        "gpuspec/catalog/models/families.py": {"Model"},
    }
    found = [
        (where, heading)
        for where, source in sources()
        for heading in naming(source) & HEADINGS
        if heading[0].isupper() and heading not in other.get(where, ())
    ]
    assert not found, "name the column, and take its heading from gpuspec.views.columns"


def test_a_written_heading_is_seen():
    for source in (
        't.set_index("Why not")',
        '{"reason": "Why not"}',
        '["Why not"]',
        't["Why not"]',
    ):
        assert naming(source) & HEADINGS == {"Why not"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/golden/notebooks/*.txt")), ids=str)
def test_every_shown_column_is_registered(path):
    lines = path.read_text("utf-8").splitlines()
    heads = [lines[i + 1] for i, line in enumerate(lines) if line.startswith("Table: ")]
    assert heads
    known = {c.heading for c in COLUMNS.values()} | {"low", "high"}
    shown = {name for head in heads for name in head.split(" | ")}
    assert not {name for name in shown - known if not DATA.fullmatch(name)}


def test_numbers_come_in_the_unit_and_format_of_their_heading():
    frame = pd.DataFrame({"gpu": ["H100"], "tpot_s": [0.0213], "tpot_s_high": [0.03], "x": [1.5]})
    shown = table(readable(frame.set_index("gpu")), "Times")
    assert shown.columns == ["GPU", "TPOT, ms", "high", "x"]
    assert shown.rows == [["H100", "21.3", "30.0", "1.50"]]


def test_texts_stay_as_they_are():
    shown = table(readable(pd.DataFrame({"load": ["full"], "tpot_s": ["none"]})), "Texts")
    assert shown.rows == [["full", "none"]]


def test_a_table_may_say_a_format_that_depends_on_what_was_asked():
    frame = pd.DataFrame({"days": [3.14], "month": [70.0]})
    shown = readable(frame, {"month": lambda x: "in time" if x < 60 else "not in time"})
    assert table(shown, "Months").rows == [["3.1 days", "not in time"]]
    assert table(shown, "Days", {"Time": ".2f"}).rows == [["3.14", "not in time"]]


def test_columns_named_after_gpus_have_their_family():
    assert column("needs h100-sxm-80").heading == "GPUs: h100-sxm-80"
    assert column("h100-sxm-80") is None
    assert headings("gpu", "h100-sxm-80") == ["GPU", "h100-sxm-80"]
