"""Turn a notebook and its parameters into a report: a PDF, a web page or the executed notebook.

The way of a report: :mod:`.notebooks` finds the notebook and checks the parameters,
:mod:`.execute` runs it, :mod:`.compose` takes out what a reader should see, :mod:`.render` sets
it; :mod:`.one` does so for one notebook, :mod:`.many` for all of them.
"""

import sys

if "rfc3987_syntax" not in sys.modules:
    # A grammar of addresses, which a notebook's schema does not ask for, and two seconds to load.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    import nbformat

    del sys.modules["rfc3987_syntax"]

from gpuspec.report.execute import NotebookError, execute
from gpuspec.report.many import Outcome, Stopped, build_all
from gpuspec.report.notebooks import Notebook, Parameter, check_parameters, find, inspect, notebooks
from gpuspec.report.one import Built, Progress, build, built, typeset
from gpuspec.report.output import FORMATS, check_output
