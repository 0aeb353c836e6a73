"""A notebook's story in another language: its Markdown text by text, looked up in the catalogue.

A text is a heading, a paragraph, an item of a list or a cell of a table, as it stands in the
notebook; the marks around it stay. What the catalogue lacks stays English.
"""

import re
from collections.abc import Iterator

from nbformat import NotebookNode

from gpuspec.report.notebooks import Notebook
from gpuspec.views.language import Words
from gpuspec.views.markdown import BLOCK

_MARK = r"#{1,6}[ ]+|[-*][ ]+|\d+[.)][ ]+"
_TEXT = re.compile(
    rf"^(?P<mark>{_MARK}|)(?P<text>\S.*?)(?=\n[ \t]*\n|\n(?:{_MARK})|\s*\Z)", re.M | re.S
)
_CELL = re.compile(r"[^|\n]+")
_NO_TEXT = re.compile(r"[-: ]*|\d\d_\w+")  # rules of a table, names of notebooks
_MEANING = re.compile(
    r"(?:(?P<group>Reinforcement learning): )?(?P<text>.*?)(?: \[(?P<unit>[^][]*)\])?", re.S
)
WORDS_OF_CELLS = ("none", "yes", "no")
"""What code writes into any column."""


def story_in(markdown: str, words: Words) -> str:
    """Put Markdown into the language of `words`; blocks of code stay as they are."""
    parts = BLOCK.split(markdown)
    parts[::2] = [
        _TEXT.sub(lambda found: found["mark"] + _text_in(found["text"], words), part)
        for part in parts[::2]
    ]
    return "".join(parts)


def meaning_in(meaning: str, words: Words) -> str:
    """Put the meaning of a parameter into a language: its group, what it says, and its unit."""
    group, text, unit = _parts(meaning)
    said = words(text) + (f" [{words(unit)}]" if unit else "")
    return words(group) + words(": ") + said if group else said


def meaning_texts(notebook: Notebook) -> list[str]:
    """Return the texts that the meanings of a notebook's parameters are put together of."""
    parts = (part for p in notebook.parameters for part in _parts(p.meaning))
    return list(dict.fromkeys(part for part in parts if part))


def _parts(meaning: str) -> tuple[str, str, str]:
    found = _MEANING.fullmatch(meaning)
    assert found  # every text does
    return found["group"] or "", found["text"], found["unit"] or ""


def opening_texts(notebook: Notebook) -> list[str]:
    """Return a notebook's title, the texts of its question, and its headings."""
    markdown = [cell.source for cell in _told(notebook)]
    headings = [h for source in markdown for h in re.findall(r"^#{2,6}[ ]+(\S.*)$", source, re.M)]
    return [notebook.title, *_texts(notebook.question), *headings]


def story_texts(notebook: Notebook) -> list[str]:
    """Return every text of a notebook's Markdown cells that a report shows, in their order."""
    return [text for cell in _told(notebook) for text in _texts(cell.source)]


def _told(notebook: Notebook) -> Iterator[NotebookNode]:
    cells = (cell for cell in notebook.node.cells if cell.cell_type == "markdown")
    return (cell for cell in cells if "interactive" not in cell.metadata.get("tags", []))


def _texts(markdown: str) -> list[str]:
    found: list[str] = []

    def take(text: str, /, **values: object) -> str:
        found.append(text)
        return text

    story_in(markdown, take)
    return found


def _text_in(text: str, words: Words) -> str:
    if not text.startswith("|"):
        return words(text)

    def cell(found: re.Match[str]) -> str:
        inside = found[0].strip()
        return found[0] if _NO_TEXT.fullmatch(inside) else found[0].replace(inside, words(inside))

    return _CELL.sub(cell, text)
