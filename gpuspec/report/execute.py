"""Run a notebook with papermill in the interpreter that runs gpuspec."""

import json
import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nbformat import NotebookNode, from_dict

from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.base.spread import FORKS
from gpuspec.crew import kernel
from gpuspec.crew.forked import MEMORY, PLACE, Forked
from gpuspec.crew.zygote import Call
from gpuspec.report.notebooks import Notebook
from gpuspec.report.output import current_folder, workplace
from gpuspec.views import LANGUAGE_OF_RUN, TEXT_IN_PICTURES

if TYPE_CHECKING:
    from papermill.exceptions import PapermillExecutionError

_INPUT_ERRORS = ("InputError", "UnknownNameError")
_DAMAGED = "; if the environment is damaged, run make clean and try again"
_IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError", "SyntaxError")
_ROOM_BYTES = 2**16
_SLOW_START = "Kernel didn't respond"
_OF_THE_USER = ("PYTHONSTARTUP", "MPLBACKEND", "MATPLOTLIBRC")
"""Variables that would change a kernel; its start sets those that it needs."""


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

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error pass from one process to another."""
        return NotebookError, (str(self), self.bad_input, self.trace)


def execute(
    notebook: Notebook,
    values: Mapping[str, object],
    progress: Callable[[str, int, int], None],
    day: date | None = None,
    text_in_pictures: bool = False,
    language: str | None = None,
    panels: bool = True,
) -> NotebookNode:
    """Return a notebook as run from the current folder, without the times and paths of this run.

    Parameters
    ----------
    values : mapping
        Parameters to set, as :func:`~gpuspec.report.check_parameters` returns them; relative
        paths among them mean the user's.
    progress : callable
        Called with ``"executing"``, cells done and cells in all.
    day : datetime.date, optional
        The day of the run, from which the notebook counts ages too; the run's own unless given.
    text_in_pictures : bool
        Keep text of pictures as text, for a document that brings the faces, in place of outlines.
    language : str, optional
        What the notebook speaks, unless a cell of its own says otherwise.
    panels : bool
        Run the cells tagged ``interactive`` too, which documents do not show.

    Raises
    ------
    NotebookError
        When a cell fails or the kernel dies.
    """
    total = len(notebook.node.cells) + bool(values)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    progress("executing", 0, total)

    def tell(cell: int) -> None:
        progress("executing", cell, total)

    own = {TEXT_IN_PICTURES: "1"} if text_in_pictures else {}
    if language:
        own[LANGUAGE_OF_RUN] = language
    midnight = datetime.combine(day or run_date(), time(), UTC)
    own["SOURCE_DATE_EPOCH"] = f"{midnight.timestamp():.0f}"
    notebook = notebook if panels else _without_panels(notebook)
    try:
        done = _executed(notebook, values, tell, own)
    except NotebookError as error:
        if _SLOW_START not in str(error):
            raise
        done = _executed(notebook, values, tell, own)  # the machine was busy
    progress("executing", total, total)
    return _without_run(done)


def _without_panels(notebook: Notebook) -> Notebook:
    """Return a notebook whose controls do nothing; its cells keep their numbers."""
    node = deepcopy(notebook.node)
    for cell in node.cells:
        if cell.cell_type == "code" and "interactive" in cell.metadata.get("tags", []):
            cell.source = ""
    silent = replace(notebook)
    vars(silent)["node"] = node
    return silent


def _executed(
    notebook: Notebook,
    values: Mapping[str, object],
    tell: Callable[[int], None],
    variables: Mapping[str, str],
) -> NotebookNode:
    """Run the cells in a folder of the kernel's own; what it says of itself matters if it dies."""
    with workplace() as folder, tempfile.TemporaryFile() as log:
        return _run(notebook, values, tell, variables, str(folder), log)


