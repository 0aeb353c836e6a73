"""Measure what lies upon what on the pages of a report: text on text, lines through text, cut text.

    python tools/measure_pages.py reports/*.pdf

Reads a PDF as a viewer does: a glyph is where its matrix puts it, as large as its outline in the
font that the file brings. What is painted later lies above; a filled area hides what is below it.
"""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from fontTools.cffLib import CFFFontSet
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
from pypdf import PageObject, PdfReader
from pypdf.generic import ContentStream

SLACK_PT = 0.5
"""What two things may share, in points, before a reader sees them touch."""
JOINED = 0.4
"""What is printed within so many em of the last glyph goes on with its run."""
LIGHT = 0.8
"""Lines of this much light or more are a grid, upon which text may stand."""


class Box(NamedTuple):
    """A box in points from the lower left corner of the page."""

    left: float
    low: float
    right: float
    high: float

    def shared(self, other: "Box") -> "Box":
        """Return what both cover, turned inside out where that is nothing."""
        low, high = np.maximum(self, other), np.minimum(self, other)
        return Box(low[0], low[1], high[2], high[3])

    def least(self) -> float:
        """Return the shorter side; below zero where the box holds nothing."""
        return min(self.right - self.left, self.high - self.low)


@dataclass(frozen=True)
class Glyph:
    """A character as it is printed, of a `run` of text; `order` counts what was painted before."""

    text: str
    box: Box
    size_pt: float
    run: int
    order: int
    clip: Box


@dataclass(frozen=True)
class Painted:
    """A straight piece of a line from `start` to `end`, or a filled area."""

    start: tuple[float, float]
    end: tuple[float, float]
    order: int
    clip: Box


@dataclass(frozen=True)
class _State:
    to_page: np.ndarray
    clip: Box
    font: Any = None
    size: float = 0.0
    stroke: tuple[float, ...] = (0.0,)
    seen: bool = True


class _Font:
    """An embedded font: advance, outline and meaning of its codes, lengths in em."""

    def __init__(self, font: Any) -> None:
        self.name = str(font["/BaseFont"])
        below = font["/DescendantFonts"][0].get_object()
        self.other_advance = float(below.get("/DW", 1000)) / 1000
        self.advances = dict(_advances([w.get_object() for w in below.get("/W", [])]))
        self.meaning = dict(_meanings(font["/ToUnicode"].get_data().decode("latin-1")))
        descriptor = below["/FontDescriptor"]
        data = (descriptor.get("/FontFile3") or descriptor["/FontFile2"]).get_data()
        self.inks: dict[int, Box | None] = {}
        if data[:4] in (b"OTTO", b"\0\1\0\0", b"true"):
            whole = TTFont(io.BytesIO(data))
            self.names, self.glyphs = whole.getGlyphOrder(), whole.getGlyphSet()
            self.unit = 1 / whole["head"].unitsPerEm
        else:
            fonts = CFFFontSet()
            fonts.decompile(io.BytesIO(data), None)
            self.names, self.glyphs = fonts[0].charset, fonts[0].CharStrings
            self.unit = 1 / 1000

    def advance(self, code: int) -> float:
        """Return how far a glyph moves the pen."""
        return self.advances.get(code, self.other_advance)

    def ink(self, code: int) -> Box | None:
        """Return what a glyph blackens; None where it is blank."""
        if code not in self.inks:
            cid, pen = f"cid{code:05d}", BoundsPen(None)
            self.glyphs[cid if cid in self.glyphs else self.names[code]].draw(pen)
            self.inks[code] = Box(*(v * self.unit for v in pen.bounds)) if pen.bounds else None
        return self.inks[code]


def _advances(given: list[Any]) -> Iterator[tuple[int, float]]:
    while given:
        first, second = int(given.pop(0)), given.pop(0)
        if isinstance(second, list):
            yield from ((first + i, float(width) / 1000) for i, width in enumerate(second))
        else:
            width = float(given.pop(0)) / 1000
            yield from ((code, width) for code in range(first, int(second) + 1))


def _meanings(text: str) -> Iterator[tuple[int, str]]:
    """Return what the codes of a font mean, as its table to Unicode says."""
    ranges = False
    for line in text.splitlines():
        words = line.replace("<", " ").replace(">", " ").split()
        if "begin" in line:
            ranges = "bfrange" in line
        elif line.startswith("<") and ranges and "[" not in line:
            first, last, start = (int(word, 16) for word in words[:3])
            yield from ((code, chr(start + code - first)) for code in range(first, last + 1))
        elif line.startswith("<") and len(words) == 2 and len(words[1]) % 4 == 0:
            yield int(words[0], 16), bytes.fromhex(words[1]).decode("utf-16-be", "replace")


