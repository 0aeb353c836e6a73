"""Typeset the Typst sources of a folder: run as a process of its own, with nothing but time.

``python -P typesetting.py FOLDER TIMESTAMP SECONDS`` writes ``FOLDER/report.pdf``. No file outside
the folder is read, no package is found or fetched, and after so many seconds it is over.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_FACES = ("Regular", "It", "Semibold", "SemiboldIt", "Bold", "BoldIt", "Light")


def main(folder: Path, timestamp: int, seconds: int) -> None:
    """Write ``report.pdf`` beside ``main.typ``, or say on stderr why not and exit 1."""
    import typst

    if hasattr(signal, "alarm"):
        signal.alarm(seconds)  # ends the process even where its parent is gone
    nowhere = folder / "packages"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = "http://127.0.0.1:9"  # nobody listens
    try:
        typst.compile(
            folder / "main.typ",
            folder / "report.pdf",
            root=folder,
            font_paths=_fonts(),
            format="pdf",
            timestamp=timestamp,
            package_path=nowhere,
            package_cache_path=nowhere,
        )
    except typst.TypstError as error:
        sys.exit(error.message)
    except OSError as error:
        sys.exit(f"{folder}: a file cannot be written: {error.strerror or error}")


def _fonts() -> Any:
    """Load the text's faces, and Chinese ones for what they lack; nothing of the system's."""
    import font_source_sans_pro
    import noto_cjk_sans_otc
    import typst

    sans = Path(font_source_sans_pro.font_directory)
    with tempfile.TemporaryDirectory() as name:
        for face in _FACES:
            (Path(name) / f"{face}.otf").symlink_to(sans / f"SourceSansPro-{face}.otf")
        chinese = Path(str(noto_cjk_sans_otc.FONT_PATH)).parent
        return typst.Fonts(include_system_fonts=False, font_paths=[Path(name), chinese])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
