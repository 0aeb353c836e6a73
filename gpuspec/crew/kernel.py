"""Start the kernel of a report, so that no file of the current folder runs or is read.

Run by its path, as ``python -P kernel.py FOLDER -f CONNECTION``, in an empty folder: IPython and
Matplotlib look there for their configuration. Then the kernel goes to FOLDER, from where the
paths in a person's parameters count.
"""

import ast
import json
import os
import sys
from importlib.util import find_spec
from typing import Any


def main() -> None:
    """Start a kernel, and move it to the folder that the first argument names."""
    folder = sys.argv.pop(1)
    plain_matplotlib()
    _start(folder, sys.argv[1:])


def forked(_: Any, folder: str, arguments: list[str]) -> None:
    """Become a kernel in a process that has loaded everything."""
    _start(folder, arguments)


def load(name: str) -> None:
    """Load what a kernel needs, and what a shipped notebook imports of this package."""
    plain_matplotlib()
    import ipykernel.kernelapp  # noqa: F401

    from gpuspec.base.paths import NOTEBOOKS

    for path in NOTEBOOKS.glob("*.ipynb"):
        if name in (path.stem, path.stem[3:]):
            for cell in json.loads(path.read_text("utf-8"))["cells"]:
                _import(cell)


def _import(cell: dict[str, Any]) -> None:
    """Import what a cell does, unless it is one of a panel."""
    if cell["cell_type"] == "code" and "interactive" not in cell["metadata"].get("tags", []):
        for line in ast.parse("".join(cell["source"])).body:
            if isinstance(line, ast.Import | ast.ImportFrom):
                exec(ast.unparse(line), {})


def plain_matplotlib() -> None:
    """Load Matplotlib with the configuration that it ships with."""
    found = find_spec("matplotlib")
    if found and found.origin:
        data = os.path.join(os.path.dirname(found.origin), "mpl-data")
        os.environ["MATPLOTLIBRC"] = os.path.join(data, "matplotlibrc")
        import matplotlib  # noqa: F401


def _start(folder: str, arguments: list[str]) -> None:
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance(ignore_cwd=True, exec_PYTHONSTARTUP=False)
    app.initialize(arguments)
    # A checkout that is not installed is found last: nothing beside the package hides a module.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    os.chdir(folder)
    app.start()


if __name__ == "__main__":
    main()
