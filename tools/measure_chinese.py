"""Measure how much English a Chinese report holds: words a page beside names.

    python tools/measure_chinese.py reports/*.pdf

Reads PDFs that ``gpuspec report NAME --lang zh`` wrote. A run of lower-case letters is a word, and
so is each Chinese character; names of `NAMES` and of the tables, whoever published a measurement,
its cases and the tenants of the example among them, are no English. What is set in the face of code
is code, and is not counted.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pypdf import PageObject, PdfReader

from gpuspec.base.ask import asked
from gpuspec.catalog import load_table
from gpuspec.evidence.validation import KINDS, measurements
from gpuspec.questions import QUESTIONS, record_of

NAMES = Path(__file__).with_name("chinese_names.txt")
MOST = 0.03
"""Share of English words that a page may hold."""
_CODE = re.compile(r"`[^`]*`|https?://\S+|\S*[/_=]\S*|--\S+")
_WORD = re.compile(r"(?<![\w.-])[a-z]{2,}(?![\w-])")
_HAN = re.compile("[\u3400-\u9fff]")


@cache
def names() -> frozenset[str]:
    """Return the words that are names."""
    lines = [line for line in NAMES.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = {word for line in lines for word in line.split()}
    for table in ("models", "gpus", "frameworks", "engines", "workloads", "use-cases"):
        found |= {w for name in load_table(table)["id"] for w in re.findall("[a-z]+", name.lower())}
    for kind in KINDS:
        publishers = measurements(kind)["publisher"]
        found |= {w for name in publishers.unique() for w in re.findall("[a-z]+", name.lower())}
    for name in (*load_table("example-tenants")["name"], *measurements("hpc")["case"]):
        found |= set(re.findall("[a-z]+", str(name).lower()))
    for name in QUESTIONS:
        found |= {word for f in asked(record_of(name)) for word in f.name.split("_")}
    return frozenset(found)


def english(text: str) -> list[str]:
    """Return the English words of a text, names and code left out."""
    return [word for word in _WORD.findall(_CODE.sub(" ", text)) if word not in names()]


def told(page: PageObject) -> str:
    """Return the text of a page, but for what is set in the face of code."""
    parts: list[str] = []

    def take(text: str, _: object, __: object, font: dict[str, Any] | None, ___: float) -> None:
        if "Mono" not in str((font or {}).get("/BaseFont", "")):
            parts.append(text)

    page.extract_text(visitor_text=take)
    return "".join(parts)


def share(texts: Iterable[str]) -> float:
    """Return the share of English words among all words."""
    text = "\n".join(texts)
    words = len(english(text))
    return words / max(words + len(_HAN.findall(text)), 1)


def main() -> int:
    """Print the share of each page that is above `MOST`, and of each report."""
    worst = 0.0
    for path in sys.argv[1:]:
        pages = [told(page) for page in PdfReader(path).pages]
        print(f"{path}: {share(pages):.1%} of {len(pages)} pages")
        for number, page in enumerate(pages, 1):
            if (here := share([page])) > MOST:
                print(f"  page {number}: {here:.1%}: {' '.join(english(page)[:12])}")
        worst = max(worst, share(pages))
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
