"""What the cells of every notebook show, in lines of text: notes, tables, and what pictures draw.

All notebooks run in one process with the parameters that they ship with; no picture is rendered.
"""

import json
import os
import tempfile
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

from goldens.pictures import described

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def write(folder):
    """Write what each notebook shows into a text file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as private, patch.dict(os.environ, IPYTHONDIR=private):
        shell = _shell()
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            shell.reset(new_session=False)
            text = "\n\n".join(_shown(shell, path))
            (folder / f"{path.stem}.txt").write_text(text + "\n", "utf-8")


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    return InteractiveShell.instance(config=settings)


def _shown(shell, path):
    """Return what the cells of a notebook show, a block of lines for each output."""
    from matplotlib.figure import Figure

    drawn, blocks = [], []

    def savefig(figure, stream, **_):
        drawn.append(described(figure))
        stream.write("<svg/>")

    with patch.object(Figure, "savefig", savefig):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            panel = "interactive" in cell["metadata"].get("tags", [])
            if cell["cell_type"] == "code" and not panel:
                outputs = _outputs(shell, "".join(cell["source"]))
                blocks += ["\n".join(_lines(output, drawn)) for output in outputs]
    if drawn:
        raise ValueError(f"{path.name} draws {len(drawn)} pictures that it does not show")
    return blocks


def _outputs(shell, source):
    """Return the MIME bundles that a cell shows, in order."""
    from IPython.utils.capture import capture_output

    with capture_output() as caught:
        result = shell.run_cell(source)
    result.raise_error()
    found = [output.data for output in caught.outputs]
    if result.result is not None:
        found.append(shell.display_formatter.format(result.result)[0])
    return found


def _lines(output, drawn):
    said = output["text/plain"].splitlines()
    if "image/svg+xml" in output:
        return [line.strip() for line in said] + drawn.pop(0)
    return _table(output["text/html"]) if "text/html" in output else said


def _table(html):
    """Return a table as lines of cells, so that a changed number changes one line."""
    found = ElementTree.fromstring(html)
    rows = [" | ".join("".join(cell.itertext()) or "-" for cell in row) for row in found.iter("tr")]
    return [f"Table: {found.findtext('caption')}", *rows]
