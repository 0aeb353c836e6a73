"""Names that a shell completes: those of the tables, of the questions and of the notebooks."""

import re
from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

_BEFORE = re.compile(r".*[,;，；、]\s*")
_TABLES = (
    *("gpus", "models", "servers", "links", "engines", "frameworks", "precisions", "regions"),
    *("workloads", "use-cases", "load-profiles", "training_recipes", "image-models"),
)
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def names_of(what: str) -> list[str]:
    """Return the names of what a table, or the program itself, lists; empty for what is none."""
    if what in _TABLES:
        from gpuspec.catalog.tables import table_rows

        return [str(row["id"]) for row in table_rows(what)]
    if what == "scenarios":
        from gpuspec.decision.scenario import scenario_names

        return scenario_names()
    if what == "notebooks":
        from gpuspec.report import notebooks

        return [notebook.name for notebook in notebooks()]
    if what == "kinds of work":
        from gpuspec.decision.scenario.records import KINDS

        return list(KINDS)
    if what == "languages":
        from gpuspec.views.language import languages

        return languages()
    return []


def completed(names: Iterable[str], text: str) -> list[CompletionItem]:
    """Return the names that begin as the last part of a text does; without any, files.

    >>> [item.value for item in completed(["a100-sxm-80", "h100-sxm-80"], "A100,h1")]
    ['A100,h100-sxm-80']
    """
    before = found[0] if (found := _BEFORE.match(text)) else ""
    begun = text[len(before) :].lower()
    found_names = [name for name in names if name.lower().startswith(begun)]
    if found_names:
        return [CompletionItem(before + name) for name in found_names]
    return [CompletionItem(text, type="file")]


def completes(what: str) -> Complete:
    """Return what completes the names of a table, or of what else `names_of` knows."""
    return lambda _, __, text: completed(names_of(what), text)
