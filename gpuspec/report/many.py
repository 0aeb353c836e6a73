"""All reports in one go: kernels that start warm, one failure that stops no other."""

import os
from collections.abc import Callable, Sequence
from contextlib import chdir, closing
from dataclasses import dataclass
from pathlib import Path

from gpuspec.base.errors import InputError
from gpuspec.base.files import path_of
from gpuspec.crew.cluster import done_in_parallel
from gpuspec.crew.hand import MOST_WORKERS, Job
from gpuspec.report.notebooks import Notebook, find, notebooks
from gpuspec.report.one import build
from gpuspec.report.output import check_output
from gpuspec.views.language import spoken

SECONDS = 1e6
"""No report takes longer: a notebook of one's own may take days."""


@dataclass(frozen=True)
class Outcome:
    """What became of one report: its file, or what went wrong."""

    name: str
    path: Path
    seconds: float
    error: str = ""


class Stopped(KeyboardInterrupt):
    """Ctrl-C came while reports were made; ``written`` are the files that were done."""

    def __init__(self, written: list[Path]) -> None:
        self.written = written
        super().__init__()


def build_all(
    names: Sequence[str] = (),
    folder: str | Path = "reports",
    format: str = "pdf",
    workers: int = 0,
    language: str | None = None,
    tell: Callable[[Outcome, int, int], None] | None = None,
) -> list[Outcome]:
    """Write the reports of the named notebooks, of all where none is named, in parallel.

    Parameters
    ----------
    names : sequence of str
        As `gpuspec.report.find` takes them.
    folder : str or Path
        Where ``NN_name.pdf`` is written.
    workers : int
        Reports at a time; 0: one a core.
    tell : callable, optional
        Called after each report with its outcome, how many are done and how many there are.

    Returns
    -------
    list of Outcome
        In the order of the notebooks; one with ``error`` wrote nothing.

    Raises
    ------
    InputError
        When a name is unknown or the folder cannot be written; nothing has been executed then.
    Stopped
        On Ctrl-C; reports that were under way are not written.
    """
    if not 0 <= workers <= MOST_WORKERS:
        raise InputError("workers", workers, f"give 1 to {MOST_WORKERS}, or 0 for one a core")
    chosen = [find(name) for name in names] or notebooks()
    into = path_of("output", folder)
    targets = {
        book.path: check_output(into / f"{book.path.stem}.{format}", format, book.name)[1]
        for book in chosen
    }
    more = (language or spoken(), os.getcwd())
    books = {str(book.path): book for book in sorted(chosen, key=_effort, reverse=True)}
    kernels = (f"gpuspec.crew.kernel:load {book.path.stem}" for book in chosen if book.shipped)
    warm = (*kernels, "gpuspec.report.warm")
    asked = [
        Job(name, f"{__name__}:_one", (name, str(targets[book.path]), *more), SECONDS, 0, warm)
        for name, book in books.items()
    ]
    found: dict[str, Outcome] = {}
    try:
        with closing(done_in_parallel(asked, workers)) as done:
            for job, one in done:
                path = books[job.key].path
                found[job.key] = Outcome(path.stem, targets[path], one.seconds, one.error)
                if tell:
                    tell(found[job.key], len(found), len(books))
    except KeyboardInterrupt:
        raise Stopped([o.path for o in found.values() if not o.error]) from None
    return [found[str(book.path)] for book in chosen]


LONG = ("claims", "training", "upgrade", "validation", "decision")
"""Notebooks of ours that take three times as long as the others, the longest last."""


def _effort(book: Notebook) -> tuple[int, int]:
    """Return what tells long notebooks from short ones: the longest start first."""
    long = LONG.index(book.name) if book.shipped and book.name in LONG else -1
    return long, book.path.stat().st_size


def _one(path: str, target: str, language: str, folder: str) -> None:
    with chdir(folder):
        build(path, output=target, language=language)
