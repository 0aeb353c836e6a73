"""Typeset the Typst sources of folders: run as a process of its own, with nothing but time.

``python -P typesetting.py`` reads ``[FOLDER, TIMESTAMP, SECONDS]`` a line, writes
``FOLDER/report.pdf`` and answers with a line: empty, or why not. No file outside the folder is
read, no package is found or fetched, and after so many seconds it is over.
"""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Literal

import font_source_sans_pro
import noto_cjk_sans_otc
import typst

ACCESSIBLE: Literal["ua-1"] = "ua-1"
"""What a report keeps to; a notebook of one's own whose headings skip levels cannot."""
UNSETTLED = "did not converge"
"""What Typst says where pictures that move change what decides where they go, so that pages and
tables would be numbered wrong: they then stay in their places."""
_FACES = ("Regular", "It", "Semibold", "SemiboldIt", "Bold", "BoldIt", "Light")
_BOLD = Path(__file__).resolve().parents[1] / "views" / "faces"
"""Where the bold Chinese face is: the wheel has the regular one alone."""


def typeset(folder: Path, timestamp: int, fonts: typst.Fonts) -> str:
    """Write ``report.pdf`` beside ``main.typ``; return why not where it cannot be."""
    try:
        for standard in (ACCESSIBLE, None):
            try:
                if not _compiled(folder, timestamp, fonts, standard, floats=True):
                    _compiled(folder, timestamp, fonts, standard, floats=False)
                break
            except typst.TypstError as error:
                if not (standard and "PDF/UA" in str(error.message)):
                    return str(error.message)
    except OSError as error:
        return f"{folder / 'report.pdf'}: it cannot be written: {error.strerror or error}"
    return ""


def _compiled(
    folder: Path, timestamp: int, fonts: typst.Fonts, standard: Literal["ua-1"] | None, floats: bool
) -> bool:
    """Write the PDF; return whether its pages and tables are numbered right."""
    nowhere = folder / "packages"
    _, warnings = typst.compile_with_warnings(
        folder / "main.typ",
        folder / "report.pdf",
        root=folder,
        font_paths=fonts,
        format="pdf",
        pdf_standards=standard,
        timestamp=timestamp,
        package_path=nowhere,
        package_cache_path=nowhere,
        sys_inputs={"floats": "yes" if floats else "no"},
    )
    return not any(UNSETTLED in str(warning.message) for warning in warnings)


def loaded_fonts() -> typst.Fonts:
    """Load the text's faces, and Chinese ones for what they lack; nothing of the system's."""
    sans = Path(font_source_sans_pro.font_directory)
    with tempfile.TemporaryDirectory() as name:
        for face in _FACES:
            (Path(name) / f"{face}.otf").symlink_to(sans / f"SourceSansPro-{face}.otf")
        chinese = Path(str(noto_cjk_sans_otc.FONT_PATH)).parent
        return typst.Fonts(include_system_fonts=False, font_paths=[Path(name), chinese, _BOLD])


def main() -> None:
    """Typeset one folder after the other until stdin ends."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = "http://127.0.0.1:9"  # nobody listens
    fonts = loaded_fonts()
    for line in sys.stdin:
        folder, timestamp, seconds = json.loads(line)
        if hasattr(signal, "alarm"):
            signal.alarm(seconds)  # ends the process even where its parent is gone
        problem = typeset(Path(folder), timestamp, fonts)
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        print(json.dumps(problem), flush=True)


if __name__ == "__main__":
    main()
