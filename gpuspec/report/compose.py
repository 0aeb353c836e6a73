"""From an executed notebook to what a reader should see: one Markdown text, figures and tables.

The Markdown holds a token where a figure or table belongs, which :mod:`.render` puts there once
pandoc is done: nothing that a cell publishes is raw Typst or HTML.
"""

import base64
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from html import escape
from importlib.metadata import version
from platform import python_version
from secrets import token_hex
from typing import TypedDict
from xml.etree import ElementTree

from nbconvert.exporters import MarkdownExporter
from nbconvert.preprocessors import Preprocessor, TagRemovePreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from traitlets.config import Config

from gpuspec import __version__
from gpuspec.catalog import data_as_of
from gpuspec.constants.learnt import own_rows
from gpuspec.report.glossary import glossary
from gpuspec.report.notebooks import Notebook, Parameter
from gpuspec.report.story import WORDS_OF_CELLS, meaning_in, story_in
from gpuspec.views.columns import heading_in, headings
from gpuspec.views.display import ShownTable
from gpuspec.views.language import Words, translator

# Never shown: controls, the parameters (the title page lists them), what an author marks so.
LEFT_OUT = {"interactive", "parameters", "injected-parameters", "remove-report"}
EVIDENCE = "appendix"
"""Tag of cells that a report shows only where an appendix is asked for."""
FRONT, QUESTION = "<!-- front -->", "<!-- question -->"
"""Where the HTML puts what was asked and the contents, and the question below its answer."""
_SMALL, _FRONT = "#question-block(question)\n#show: small", "#front\n#show: usual"
"""What Typst does at these places: page 1 is set a little smaller than the others."""
_HEADING = re.compile(r"^## ", re.MULTILINE)
_PACKAGES = ("numpy", "pandas", "matplotlib", "typst")

_LABELS = (
    "gpuspec report",
    "Contents",
    "Figure",
    "Table",
    "What was asked",
    *headings("parameter", "value", "meaning"),
    "Date",
    "Data",
    "Made with",
    "page {page} of {pages}",
)


class Facts(TypedDict):
    """What the first pages and the margins say."""

    asked: list[dict[str, str]]
    rest: str
    date: str
    data: str
    version: str
    made_with: list[str]
    labels: dict[str, str]


@dataclass
class Document:
    """Everything that the templates print."""

    title: str
    question: str
    body: str
    language: str
    facts: Facts
    answered_first: bool = False
    """Whether page 1 opens with the answer, so that the question stands below it."""
    figures: list[dict[str, str]] = field(default_factory=list)
    tables: list[dict[str, object]] = field(default_factory=list)
    glossary: list[dict[str, str]] = field(default_factory=list)
    """Each ``term`` that is used, and its ``meaning``."""
    blocks: dict[str, dict[str, str]] = field(default_factory=dict)
    """What stands for each token of the body, as ``typst`` and as ``html5``."""


def compose(
    executed: NotebookNode,
    notebook: Notebook,
    values: Mapping[str, object],
    show_code: bool,
    language: str,
    day: date,
    appendix: bool = False,
) -> Document:
    """Take out of an executed notebook, which is left as it is, what the report shows.

    `values` are the parameters that were set; `language` is that of the labels and, as far as the
    catalogue has its texts, of the story. The first section stands under the title; what was asked,
    and the contents, come between it and the others. An `appendix` lists every parameter, and lets
    cells with the tag `EVIDENCE` be shown.
    """
    words = translator(language)
    shown = _ShownOutputs(words)
    node, _ = shown.preprocess(_story(executed, notebook, appendix), {})
    node.cells = _speaking(node.cells)
    for cell in node.cells:
        if cell.cell_type == "markdown":
            cell.source = story_in(cell.source, words)
    shown.put_front(node.cells)
    config = Config(TagRemovePreprocessor={"remove_cell_tags": LEFT_OUT, "enabled": True})
    exporter = MarkdownExporter(config=config)
    exporter.register_preprocessor(TagRemovePreprocessor(config=config), enabled=True)
    exporter.exclude_input = not show_code
    body, _ = exporter.from_notebook_node(node)
    body += shown.glossary(body)
    if appendix and notebook.parameters:
        body += shown.appendix(_asked(notebook.parameters, values, words))
    title = next((str(t["title"]) for t in told_of(executed) if t["title"]), "")
    return Document(
        title=title or words(notebook.title),
        question=story_in(notebook.title if title else notebook.question, words),
        body=body,
        language=language,
        facts=_facts(notebook, values, words, day),
        figures=shown.figures,
        tables=shown.tables,
        glossary=shown.terms,
        blocks=shown.blocks,
        answered_first=shown.answered_first,
    )


def told_of(executed: NotebookNode) -> list[Mapping[str, object]]:
    """Return what the notes of a notebook say of the whole: its ``title``, whether ``answered``."""
    outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
    found = [o.get("metadata", {}).get("gpuspec", {}) for o in outputs]
    return [about for about in found if about.get("kind") == "note"]


