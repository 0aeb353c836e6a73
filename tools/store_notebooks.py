"""Execute every notebook in place and store its outputs, without times and widget states.

A picture is stored as SVG and as PNG: who does not trust a notebook shows the latter alone.
"""

import os
from pathlib import Path

import nbformat
from goldens import fix_day
from nbclient import NotebookClient

from gpuspec.views import PICTURES_AS_PNG

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def main():
    fix_day()
    os.environ[PICTURES_AS_PNG] = "1"
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, 4)
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code" and "interactive" in cell.metadata.get("tags", []):
                cell.outputs, cell.execution_count = [], None
        notebook.metadata.pop("widgets", None)
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()
