"""Start a zygote, and have it fork."""

import atexit
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from gpuspec.base.damage import commanded
from gpuspec.crew.zygote import HANG_UP, HEAD, Call

PLACE = "GPUSPEC_ZYGOTE"
"""Variable that tells a fork the socket of its zygote, so that it may have others forked."""
MEMORY = "GPUSPEC_MEMORY_BYTES"
"""Variable that tells it how much memory those may take."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SCRIPT = str(Path(__file__).with_name("zygote.py"))
_OF_THE_USER = ("PYTHONSTARTUP", "MPLBACKEND", "MATPLOTLIBRC")


class Forked:
    """A process that a zygote forked; it ends with this object's connection."""

    def __init__(self, place: str, call: Call, streams: Sequence[int] = ()) -> None:
        """Have it forked; `streams` may hold a file that becomes its stderr."""
        call = call._replace(
            variables=(*call.variables, (PLACE, place), (MEMORY, f"{call.memory_bytes}"))
        )
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(place)
            message = pickle.dumps(call)
            socket.send_fds(own, [HEAD.pack(len(message))], list(streams))
            own.sendall(message)
            head = own.recv(HEAD.size, socket.MSG_WAITALL)
            if len(head) < HEAD.size:
                raise RuntimeError("a process could not be forked: no memory, or too many of them")
            self.pid = int(HEAD.unpack(head)[0])
            self.connection = Connection(own.detach())

    def kill(self) -> None:
        """End it at once, with whatever it started."""
        self.send_signal(signal.SIGKILL)
        self.connection.close()

    # What those expect who start a kernel with `subprocess.Popen`:

    stdin = stdout = stderr = None

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it still is."""
        if self.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def terminate(self) -> None:
        """End it."""
        self.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        """Return None while it is there, 0 afterwards."""
        if self.connection.closed:
            return 0
        poll = select.poll()
        poll.register(self.connection.fileno(), HANG_UP)
        return 0 if poll.poll(0) else None

    def wait(self) -> int:
        """Return when it is gone."""
        while self.poll() is None:
            time.sleep(0.01)
        self.connection.close()
        return 0


class Zygote:
    """A process that loads modules and then forks for each that asks; it ends with this one."""

    def __init__(self, *modules: str, quiet: bool = False) -> None:
        """Start it; `quiet` where it matters to nobody why it could not load."""
        self.folder = tempfile.TemporaryDirectory(prefix="gpuspec-")
        self.place = str(Path(self.folder.name) / "zygote")
        own = {name: os.environ.get(name, "1") for name in THREADS}
        kept = {k: v for k, v in os.environ.items() if k not in _OF_THE_USER}
        for name in ("GPUSPEC_DATA", "GPUSPEC_CALIBRATION"):
            if place := kept.get(name):  # another folder is the current one there
                kept[name] = str(Path(place).expanduser().absolute())
        command = [sys.executable, "-P", _SCRIPT]
        with socket.socket(socket.AF_UNIX) as listener:  # who asks before it is ready waits there
            listener.bind(self.place)
            listener.listen(64)
            self.process = subprocess.Popen(
                [*command, f"{listener.fileno()}", "gpuspec.crew.hand", *modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if quiet else None,
                pass_fds=[listener.fileno()],
                cwd=self.folder.name,
                env={**kept, **own, "PYTHONSAFEPATH": "1"},
                start_new_session=True,  # Ctrl-C is for the one who asks
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        atexit.unregister(self.close)
        self.process.kill()
        self.process.communicate()
        self.folder.cleanup()


def begin(*modules: str) -> None:
    """Let a zygote load for the kernels of a command, while that loads what it needs itself."""
    if commanded() and sys.platform == "linux" and PLACE not in os.environ:
        os.environ[PLACE] = Zygote(*modules, quiet=True).place
