"""A pair of hands of a worker: it does one job after the other, and outlives each."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from typing import Any

from gpuspec.base.spread import FORKS
from gpuspec.base.units import MIB
from gpuspec.crew.forked import Forked, Zygote
from gpuspec.crew.zygote import Call

MOST_GROWN_BYTES = 256 * MIB
"""What a fork may keep of its jobs in memory before another takes its place."""
MOST_WORKERS = 256
TRIES = 2
"""How often a job is begun whose process is ended from outside."""


@dataclass(frozen=True)
class Job:
    """Something to be done: ``module:function`` with arguments, in a time and in memory."""

    key: str
    target: str
    arguments: tuple[Any, ...]
    seconds: float
    memory_bytes: int = 0
    """0: what the worker may take."""
    warm: tuple[str, ...] = ()
    """What to load before, as a zygote takes it."""


@dataclass(frozen=True)
class Done:
    """What became of a job: what it returned, or in one sentence why it did not."""

    value: Any = None
    error: str = ""
    seconds: float = 0.0
    cpu_s: float = 0.0


class Hand:
    """Runs jobs in a fork of a zygote; a fork that fails, hangs or grows is replaced."""

    def __init__(self, warm: tuple[str, ...]) -> None:
        self.warm = warm
        self.fork: Forked | None = None
        self.limit = -1
        self.ended = False

    def do(self, job: Job, memory_bytes: int) -> Done:
        """Return what became of a job that may take so much memory."""
        start = time.perf_counter()
        for _ in range(TRIES):
            fork = self._ready(memory_bytes)
            if self.ended:
                return Done(None, "it was stopped")
            try:
                fork.connection.send((job.target, job.arguments))
                if not fork.connection.poll(job.seconds):
                    self.drop()
                    return Done(None, f"it took more than {job.seconds:,.3g} s", job.seconds)
                value, error, cpu_s, grown = fork.connection.recv()
            except (EOFError, OSError):  # killed: by a person, or by the system for its memory
                self.drop()
                continue
            if error or grown > MOST_GROWN_BYTES:
                self.drop()
            return Done(value, error, time.perf_counter() - start, cpu_s)
        said = f"its process was ended from outside {TRIES} times, or ran out of memory"
        return Done(None, said, time.perf_counter() - start)

    def _ready(self, memory_bytes: int) -> Forked:
        if self.fork is None or self.limit != memory_bytes:
            self.drop()
            alone = ((FORKS, ""),)  # as many of these work at once as there are cores
            call = Call(f"{__name__}:serve", variables=alone, memory_bytes=memory_bytes)
            zygote = zygote_of(self.warm)
            try:
                self.fork = Forked(zygote.place, call)
            except (OSError, RuntimeError):  # the zygote was killed
                end_zygote(self.warm, zygote)
                self.fork = Forked(zygote_of(self.warm).place, call)
            self.limit = memory_bytes
        return self.fork

    def drop(self) -> None:
        """End the fork."""
        if self.fork is not None:
            self.fork.kill()
        self.fork = None

    def end(self) -> None:
        """End the job that another thread has it do, and do no further one."""
        self.ended = True
        if (fork := self.fork) is not None:
            fork.send_signal(signal.SIGKILL)


_ZYGOTES: dict[tuple[str, ...], Zygote] = {}
_ONE_AT_A_TIME = threading.Lock()


def zygote_of(warm: tuple[str, ...]) -> Zygote:
    """Return the zygote of this process that has loaded these modules."""
    with _ONE_AT_A_TIME:
        if warm not in _ZYGOTES:
            _ZYGOTES[warm] = Zygote(*warm)
        return _ZYGOTES[warm]


def end_zygote(warm: tuple[str, ...], which: Zygote | None = None) -> None:
    """End it, where it still is `which`; another takes its place when it is wanted."""
    with _ONE_AT_A_TIME:
        if which in (None, _ZYGOTES.get(warm)) and (zygote := _ZYGOTES.pop(warm, None)):
            zygote.close()


def serve(own: Any) -> None:
    """Do one job after the other, in the fork."""
    connection, before = Connection(own.detach()), _resident_bytes()
    while True:
        try:
            target, arguments = connection.recv()
        except EOFError:
            return
        spent, value, error = time.process_time(), None, ""
        try:
            value = resolve_name(target)(*arguments)
        except MemoryError:
            error = "it took more memory than a job may"
        except Exception as problem:
            error = " ".join(str(problem).split()) or type(problem).__name__
        took = time.process_time() - spent
        connection.send((value, error, took, _resident_bytes() - before))


def _resident_bytes() -> int:
    if not os.path.exists("/proc/self/statm"):
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
