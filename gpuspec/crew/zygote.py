"""A process that has loaded what jobs need, and forks for each that asks.

Run by its path, as ``python -P zygote.py LISTENER MODULE...``, with the descriptor of a socket that
listens: it imports the modules, of which ``module:function ARGUMENT`` is called, and ends with its
stdin. It has one thread, so that its forks are whole. Whoever connects to the socket sends what to
call; the connection then belongs to the fork, which ends with it.
"""

import gc
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from pkgutil import resolve_name
from typing import Any, NamedTuple

HEAD = struct.Struct("!Q")
MOST_FILES = 1
HANG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP


class Call(NamedTuple):
    """What a fork does: ``module:function`` is called with its connection and the arguments."""

    target: str
    arguments: tuple[Any, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    memory_bytes: int = 0
    """Address space that it may take beyond what was loaded before; 0: no limit."""


def main() -> None:
    """Load, then fork until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, *modules = sys.argv[1:]
    # What is not installed but lies beside this file's package is found last.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    for line in modules:
        name, _, argument = line.partition(" ")
        found = resolve_name(name)
        if argument:
            found(argument)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks that ended leave nothing behind
    with socket.socket(fileno=int(number)) as listener:
        while True:
            waiting, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in waiting:
                return
            _fork(listener)


def _fork(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    try:
        head, files, _, _ = socket.recv_fds(connection, HEAD.size, MOST_FILES)
        if head and os.fork() == 0:
            listener.close()
            _be(connection, _read(connection, HEAD.unpack(head)[0]), list(files))
        for file in files:
            os.close(file)
    finally:
        connection.close()


def _read(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            os._exit(1)
        parts += part
    return bytes(parts)


def _be(connection: socket.socket, message: bytes, files: list[int]) -> None:
    """Become what the message says; never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number, file in ((0, nothing), (1, nothing), *((2, file) for file in files)):
            os.dup2(file, number)
        call: Call = pickle.loads(message)
        connection.sendall(HEAD.pack(os.getpid()))
        threading.Thread(target=_end_with, args=(connection.fileno(),), daemon=True).start()
        os.environ.update(call.variables)
        if call.folder:
            os.chdir(call.folder)
        if call.memory_bytes:
            limit = _address_bytes() + call.memory_bytes
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resolve_name(call.target)(connection, *call.arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _address_bytes() -> int:
    """Return the size of the address space; so large that nothing is limited where none tells."""
    if not os.path.exists("/proc/self/statm"):
        return 2**62
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _end_with(connection: int) -> None:
    """End this process, and what it started, when the other end of the connection is gone."""
    poll = select.poll()
    poll.register(connection, HANG_UP)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
