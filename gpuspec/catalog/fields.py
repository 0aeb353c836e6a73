"""Types of the fields that questions, scenarios and tables share: units and ranges stand here."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gpuspec.base.ask import Names as Of
from gpuspec.base.ask import Range
from gpuspec.base.documents import day_of
from gpuspec.base.errors import InputError, UnknownNameError, renamed
from gpuspec.catalog import edition, gpu_ids, resolved
from gpuspec.catalog.images import image_model
from gpuspec.catalog.models import model
from gpuspec.catalog.models.formats import STORED
from gpuspec.catalog.models.typical import typical_model
from gpuspec.catalog.phrases import Said, folded, said_day, vocabulary
from gpuspec.catalog.regions import region
from gpuspec.catalog.workloads import workload

THREE = "A100,H100,H200"
"""The GPUs that are compared unless others are named."""
MOST_LISTED = 1000


def split(value: object) -> tuple[object, ...]:
    """Read texts between commas; one value alone is a list of one."""
    if isinstance(value, str):
        value = [part for part in map(str.strip, re.split(r"[,;，；、]", value)) if part]
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        value = value.tolist()
    found = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(found) > MOST_LISTED:
        raise InputError("", f"a list of {len(found):,}", f"give at most {MOST_LISTED:,}")
    return found


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise InputError("", value, "give a name")
    return value.strip()


def _known(find: Callable[[str], str]) -> Callable[[object], str]:
    """Return a check that turns a name into its id; its errors are of the field it stands in."""

    def check(value: object) -> str:
        name = _text(value)
        try:
            return find(name)
        except InputError as error:
            of_a_key = name.lower().endswith(".json") and error.field not in ("model", "config")
            raise renamed(error, error.field if of_a_key else "") from None

    return check


_AND = re.compile(r"\s+(?:and|or)\s+|\s*[和或与及]\s*")
"""Words between names of GPUs and regions, of which none has them in its name."""


def _listed(value: object) -> tuple[object, ...]:
    return split(_AND.sub(",", value) if isinstance(value, str) else value)


def _gpus(value: object) -> tuple[str, ...]:
    try:
        names = [_text(name) for name in _listed(value)]
        return tuple(gpu_ids(names or ""))
    except InputError as error:
        raise renamed(error, "") from None


def _model(name: str) -> str:
    """Return the id of a model of the table; the path of a config.json stays as it is."""
    model(name)  # says what is wrong with it
    if name.lower().endswith(".json"):
        return name
    try:
        return resolved("models", name, "model", *edition(None))
    except UnknownNameError:
        return name


def _sized(name: str) -> str:
    """Return the id of a model; a size stays as it was said."""
    return name if typical_model(name) else _model(name)


def _row(table: str) -> Callable[[object], str]:
    return _known(lambda name: resolved(table, name, "", *edition(None)))


def fold(value: object) -> object:
    """Let capitals and spaces around a choice not matter."""
    return value.strip().lower() if isinstance(value, str) else value


def _auto(value: object) -> object:
    """Read ``auto``, as engines call it, as the format that is stored."""
    return STORED if fold(value) == "auto" else fold(value)


def _format(value: object) -> str:
    return STORED if _auto(value) == STORED else _row("precisions")(value)


def _currency(value: object) -> object:
    """Read a currency as people call it, such as RMB, ¥ or 元."""
    if not isinstance(value, str):
        return value
    word = vocabulary()["money"].get(folded(value))
    return word.of if word else value.strip().upper()


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    return day_of("", value.strip() if isinstance(value, str) else value)


# Names. Each is kept as its id.
GpuName = Annotated[str, BeforeValidator(_row("gpus")), Of("gpus")]
GpuNames = Annotated[tuple[str, ...], BeforeValidator(_gpus), Of("gpus")]
ModelName = Annotated[str, BeforeValidator(_known(_model)), Of("models")]
SizedModel = Annotated[str, BeforeValidator(_known(_sized)), Of("models")]
"""A model, or a size such as ``70B`` for which a typical one stands."""
ModelNames = Annotated[tuple[ModelName, ...], BeforeValidator(split), Field(min_length=1)]
Format = Annotated[str, BeforeValidator(_format), Of("precisions")]
"""Number format of weights; ``stored``: as the model's publisher stores it."""
Formats = Annotated[tuple[Format, ...], BeforeValidator(split), Field(min_length=1)]
EngineName = Annotated[str, BeforeValidator(_row("engines")), Of("engines")]
FrameworkName = Annotated[str, BeforeValidator(_row("frameworks")), Of("frameworks")]
FrameworkNames = Annotated[tuple[FrameworkName, ...], BeforeValidator(split), Field(min_length=1)]
OptimizerName = Annotated[str, BeforeValidator(_row("training_recipes")), Of("training_recipes")]
UseCaseName = Annotated[str, BeforeValidator(_row("use-cases")), Of("use-cases")]
WorkloadName = Annotated[
    str, BeforeValidator(_known(lambda name: workload(name).id)), Of("workloads")
]
"""Class of scientific computations."""
ImageModelName = Annotated[
    str, BeforeValidator(_known(lambda name: image_model(name).id)), Of("image-models")
]
"""Diffusion model."""
Names = Annotated[tuple[str, ...], BeforeValidator(split)]
RegionNames = Annotated[
    tuple[Annotated[str, BeforeValidator(_known(region))], ...],
    BeforeValidator(_listed),
    Of("regions"),
]
Day = Annotated[date, BeforeValidator(_day)]
ComingDay = Annotated[date, BeforeValidator(said_day)]
"""A day after that of the run; a weekday is the next."""

