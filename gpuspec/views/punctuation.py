"""How a Chinese text is set: full-width punctuation, lines that break between characters."""

import re
from textwrap import fill

from gpuspec.base.aligned import columns_of

_HAN = "\u3400-\u9fff"
_WIDE = {",": "，", ";": "；", ":": "：", ".": "。", "?": "？", "!": "！"}
_CHINESE = re.compile(f"[{_HAN}]")
CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
"""Blocks and spans of code."""
_AFTER = re.compile(rf"(?<=[{_HAN}）”])([,;:.?!])(?: +|$|(?=[{_HAN}）*]))")
_NUMBER = r"(?<!\n\d)(?<!\n\d\d)"  # of an item of a list
_BEFORE = re.compile(rf"(?<=[\w%)\]*]){_NUMBER}([,;:.?!]) +(?=\**[{_HAN}（“])")
_ENDS = re.compile(rf"(?<=[\w%)\]*]){_NUMBER}([.;]) +|(?<=[\w%)\]*])([.])$")
_ROUND = re.compile(rf" ?\(([^()\n]*[{_HAN}][^()\n]*)\) ?")
_AROUND = re.compile(rf"(?<=[{_HAN}]) ?\(([^()\n]*)\) ?")
_GAP = re.compile(
    rf"(?<=[，。；：？！、（）“”]) +| +(?=[，。；：？！、（）“”])|(?<=[{_HAN}]) +(?=[{_HAN}])"
)
_BOLD = re.compile(r"\*\*([^*\n]+?)([，。；：？！、]?)\*\*(?=(\S?))")
"""Text in bold, with the wide mark at its end, and what follows."""
_JOINED = re.compile(rf"(?<=[{_HAN}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9%])(?=[{_HAN}])")
"""Where a word of letters or a number stands by a character without a blank."""


def punctuated(text: str) -> str:
    """Set the punctuation of a text that is Chinese as Chinese is set; leave any other, and code.

    >>> punctuated("需要 2 张 H200 SXM. 再买 1 张 (或租用); 见 `a. b`.")
    '需要 2 张 H200 SXM。再买 1 张（或租用）；见 `a. b`。'
    """
    if not _CHINESE.search(text):
        return text
    wide = lambda found: _WIDE[found[1] or found[2]]  # noqa: E731
    parts = CODE.split(text)
    for i in range(0, len(parts), 2):
        part = _AFTER.sub(lambda found: _WIDE[found[1]], parts[i])
        part = _BEFORE.sub(lambda found: _WIDE[found[1]], part)
        part = _AROUND.sub(r"（\1）", _ROUND.sub(r"（\1）", part))
        part = _ENDS.sub(wide, part)
        if part.count("**") % 2 == 0:  # else bold goes on beyond code
            part = _BOLD.sub(_ended, part)
        parts[i] = _JOINED.sub(" ", _GAP.sub("", part))
    if len(parts) > 1 and parts[-1] == ".":
        parts[-1] = "。"
    return "".join(parts)


def _ended(bold: re.Match[str]) -> str:
    """End bold before its mark, where Markdown would not end it before a character."""
    return f"**{bold[1]}**{bold[2]}" if bold[2] and bold[3] else bold[0]


def wrapped(text: str, width: int, hyphens: bool = True) -> str:
    """Break a text into lines of at most `width` columns, Chinese between any two characters.

    >>> wrapped("显存决定一张卡能放下多少请求", 12)
    '显存决定一张\\n卡能放下多少\\n请求'
    """
    if not _CHINESE.search(text):
        return fill(text, width, break_on_hyphens=hyphens)
    pieces = re.findall(rf"[{_HAN}][，。；：？！、）”]*|[^{_HAN}\s]+\s*|\s+", text)
    lines = [""]
    for piece in pieces:
        if lines[-1] and columns_of(lines[-1]) + columns_of(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.strip() for line in lines)


def label(text: str, width: int = 26, most: int = 2) -> str:
    """Break a name that a picture writes into a few lines; what is longer ends in an ellipsis.

    >>> label("night batch", 12), label("a name that goes on and on", 12)
    ('night batch', 'a name that\\ngoes on and…')
    """
    lines = wrapped(text, width).split("\n")
    return "\n".join(lines[:most]) + ("…" if len(lines) > most else "")
