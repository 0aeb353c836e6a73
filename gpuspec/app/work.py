"""One piece of work at a time beside a loop that stays free: the next one ends the one before."""

import asyncio
import ctypes
import threading
from collections.abc import Callable

MOST_SECONDS = 120.0


class Ended(BaseException):
    """What ends work that nobody waits for any more; no `except Exception` keeps it."""


class Work:
    """Runs a function in a thread; its results arrive on the loop, those of ended work do not.

    Without a running loop everything happens at once, in the thread that asks.
    """

    def __init__(self) -> None:
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._thread: threading.Thread | None = None
        self._current = 0
        self._lock = threading.Lock()
        """Held by what computes: what was ended is waited for by the next thread, not the loop."""

    def later(self, call: Callable[[], None]) -> None:
        """Call on the loop, from whatever thread."""
        if self._loop is None:
            call()
        else:
            self._loop.call_soon_threadsafe(call)

    def begin(
        self,
        run: Callable[[Callable[[Callable[[], None]], None]], None],
        wait_s: float = 0.0,
    ) -> None:
        """End what runs, wait a moment for further changes, and run `run(put)`.

        ``put(call)`` calls on the loop unless other work has begun meanwhile.
        """
        self.end()
        mine = self._current

        def put(call: Callable[[], None]) -> None:
            self.later(lambda: call() if mine == self._current else None)

        if self._loop is None:
            run(put)
            return

        def start() -> None:
            if mine != self._current:
                return
            self._thread = threading.Thread(target=self._locked, args=(run, put), daemon=True)
            self._thread.start()
            assert self._loop is not None
            self._loop.call_later(MOST_SECONDS, self._too_long, self._thread)

        self._loop.call_later(wait_s, start)

    def _locked(
        self,
        run: Callable[[Callable[[Callable[[], None]], None]], None],
        put: Callable[[Callable[[], None]], None],
    ) -> None:
        try:
            with self._lock:
                run(put)
        except Ended:
            pass

    def end(self) -> None:
        """End what runs, and drop what it would still put."""
        self._current += 1
        if self._thread is not None and self._thread.is_alive():
            _raise_in(self._thread, Ended)

    def _too_long(self, thread: threading.Thread) -> None:
        if thread.is_alive():
            _raise_in(thread, TimeoutError)


def _raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise an error in a thread, at its next step in Python."""
    raise_ = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raise_(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error))
