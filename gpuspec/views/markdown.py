"""Text and Markdown kept apart by type, so that a name is shown as it is and never read as markup.

A plain ``str`` is text: whatever it holds is escaped when it is published. `Markdown` holds marks
that are ours, and escapes every text that is put into it.
"""

import re
from collections.abc import Iterable

_MARKS = re.compile(
    r"""(?P<entity>[\\$&<>]) | (?P<mark>[`*_~\[\]{}|@"])
      | (?P<quote>(?<!\w)'|'(?!\w))            # typography, but for an apostrophe inside a word
      | (?P<run>(?<=-)-|-(?=-)|(?<=\.)\.|\.(?=\.))
      | (?P<link>(?<=:)/(?=/)|(?<=\bwww)\.)    # an address that readers would make a link
      | (?P<start>(?<=^)[\#+=-]|(?<=^\d)[.)])""",
    re.VERBOSE | re.IGNORECASE,
)
BLOCK = re.compile(r"(?ms)^(```+\n.*?\n```+)$")
"""A block of code, as `code` writes it."""
_LATER_START = re.compile(r"^(\d{2,9})([.)])")
# What neither XML nor a terminal takes: control characters, halves of pairs, non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: object) -> str:
    """Return a text with a replacement character for each one that no document can hold.

    >>> printable("a\\x1bb")
    'a\ufffdb'
    """
    return _UNPRINTABLE.sub("\ufffd", str(text))


class Markdown(str):
    """Markdown that may be published as it is; texts that join it are escaped.

    An f-string makes a plain text of it: use `format` and `+`, as with `markupsafe.Markup`.

    >>> Markdown("**{name}** fits").format(name="a*b") + " <i>"
    Markdown('**a\\\\*b** fits &#60;i&#62;')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Markdown({super().__repr__()})"

    def __add__(self, other: str) -> "Markdown":
        return Markdown(str.__add__(self, _inside(other)))

    def __radd__(self, other: str) -> "Markdown":
        return Markdown(str.__add__(_inside(other), self))

    def join(self, parts: Iterable[str]) -> "Markdown":
        """Join texts, which are escaped, and Markdown, which is not."""
        return Markdown(str.join(self, [marked(part) for part in parts]))

    def format(self, *args: object, **named: object) -> "Markdown":
        """Fill the fields; a text among the values is escaped."""
        filled = [_inside(v) if isinstance(v, str) else v for v in args]
        by_name = {k: _inside(v) if isinstance(v, str) else v for k, v in named.items()}
        return Markdown(str.format(self, *filled, **by_name))

    @property
    def text(self) -> str:
        """What a reader sees of it, for a terminal: bold and the escapes undone, code as it is."""
        parts = BLOCK.split(self)
        parts[::2] = [re.sub(r"&#(\d+);|\\(\W|_)|\*\*", _unmarked, part) for part in parts[::2]]
        return "".join(parts)


def _unmarked(found: re.Match[str]) -> str:
    return chr(int(found[1])) if found[1] else found[2] or ""


def marked(text: str) -> Markdown:
    """Return Markdown that shows `text` as it is, on one line; Markdown stays what it is.

    >>> marked("`#panic()`{=typst} costs $5")
    Markdown('\\\\`#panic()\\\\`\\\\{=typst\\\\} costs &#36;5')
    """
    if isinstance(text, Markdown):
        return text
    found = _inside(" ".join(text.split()))
    return Markdown(_LATER_START.sub(r"\1\\\2", found))


def bulleted(texts: Iterable[str]) -> Markdown:
    """Return a list with an item for each text.

    >>> bulleted(["one", "two"])
    Markdown('- one\\n- two')
    """
    return Markdown("\n").join(Markdown("- {}").format(marked(text)) for text in texts)


def _inside(text: str) -> str:
    """Escape a text that stands inside a line."""
    return text if isinstance(text, Markdown) else _MARKS.sub(_escape, printable(text))


def _escape(found: re.Match[str]) -> str:
    # A reader of mathematics, such as JupyterLab's, sees a character reference but no backslash.
    return f"&#{ord(found[0])};" if found["entity"] else f"\\{found[0]}"


def code(lines: Iterable[str]) -> Markdown:
    """Return a block of code whose fence is longer than any run of backticks in it."""
    text = "\n".join(printable(line) for line in lines)
    fence = "`" * max([2, *(len(run) for run in re.findall("`+", text))]) + "`"
    return Markdown(f"{fence}\n{text}\n{fence}")


def plain(markdown: str) -> str:
    """Drop the marks of inline Markdown, for places that take text only.

    >>> plain("**How much** memory does `kv_cache` need ([why](x.html))?")
    'How much memory does kv_cache need (why)?'
    """
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"[*`$]|(?<!\w)_|_(?!\w)", "", text).split())
