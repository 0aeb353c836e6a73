"""List the texts of the story that the Chinese catalogue lacks.

    python tools/write_messages.py [--check]

The story is what a report prints of a notebook's Markdown, the headings of tables' columns, and
the meanings of parameters. Headings, titles, questions and columns are required to be there.
"""

import ast
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from gpuspec.report.notebooks import Notebook, notebooks
from gpuspec.report.story import meaning_texts, opening_texts, story_texts
from gpuspec.views import language
from gpuspec.views.columns import COLUMNS

CATALOGUE = Path(language.__file__).parent / "locale/zh/LC_MESSAGES/gpuspec.po"


def constants(notebook: Notebook) -> set[str]:
    """Return the texts in a notebook's code: captions that do not depend on what was asked."""
    cells = [c.source for c in notebook.node.cells if c.cell_type == "code"]
    nodes = (node for source in cells for node in ast.walk(ast.parse(source)))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def app_texts() -> list[str]:
    """Return the texts of the page for a browser: those that its code says, and its labels."""
    import gpuspec.app
    from gpuspec.app import answers, page, question
    from gpuspec.decision.scenario import line

    found = [page.ABOUT, *answers.TITLES.values(), *question.WORKS]
    found += [question.label_of(name) for name in question.fields()]
    found += [choice for field in question.fields().values() for choice in field.choices]
    found += [line.BUDGET, line.OWNED, line.DEADLINE, question.BLANK]
    for path in sorted(Path(gpuspec.app.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "text":
                found += _texts(node.value)
            if isinstance(node, ast.Call) and _name(node.func) == "say" and node.args:
                found += _texts(node.args[0])
    return list(dict.fromkeys(found))


def _name(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _texts(node: ast.expr) -> list[str]:
    """Return the texts of an expression that is one, or a choice of several."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return [node.value] if is_text and re.search("[A-Za-z]{2}", node.value) else []


ORIGINS = {
    "app": app_texts,
    "parameters": lambda: {t for n in notebooks() for t in meaning_texts(n)},
} | {f"notebooks/{n.path.name}": lambda n=n: {*story_texts(n), *constants(n)} for n in notebooks()}
"""What the catalogue's entries say they come from, and the texts that are there."""


def catalogue() -> Catalog:
    """Return the Chinese catalogue."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh")


def missing(texts: Iterable[str]) -> list[str]:
    """Return the texts without a translation, each once, in their order."""
    known = {str(m.id) for m in catalogue() if m.id and m.string}
    return [text for text in dict.fromkeys(texts) if text not in known]


def required() -> list[str]:
    """Return every title, question, heading, heading of a column, and text of the page."""
    opening = [text for notebook in notebooks() for text in opening_texts(notebook)]
    return opening + app_texts() + [c.heading for c in COLUMNS.values()] + ["low", "high"]


def dead() -> list[str]:
    """Return the entries of the story whose text is no longer where they say it is."""
    found = []
    for message in catalogue():
        origins = [str(path) for path, _ in message.locations]
        if origins and not any(message.id in ORIGINS[origin]() for origin in origins):
            found.append(str(message.id))
    return found


def main() -> int:
    """Print what is missing; ``--check`` fails where that is required, or an entry is dead."""
    groups = {"titles, questions, headings, columns, app": required()}
    groups |= {notebook.path.stem: story_texts(notebook) for notebook in notebooks()}
    groups |= {"parameters": [t for n in notebooks() for t in meaning_texts(n)]}
    for group, texts in groups.items():
        lacking = missing(texts)
        print(f"{group}: {len(lacking)} of {len(dict.fromkeys(texts))} without a translation")
        print("".join(f"  {text}\n" for text in lacking), end="")
    gone = dead()
    print(f"entries whose text is gone: {len(gone)}")
    print("".join(f"  {text}\n" for text in gone), end="")
    return int("--check" in sys.argv and bool(gone or missing(required())))


if __name__ == "__main__":
    sys.exit(main())
