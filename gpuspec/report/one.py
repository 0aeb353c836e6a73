"""One report: a notebook executed with its parameters, typeset and written."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gpuspec.base.days import run_date
from gpuspec.base.files import write_atomically
from gpuspec.report.execute import execute
from gpuspec.report.notebooks import Notebook, check_parameters, find
from gpuspec.report.output import check_output

if TYPE_CHECKING:
    from nbformat import NotebookNode

Progress = Callable[[str, int, int], None]


class Built(NamedTuple):
    """A report that was written."""

    path: Path
    answered: bool
    """Whether what was asked has an answer within its limits."""


def build(
    name: str | Path,
    parameters: Mapping[str, object] | None = None,
    output: str | Path | None = None,
    *,
    format: str | None = None,
    show_code: bool = False,
    language: str = "en",
    date: date | None = None,
    progress: Progress | None = None,
) -> Path:
    """Execute a notebook and write its report.

    Parameters
    ----------
    name : str or Path
        Short name of a shipped notebook (``"memory"``) or path to an ``.ipynb`` file.
    parameters : mapping, optional
        Values by parameter name, as text or as Python values; the others keep their defaults.
    output : str or Path, optional
        The file to write, ``reports/NAME.pdf`` unless given; missing folders are created.
    format : {"pdf", "html", "ipynb"}, optional
        By the suffix of `output` unless given.
    show_code : bool
        Whether the code cells are printed too.
    language : {"en", "zh"}
        Language of the report's own labels. The story keeps the notebook's language, but a
        parameter called ``language`` takes it, unless it is given.
    date : datetime.date, optional
        The day of the run, which is printed and from which ages count; else `SOURCE_DATE_EPOCH`,
        else today. Same notebook, parameters, data and date give the same bytes.
    progress : callable, optional
        Called with a stage (``"executing"``, ``"typesetting"``), steps done and steps in all.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        When an argument cannot be used; nothing has been executed then.
    NotebookError
        When a cell of the notebook fails; nothing has been written then.
    """
    return built(
        name,
        parameters,
        output,
        format=format,
        show_code=show_code,
        language=language,
        date=date,
        progress=progress,
    ).path


def built(
    name: str | Path,
    parameters: Mapping[str, object] | None = None,
    output: str | Path | None = None,
    *,
    format: str | None = None,
    show_code: bool = False,
    language: str = "en",
    date: date | None = None,
    progress: Progress | None = None,
) -> Built:
    """Write a report as :func:`build` does, and say whether it holds an answer."""
    from gpuspec.report.compose import told_of
    from gpuspec.views.language import check_language

    notebook = find(name)
    kind, target = check_output(output, format, notebook.name)
    check_language(language)
    spoken = any(p.name == "language" for p in notebook.parameters) and language != "en"
    given = {"language": language} if spoken else {}
    values = check_parameters(notebook, given | dict(parameters or {}))
    day = date or run_date()
    tell = progress or (lambda stage, done, total: None)

    executed = execute(notebook, values, tell, day)
    tell("typesetting", 0, 1)
    content = typeset(executed, notebook, values, kind, show_code, language, day)
    write_atomically(target, content)
    tell("typesetting", 1, 1)
    return Built(target, all(about["answered"] for about in told_of(executed)))


def typeset(
    executed: "NotebookNode",
    notebook: Notebook,
    values: Mapping[str, object],
    format: str,
    show_code: bool,
    language: str,
    day: date,
) -> bytes:
    """Typeset an executed notebook; the arguments are those of :func:`build`."""
    if format == "ipynb":
        import nbformat

        return (nbformat.writes(executed) + "\n").encode()
    from gpuspec.report.compose import compose
    from gpuspec.report.render import html, pdf

    document = compose(executed, notebook, values, show_code, language, day)
    return pdf(document) if format == "pdf" else html(document)
