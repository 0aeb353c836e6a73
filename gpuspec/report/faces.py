"""The faces of a web page: what it needs of them, inside the page itself."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpuspec.views.faces import BOLD, CHINESE

FAMILY = "gpuspec"
"""What the page calls them."""
_LATIN = {"Regular": (400, "normal"), "Semibold": (600, "normal"), "It": (400, "italic")}
_HAN = re.compile("[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")


def font_faces(page: str) -> str:
    """Return the style sheet that brings the faces of a page, cut to its characters."""
    held = "".join(sorted(set(page)))
    han = "".join(_HAN.findall(held))
    return "\n".join([*_latin(held), *(_chinese(han) if han else [])])


def _latin(text: str) -> Iterator[str]:
    import font_source_sans_pro
    from fontTools.ttLib import TTFont

    folder = Path(font_source_sans_pro.font_directory)
    for face, (weight, style) in _LATIN.items():
        font = TTFont(folder / f"SourceSansPro-{face}.otf", recalcTimestamp=False)
        yield _rule(_cut(font, _HAN.sub("", text)), weight, style)


def _chinese(text: str) -> Iterator[str]:
    import noto_cjk_sans_otc
    from fontTools.ttLib import TTCollection, TTFont

    faces = TTCollection(noto_cjk_sans_otc.FONT_PATH, lazy=True).fonts
    regular = next(f for f in faces if f["name"].getDebugName(1).startswith(CHINESE))
    regular.recalcTimestamp = False
    yield _rule(_cut(regular, text), 400, "normal", "U+3000-303F, U+3400-9FFF, U+FF00-FFEF")
    bold = _cut(TTFont(BOLD, recalcTimestamp=False), text)
    yield _rule(bold, 600, "normal", "U+3000-303F, U+3400-9FFF, U+FF00-FFEF")


def _cut(font: Any, text: str) -> bytes:
    """Return a face with the characters of a text alone, compressed."""
    from fontTools.subset import Options, Subsetter

    options = Options()
    options.layout_features, options.hinting = ["kern", "tnum"], False
    subsetter = Subsetter(options)
    subsetter.populate(text=text)
    subsetter.subset(font)
    font.flavor = "woff"
    stream = io.BytesIO()
    font.save(stream)
    return stream.getvalue()


def _rule(face: bytes, weight: int, style: str, only: str = "") -> str:
    data = base64.b64encode(face).decode()
    ranges = f" unicode-range: {only};" if only else ""
    about = f'font-family: "{FAMILY}"; font-weight: {weight}; font-style: {style};{ranges}'
    return f'@font-face {{ {about} src: url("data:font/woff;base64,{data}") format("woff"); }}'
