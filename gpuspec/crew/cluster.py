"""Many jobs on the workers of Dask: processes of this machine, or of a scheduler elsewhere."""

import logging
import os
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from gpuspec.base.errors import InputError
from gpuspec.crew.hand import Done, Hand, Job, end_zygote, zygote_of

if TYPE_CHECKING:
    from distributed import Client

_HERE = "127.0.0.1:0"
"""Where a server without pages listens, which Dask does not do without."""
MEMORY_SHARE = 0.8
"""Of what a worker may take, what a single job of it may."""
_SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,  # no job waits where another may do harm
    "distributed.scheduler.allowed-failures": 3,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.http.routes": [],  # nobody looks, and others could
    "distributed.worker.http.routes": [],
    # What it would look after many times a second is no work of this process, but of the forks.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "2s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.tick.interval": "1s",
}


class SchedulerGoneError(ConnectionError):
    """The scheduler went away before all jobs were done."""


def done_in_parallel(
    jobs: Sequence[Job], workers: int = 0, scheduler: str = ""
) -> Generator[tuple[Job, Done], None, None]:
    """Yield what became of each job, as they are done; one that fails stops no other.

    They are begun in the order in which they are given.

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
    with ExitStack() as stack:
        stack.enter_context(_zygotes(set() if scheduler else {job.warm for job in jobs}))
        import dask  # these take as long to load as what the zygotes load
        from distributed import as_completed

        stack.enter_context(dask.config.set(_SETTINGS))
        client = stack.enter_context(_client(min(workers or cores(), len(jobs)), scheduler))
        futures = {
            client.submit(work, job, key=job.key, pure=False, priority=-place): job
            for place, job in enumerate(jobs)
        }
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
def _client(workers: int, scheduler: str) -> "Iterator[Client]":
    """Give a client of the scheduler, or of a cluster in this process."""
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

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
    with ExitStack() as stack:
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,  # a worker waits for its fork: no other process could reach or ask it
            dashboard_address=_HERE,
            worker_dashboard_address=_HERE,
            memory_limit=MEMORY_LIMIT // workers,
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(cluster)
        stack.callback(_end)
        yield stack.enter_context(Client(cluster, set_as_default=False))


_HANDS: dict[tuple[str, ...], Hand] = {}
"""Those of this process, by the address of their worker and what they have loaded."""


def _end() -> None:
    """Have no job done any more, so that no worker waits for one."""
    for hand in _HANDS.values():
        hand.end()


@contextmanager
def _zygotes(which: Collection[tuple[str, ...]]) -> Iterator[None]:
    """Let zygotes load for the jobs; in the end, end what was started for them."""
    try:
        for warm in which:
            zygote_of(warm)
        yield
    finally:
        for hand in _HANDS.values():
            hand.drop()
            end_zygote(hand.warm)
        _HANDS.clear()
        for warm in which:
            end_zygote(warm)


def work(job: Job) -> Done:
    """Do a job: what a worker of Dask calls, in its only thread."""
    from distributed import get_worker

    worker = get_worker()
    hand = _HANDS.setdefault((worker.address, *job.warm), Hand(job.warm))
    may = getattr(worker.memory_manager, "memory_limit", None) or 0
    return hand.do(job, job.memory_bytes or int(may * MEMORY_SHARE))
