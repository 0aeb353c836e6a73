"""Cut the bold Chinese face of the reports out of Noto Sans CJK.

    apt-get download fonts-noto-cjk && dpkg-deb -x fonts-noto-cjk_*.deb unpacked
    python tools/write_bold_face.py unpacked/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc

The wheel that brings the regular face has no bold. What is kept are the 3,755 common characters of
GB 2312, its marks, and whatever the Chinese catalogue holds: 1.5 MB of 20. A character beyond them
is set in the regular face. The licence (SIL OFL 1.1) lies beside it and must stay there.
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont

from gpuspec.views.faces import BOLD, CHINESE

PACKAGE = Path(__file__).resolve().parents[1] / "gpuspec"
CATALOGUE = PACKAGE / "views/locale/zh/LC_MESSAGES/gpuspec.po"
COMMON, MARKS = range(0xB0, 0xD8), range(0xA1, 0xAA)
"""First bytes of GB 2312: its common characters, and its marks."""


def characters() -> set[str]:
    """Return the characters that the face is to hold."""
    pairs = (bytes((row, cell)) for row in (*MARKS, *COMMON) for cell in range(0xA1, 0xFF))
    common = "".join(pair.decode("gb2312", "ignore") for pair in pairs)
    latin = "".join(map(chr, range(0x20, 0x7F)))
    return {*common, *latin, *CATALOGUE.read_text("utf-8")} - {"\n"}


def cut(face: TTFont) -> None:
    """Drop from a face whatever else it holds."""
    options = Options()
    options.layout_features = ["kern", "palt", "locl", "ccmp"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    options.desubroutinize, options.hinting = False, False
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[ord(c) for c in characters()])
    subsetter.subset(face)


def main() -> None:
    """Write the face."""
    faces = TTCollection(sys.argv[1], lazy=True).fonts
    face = next(f for f in faces if f["name"].getDebugName(1).startswith(CHINESE))
    cut(face)
    face["head"].modified = face["head"].created  # the same bytes every time
    face.recalcTimestamp = False
    BOLD.parent.mkdir(exist_ok=True)
    face.save(BOLD)
    print(f"{BOLD.relative_to(PACKAGE.parent)}: {BOLD.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
