"""A scenario of each kind of work to start from: every field, with what it means."""

import textwrap
from typing import Any

from pydantic import BaseModel

from gpuspec.base import files
from gpuspec.base.ask import Asked, asked
from gpuspec.base.documents import read_document
from gpuspec.base.errors import UnknownNameError
from gpuspec.decision.scenario.reading import SHIPPED, scenario_names
from gpuspec.decision.scenario.records import KINDS, Allow, Budget, SiteLimits
from gpuspec.views.language import Words, translator

WIDTH = 96
EXAMPLES = "small-team"
"""The shipped scenario whose works are the examples, where it has one of a kind."""
HEAD = (
    "gpuspec plan FILE answers this file as it is. A field behind a # has the default that stands "
    "there, or is blank: take the # away to state it. Amounts and times may be written as people "
    "say them: 500k, 3万, 2 weeks (docs/asking.md)."
)
OWNED = "GPUs that are there already; bought (a day) and book_usd may stand beside."
PARTS: dict[str, tuple[type[BaseModel], dict[str, object]]] = {
    "budget": (Budget, {"monthly_usd": 30000}),
    "limits": (SiteLimits, {}),
    "allow": (Allow, {"gpus": "A100,H100,H200"}),
}
"""Parts of a scenario beside its works, and what the template states of them."""


def template(kind: str, language: str | None = None) -> str:
    """Return the text of a scenario with one work of a kind, its meanings in a language.

    Raises
    ------
    UnknownNameError
        For a kind that there is none of.

    >>> from gpuspec.base.documents import from_yaml
    >>> from gpuspec.decision.scenario import scenario
    >>> scenario(from_yaml("template", template("hpc"), "")).workloads[0].kind
    'hpc'
    """
    kind = kind.strip().lower()
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    say = translator(language)
    lines = [*_comment(say(HEAD), ""), f"name: {kind}", "horizon_months: 36", ""]
    lines += [*_comment(say(OWNED), ""), "# owned: [{gpu: A100, count: 8}]"]
    for name, (record, stated) in PARTS.items():
        head = f"{name}:" if stated else f"# {name}:"
        lines += ["", head, *_fields(record, stated, "  ", say)]
    first, *rest = _fields(KINDS[kind], _example(kind), "    ", say)
    lines += ["", "workloads:", first.replace("    ", "  - ", 1), *rest]
    return "\n".join(lines) + "\n"


def _example(kind: str) -> dict[str, Any]:
    """Return the first work of a kind of the shipped scenarios, as it is written there."""
    contents = [
        read_document("kind", SHIPPED / f"{name}.yaml", files.MOST_SCENARIO_BYTES)
        for name in (EXAMPLES, *scenario_names())
    ]
    works = (work for content in contents for work in content["workloads"])
    return next(dict(work) for work in works if work["kind"] == kind)


def _fields(record: type[BaseModel], stated: dict[str, Any], indent: str, say: Words) -> list[str]:
    """Return the fields, each below what it means: those that are stated, then the others."""
    known = {field.name: field for field in asked(record)}
    lines: list[str] = []
    for name in [*stated, *(n for n in known if n not in stated)]:
        lines += _comment(_meaning(known[name], say), indent)
        value = _value(stated[name] if name in stated else known[name].default)
        mark = "" if name in stated else "# "
        lines.append(f"{indent}{mark}{name}:{value}")
    return lines


def _meaning(field: Asked, say: Words) -> str:
    words = [say(field.help), f"[{field.unit}]" if field.unit else ""]
    words.append(f"({', '.join(map(str, field.choices))})" if len(field.choices) > 1 else "")
    return " ".join(filter(None, words))


def _comment(text: str, indent: str) -> list[str]:
    width = WIDTH - len(indent)
    width = width if text.isascii() else width // 2  # Chinese letters are twice as wide
    return [f"{indent}# {line}" for line in textwrap.wrap(text, width)]


def _value(value: Any) -> str:
    """Write a value as YAML, behind the colon of its field."""
    import yaml

    if value is None or value in ("", ()):
        return ""
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        rows = [yaml.safe_dump(row, default_flow_style=True, width=1000).strip() for row in value]
        return "".join(f"\n      - {row}" for row in rows)
    value = list(value) if isinstance(value, tuple) else value
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000)
    return " " + text.removesuffix("...\n").strip()