# One of a few.
KvFormat = Annotated[Literal["stored", "bf16", "fp16", "fp8", "int8"], BeforeValidator(_auto)]
"""Number format of the key-value cache; ``stored`` (``auto``): the publisher's, else 16 bits."""
Fp8Recipe = Annotated[Literal["tensor", "row", "block"], BeforeValidator(fold)]
"""What shares a scale where products are in FP8."""
TrainingFormat = Annotated[Literal["bf16", "fp8"], BeforeValidator(fold)]
Tuning = Annotated[Literal["full", "lora", "qlora"], BeforeValidator(fold)]
Offload = Annotated[Literal["none", "optimizer", "activations", "both"], BeforeValidator(fold)]
RecomputeWords = Annotated[str, BeforeValidator(fold)]
"""What is recomputed, and of which layers: `gpuspec.formulas.recompute`."""
NOT_NETWORKS = {
    "sharp": "sums inside InfiniBand switches (SHARP) have no model: ask for infiniband, which is "
    "what collectives take without them",
    "nvl": "NVLink joins the GPUs of a node, a rack of GB200 among them: name the GPU",
}
"""Words that people ask for as a kind of network, and what to ask for instead."""


def _network(given: object) -> object:
    """Return a kind of network in lower case; refuse by name what has no model."""
    said = fold(given)
    for word, valid in NOT_NETWORKS.items():
        if isinstance(said, str) and word in said:
            raise InputError("", given, valid)
    return said


NetworkKind = Annotated[
    Literal["infiniband", "roce", "efa", "efa-shared", "slingshot", "tcp"],
    BeforeValidator(_network),
]
PciePath = Annotated[Literal["host", "peer"], BeforeValidator(fold)]
"""``peer``: PCIe cards reach each other directly; ``host``: through the memory of the host."""
PcieSockets = Annotated[int, Range(1, 2, "processors")]
ImageStack = Annotated[Literal["tensorrt", "compiled", "eager"], BeforeValidator(fold)]
ImagePrecision = Annotated[Literal["bf16", "8bit"], BeforeValidator(fold)]
"""``8bit``: FP8 where a GPU has it, else INT8."""
Currency = Annotated[Literal["USD", "CNY"], BeforeValidator(_currency)]
Language = Annotated[Literal["en", "zh"], BeforeValidator(fold)]

# Numbers.
Tokens = Annotated[int, Range(1, 10_000_000, "tokens")]
SequenceTokens = Annotated[int, Range(16, 10_000_000, "tokens")]
RunTokens = Annotated[float, Said(0, 1e18, "tokens", above=True)]
Requests = Annotated[int, Said(1, 10_000_000, "requests")]
PromptTokens = Annotated[int, Said(1, 10_000_000, "tokens")]
"""The same in words: 8k is 8,000."""
DocumentTokens = Annotated[float, Said(1, 1e9, "tokens")]
Images = Annotated[int, Range(0, 10_000, "images")]
RequestRate = Annotated[float, Said(0, 1e7, "requests/s", above=True)]
ImageRate = Annotated[float, Said(0, 1e6, "images/s", above=True)]
Seconds = Annotated[float, Range(0, 1e6, "s", above=True)]
Days = Annotated[float, Said(0, 36_500, "days", above=True)]
Documents = Annotated[float, Said(0, 1e15, "documents", above=True)]
Epochs = Annotated[float, Range(0, 1000, "epochs", above=True)]
Hours = Annotated[float, Said(0, 1e9, "GPU-hours", above=True)]
Months = Annotated[int, Said(1, 120, "months")]
Limit = Annotated[float, Range(0, 1e6, "s")]
"""0 is no limit."""
Users = Annotated[int, Said(1, 1_000_000_000, "users")]
HourlyRequests = Annotated[float, Range(0, 1e5, "requests/h", above=True)]
Spread = Annotated[float, Range(0, 10)]
"""Standard deviation over mean."""
PeakFactor = Annotated[float, Range(1, 1000)]
Share = Annotated[float, Range(0, 1, below=True)]
"""From 0 to less than 1."""
UsedShare = Annotated[float, Range(0, 1, above=True)]
"""Above 0, to 1."""
Usd = Annotated[float, Said(0, 1e12, "USD")]
Watts = Annotated[float, Range(0, 1e5, "W", above=True)]
NodeGpus = Annotated[int, Range(1, 72, "GPUs")]
Kilowatts = Annotated[float, Range(0, 1e6, "kW")]
Gigabytes = Annotated[float, Range(0, 1e6, "GB")]
WeightsGb = Annotated[float, Range(0, 1e5, "GB", above=True)]
NetworkGbS = Annotated[float, Range(0, 1e5, "GB/s")]
"""Network of a node in one direction; 0 is none."""
Pue = Annotated[float, Range(1, 3)]
"""Power of the building over that of the servers."""
ExchangeRate = Annotated[float, Range(0, 1000, "CNY for one USD", above=True)]
GpuCount = Annotated[int, Range(1, 100_000, "GPUs")]
GpuCounts = Annotated[tuple[GpuCount, ...], BeforeValidator(split), Field(min_length=1)]
NodeCount = Annotated[int, Range(1, 4096, "nodes")]
NodeCounts = Annotated[tuple[NodeCount, ...], BeforeValidator(split), Field(min_length=1)]
Rank = Annotated[int, Range(1, 4096)]
"""Rank of LoRA adapters."""
Batch = Annotated[int, Range(1, 1_000_000, "sequences")]
ImageSteps = Annotated[int, Range(1, 1000, "steps")]
ImageSize = Annotated[int, Range(64, 8192, "pixels")]
