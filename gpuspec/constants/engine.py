"""What an inference engine adds to its kernels: the few constants of its scheduler."""

from functools import cache
from itertools import takewhile

from pydantic import BaseModel, ConfigDict, Field

from gpuspec.catalog import resolve, table_rows
from gpuspec.catalog.engines import EngineLimits
from gpuspec.constants.stored import stored
from gpuspec.constants.terms import Terms


class EngineTerms(Terms):
    """Constants of an engine and its era, fitted to published end-to-end measurements."""

    iteration_us: float = Field(300.0, ge=0.0, le=30_000.0)
    """Scheduling, launching and sampling of one iteration that is not hidden behind the GPU."""
    sequence_us: float = Field(1.0, ge=0.0, le=60.0)
    """More for each sequence of the iteration (sampling, bookkeeping, streaming)."""
    layer_us: float = Field(10.0, ge=0.0, le=150.0)
    """Small kernels of a layer: norms, residuals, rotary, activation."""
    matmul_factor: float = Field(1.0, ge=0.7, le=2.0)
    """Time of the products over that of the calibrated kernels."""
    attention_factor: float = Field(1.0, ge=0.5, le=3.0)
    """Time of attention over that of the calibrated kernels, one query a key."""
    grouped_factor: float = Field(1.0, ge=0.5, le=6.0)
    """The same where several queries share a key; early engines repeated the keys."""
    fp8_cache_factor: float = Field(1.0, ge=0.5, le=2.0)
    """More or less of it for a cache of 8 bits, over the calibrated kernels for such a cache."""
    expert_factor: float = Field(1.0, ge=0.3, le=3.0)
    """Time of the experts over that of the calibrated kernels, computed in 16 bit."""
    expert_fp8_factor: float = Field(1.0, ge=0.3, le=3.0)
    """The same computed in FP8."""
    collective_start_factor: float = Field(1.0, ge=0.2, le=10.0)
    """Start of a collective over the calibrated one: GPUs also wait for each other."""
    collective_factor: float = Field(1.0, ge=0.2, le=5.0)
    """Its bytes' time over the calibrated one; less where it is hidden."""
    pcie_factor: float = Field(1.0, ge=0.2, le=5.0)
    """The same over PCIe between up to four GPUs, which share a socket."""
    pcie_far_factor: float = Field(1.0, ge=0.2, le=5.0)
    """The same over PCIe between more GPUs, whose messages cross the link of two sockets."""
    logit_bytes: float = Field(16.0, ge=0.0, le=3000.0)
    """Bytes moved for each logit of a sampled token: scaling, penalties, sorting, choosing."""
    occupancy: float = Field(0.95, ge=0.4, le=1.0)
    """Mean share of the possible sequences that are in flight at full load."""
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


@cache
def engine(name: str = "tensorrt-llm", version: str = "") -> Engine:
    """Look up an engine, such as ``"vllm"``, by the era that its version falls in.

    Without a version the newest era is meant.

    Raises
    ------
    UnknownNameError
        When no engine has that name; lists close matches.
    """
    eras = {row["id"]: row for row in table_rows("engines")}
    row = eras[resolve("engines", name, "engine")]
    if version:
        number = _version(version)
        for era in eras.values():
            inside = _version(era["version_from"]) <= number <= _version(era["version_to"])
            if inside and era["engine"] == row["engine"]:
                row = era
    terms = stored("inference")["engines"].get(row["id"], {}).get("terms", {})
    fitted = {name: terms[name] for name in EngineTerms.model_fields if name in terms}
    return Engine(
        **{name: row[name] for name in ("id", "name", "engine", "library")},
        limits=EngineLimits(**{name: row[name] for name in EngineLimits.model_fields}),
        terms=EngineTerms(**fitted),
    )


def _version(text: str) -> tuple[int, ...]:
    """Compare versions as numbers: v0.6.3.post1 is 0.6.3."""
    parts = text.lower().removeprefix("v").split(".")
    numbers = ["".join(filter(str.isdigit, part[:3])) for part in parts]
    return tuple(map(int, takewhile(bool, numbers))) or (0,)
