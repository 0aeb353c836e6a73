"""One report: a notebook executed with its parameters, typeset and written."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

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


class Options(TypedDict, total=False):
    """How a report is made."""

    format: str | None
    """pdf, html or ipynb; by the suffix of the output unless given."""
    show_code: bool
    """Whether the code cells are printed too."""
    appendix: bool
    """Whether every parameter is listed at the end; those that were changed are in any case."""
    language: str | None
    """Language of the report, unless a parameter called ``language`` says another; else that which
    is spoken. Texts that the catalogue lacks stay English."""
    date: date | None
    """The day of the run, which is printed and from which ages count; else `SOURCE_DATE_EPOCH`,
    else today. Same notebook, parameters, data and date give the same bytes."""
    progress: Progress | None
    """Called with a stage (``"executing"``, ``"typesetting"``), steps done and steps in all."""


def build(
    name: str | Path,
    parameters: Mapping[str, object] | None = None,
    output: str | Path | None = None,
    **options: Unpack[Options],
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
    **options : Options
        How it is made.

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
    return built(name, parameters, output, **options).path


def built(
    name: str | Path,
    parameters: Mapping[str, object] | None = None,
    output: str | Path | None = None,
    **options: Unpack[Options],
) -> Built:
    """Write a report as :func:`build` does, and say whether it holds an answer."""
    from gpuspec.report.compose import told_of
    from gpuspec.report.render import prepare
    from gpuspec.views.language import check_language, spoken

    notebook = find(name)
    kind, target = check_output(output, options.get("format"), notebook.name)
    values = check_parameters(notebook, parameters or {})
    language = str(values.get("language") or options.get("language") or spoken())
    check_language(language)
    options["language"] = language
    options["date"] = options.get("date") or run_date()
    tell = options.get("progress") or (lambda stage, done, total: None)

    def told(stage: str, done: int, total: int) -> None:
        if kind == "pdf" and done:  # its kernel is there
            prepare()
        tell(stage, done, total)

    executed = execute(
        notebook, values, told, options["date"], kind == "pdf", language, kind == "ipynb"
    )
    tell("typesetting", 0, 1)
    content = typeset(executed, notebook, values, kind, options)
    write_atomically(target, content)
    tell("typesetting", 1, 1)
    return Built(target, all(about["answered"] for about in told_of(executed)))


def typeset(
    executed: "NotebookNode",
    notebook: Notebook,
    values: Mapping[str, object],
    kind: str,
    options: Options,
) -> bytes:
    """Typeset an executed notebook; the arguments are those of :func:`build`."""
    if kind == "ipynb":
        import nbformat

        return (nbformat.writes(executed) + "\n").encode()
    from gpuspec.report.compose import compose
    from gpuspec.report.render import html, pdf
    from gpuspec.views.language import spoken

    document = compose(
        executed,
        notebook,
        values,
        options.get("show_code", False),
        options.get("language") or spoken(),
        options.get("date") or run_date(),
        options.get("appendix", False),
    )
    return pdf(document) if kind == "pdf" else html(document)
