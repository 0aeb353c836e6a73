"""Run a notebook's cells in this process: the same outputs, without starting a kernel."""

from copy import deepcopy

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import new_output


def executed(node, values, panels=False):
    """Return the notebook with its outputs; `values` are set after its cell of parameters.

    Panels are left out unless asked for: a report has none.
    """
    node, shell = deepcopy(node), InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.reset(new_session=False)
    for cell in node.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or ("interactive" in tags and not panels):
            continue
        with capture_output() as shown:
            done = shell.run_cell(cell.source)
        done.raise_error()
        if "parameters" in tags:
            shell.push(values)
        found = [(out.data, out.metadata) for out in shown.outputs]
        if done.result is not None:
            found.append(shell.display_formatter.format(done.result))
        cell.outputs = [new_output("display_data", data=d, metadata=m) for d, m in found]
    return node
