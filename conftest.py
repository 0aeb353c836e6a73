"""While nbval runs a notebook, what it shows is also compared with what it showed, line by line.

Pictures are compared by the numbers that they draw. What is meant is made again by
`make predictions`.
"""

import json
import os
import tempfile
from pathlib import Path

import pytest
from goldens import fix_day

fix_day()
os.environ["GPUSPEC_LANG"] = "en"  # whatever the machine speaks

ROOT = Path(__file__).parent
STORED = ROOT / "tests" / "golden" / "notebooks"
WATCH = f"""
import sys
sys.path.append({str(ROOT / "tools")!r})
from goldens.notebooks import keep, watch
watch()
"""


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    found = yield
    if file_path.parent != ROOT / "notebooks" or not found:
        return found
    return [_watched().from_parent(parent, path=file_path)]


def _watched():
    from nbval.plugin import IPyNbFile

    class Notebook(IPyNbFile):
        """The cells of a notebook, and at their end what all of them showed."""

        def setup(self):
            super().setup()
            self.run(WATCH)

        def run(self, source):
            """Run lines of our own in the kernel, and wait for its end."""
            sent = self.kernel.execute_cell_input(source, allow_stdin=False)
            self.kernel.await_reply(sent, timeout=60)

        def collect(self):
            self.cells = list(super().collect())
            yield from self.cells
            yield Shown.from_parent(self, name="shows what it showed")

    return Notebook


class Shown(pytest.Item):
    """What the cells have shown; it needs all of them to have run."""

    def runtest(self):
        from goldens.compare import differences
        from goldens.notebooks import blocks, is_panel

        if any(item.test_outputs is None for item in self.parent.cells):
            pytest.fail("not every cell has run", pytrace=False)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "drawn.json")
            self.parent.run(f"keep({str(target)!r})")
            watched = json.loads(target.read_text("utf-8"))
        drawn, outputs = {}, []
        for item in self.parent.cells:
            if not is_panel(item.cell):
                drawn |= watched.get(item.cell.source, {})
                outputs += [output["data"] for output in item.test_outputs if "data" in output]
        name = f"{self.parent.path.stem}.txt"
        stored = (STORED / name).read_text("utf-8")
        now = "\n\n".join(blocks(outputs, drawn)) + "\n"
        differ = differences(name, stored, now)
        if differ:
            pytest.fail(f"{differ}\nif that is meant: make predictions", pytrace=False)

    def reportinfo(self):
        return self.parent.path, 0, f"{self.parent.path.name} shows what it showed"
