"""Names of checkpoints: a fine-tune or a quantised copy of a model of the table, by its name."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

FORMATS = {
    "fp8": "fp8",
    "w8a8fp8": "fp8",
    **dict.fromkeys(("int8", "w8a8", "w8a16", "8bit"), "int8"),
    **dict.fromkeys(("awq", "gptq", "int4", "w4a16", "4bit"), "int4-awq"),
    **dict.fromkeys(("nf4", "bnb"), "nf4-dq"),
    **dict.fromkeys(("nvfp4", "fp4"), "nvfp4"),
    **{name: name for name in ("mxfp4", "mxfp8", "bf16", "fp16")},
}
"""Words of a name that say what its weights are stored in, and the format of precisions.csv."""
_ADDED = """instruct chat it base hf pt sft dpo thinking reasoning coder code math preview latest
dynamic static block channel tensor uncensored abliterated turbo bnb unsloth quantized"""
ADDED = frozenset(_ADDED.split())
"""Words that leave the dimensions of a model as they are."""
_OTHER = """vl vision omni audio next moe mamba hybrid linear embedding rerank reranker reward eagle
eagle3 medusa mtp lora draft speculator speculative asr tts ocr guard diffusion mini nano small
medium large lite flash air max plus pro ultra super scout maverick e2b e4b 1m"""
OTHER = frozenset(_OTHER.split())
"""Words that name another network, or other dimensions."""
_SIZE = re.compile(r"(?:\d+x)?\d+(?:\.\d+)?[bmt]|a\d+(?:\.\d+)?b")
_NAMED = re.compile(r"[a-z]{3,}\d[\d.]*")
"""A family with its version, which names a model without any other word."""
_VERSION = re.compile(r"v\d[\d.]*")
_DATE = re.compile(r"\d{4}|g\d+")
"""A month or day of release, or the size of a quantisation group."""


class Checkpoint(NamedTuple):
    """The row of the table that a checkpoint's name means, and what else the name says."""

    id: str
    stored: str
    """Format of its weights, empty where the name does not say."""
    further: tuple[str, ...]
    """Words of the name that nothing here knows: of whoever tuned it, most often."""


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name: lower case, family and version together.

    >>> words_of("meta-llama/Meta-Llama-3.1-8B-Instruct")
    ('llama3.1', '8b', 'instruct')
    """
    plain = unicodedata.normalize("NFKC", name).casefold().rsplit("/", 1)[-1]
    parts = [part for part in re.split(r"[\s_\-:]+|\.(?=[a-z])", plain) if part and part != "meta"]
    words: list[str] = []
    for part in parts:
        number = re.fullmatch(r"v?\d+(?:\.\d+)*", part)
        family = bool(words) and words[-1].isalpha() and words[-1] not in ADDED
        if number and family and not _DATE.fullmatch(part):
            words[-1] += part.removeprefix("v")
        else:
            words.append(part)
    return tuple(words)


def checkpoint(name: str, labels: Mapping[str, Iterable[str]]) -> Checkpoint | None:
    """Return what a name means that is no name of the table; None where nothing is meant surely.

    The row with the most words that all stand in the name, then with the fewest of `ADDED` that
    only one of the two has; words that remain must not name another size or another network
    (`OTHER`).

    Parameters
    ----------
    labels : mapping
        The ids of the table with their names and aliases.
    """
    words = words_of(name[:200])
    have = set(words)
    fits: dict[tuple[int, int], set[str]] = {}
    for key, names in labels.items():
        for label in names:
            said = set(words_of(label))
            needed = said - ADDED
            if needed <= have and (len(needed) > 1 or any(map(_NAMED.fullmatch, needed))):
                apart = len((said ^ have) & ADDED)
                fits.setdefault((len(needed), -apart), set()).add(key)
    if not fits:
        return None
    most = max(fits)
    if len(fits[most]) > 1:
        return None
    (key,) = fits[most]
    own = {word for label in labels[key] for word in words_of(label)}
    rest = [word for word in words if word not in own]
    stored = next((FORMATS[word] for word in rest if word in FORMATS), "")
    if any(word in OTHER or _SIZE.fullmatch(word) or _VERSION.fullmatch(word) for word in rest):
        return None
    known = ADDED | FORMATS.keys()
    further = tuple(word for word in rest if word not in known and not _DATE.fullmatch(word))
    return None if further and most[0] == 1 else Checkpoint(key, stored, further)
