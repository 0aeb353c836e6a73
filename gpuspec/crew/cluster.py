"""Many jobs on the workers of Dask: processes of this machine, or of a scheduler elsewhere."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster, as_completed, get_worker
from distributed.security import Security

from gpuspec.base.errors import InputError
from gpuspec.crew.forked import PLACE, Zygote
from gpuspec.crew.hand import Done, Hand, Job

MOST_WORKERS = 256
MEMORY_SHARE = 0.8
"""Of what a worker may take, what a single job of it may."""
_SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,  # no job waits where another may do harm
    "distributed.scheduler.allowed-failures": 3,
    "distributed.worker.daemon": False,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.http.routes": [],  # nobody looks, and others could
    "distributed.worker.http.routes": [],
}


class SchedulerGoneError(ConnectionError):
    """The scheduler went away before all jobs were done."""


def done_in_parallel(
    jobs: Sequence[Job], workers: int = 0, scheduler: str = ""
) -> Iterator[tuple[Job, Done]]:
    """Yield what became of each job, as they are done; one that fails stops no other.

    Parameters
    ----------
    workers : int
        Processes of this machine that work at a time; 0: one a core.
    scheduler : str
        Address of a scheduler of Dask, such as ``tcp://10.0.0.1:8786``, in place of these.

    Raises
    ------
    InputError
        Where there is no such scheduler, or it has no workers.
    SchedulerGoneError
        Where it goes away.
    """
    if not jobs:
        return
    count = min(workers or cores(), len(jobs))
    with dask.config.set(_SETTINGS), _client(count, scheduler, jobs[0].warm) as client:
        futures = {client.submit(work, job, key=job.key, pure=False): job for job in jobs}
        for future in as_completed(list(futures), loop=client.loop):
            if future.status == "cancelled" or client.status != "running":
                raise SchedulerGoneError("the scheduler is gone")
            yield futures[future], _done(future)
            future.release()


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _done(future: Any) -> Done:
    problem = future.exception() if future.status == "error" else None
    if problem is None:
        done: Done = future.result()
        return done
    if type(problem).__name__ == "KilledWorker":
        return Done(None, "each worker that did it was killed")
    said = " ".join(str(problem).split()) or type(problem).__name__
    return Done(None, said[:500])


@contextmanager
def _client(workers: int, scheduler: str, warm: tuple[str, ...]) -> Iterator[Client]:
    """Give a client of the scheduler, or of a cluster of this process."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler:
        try:
            client = Client(scheduler, timeout=20, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError("scheduler", scheduler, f"no scheduler answers: {said}") from None
        with client:
            try:
                client.wait_for_workers(1, timeout=120)
            except TimeoutError:
                valid = "no worker of it came within two minutes"
                raise InputError("scheduler", scheduler, valid) from None
            yield client
        return
    with _no_interrupts():
        zygote = Zygote(*warm)
        os.environ[PLACE] = zygote.place  # workers inherit it
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=Security.temporary(),  # others of this machine could give it work
            silence_logs=logging.CRITICAL,
        )
    try:
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        del os.environ[PLACE]
        zygote.close()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Start processes that no Ctrl-C reaches and that take no module from the current folder."""
    safe = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
        os.environ.pop("PYTHONSAFEPATH")
        if safe is not None:
            os.environ["PYTHONSAFEPATH"] = safe


_HANDS: dict[tuple[str, ...], Hand] = {}


def work(job: Job) -> Done:
    """Do a job: what a worker of Dask calls, in its only thread."""
    if job.warm not in _HANDS:
        _HANDS[job.warm] = Hand(job.warm)
    may = getattr(get_worker().memory_manager, "memory_limit", None) or 0
    return _HANDS[job.warm].do(job, job.memory_bytes or int(may * MEMORY_SHARE))
