"""What an inference engine adds to its kernels: the few constants of its scheduler."""

import re
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, Field

from gpuspec.catalog import resolve, table_rows
from gpuspec.catalog.engines import EngineLimits
from gpuspec.constants.stored import stored
from gpuspec.constants.terms import Terms

COMPILED_SHARE = 0.1
"""What a compiled program takes of the time in which Python does the same for a sequence."""


class EngineTerms(Terms):
    """Constants of an engine and its era, fitted to published end-to-end measurements."""

    iteration_us: float = Field(250.0, ge=0.0, le=30_000.0)
    """Host time of one iteration: scheduling, preparing, sampling. Beside the GPU's where the
    engine works ahead, else added to it."""
    sequence_us: float = Field(10.0, ge=0.0, le=1000.0)
    """More for each sequence of the iteration (sampling, bookkeeping) where a program in Python
    schedules; a compiled one takes `COMPILED_SHARE` of it."""
    layer_us: float = Field(18.0, ge=0.0, le=150.0)
    """Small kernels of a layer: norms, residuals, rotary, activation."""
    expert_layer_us: float = Field(15.0, ge=0.0, le=500.0)
    """More where the layer is a mixture of experts: choosing, counting and scaling, a dozen kernels
    in the first engines that ran DeepSeek-V3, one in later ones."""
    eager_layer_us: float = Field(80.0, ge=0.0, le=2000.0)
    """Host time to launch the kernels of a layer one by one, as an iteration that reads prompts
    needs (CUDA graphs hold decoding only); hidden where the GPU takes longer, nothing where a
    compiled program launches (`EngineLimits.compiled`)."""
    eager_expert_us: float = Field(250.0, ge=0.0, le=5000.0)
    """More where the layer is a mixture of experts: routing, sorting, grouped products."""
    attention_factor: float = Field(1.0, ge=0.5, le=3.0)
    """Time of attention over that of the calibrated kernels, one query a key."""
    grouped_factor: float = Field(1.0, ge=0.5, le=6.0)
    """The same where several queries share a key; early engines repeated the keys."""
    fp8_cache_factor: float = Field(1.0, ge=0.5, le=2.0)
    """More or less of it for a cache of 8 bits, over the calibrated kernels for such a cache."""
    expert_factor: float = Field(1.0, ge=0.3, le=4.0)
    """Time of the experts over that of the calibrated kernels, computed in 16 bit."""
    expert_small_factor: float = Field(1.0, ge=0.3, le=4.0)
    """The same computed in FP8 or FP4; kernels of early 2025 were not tuned."""
    collective_start_factor: float = Field(1.8, ge=0.2, le=10.0)
    """Start of a collective over the calibrated one: GPUs also wait for each other."""
    collective_factor: float = Field(1.5, ge=0.2, le=5.0)
    """Its bytes' time over the calibrated one; less where it is hidden."""
    pcie_factor: float = Field(1.0, ge=0.2, le=5.0)
    """The same over PCIe between up to four GPUs, which share a socket."""
    pcie_far_factor: float = Field(1.0, ge=0.2, le=5.0)
    """The same over PCIe between more GPUs, whose messages cross the link of two sockets."""
    request_ms: float = Field(5.0, ge=0.0, le=100.0)
    """From a request's arrival at the engine's server to its first iteration: HTTP, tokenizer, the
    way to the scheduler's process; nothing in process. It keeps no iteration waiting."""
    prompt_us: float = Field(4.0, ge=0.0, le=50.0)
    """More for each token of its prompt: sending, reading and splitting the text."""
    stream_us: float = Field(50.0, ge=0.0, le=1000.0)
    """Host time of the server for each token that it sends over HTTP: text, JSON, one event. In
    every iteration where the server shares the scheduler's process, else only what an iteration is
    shorter than it (`EngineLimits.server_apart`); nothing in process."""
    logit_bytes: float = Field(50.0, ge=0.0, le=3000.0)
    """Bytes moved for each logit of a sampled token: scaling, penalties, sorting, choosing."""
    occupancy: float = Field(0.98, ge=0.4, le=1.0)
    """Mean share of the possible sequences that are in flight at full load: a place is empty for an
    iteration or two, and the last block of a cache half."""
    reserve_gb: float = Field(2.0, ge=0.0, le=8.0)
    """Memory of each GPU that the engine keeps besides what the memory model counts: buffers of
    its largest batch, graphs."""


class Engine(BaseModel):
    """An engine and its era; columns as in ``data/engines.csv``, with its fitted constants."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    engine: str
    library: str
    limits: EngineLimits
    terms: EngineTerms
    beyond_measured: bool = False
    """Whether the version is newer than every one that the fit has measurements of."""


@cache
def engine(name: str = "tensorrt-llm", version: str = "") -> Engine:
    """Look up an engine, such as ``"vllm"``, by the era that its version falls in.

    Without a version, or with ``"current"``, the newest era is meant. Where the version was not
    noted, the month in which it was measured stands for it, as in ``"2025-10"``.

    Raises
    ------
    UnknownNameError
        When no engine has that name; lists close matches.
    """
    eras = {row["id"]: row for row in table_rows("engines")}
    row = eras[resolve("engines", name, "engine")]
    kin = [era for era in eras.values() if era["engine"] == row["engine"]]
    dated = (era for era in kin if _covers(era, version))
    row = next((era for era in kin if _numbers_anew(era, version)), next(dated, row))
    stored_eras = stored("inference")["engines"]
    entries = [stored_eras.get(era["id"], {}) for era in kin]
    newest = max(version_number(entry.get("newest_version", "")) for entry in entries)
    terms = stored_eras.get(row["id"], {}).get("terms", {})
    fitted = {name: terms[name] for name in EngineTerms.model_fields if name in terms}
    return Engine(
        **{name: row[name] for name in ("id", "name", "engine", "library")},
        limits=EngineLimits(**{name: row[name] for name in EngineLimits.model_fields}),
        terms=EngineTerms(**fitted),
        beyond_measured=bool(newest) and version_number(version) > newest,
    )


def _numbers_anew(era: Mapping[str, str], version: str) -> bool:
    return any(map(version.startswith, filter(None, era["other_versions"].split("|"))))


def _covers(era: Mapping[str, str], version: str) -> bool:
    """Whether a version, or the month of a measurement, falls in an era."""
    number, month = version_number(version), _MONTH.search(version)
    if number:
        return version_number(era["version_from"]) <= number <= version_number(era["version_to"])
    if not month or not era["released_from"]:
        return False
    said = f"{month[1]}-{month[2] or '07'}"  # of a year alone its middle
    return era["released_from"] <= said < (era["released_to"] or "9999")


_NUMBER = re.compile(r"(?<![\w.-])v?(\d{1,3}(?:\.\d{1,3})+|\d{1,3}$)")
_MONTH = re.compile(r"\b(20\d\d)(?:-(\d\d))?")


def version_number(text: str) -> tuple[int, ...]:
    """Read a version as numbers to compare; empty where the text has none.

    >>> version_number("v0.6.3.post1"), version_number("main 2024-08 (0.5.3)")
    ((0, 6, 3), (0, 5, 3))
    """
    found = _NUMBER.search(text.lower())
    return tuple(map(int, found[1].split("."))) if found else ()
