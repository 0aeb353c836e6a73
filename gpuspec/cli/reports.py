"""Commands that make reports from notebooks, and list what they take."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from gpuspec.cli.common import (
    UNANSWERED,
    echo,
    echo_json,
    in_language,
    main,
    print_table,
    stop,
    tell,
)
from gpuspec.cli.names import completes
from gpuspec.cli.options import json_option, pairs, param_option, quiet_option, workers_option
from gpuspec.views.columns import headings
from gpuspec.views.language import say

if TYPE_CHECKING:
    from gpuspec.report import Outcome


@main.command(dated=True)
@click.argument("name", required=False, shell_complete=completes("notebooks"))
@param_option("Set a parameter by name.")
@click.option("-o", "--output", help="File to write; reports/NAME.pdf unless given.")
@click.option("--format", "kind", metavar="pdf|html|ipynb", help="By the suffix of the output.")
@click.option("--show-code", is_flag=True, help="Print the code cells too.")
@click.option(
    "--appendix",
    is_flag=True,
    help="Add the evidence: every parameter, and how the answer is found.",
)
@click.option("--list", "listing", is_flag=True, help="List the notebooks and stop.")
@quiet_option
@json_option
def report(
    name: str | None,
    params: tuple[str, ...],
    output: str | None,
    kind: str | None,
    show_code: bool,
    appendix: bool,
    listing: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a report of the notebook NAME: a short name such as memory, or a path to .ipynb.

    \b
    gpuspec report memory -p gpu=H200 -p context=32768 -o memory.pdf
    """
    from gpuspec.report import built

    if listing:
        _list_notebooks(as_json)
        return
    if name is None:
        raise click.UsageError("name a notebook; `gpuspec reports` lists them")
    made = built(
        name,
        pairs(params),
        output,
        format=kind,
        show_code=show_code,
        appendix=appendix,
        progress=None if quiet else _progress(),
    )
    if as_json:
        echo_json({"report": made.path})
    elif not quiet:
        echo(made.path)
    if not made.answered:
        sys.exit(UNANSWERED)


@main.command(dated=True)
@click.argument("names", nargs=-1, shell_complete=completes("notebooks"))
@click.option("--all", "every", is_flag=True, help="Write the reports of all notebooks.")
@click.option("-o", "--output", default="reports", show_default=True, help="Folder to write to.")
@click.option(
    "--format",
    "kind",
    default="pdf",
    show_default=True,
    metavar="pdf|html|ipynb",
    help="Kind of the files.",
)
@workers_option("Reports at a time; one a core unless given.")
@json_option
def reports(
    names: tuple[str, ...],
    every: bool,
    output: str,
    kind: str,
    workers: int,
    as_json: bool,
) -> None:
    """List the notebooks that a report can be made of, or write the reports of many at once.

    \b
    gpuspec reports
    gpuspec reports --all -o reports
    gpuspec reports memory training
    """
    if not names and not every:
        _list_notebooks(as_json)
        return
    found, seconds = _build_many(names, output, kind, workers)
    failed = [outcome for outcome in found if outcome.error]
    if as_json:
        echo_json({"reports": found, "seconds": seconds})
    else:
        tell(f"{len(found) - len(failed)} of {len(found)} reports in {seconds:.1f} s")
    for outcome in failed:
        click.echo(f"gpuspec: {outcome.name}: {in_language(outcome.error)}", err=True)
    if failed:
        sys.exit(1)


def _build_many(
    names: tuple[str, ...], output: str, kind: str, workers: int
) -> "tuple[list[Outcome], float]":
    """Write many reports with a line for each; return what became of them, and the seconds."""
    import time

    from gpuspec.report import Stopped, build_all

    def told(outcome: "Outcome", done: int, total: int) -> None:
        said = say("failed") if outcome.error else f"{outcome.seconds:.1f} s"
        click.echo(f"[{done}/{total}] {outcome.path}: {said}", err=True)

    start = time.perf_counter()
    try:
        found = build_all(names, output, kind, workers, tell=told)
    except Stopped as stopped:
        written = ", ".join(str(path) for path in stopped.written)
        stop(f"stopped; written: {written}" if written else "stopped; nothing was written", 130)
    return found, time.perf_counter() - start


@main.command()
@click.argument("name")
@json_option
def params(name: str, as_json: bool) -> None:
    """List the parameters of the notebook NAME with default and meaning."""
    from gpuspec.report import inspect
    from gpuspec.report.story import meaning_in
    from gpuspec.views.punctuation import punctuated

    found = inspect(name)
    if as_json:
        echo_json({"parameters": found})
        return
    words = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text"}
    rows = [
        [p.name, say(words.get(p.kind, "")), p.default, punctuated(meaning_in(p.meaning, say))]
        for p in found
    ]
    print_table(headings("parameter", "type", "default", "meaning"), rows, kept=(0, 2))


def _progress() -> Callable[[str, int, int], None]:
    """Say on stderr how far the work is: a line that rewrites itself, or one line a stage."""
    live = sys.stderr.isatty()

    def tell(stage: str, done: int, total: int) -> None:
        ended = done == total
        if live and stage == "executing":
            said = say("executing: cell {done} of {total}", done=done, total=total)
            click.echo(f"\r\x1b[K{said}", nl=ended, err=True)
        elif stage == "executing" and done == 0:
            click.echo(say("executing {total} cells", total=total), err=True)
        elif stage != "executing" and done == 0:
            click.echo(say(stage), err=True)

    return tell


def _list_notebooks(as_json: bool) -> None:
    from gpuspec.report import notebooks
    from gpuspec.views.markdown import plain

    if as_json:
        told = [{"name": n.name, "title": n.title, "question": n.question} for n in notebooks()]
        echo_json({"notebooks": told})
        return
    rows = [[n.name, plain(n.title), plain(n.question.split("\n\n")[0])] for n in notebooks()]
    print_table(headings("name", "title", "question"), rows, kept=(0,))
