"""Write the cell of parameters of each notebook and the tables of parameters of the documentation.

    python tools/write_parameters.py [--check]

Both follow from the questions' records. A table stands between ``<!-- parameters of NAME -->`` and
``<!-- end -->``; ``scenario.Budget`` is a part of a scenario.
"""

import json
import re
import sys
from pathlib import Path

from gpuspec.base.ask import Ask, parameters_cell, parameters_table
from gpuspec.questions import notebook_records, record_of

ROOT = Path(__file__).parents[1]
TABLE = re.compile(r"(<!-- parameters of ([\w.]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def notebook_text(path: Path) -> str:
    """Return the notebook with the cell of parameters that its records give."""
    content = json.loads(path.read_text("utf-8"))
    cell = next(c for c in content["cells"] if "parameters" in c["metadata"].get("tags", []))
    text = parameters_cell(*notebook_records(path.stem[3:]))
    cell["source"] = text.splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def page_text(path: Path) -> str:
    """Return the page with the tables that the records give."""
    return TABLE.sub(
        lambda found: f"{found[1]}{parameters_table(_record(found[2]))}\n{found[4]}",
        path.read_text("utf-8"),
    )


def _record(name: str) -> type[Ask]:
    question, _, part = name.partition(".")
    return getattr(
        sys.modules[record_of(question).__module__], part or record_of(question).__name__
    )


def main() -> int:
    """Write the files, or with ``--check`` name those that would change."""
    wanted = {p: notebook_text(p) for p in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    wanted |= {p: page_text(p) for p in sorted((ROOT / "docs").glob("*.md"))}
    changed = [p for p, text in wanted.items() if p.read_text("utf-8") != text]
    for path in changed:
        if "--check" not in sys.argv:
            path.write_text(wanted[path], "utf-8")
        print(path.relative_to(ROOT))
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
