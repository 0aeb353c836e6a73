"""Where a report goes: checked before the work starts, written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import check_writable, path_of

FORMATS = ("pdf", "html", "ipynb")


@contextmanager
def workplace() -> Iterator[Path]:
    """Give a folder for a while; where it takes no files, that is said with its name."""
    try:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
    except OSError as error:
        place = error.filename or tempfile.tempdir or "the folder of temporary files, TMPDIR"
        said = error.strerror or str(error)
        raise RuntimeError(f"{place}: a file cannot be written: {said}") from error


def current_folder() -> str:
    """Return the folder that relative paths start from; refuse one that was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        valid = "it was deleted; change to a folder that is there"
        raise InputError("current folder", os.environ.get("PWD", "."), valid) from None


def check_output(
    output: str | Path | None, format: str | None, notebook_name: str
) -> tuple[str, Path]:
    """Return the format and the file of a report.

    Parameters
    ----------
    output : str, Path or None
        What the caller asked for; ``reports/NAME.FORMAT`` when None.
    format : str or None
        One of `FORMATS`; by the suffix of `output` when None.
    notebook_name : str
        The short name that a default file name is made of.

    Raises
    ------
    InputError
        When suffix and format are unknown or disagree, or when the file cannot be written.
    """
    if format is not None and format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if output is None:
        format = format or "pdf"
        output = Path("reports") / f"{notebook_name}.{format}"
    path = path_of("output", output)
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise InputError("output", str(output), "end the name in .pdf, .html or .ipynb")
    if format is not None and suffix != format:
        raise InputError("output", str(output), f"for the format {format}, end it in .{format}")
    check_writable("output", path)
    return suffix, path