def _speaking(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Return the cells without sections whose code has nothing to show."""
    sections: list[list[NotebookNode]] = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and _HEADING.search(cell.source):
            sections.append([])
        sections[-1].append(cell)
    first, *rest = sections
    return first + [cell for section in rest if not _silent(section) for cell in section]


def _silent(section: list[NotebookNode]) -> bool:
    code = [c for c in section if c.cell_type == "code"]
    code = [c for c in code if not LEFT_OUT & set(c.metadata.get("tags", []))]
    return bool(code) and not any(c.outputs for c in code)


def _story(executed: NotebookNode, notebook: Notebook, appendix: bool) -> NotebookNode:
    """Copy the notebook without its opening cell, which the title page prints, and without the
    evidence of an appendix that nobody asked for.
    """
    node = deepcopy(executed)
    if notebook.title != notebook.name or notebook.question:
        node.cells = node.cells[1:]
    if not appendix:
        node.cells = [c for c in node.cells if EVIDENCE not in c.metadata.get("tags", [])]
    return node


class _ShownOutputs(Preprocessor):
    """Replace outputs by Markdown that refers to numbered figures and tables."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.words = words
        self.figures: list[dict[str, str]] = []
        self.tables: list[dict[str, object]] = []
        self.blocks: dict[str, dict[str, str]] = {}
        self.terms: list[dict[str, str]] = []
        self.answered_first = False
        self._secret = token_hex(16)  # no text can hold it

    def preprocess_cell(
        self, cell: NotebookNode, resources: object, index: int
    ) -> tuple[NotebookNode, object]:
        if cell.cell_type == "code" and not LEFT_OUT & set(cell.metadata.get("tags", [])):
            cell.outputs = [shown for o in cell.outputs if (shown := self._shown(o)) is not None]
        return cell, resources

    def put_front(self, cells: list[NotebookNode]) -> None:
        """Put what was asked, and the contents, before the section that follows the answer."""
        shown = [c for c in cells if not LEFT_OUT & set(c.metadata.get("tags", []))]
        shown = [c for c in shown if c.cell_type == "markdown" or c.outputs]
        starts = [i for i, c in enumerate(shown) if _HEADING.search(c.source)]
        starts = [i for i in starts if i and shown[i].cell_type == "markdown"]
        if starts:
            first = shown[starts[0]]
            first.source = self._block(_FRONT, FRONT) + first.source
        elif cells:
            cells.insert(0, new_markdown_cell(self._block(_FRONT, FRONT)))

    def appendix(self, asked: list[dict[str, str]]) -> str:
        """Return a section with a table of every parameter."""
        rows = [[p["name"], p["value"], p["meaning"]] for p in asked]
        heads = [self.words(head) for head in headings("parameter", "value", "meaning")]
        every = ShownTable(heads, rows, ["left"] * 3, self.words("Every parameter of this report"))
        heading = self.words("Appendix: parameters")
        return f"\n\n## {heading}\n\n" + self._table(every._repr_html_(), every.caption)

    def glossary(self, body: str) -> str:
        """Return a section with the terms that the report uses; empty without any."""
        cells = [t for table in self.tables for row in table["rows"] for t in row]  # type: ignore[attr-defined]
        heads = [head for table in self.tables for head in table["columns"]]  # type: ignore[attr-defined]
        captions = [figure["caption"] for figure in self.figures]
        self.terms = glossary([body, *cells, *heads, *captions], self.words)
        if not self.terms:
            return ""
        items = "".join(
            f"<div><dt>{escape(t['term'])}</dt><dd>{escape(t['meaning'])}</dd></div>"
            for t in self.terms
        )
        block = self._block("#glossary()", f'<dl class="terms">{items}</dl>')
        return f"\n\n## {self.words('Terms')}\n\n{block}"

    def _shown(self, output: NotebookNode) -> NotebookNode | None:
        if output.output_type == "stream":
            return output if output.name == "stdout" else None
        if output.output_type == "error":
            return output
        data, about = output.data, output.metadata.get("gpuspec", {})
        if any("widget-view" in kind for kind in data):
            return None
        if about.get("kind") == "table":
            markdown = self._table(data["text/html"], about.get("caption", ""))
        elif "image/svg+xml" in data or "image/png" in data:
            markdown = self._figure(data, about)
        elif "text/markdown" in data or "text/latex" in data:
            markdown = story_in(data.get("text/markdown") or data["text/latex"], self.words)
            if about.get("part") == "answer":
                markdown = self._boxed(markdown)
        else:
            output.data = {"text/plain": data.get("text/plain", "")}
            return output
        output.data = {"text/markdown": markdown}
        return output

    def _boxed(self, markdown: str) -> str:
        """Put an answer into its box, and the question below it."""
        self.answered_first = True
        start = self._block("#answer-box[", '<section class="answer">')
        end = self._block("]", "</section>") + self._block(_SMALL, QUESTION)
        return f"{start}{markdown}\n\n{end}"

    def _block(self, typst: str, html: str) -> str:
        token = f"gpuspec{self._secret}x{len(self.blocks)}x"
        self.blocks[token] = {"typst": typst, "html5": html}
        return f"{token}\n\n"

    def _figure(self, data: Mapping[str, str], about: Mapping[str, str]) -> str:
        kind, suffix = ("image/svg+xml", "svg") if "image/svg+xml" in data else ("image/png", "png")
        content = data[kind] if suffix == "png" else base64.b64encode(data[kind].encode()).decode()
        content = "".join(content.split())
        place = len(self.figures)
        figure = {"file": f"figure-{place}.{suffix}", "base64": content}
        figure |= {key: self.words(about.get(key, "")) for key in ("caption", "alt")}
        self.figures.append(figure)
        image = f'<img src="data:{kind};base64,{escape(content)}" alt="{escape(figure["alt"])}">'
        if not figure["caption"]:
            return self._block(f"#shown-figure({place})", f'<figure tabindex="0">{image}</figure>')
        number = sum(bool(shown["caption"]) for shown in self.figures)
        label = f"<b>{escape(self.words('Figure'))} {number}.</b> {escape(figure['caption'])}"
        inside = f"{image}<figcaption>{label}</figcaption>"
        whole = f'<figure id="figure-{number}" tabindex="0">{inside}</figure>'
        return self._block(f"#shown-figure({place})", whole)

    def _table(self, html: str, caption: str) -> str:
        number, shown = len(self.tables) + 1, _read_back(html, caption, self.words)
        self.tables.append(vars(shown))
        again = shown._repr_html_()
        label = f"<b>{escape(self.words('Table'))} {number}.</b> "
        told = re.sub(r"(<caption[^>]*>)", lambda found: found[1] + label, again, count=1)
        wrapped = f'<div class="wide" id="table-{number}" tabindex="0">{told}</div>'
        return self._block(f"#shown-table({number - 1})", wrapped)


def _read_back(html: str, caption: str, words: Words) -> ShownTable:
    """Read back the table that :mod:`gpuspec.views.display` wrote, which is well-formed.

    Headings and caption are put into the language of `words`, and the few words of any column.
    """
    root = ElementTree.fromstring(html)
    head = root.findall("thead/tr/th")
    sides = [re.findall(r"text-align: (left|right|center)", c.get("style", ""))[0] for c in head]
    rows = [[cell.text or "" for cell in row] for row in root.findall("tbody/tr")]
    rows = [[words(text) if text in WORDS_OF_CELLS else text for text in row] for row in rows]
    heads = [heading_in(cell.text or "", words) for cell in head]
    return ShownTable(heads, rows, sides, words(caption))


def _asked(
    parameters: list[Parameter], values: Mapping[str, object], words: Words
) -> list[dict[str, str]]:
    return [
        {
            "name": p.name,
            "value": _shown_value(values.get(p.name, p.default)),
            "meaning": meaning_in(p.meaning, words),
            "changed": words("changed; default {default}").format(default=_shown_value(p.default))
            if values.get(p.name, p.default) != p.default
            else "",
        }
        for p in parameters
    ]


def _facts(notebook: Notebook, values: Mapping[str, object], words: Words, day: date) -> Facts:
    every = _asked(notebook.parameters, values, words)
    changed = [p for p in every if p["changed"]]
    made_with = [f"gpuspec {__version__}", f"Python {python_version()}"]
    made_with += [f"{package} {version(package)}" for package in _PACKAGES]
    return {
        "asked": changed,
        "rest": _rest(len(every), len(every) - len(changed), words),
        "date": day.isoformat(),
        "data": "; ".join(filter(None, (_data_age(words, day), _own(words)))),
        "version": __version__,
        "made_with": made_with,
        "labels": {label: words(label) for label in _LABELS},
    }


def _rest(every: int, unchanged: int, words: Words) -> str:
    """Say how many parameters were left at their defaults."""
    if not every:
        return words("This notebook takes no parameters.")
    if unchanged == every:
        return words("All {count} parameters are at their defaults.", count=every)
    if not unchanged:
        return ""
    return words("{count} other parameters are at their defaults.", count=unchanged)


def _shown_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and abs(value) >= 1e6 and float(f"{value:g}") == value:
        return f"{value:g}".replace("e+0", "e").replace("e+", "e")
    return "–" if value is None or value == "" else str(value)


def _own(words: Words) -> str:
    """Say how many own measurements the report was calibrated with."""
    count = own_rows()
    return words("calibrated with {count} measurements of yours", count=count) if count else ""


def _data_age(words: Words, day: date) -> str:
    seen: date = data_as_of()
    days = (day - seen).days
    if days < 0:
        return words("specifications as of {date}").format(date=seen.isoformat())
    age = words("today") if days == 0 else words("1 day old") if days == 1 else ""
    age = age or words("{days} days old").format(days=days)
    return words("specifications as of {date} ({age})").format(date=seen.isoformat(), age=age)
