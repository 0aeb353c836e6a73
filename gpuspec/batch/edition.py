"""What tells answers of one state of the data and of the program from those of another."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from gpuspec.base.paths import DATA
from gpuspec.catalog import edition as tables
from gpuspec.constants.learnt import FILE, VARIABLE

_PACKAGE = Path(__file__).resolve().parents[1]


def edition() -> str:
    """Return a hash of the shipped data, the user's own tables, what was learnt, the program."""
    found = _edition(*tables())
    if learnt := os.environ.get(VARIABLE):
        own = Path(learnt, FILE).read_bytes()
        found = hashlib.sha256(found.encode() + own).hexdigest()
    return found


@lru_cache(4)
def _edition(folder: Path | None, stamp: object) -> str:
    found = hashlib.sha256()
    places = [(DATA, "*.csv"), (DATA, "*.json"), (_PACKAGE, "*.py"), (_PACKAGE, "*.csv")]
    places += [(_PACKAGE, "*.po")] + ([(folder, "*.csv")] if folder else [])
    for place, pattern in places:
        for path in sorted(place.rglob(pattern)):
            content = hashlib.sha256(path.read_bytes()).digest()
            found.update(f"{path.relative_to(place)}\0".encode() + content)
    return found.hexdigest()