def _matrix(values: Any) -> np.ndarray:
    a, b, c, d, e, f = map(float, values)
    return np.array([[a, b, 0], [c, d, 0], [e, f, 1]])


def _bounds(points: Any) -> Box:
    found = np.array(points)
    return Box(*found.min(axis=0), *found.max(axis=0))


class Page:
    """What a page shows: its `glyphs`, the `lines` that are no light grid, and `fills`."""

    def __init__(self, page: PageObject, fonts: dict[int, _Font]) -> None:
        self.glyphs: list[Glyph] = []
        self.lines: list[Painted] = []
        self.fills: list[Painted] = []
        self.runs: list[str] = []
        self._fonts, self._file, self._order = fonts, page.pdf, 0
        self._end = np.array([np.inf, np.inf])
        whole = Box(*map(float, page.mediabox))
        content = ContentStream(page.get_contents(), self._file)
        self._read(content, page["/Resources"], _State(np.eye(3), whole))

    def _read(self, content: ContentStream, resources: Any, state: _State) -> None:
        kept: list[_State] = []
        pen, path, clips = np.eye(3), [], False
        for values, operator in content.operations:
            match operator.decode():
                case "q":
                    kept.append(state)
                case "Q":
                    state = kept.pop()
                case "cm":
                    state = replace(state, to_page=_matrix(values) @ state.to_page)
                case "SCN" | "SC" | "G" | "RG" | "K":
                    parts = tuple(float(v) for v in values if isinstance(v, (int, float)))
                    state = replace(state, stroke=parts or (0.0,))
                case "Tf":
                    state = replace(state, font=self._font(resources, values[0]), size=values[1])
                case "Tr":
                    state = replace(state, seen=values[0] != 3)
                case "BT":
                    pen = np.eye(3)
                case "Tm":
                    pen = _matrix(values)
                case "Tj" | "TJ":
                    pen = self._write(values[0], state, pen)
                case "m":
                    path.append([_placed(values, state)])
                case "l":
                    path[-1].append(_placed(values, state))
                case "c":
                    path[-1] += [_placed(values[i : i + 2], state) for i in (0, 2, 4)]
                case "re":
                    x, y, w, h = map(float, values)
                    corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y))
                    path.append([_placed(corner, state) for corner in corners])
                case "h":
                    path[-1].append(path[-1][0])
                case "W" | "W*":
                    clips = True
                case "S" | "s" | "f" | "f*" | "B" | "B*" | "b" | "b*" | "n" as how:
                    if clips and path:
                        box = _bounds([point for part in path for point in part])
                        state = replace(state, clip=state.clip.shared(box))
                    self._paint(how, path, state)
                    path, clips = [], False
                case "Do":
                    shown = resources["/XObject"][values[0]].get_object()
                    if shown["/Subtype"] == "/Form":
                        to = _matrix(shown.get("/Matrix", (1, 0, 0, 1, 0, 0))) @ state.to_page
                        inside = ContentStream(shown, self._file)
                        self._read(inside, shown["/Resources"], replace(state, to_page=to))
                case "Td" | "TD" | "T*" | "'" | '"' | "Tc" | "Tw" | "Tz" | "TL" | "Ts" as other:
                    raise NotImplementedError(other)

    def _font(self, resources: Any, name: str) -> _Font:
        number = resources["/Font"].raw_get(name).idnum
        if number not in self._fonts:
            self._fonts[number] = _Font(resources["/Font"][name])
        return self._fonts[number]

    def _paint(self, how: str, path: list[list[Any]], state: _State) -> None:
        self._order += 1
        for part in path:
            if how[0] in "fBb":
                box = _bounds(part).shared(state.clip)
                self.fills.append(Painted(box[:2], box[2:], self._order, state.clip))
            if how[0] in "SsBb" and np.mean(state.stroke) < LIGHT:
                self.lines += [Painted(*ends, self._order, state.clip) for ends in pairwise(part)]

    def _write(self, shown: Any, state: _State, pen: np.ndarray) -> np.ndarray:
        """Print glyphs; return where the next one starts, which goes on with their run there."""
        self._order += 1
        size = float(state.size)
        for part in shown if isinstance(shown, list) else [shown]:
            if isinstance(part, (int, float)):
                pen = _matrix((1, 0, 0, 1, -float(part) / 1000 * size, 0)) @ pen
                continue
            for high, low in zip(*(iter(part.original_bytes),) * 2, strict=True):
                self._print(256 * high + low, state, np.diag([size, size, 1]) @ pen @ state.to_page)
                advance = state.font.advance(256 * high + low) * size
                pen = _matrix((1, 0, 0, 1, advance, 0)) @ pen
                self._end = (pen @ state.to_page)[2, :2]
        return pen

    def _print(self, code: int, state: _State, to_page: np.ndarray) -> None:
        size = float(abs(np.linalg.det(to_page[:2, :2])) ** 0.5)
        if np.abs(to_page[2, :2] - self._end).max() > JOINED * size:
            self.runs.append("")
        text, ink = state.font.meaning.get(code, "?"), state.font.ink(code)
        self.runs[-1] += text
        if ink and state.seen:
            corners = [(x, y, 1) for x in ink[::2] for y in ink[1::2]]
            box = _bounds((corners @ to_page)[:, :2])
            run = len(self.runs) - 1
            self.glyphs.append(Glyph(text, box, size, run, self._order, state.clip))

    def overlapping(self) -> Iterator[tuple[Glyph, Glyph]]:
        """Return pairs of glyphs of different runs that cover each other."""
        boxes = np.array([g.box for g in self.glyphs]).reshape(-1, 4)
        runs = np.array([g.run for g in self.glyphs])
        for glyph in self.glyphs:
            wide = np.minimum(boxes[:, 2], glyph.box.right) - np.maximum(
                boxes[:, 0], glyph.box.left
            )
            tall = np.minimum(boxes[:, 3], glyph.box.high) - np.maximum(boxes[:, 1], glyph.box.low)
            touched = (np.minimum(wide, tall) > SLACK_PT) & (runs > glyph.run)
            for j in np.flatnonzero(touched):
                yield glyph, self.glyphs[j]

    def cut(self) -> Iterator[Glyph]:
        """Return glyphs of which a part lies outside of what the page, or a picture, shows."""
        for glyph in self.glyphs:
            inside = np.subtract(glyph.box.shared(glyph.clip), glyph.box)
            if np.abs(inside).max() > SLACK_PT:
                yield glyph

    def struck(self) -> Iterator[Glyph]:
        """Return glyphs that a line runs through which no area hides."""
        ends = np.array([(*line.start, *line.end) for line in self.lines]).reshape(-1, 2, 2)
        low, high = ends.min(axis=1), ends.max(axis=1)
        for glyph in self.glyphs:
            box = np.array(glyph.box).reshape(2, 2)
            near = np.flatnonzero((low < box[1]).all(axis=1) & (high > box[0]).all(axis=1))
            lines = [self.lines[i] for i in near if _crosses(self.lines[i], glyph.box)]
            if any(not self._hidden(line, glyph) for line in lines):
                yield glyph

    def _hidden(self, line: Painted, glyph: Glyph) -> bool:
        return any(
            line.order < fill.order < glyph.order
            and np.allclose(glyph.box.shared(Box(*fill.start, *fill.end)), glyph.box, atol=SLACK_PT)
            for fill in self.fills
        )


