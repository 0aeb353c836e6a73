"""How names of data are spelt in cells of tables: as people write them, in place of their ids."""

import re
from collections.abc import Callable, Mapping

from gpuspec.catalog import gpu_titles, kept, table_rows
from gpuspec.views.language import say

_WORDS = {
    "ttft": "TTFT",
    "tpot": "TPOT",
    "ttft_ms": "TTFT",
    "tpot_ms": "TPOT",
    "grpo": "GRPO",
    "dapo": "DAPO",
    "first_token": "first token alone",
    "inflight_max": "as many in flight as fit",
    "static_batch": "one batch at a time",
    "fp8": "FP8",
    "bf16": "BF16",
}
_LINK = re.compile(r"(nvlink|pcie)-(\d)((?:-[a-z]+)*)")
_MAKERS = {"nvlink": "NVLink", "pcie": "PCIe"}
_WIRING = {"mesh": "without a switch", "peer": "peer to peer", "sockets": "across sockets"}


def spelt(text: str) -> str:
    """Write what is measured, engines, formats and families of GPUs as people do, word by word.

    >>> spelt("sglang, ttft"), spelt("h100 / a100"), spelt("two a100s"), spelt("dense models")
    ('SGLang, TTFT', 'H100 / A100', 'two A100s', 'dense models')
    """
    names = _names()
    return _word().sub(lambda found: names[found[0]], text)


def spelt_link(text: str) -> str:
    """Write the wiring of GPUs.

    >>> spelt_link("nvlink-4-mesh"), spelt_link("pcie-5-peer-sockets"), spelt_link("other")
    ('NVLink 4, without a switch', 'PCIe 5, peer to peer, across sockets', 'other')
    """
    if not (found := _LINK.fullmatch(text)):
        return text
    how = [say(_WIRING.get(word, word)) for word in found[3].split("-")[1:]]
    return say(", ").join([f"{_MAKERS[found[1]]} {found[2]}", *how])


def _called(table: str) -> Callable[[str], str]:
    """Return what writes the names that a table of data has for its ids, without what it adds."""

    def call(text: str) -> str:
        names = {row["id"]: row["name"] for row in table_rows(table)}
        return re.split(r" \(| to | and |, ", str(names.get(text, text)))[0]

    return call


SPELT: Mapping[str, Callable[[str], str]] = {
    "quantity": spelt,
    "metric": spelt,
    "figure": spelt,
    "algorithm": spelt,
    "pair": spelt,
    "error_of": spelt,
    "link": spelt_link,
    "model": _called("models"),
    "era": _called("engines"),
    "framework": _called("frameworks"),
    "hpc_class": _called("workloads"),
}
"""Columns whose cells are spelt, and how; what no table knows stays as it is."""


@kept
def _names() -> dict[str, str]:
    engines = {row["engine"]: row["name"].split()[0] for row in table_rows("engines")}
    engines.pop("other", None)
    families = {key.split("-")[0]: title.split()[0] for key, title in gpu_titles().items()}
    several = {f"{family}s": f"{title}s" for family, title in families.items()}
    return _WORDS | engines | families | several


@kept
def _word() -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(_names(), key=len, reverse=True)))
    return re.compile(rf"(?<![\w.-])(?:{words})(?![\w.-])", re.ASCII)
