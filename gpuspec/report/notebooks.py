"""The notebooks that a report can be made of, and the parameters that each takes."""

import ast
import io
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpuspec.base.ask import asked
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import MOST_TABLE_BYTES, check_text, path_of, read_text
from gpuspec.base.paths import NOTEBOOKS
from gpuspec.questions import notebook_records

if TYPE_CHECKING:
    from nbformat import NotebookNode

EARLIER_NAMES = {"inference": "serving", "interconnect": "networks"}
"""Names of notebooks in the release before, still understood."""
_WORDS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell: ``name = default  # meaning``."""

    name: str
    default: object
    meaning: str
    kind: str  # of int, float, bool, str; or what type() calls the default


@dataclass(frozen=True)
class Notebook:
    """A notebook file and what its first cells say about it."""

    name: str
    path: Path

    @cached_property
    def node(self) -> "NotebookNode":
        """The file's content, as nbformat reads it."""
        return _read(self.path)

    @property
    def shipped(self) -> bool:
        """Whether it is one of ours, which leaves nothing to be done when its kernel ends."""
        return self.path.parent == NOTEBOOKS

    @property
    def title(self) -> str:
        """The first heading, or the file's name where there is none."""
        return self._opening[0]

    @property
    def question(self) -> str:
        """The Markdown that follows the title in the first cell."""
        return self._opening[1]

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The parameters in the order of the cell that defines them."""
        tagged = (c for c in self.node.cells if "parameters" in c.metadata.get("tags", []))
        cell = next((c for c in tagged if c.cell_type == "code"), None)
        return _parameters(cell.source, self.path) if cell else []

    @cached_property
    def _opening(self) -> tuple[str, str]:
        first = self.node.cells[0] if self.node.cells else None
        source = first.source.strip() if first and first.cell_type == "markdown" else ""
        found = re.match(r"#[ \t]+(?P<title>[^\n]+)(?P<rest>.*)", source, re.DOTALL)
        if not found:
            return self.name, ""
        return found["title"].strip(), found["rest"].strip()


def notebooks() -> list[Notebook]:
    """Return the shipped notebooks in the order of their numbers."""
    return [Notebook(p.stem[3:], p) for p in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))]


def find(name: str | Path) -> Notebook:
    """Find a notebook by short name, by file name without suffix, or by path.

    Raises
    ------
    UnknownNameError
        When no shipped notebook is called so; lists close matches.
    InputError
        When a path does not lead to a notebook.
    """
    text = str(name)
    if text.endswith(".ipynb") or "/" in text or "\\" in text:
        notebook = Notebook(Path(text).stem, path_of("notebook", text))
        _ = notebook.node
        return notebook
    shipped = notebooks()
    text = EARLIER_NAMES.get(text, text)
    for notebook in shipped:
        if text in (notebook.name, notebook.path.stem):
            return notebook
    raise UnknownNameError("notebook", text, [notebook.name for notebook in shipped])


def inspect(name: str | Path) -> list[Parameter]:
    """Return the parameters of a notebook, given as in :func:`find`."""
    return find(name).parameters


def check_parameters(notebook: Notebook, given: Mapping[str, object]) -> dict[str, object]:
    """Return the values given for a notebook's parameters, converted to the types of the defaults.

    They are text as typed, or Python values, by name.

    Raises
    ------
    UnknownNameError
        When the notebook has no such parameter; lists close matches.
    InputError
        When a value is not of the parameter's type.
    """
    known = {parameter.name: parameter for parameter in notebook.parameters}
    records = notebook_records(notebook.name) if notebook in notebooks() else []
    today = {old: field.name for field in asked(*records) for old in field.was}
    may_be_blank = {field.name for field in asked(*records) if field.blank}
    values: dict[str, object] = {}
    for given_name, value in given.items():
        name = today.get(given_name, given_name)
        if name not in known:
            if not known:
                raise InputError("parameter", name, f"{notebook.name} has no parameters")
            raise UnknownNameError("parameter", name, known)
        blank = name in may_be_blank and (value is None or not str(value).strip())
        values[name] = None if blank else _converted(known[name], value)
    for record in records:
        record.of(values)
    return values


def _converted(parameter: Parameter, value: object) -> object:
    """Read `value` as the parameter's kind; text as a person types it, the rest as it is."""
    text = value.strip() if isinstance(value, str) else None
    number = None if isinstance(value, bool) or not isinstance(value, (int, float)) else value
    valid = {
        "int": "give a whole number such as 8192",
        "float": "give a number such as 0.9",
        "bool": "say true or false",
        "str": "give a text",
    }.get(parameter.kind, f"give a {parameter.kind} as Python writes it")
    refused = InputError(parameter.name, value, valid)
    if parameter.kind == "str":
        if text is None:
            raise refused
        return check_text(parameter.name, str(value))
    if parameter.kind == "bool":
        answer = value if isinstance(value, bool) else _WORDS.get((text or "").lower())
        if answer is None:
            raise refused
        return answer
    if parameter.kind == "int":
        if text is not None and re.fullmatch(r"[+-]?[0-9]{1,40}", text):
            return int(text)
        if number is not None and math.isfinite(number) and number == int(number):
            return int(number)
        raise refused
    if parameter.kind == "float":
        try:
            found = float(number if text is None else text)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise refused from None
        if not math.isfinite(found):
            raise refused
        return found
    if text is None:
        return value
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        read = check_text(parameter.name, text)
    if parameter.kind != "NoneType" and type(read).__name__ != parameter.kind:
        raise refused
    return read


def _parameters(source: str, path: Path) -> list[Parameter]:
    """Read the assignments of a cell with the comment that ends each.

    The tree of the code rather than a pattern, because a comment may hold "=" and a text "#".
    """
    try:
        tree = ast.parse(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise InputError(
            "notebook", str(path), f"its parameters cell is no Python: {error}"
        ) from None
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = []
    for line in tree.body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1:
            target, declared = line.targets[0], None
        elif isinstance(line, ast.AnnAssign) and line.value is not None:
            target, declared = line.target, ast.unparse(line.annotation)
        else:
            continue
        if not isinstance(target, ast.Name) or line.value is None:
            continue
        try:
            default = ast.literal_eval(line.value)
        except ValueError:
            continue  # computed from other parameters; not for the caller to set
        kind = declared if declared in ("int", "float", "bool", "str") else type(default).__name__
        meaning = comments.get(line.end_lineno or line.lineno, "").strip()
        found.append(Parameter(target.id, default, meaning, kind))
    return found


def _read(path: Path) -> "NotebookNode":
    import nbformat

    text = read_text("notebook", path, MOST_TABLE_BYTES)
    try:
        node = nbformat.reads(text, as_version=4)
        nbformat.validate(node)
    except Exception as error:
        raise InputError("notebook", str(path), "the file is not a Jupyter notebook") from error
    return node
