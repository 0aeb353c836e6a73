"""All reports in one go: a few processes that stay warm, one failure that stops no other."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from gpuspec.base.errors import InputError
from gpuspec.base.files import path_of
from gpuspec.base.spread import FORKS
from gpuspec.report.notebooks import Notebook, find, notebooks
from gpuspec.report.one import build
from gpuspec.report.output import check_output
from gpuspec.views.language import spoken

MOST_WORKERS = 256
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
    spoken_ = language or spoken()
    at_once = min(workers or os.cpu_count() or 1, len(chosen))
    found: dict[Path, Outcome] = {}
    context = get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    with _safe_path():
        pool = ProcessPoolExecutor(at_once, context, initializer=_start, initargs=(lifeline,))
    try:
        with _no_interrupts(), _safe_path():  # workers inherit both
            waiting = {
                pool.submit(_one, str(book.path), str(targets[book.path]), spoken_): book
                for book in sorted(chosen, key=_effort, reverse=True)
            }
        for done in as_completed(waiting):
            book = waiting[done]
            found[book.path] = _outcome(done, book, targets[book.path])
            if tell:
                tell(found[book.path], len(found), len(chosen))
    except KeyboardInterrupt:
        held.close()  # ends the workers at once; one that is starting may not listen yet
        for worker in active_children():
            worker.kill()
        raise Stopped([o.path for o in found.values() if not o.error]) from None
    finally:
        pool.shutdown(cancel_futures=True)
        held.close()
    return [found[book.path] for book in chosen]


@contextmanager
def _safe_path() -> Iterator[None]:
    """Start processes that take no module from the current folder."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTHONSAFEPATH"]
        if before is not None:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Start processes that no Ctrl-C reaches: it is for this one alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed, or its owner is gone."""
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


def _effort(book: Notebook) -> int:
    """Return what tells long notebooks from short ones: the longest start first."""
    return book.path.stat().st_size


def _start(lifeline: Connection) -> None:
    """Prepare a worker: its kernels get one thread each, because there is one a core."""
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    os.environ[FORKS] = ""
    import nbconvert.exporters  # noqa: F401
    import papermill  # noqa: F401


def _one(path: str, target: str, language: str) -> float:
    start = time.perf_counter()
    build(path, output=target, language=language)
    return time.perf_counter() - start


def _outcome(done: "Future[float]", book: Notebook, target: Path) -> Outcome:
    try:
        return Outcome(book.path.stem, target, done.result())
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return Outcome(book.path.stem, target, 0.0, said)
