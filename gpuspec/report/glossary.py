"""The terms that a report uses, with what they mean: its last half page."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from gpuspec.views.language import Words

with Path(__file__).with_name("terms.csv").open(encoding="utf-8", newline="") as _file:
    TERMS = {row["term"]: row["meaning"] for row in csv.DictReader(_file)}
"""What stands in a report, and what it means."""
MOST = 16
"""Terms that half a page holds; those that are used most are kept."""


def glossary(texts: Sequence[str], words: Words) -> list[dict[str, str]]:
    """Return the terms that the texts of a report hold, in a language, by the alphabet."""
    text = "\n".join(texts)
    counts = {term: _count(term, words(term), text) for term in TERMS}
    used = sorted((term for term in TERMS if counts[term]), key=lambda t: -counts[t])[:MOST]
    found = [{"term": words(term), "meaning": words(TERMS[term])} for term in used]
    return sorted(found, key=lambda entry: entry["term"].casefold())


def _count(term: str, said: str, text: str) -> int:
    """Return how often a text holds a term; one in Latin letters as a word of its own."""
    edges = (r"(?<![A-Za-z])", r"(?![A-Za-z])") if re.match(r"\w", term, re.ASCII) else ("", "")
    own = len(re.findall(edges[0] + re.escape(term) + edges[1], text))
    return own + (text.count(said) if said != term else 0)
