"""What is said where a package cannot be loaded; it loads none itself."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DAMAGE = (ImportError, SyntaxError)
"""What loading a damaged package raises."""
_COMMANDS = ("-m", "gpuspec", "gpuspec.exe", os.path.join("gpuspec", "__main__.py"))
"""How ``sys.argv`` begins while a command of ours is loaded, not a program that imports us."""


def damage(error: Exception) -> str:
    """Return what is damaged and what to do, in one sentence.

    >>> damage(ImportError("No module named 'numpy'"))
    "a package is damaged (No module named 'numpy'): in a checkout, run make clean and try again"
    """
    said = " ".join(str(error).split())[:200]
    return f"a package is damaged ({said}): in a checkout, run make clean and try again"


def commanded() -> bool:
    """Return whether a command of ours is loaded, not a program that imports us."""
    return bool(sys.argv) and sys.argv[0].endswith(_COMMANDS)


@contextmanager
def whole() -> Iterator[None]:
    """End the command with that sentence where the imports inside fail; ``--debug`` shows where."""
    try:
        yield
    except DAMAGE as error:
        if "--debug" in sys.argv or not commanded():
            raise
        sys.exit(f"gpuspec: {damage(error)}")
