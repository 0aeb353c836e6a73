"""The table of families: what the keys of a config.json mean in each (``model_families.json``).

An entry of the table may hold

- ``like``: the family from which everything not stated here is taken;
- ``defaults``: what the family's own code takes for keys that are absent;
- ``sizes``: the sizes that it takes in a section of a larger file which leaves them out;
- ``names``: what its keys are called, where that differs from the common names;
- ``fields``: columns that hold for the whole family;
- ``when``, ``unless``: columns that hold when a flag of the file is true, or is not;
- ``pattern``: the kinds of its layers where the file does not say, repeated;
- ``attention``, ``linear``: how the two kinds of mixers are read (`MIXERS`);
- ``moe``: whether its code knows experts; ``own``: arithmetic of its own (`OWN`);
- ``unused``: keys that its code does not read;
- ``classes``: further names of its architecture; ``warning``: what to say of its numbers.

A composite (text with images or sound) has ``text``, where its language model stands, and
``tower``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gpuspec.base.paths import DATA

Fields = dict[str, Any]
_MERGED = ("names", "fields", "when", "unless")
_SUFFIXES = (
    "ForCausalLM", "ForConditionalGeneration", "LMHeadModel", "ForMaskedLM", "Model", "LM",
    "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForPreTraining",
    "ForTextEncoding", "ForSpeechSeq2Seq", "Encoder", "ForEmbedding", "WithLMHead",
)  # fmt: skip
HEADLESS = ("Model", "ForTextEncoding", "Encoder", "ForEmbedding")
"""Ends of names of classes without an output projection."""
CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification")


@dataclass(frozen=True)
class Family:
    """One entry of the table, with what it takes from the family that it is like."""

    name: str
    like: tuple[str, ...] = ()
    kind: str = "llm"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, list[str]] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unless: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pattern: tuple[str, ...] = ("full",)
    attention: str = "grouped_query"
    linear: str = ""
    own: str = ""
    moe: bool = False
    unused: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()
    text: str = ""
    tower: str = ""
    warning: str = ""


@cache
def table() -> dict[str, Any]:
    """Return the content of the table."""
    return json.loads((DATA / "model_families.json").read_bytes())


@cache
def known() -> list[str]:
    """Return the names of all families, composites too; those with ``_`` are no model's own."""
    names = (name for name in table()["families"] if not name.startswith("_"))
    return sorted(names, key=str.lower)


@cache
def family(name: str) -> Family:
    """Return a family by its ``model_type``, which must be `known`."""
    stated = table()["families"][name]
    parent = family(stated["like"]) if "like" in stated else Family("", names=table()["names"])
    merged: Fields = {key: {**getattr(parent, key), **stated.get(key, {})} for key in _MERGED}
    merged["defaults"] = _defaults(parent.defaults, stated.get("defaults", {}), merged["names"])
    unused = parent.unused | set(stated.get("unused", ()))
    others = ("kind", "attention", "linear", "own", "moe", "text", "tower")
    plain: Fields = {key: stated.get(key, getattr(parent, key)) for key in others}
    return Family(
        name=name,
        like=(parent.name, *parent.like) if parent.name else (),
        sizes=stated.get("sizes", {}),
        pattern=tuple(stated.get("pattern", parent.pattern)),
        classes=tuple(stated.get("classes", ())),
        unused=unused,
        warning=stated.get("warning", ""),
        **merged,
        **plain,
    )


def _defaults(
    inherited: Mapping[str, Any], own: Mapping[str, Any], names: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Return what a family takes for absent keys; its own outranks other names of a thing."""
    same = {other for several in names.values() if own.keys() & {*several} for other in several}
    return {key: value for key, value in inherited.items() if key not in same} | dict(own)


def stem(architecture: str) -> tuple[str, str]:
    """Return the family part of the name of a class, in small letters, and the rest of the name.

    >>> stem("Qwen3MoeForCausalLM")
    ('qwen3moe', 'ForCausalLM')
    """
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if architecture.endswith(suffix) and len(architecture) > len(suffix):
            return _plain(architecture.removesuffix(suffix)), suffix
    return _plain(architecture), ""


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


@cache
def stems() -> dict[str, str]:
    """Return which family a class belongs to, by the family part of its name."""
    found: dict[str, str] = {}
    for name, stated in table()["families"].items():
        for known_as in (name, *stated.get("classes", ())):
            found.setdefault(_plain(known_as), name)
    return found


def accepts(name: str, architecture: str) -> bool:
    """Tell whether a class is one of a family's own, or of a family that it is read as."""
    base = stem(architecture)[0]
    stated = table()["families"][name]
    own = {_plain(known_as) for known_as in (name, *stated.get("classes", ()))}
    text = name.removesuffix("_text")
    return base in own | {_plain(text)} or base in {_plain(f"{text}_{t}") for t in ("vl", "text")}