def _run(
    notebook: Notebook,
    values: Mapping[str, object],
    tell: Callable[[int], None],
    variables: Mapping[str, str],
    folder: str,
    log: BinaryIO,
) -> NotebookNode:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        return papermill.execute_notebook(
            deepcopy(notebook.node),
            None,
            dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=_own_kernel(folder, log, variables),
            shutdown_kernel="immediate" if notebook.shipped else "graceful",
            on_cell_execute=lambda cell, cell_index: tell(cell_index),
        )
    except PapermillExecutionError as error:
        raise _described(notebook, error, bool(values)) from error
    except (OSError, InputError):
        raise  # no room, or no right to write, or no folder: that is named
    except Exception as error:
        # A kernel that finds no room dies without a word: then this fails too, and says so.
        Path(folder, "room").write_bytes(bytes(_ROOM_BYTES))
        said = " ".join(str(error).split()) or type(error).__name__
        log.seek(0)
        logged = log.read().decode(errors="replace")
        trace = logged + "".join(traceback.format_exception(error))
        message = f"{notebook.path.name} could not be executed: {said}{_last_words(logged)}"
        raise NotebookError(message, trace=trace) from error


def _last_words(said: str) -> str:
    """Return the error that a kernel ended with, and what to do; empty where it said none."""
    lines = [
        line for line in said.splitlines() if re.match(r"(\w+\.)*\w+(Error|Exception): ", line)
    ]
    if "Traceback" not in said or not lines:
        return ""
    return f"; {lines[-1][:200]}" + (_DAMAGED if lines[-1].startswith(_IMPORT_ERRORS) else "")


def _own_kernel(folder: str, log: BinaryIO, variables: Mapping[str, str]) -> type:
    """Make a kernel manager that starts this interpreter in `folder`, an empty one.

    Neither the kernels that are registered, nor start-up files and configuration of the user's,
    nor files of the current folder change what it does.
    """
    import zmq
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import CaselessStrEnum

    command = [sys.executable, "-P", kernel.__file__, current_folder(), "-f", "{connection_file}"]
    spec = KernelSpec(**{**get_kernel_dict(), "argv": command})
    environment = {k: v for k, v in os.environ.items() if k not in _OF_THE_USER}
    environment |= {"PYTHONSAFEPATH": "1", "IPYTHONDIR": folder, "JUPYTER_NO_CONFIG": "1"}
    environment.setdefault(FORKS, "1")
    environment |= variables
    warm = _warm_kernel(environment, folder, log)

    class OwnKernel(AsyncKernelManager):
        # Other users of the machine could listen to, or speak to, a kernel in the clear.
        transport_encryption = CaselessStrEnum(
            ["disabled", "auto"], "auto" if zmq.has("curve") else "disabled"
        )

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

        def start_kernel(self, *args: Any, **options: Any) -> Any:
            own = {"env": environment, "cwd": folder, "stderr": log}
            if warm and not self.has_kernel:
                self.provisioner = warm(kernel_id="warm", kernel_spec=spec, parent=self)
            return super().start_kernel(*args, **{**options, **own})

    return OwnKernel


def _warm_kernel(environment: dict[str, str], folder: str, log: BinaryIO) -> Any:
    """Return what forks a kernel of the zygote that forked this process; None where none did."""
    if PLACE not in os.environ:
        return None
    from jupyter_client.provisioning import LocalProvisioner

    class Warm(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
            call = Call(
                f"{kernel.__name__}:forked",
                (cmd[3], cmd[4:]),
                tuple(environment.items()),
                folder,
                int(os.environ.get(MEMORY, "0")),
            )
            try:
                fork: Any = Forked(os.environ[PLACE], call, [log.fileno()])
            except (OSError, RuntimeError):  # it could not load, or was killed
                return await super().launch_kernel(cmd, **options)
            self.process, self.pid, self.pgid = fork, fork.pid, fork.pid
            return self.connection_info

    return Warm


def _described(
    notebook: Notebook, error: "PapermillExecutionError", injected: bool
) -> NotebookError:
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
    where = f"{notebook.path.name}, cell {number} ({line[:100]})"
    if error.ename in _IMPORT_ERRORS:
        said += _DAMAGED
    return NotebookError(f"{where} failed: {error.ename}: {said}", trace=trace)


def _without_run(node: NotebookNode) -> NotebookNode:
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


def _renamed(widgets: NotebookNode, names: Mapping[str, str]) -> NotebookNode:
    """Return the widgets with other names for their models, and in what refers to them."""
    text = json.dumps(widgets)
    renamed = re.sub("[0-9a-f]{32}", lambda found: names.get(found[0], found[0]), text)
    return from_dict(json.loads(renamed))
