"""List the texts that the Chinese catalogue lacks.

    python tools/write_messages.py [--check]

Required are titles, questions, headings and columns of the story; what code says (`said`), and what
it writes with names and numbers in captions and pictures, which is found by its shape (`written`).
The rest of the story, and the meanings of parameters, are listed.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from gpuspec.catalog import table_rows
from gpuspec.report.notebooks import Notebook, notebooks
from gpuspec.report.story import meaning_texts, opening_texts, story_texts
from gpuspec.views import language
from gpuspec.views.columns import COLUMNS

PACKAGE = Path(language.__file__).parents[1]
CATALOGUE = PACKAGE / "views/locale/zh/LC_MESSAGES/gpuspec.po"
SAYS = ("say", "ENGLISH")
"""What a function that says its first argument is called."""
WORD = re.compile(r"[a-z]{2,}")


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
    found += [line.BUDGET, line.OWNED, line.TENANTS, line.DEADLINE, question.BLANK]
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


def help_texts() -> list[str]:
    """Return what the commands' help says, in the parts that are put into a language."""
    import click

    from gpuspec.cli import main
    from gpuspec.cli.help import parts_of

    def commands(group: click.Group) -> Iterator[click.Command]:
        yield group
        for command in group.commands.values():
            yield from commands(command) if isinstance(command, click.Group) else [command]

    texts = [text for command in commands(main) for text in parts_of(command)]
    return list(dict.fromkeys(texts))


def argument_texts() -> list[str]:
    """Return what engines' commands cannot say."""
    rows = table_rows("engine-arguments")
    return list(dict.fromkeys(row["cannot"] for row in rows if row["cannot"]))


ORIGINS = {
    "app": app_texts,
    "data/engine_arguments.csv": argument_texts,
    "gpuspec/cli": help_texts,
    "parameters": lambda: {t for n in notebooks() for t in meaning_texts(n)},
} | {f"notebooks/{n.path.name}": lambda n=n: {*story_texts(n), *constants(n)} for n in notebooks()}
"""What the catalogue's entries say they come from, and the texts that are there."""


@cache
def catalogue() -> Catalog:
    """Return the Chinese catalogue."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh")


def missing(texts: Iterable[str]) -> list[str]:
    """Return the texts without a translation, each once, in their order."""
    known = _known()
    return [text for text in dict.fromkeys(texts) if text not in known]


@cache
def _known() -> set[str]:
    return {str(m.id) for m in catalogue() if m.id and m.string}


def required() -> list[str]:
    """Return every title, question, heading, heading of a column, and text of the page."""
    opening = [text for notebook in notebooks() for text in opening_texts(notebook)]
    return (
        opening
        + app_texts()
        + argument_texts()
        + help_texts()
        + [c.heading for c in COLUMNS.values()]
        + ["low", "high"]
    )


def said() -> list[str]:
    """Return every template that code says, and the tables of sentences of modules of words."""
    found = [text for path in PACKAGE.rglob("*.py") for text in _said(_tree(path))]
    words = [path for path in PACKAGE.rglob("words*.py") if path.parent.name != "views"]
    return found + [text for path in words for text in _tables(_tree(path))]


def written() -> list[str]:
    """Return the captions and labels of pictures that code writes with values in them."""
    trees = [_tree(path) for path in PACKAGE.rglob("pictures.py")]
    cells = (c for n in notebooks() for c in n.node.cells if c.cell_type == "code")
    trees += [ast.parse(cell.source) for cell in cells]
    return [text for tree in trees for text in _written(tree)]


def shapeless(texts: Iterable[str]) -> list[str]:
    """Return those texts, fields as ``{}``, that no shape of the catalogue finds."""
    shapes = {
        bare(str(m.id))
        for m in catalogue()
        if language.SHAPE.removeprefix("#. ") in m.auto_comments
    }
    return [text for text in dict.fromkeys(texts) if text not in shapes]


def bare(template: str) -> str:
    """Return a template with its fields as ``{}``."""
    parts = Formatter().parse(template)
    return "".join(literal + ("" if field is None else "{}") for literal, field, _, _ in parts)


def fields(template: str) -> set[str]:
    """Return the names of a template's fields."""
    return {field for _, field, _, _ in Formatter().parse(template) if field is not None}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _said(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in SAYS:
            told = [node.args[0]]
            if isinstance(told[0], ast.IfExp):
                told = [told[0].body, told[0].orelse]
            yield from (t.value for t in told if _is_text(t) and WORD.search(t.value))


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _tables(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value:
            inside = list(ast.walk(statement.value))
            keys = {id(key) for d in inside if isinstance(d, ast.Dict) for key in d.keys}
            texts = (n.value for n in inside if _is_text(n) and id(n) not in keys)
            yield from (text for text in texts if " " in text and WORD.search(text))


def _written(tree: ast.AST) -> Iterator[str]:
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n.func) in SAYS]
    apart = {id(part) for call in calls for part in ast.walk(call)}
    strings = [n for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) and id(n) not in apart]
    inner = {id(part) for n in strings for part in ast.walk(n) if part is not n}
    for node in strings:
        parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
        text = "".join(map(str, parts))
        if id(node) not in inner and len(WORD.findall(text.replace("{}", " "))) > 1:
            yield text


def dead() -> list[str]:
    """Return the entries of the story whose text is no longer where they say it is."""
    found, texts = [], {origin: origin_texts() for origin, origin_texts in ORIGINS.items()}
    for message in catalogue():
        origins = [str(path) for path, _ in message.locations]
        if origins and not any(message.id in texts[origin] for origin in origins):
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
    for group, texts in {"said": missing(said()), "written": shapeless(written())}.items():
        print(f"{group}: {len(texts)} without a translation")
        print("".join(f"  {text}\n" for text in texts), end="")
    gone = dead()
    print(f"entries whose text is gone: {len(gone)}")
    print("".join(f"  {text}\n" for text in gone), end="")
    lacking = [*missing(required()), *missing(said()), *shapeless(written())]
    return int("--check" in sys.argv and bool(gone or lacking))


if __name__ == "__main__":
    sys.exit(main())
