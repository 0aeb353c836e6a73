"""Work done by two processes at once, where that is safe."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from gpuspec.base.damage import commanded

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
FORKS = "GPUSPEC_FORKS"
"""Not blank where a process is wholly ours though it is no command: the kernel of one report. Blank
where it must stay one: others are at work beside it, and its memory is limited."""
_busy = False  # whether there is a copy already, or this is one


class Made(Generic[R]):
    """What is made beside what follows, from the start or when it is asked for."""

    def __init__(self, make: Callable[[], R]) -> None:
        global _busy
        self.make, self.child = make, 0
        if _busy or not _may_fork():
            return
        self.reading, writing = os.pipe()
        _busy = True
        self.child = os.fork()
        if not self.child:
            _send(make, writing)
        os.close(writing)

    def sent(self) -> bytes:
        """Wait for the copy, and return what it has sent; nothing where there is none."""
        global _busy
        if not self.child:
            return b""
        with os.fdopen(self.reading, "rb") as pipe:
            sent = pipe.read()
        os.waitpid(self.child, 0)
        self.child, _busy = 0, False
        return sent

    def __call__(self) -> R:
        """Return what was made."""
        sent = self.sent()
        return pickle.loads(sent) if sent else self.make()


def aside(make: Callable[[], R]) -> Made[R]:
    """Begin to make something beside what follows; to call what this returns waits for it.

    In a command on Linux with two cores or more a copy of this process makes it, and sends it
    pickled. Elsewhere, while there is such a copy, or where it fails, it is made when it is asked
    for: then an error is the same as without.

    >>> waiting = aside(lambda: 6 * 7)
    >>> waiting()
    42
    """
    return Made(make)


def spread(does: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """Return what `does` makes of each part, in their order; every other one is made `aside`.

    What it makes must not depend on what it made before.

    >>> spread(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    every = list(parts)
    if len(every) < 2:
        return [does(part) for part in every]
    others = aside(lambda: [does(part) for part in every[1::2]])
    try:
        mine = [does(part) for part in every[::2]]
    except BaseException:
        others.sent()
        raise
    found = [*mine, *others()]
    found[::2], found[1::2] = found[: len(mine)], found[len(mine) :]
    return found


class Kept(Generic[K, R]):
    """`spread` that makes each part once, whichever process makes it; what is kept must not change.

    >>> squares = Kept(lambda n: n * n, 1000)
    >>> squares([3, 4, 3])
    [9, 16, 9]
    """

    def __init__(self, does: Callable[[K], R], most: int) -> None:
        """Keep `most` parts; one more, and all that were kept make place."""
        self.does, self.most = does, most
        self.made: dict[K, R] = {}

    def __call__(self, parts: Iterable[K]) -> list[R]:
        """Return what is made of each part, in their order."""
        asked = list(parts)
        missing = [part for part in dict.fromkeys(asked) if part not in self.made]
        new = dict(zip(missing, spread(self.does, missing), strict=True))
        every = self.made | new if new else self.made
        self.made = every if len(every) <= self.most else new
        return [every[part] for part in asked]


def _may_fork() -> bool:
    told = os.environ.get(FORKS)
    ours = commanded() and threading.active_count() == 1 if told is None else bool(told)
    return ours and sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def _send(make: Callable[[], object], writing: int) -> None:
    """Send what is made and end this process; nothing is sent where it fails."""
    try:
        sent = memoryview(pickle.dumps(make(), pickle.HIGHEST_PROTOCOL))
        while sent:
            sent = sent[os.write(writing, sent) :]
    finally:
        os._exit(0)
