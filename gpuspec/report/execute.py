"""Run a notebook with papermill in the interpreter that runs gpuspec."""

import json
import logging
import re
import tempfile
import traceback
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, BinaryIO

from nbformat import from_dict

from gpuspec.report.notebooks import Notebook

_INPUT_ERRORS = ("InputError", "UnknownNameError")


class NotebookError(RuntimeError):
    """A cell of a notebook failed.

    Attributes
    ----------
    bad_input : bool
        Whether gpuspec itself refused an input; the message is then its own sentence.
    trace : str
        The traceback of the cell, without colours.
    """

    def __init__(self, message: str, bad_input: bool = False, trace: str = "") -> None:
        self.bad_input, self.trace = bad_input, trace
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error pass from one process to another."""
        return NotebookError, (str(self), self.bad_input, self.trace)


def execute(
    notebook: Notebook,
    values: Mapping[str, Any],
    progress: Callable[[str, int, int], None],
) -> Any:
    """Run `notebook` from the current folder, so that relative paths in `values` mean the user's.

    Parameters
    ----------
    notebook : Notebook
        Its file is left as it is.
    values : mapping
        Parameters to set, as :func:`~gpuspec.report.check_parameters` returns them.
    progress : callable
        Called with ``"executing"``, cells done and cells in all.

    Returns
    -------
    nbformat.NotebookNode
        The executed notebook, without the times and paths of this run.

    Raises
    ------
    NotebookError
        When a cell fails or the kernel dies.
    """
    node = deepcopy(notebook.node)
    total = len(node.cells) + bool(values)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    progress("executing", 0, total)
    with tempfile.TemporaryFile() as log:
        done = _executed(notebook, node, values, lambda n: progress("executing", n, total), log)
    progress("executing", total, total)
    return _without_run(done)


def _executed(
    notebook: Notebook,
    node: Any,
    values: Mapping[str, Any],
    tell: Callable[[int], None],
    log: BinaryIO,
) -> Any:
    """Run `node`; what the kernel says of itself goes to `log`, and matters when it dies."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        return papermill.execute_notebook(
            node,
            None,
            dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=_own_kernel(log),
            on_cell_execute=lambda cell, cell_index: tell(cell_index),
        )
    except PapermillExecutionError as error:
        raise _described(notebook, error, bool(values)) from error
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        log.seek(0)
        trace = log.read().decode(errors="replace") + "".join(traceback.format_exception(error))
        message = f"{notebook.path.name} could not be executed: {said}"
        raise NotebookError(message, trace=trace) from error


def _own_kernel(log: BinaryIO) -> type:
    """Make a kernel manager that starts this interpreter, whatever kernels are registered."""
    import zmq
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import CaselessStrEnum

    spec = KernelSpec(**get_kernel_dict())

    class OwnKernel(AsyncKernelManager):
        # Other users of the machine could listen to, or speak to, a kernel in the clear.
        transport_encryption = CaselessStrEnum(
            ["disabled", "auto"], "auto" if zmq.has("curve") else "disabled"
        )

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

        def start_kernel(self, *args: Any, **options: Any) -> Any:
            return super().start_kernel(*args, **options, stderr=log)

    return OwnKernel


def _described(notebook: Notebook, error: Any, injected: bool) -> NotebookError:
    """Say in one sentence which cell failed; count cells as the notebook's reader does."""
    from papermill.exceptions import strip_color

    trace = strip_color("\n".join(error.traceback))
    said = " ".join(str(error.evalue).split())
    if error.ename in _INPUT_ERRORS:
        return NotebookError(said, bad_input=True, trace=trace)
    tags = [cell.metadata.get("tags", []) for cell in notebook.node.cells]
    first = next((i for i, names in enumerate(tags) if "parameters" in names), -1)
    number = error.cell_index + (0 if injected and error.cell_index > first + 1 else 1)
    line = error.source.strip().splitlines()[0] if error.source.strip() else ""
    where = f"{notebook.path.name}, cell {number} ({line})"
    return NotebookError(f"{where} failed: {error.ename}: {said}", trace=trace)


def _without_run(node: Any) -> Any:
    """Drop clock times and paths, number what has random names: the same run, the same bytes."""
    node.metadata.pop("papermill", None)
    widgets = node.metadata.get("widgets", {})
    state = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    names = {name: f"{i:032x}" for i, name in enumerate(state)}
    if names:
        node.metadata["widgets"] = _renamed(widgets, names)
    for i, cell in enumerate(node.cells):
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "id" in cell:
            cell["id"] = f"cell-{i:02}"
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get("application/vnd.jupyter.widget-view+json")
            if view:
                view["model_id"] = names.get(view["model_id"], view["model_id"])
    return node


def _renamed(widgets: Any, names: Mapping[str, str]) -> Any:
    """Return the widgets with other names for their models, and in what refers to them."""
    text = json.dumps(widgets)
    renamed = re.sub("[0-9a-f]{32}", lambda found: names.get(found[0], found[0]), text)
    return from_dict(json.loads(renamed))
