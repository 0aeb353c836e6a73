"""What the cells of every notebook show, in lines of text: notes, tables, and what pictures draw.

To store it all notebooks run in one process with the parameters that they ship with, and no picture
is rendered; in a test nbval runs them, and `keep` tells what the pictures of its kernel draw.
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
    from gpuspec.views import drawing

    drawn, outputs = {}, []

    def draw(figure, tight):
        drawn[svg := f"<svg>{len(drawn)}</svg>"] = described(figure)
        return svg

    with patch.object(drawing, "drawn", draw):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code" and not is_panel(cell):
                outputs += _outputs(shell, "".join(cell["source"]))
    return blocks(outputs, drawn)


def is_panel(cell):
    """Return whether a cell holds a panel, which is not described."""
    return "interactive" in cell["metadata"].get("tags", [])


def blocks(outputs, drawn):
    """Return a block of lines for each output; `drawn` are descriptions by SVG, all of them shown.

    Raises
    ------
    ValueError
        When a picture was drawn and is not shown.
    """
    unseen = set(drawn) - {output.get("image/svg+xml") for output in outputs}
    if unseen:
        raise ValueError(f"{len(unseen)} pictures are drawn and not shown")
    return ["\n".join(_lines(output, drawn)) for output in outputs]


def watch():
    """Describe each picture that this kernel draws from now on, under the cell that draws it."""
    from IPython import get_ipython

    from gpuspec.views import drawing

    draw, cells = drawing.drawn, [""]
    watched = get_ipython().user_ns["_drawn_by_cell"] = {}

    def describe(figure, tight):
        lines = described(figure)
        svg = draw(figure, tight)
        watched.setdefault(cells[-1], {})[svg] = lines
        return svg

    drawing.drawn = describe
    get_ipython().events.register("pre_run_cell", lambda info: cells.append(info.raw_cell))


def keep(path):
    """Write what `watch` saw, as JSON: by cell, the lines of each picture by its SVG."""
    from IPython import get_ipython

    Path(path).write_text(json.dumps(get_ipython().user_ns["_drawn_by_cell"]), "utf-8")


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
        return [line.strip() for line in said] + drawn[output["image/svg+xml"]]
    return _table(output["text/html"]) if "text/html" in output else said


def _table(html):
    """Return a table as lines of cells, so that a changed number changes one line."""
    found = ElementTree.fromstring(html)
    rows = [" | ".join("".join(cell.itertext()) or "-" for cell in row) for row in found.iter("tr")]
    return [f"Table: {found.findtext('caption')}", *rows]
