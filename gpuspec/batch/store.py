"""Files of this machine or of an object store (s3://, gs://, memory://), through fsspec."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gpuspec.base import files
from gpuspec.base.errors import InputError
from gpuspec.base.files import path_of, read_text, refusing, write_atomically

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_address(place: str) -> bool:
    """Return whether a place is an address, such as ``s3://bucket/folder``."""
    return bool(_ADDRESS.match(place))


@dataclass(frozen=True)
class Store:
    """A folder of files, here or elsewhere; a name in it has no part that leads out of it."""

    place: str

    @cached_property
    def here(self) -> Path | None:
        """The folder, where it is one of this machine."""
        return None if is_address(self.place) else path_of("folder", self.place)

    @cached_property
    def _far(self) -> tuple[Any, str]:
        import fsspec

        try:
            system, root = fsspec.core.url_to_fs(self.place)
        except (ImportError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError("address", self.place, f"it cannot be reached: {said}") from None
        return system, str(root).rstrip("/")

    @property
    def is_file(self) -> bool:
        """Whether it is a file, no folder."""
        if self.here is not None:
            return self.here.is_file()
        with refusing("address", self.place, "it cannot be read"):
            return bool(self._far[0].isfile(self._far[1]))

    @property
    def parent(self) -> "Store":
        """The folder that it lies in."""
        if self.here is not None:
            return Store(str(self.here.absolute().parent))
        return Store(self.place.rstrip("/").rpartition("/")[0])

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the files of a folder, in order; none where there is no folder."""
        if self.here is not None:
            found = self.here / folder
            with refusing("folder", str(found), "it cannot be read"):
                return sorted(p.name for p in found.iterdir()) if found.is_dir() else []
        system, root = self._far
        with refusing("address", self.place, "it cannot be read"):
            try:
                system.invalidate_cache()
                listed = system.ls(f"{root}/{folder}".rstrip("/"), detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in listed)

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return the content of a file, at most so large.

        Raises
        ------
        InputError
            Where there is none, or it is no file, or larger.
        """
        if self.here is not None:
            return read_text("file", self.here / inside(name), most_bytes).encode()
        system, root = self._far
        shown = f"{self.place.rstrip('/')}/{name}"
        with refusing("file", shown, "it cannot be read"):
            try:
                found = bytes(system.cat_file(f"{root}/{inside(name)}", end=most_bytes + 1))
            except FileNotFoundError:
                raise InputError("file", shown, "there is no such file") from None
        if len(found) > most_bytes:
            raise InputError("file", shown, f"it must be at most {most_bytes:,} bytes")
        return found

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one step: who reads sees the old one or the new one whole."""
        if self.here is not None:
            write_atomically(self.here / inside(name), content)
            return
        system, root = self._far
        path = f"{root}/{inside(name)}"
        with refusing("output", f"{self.place.rstrip('/')}/{name}", "it cannot be written"):
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(path, content)  # an object store shows it when it is whole

    def drop(self, name: str) -> None:
        """Delete a file."""
        if self.here is not None:
            (self.here / inside(name)).unlink(missing_ok=True)
        else:
            self._far[0].rm_file(f"{self._far[1]}/{inside(name)}")

    def check(self) -> None:
        """Refuse a folder that cannot be written to, before the work is done."""
        if self.here is not None:
            files.check_writable("output", self.here / "summary.csv")
        else:
            self.names()


def inside(name: str) -> str:
    """Return a relative name that stays within its folder as it is.

    >>> inside("prices/mine.csv")
    'prices/mine.csv'
    """
    parts = name.replace("\\", "/").split("/")
    if not name or is_address(name) or any(part in ("", ".", "..") for part in parts):
        raise InputError("file", name, "name a file beside the question, or in a folder below it")
    files.check_text("file", name, lines=False)
    return name