def _placed(point: Any, state: _State) -> tuple[float, float]:
    x, y, _ = np.array([float(point[0]), float(point[1]), 1]) @ state.to_page
    return float(x), float(y)


def _crosses(line: Painted, box: Box) -> bool:
    """Return whether a line, as far as it shows, runs through a box `SLACK_PT` inside its sides."""
    box = box.shared(line.clip)
    if box.least() < 0:
        return False
    (x, y), (to_x, to_y) = line.start, line.end
    first, last = 0.0, 1.0
    for start, move, low, high in (
        (x, to_x - x, box.left + SLACK_PT, box.right - SLACK_PT),
        (y, to_y - y, box.low + SLACK_PT, box.high - SLACK_PT),
    ):
        if low > high:
            low = high = (low + high) / 2
        if abs(move) < 1e-9:
            if not low <= start <= high:
                return False
            continue
        ends = sorted(((low - start) / move, (high - start) / move))
        first, last = max(first, ends[0]), min(last, ends[1])
    return first <= last


def faults(path: Any) -> list[str]:
    """Return what a reader of a PDF would see lie upon something else, or be cut, a line each."""
    fonts: dict[int, _Font] = {}
    found: dict[str, None] = {}
    for number, page in enumerate(PdfReader(path).pages, 1):
        shown = Page(page, fonts)
        said = [
            f"{shown.runs[a.run]!r} lies upon {shown.runs[b.run]!r}" for a, b in shown.overlapping()
        ]
        said += [f"{shown.runs[glyph.run]!r} is cut" for glyph in shown.cut()]
        said += [f"{shown.runs[glyph.run]!r} is struck through" for glyph in shown.struck()]
        found |= dict.fromkeys(f"page {number}: {line}" for line in said)
    return list(found)


def main() -> int:
    """Print the faults of each report."""
    count = 0
    for path in sys.argv[1:]:
        found = faults(path)
        count += len(found)
        print(f"{path}: {len(found)}")
        print("".join(f"  {line}\n" for line in found), end="")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
