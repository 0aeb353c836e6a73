"""Who shares the GPUs, on which kinds and at which price: one question, checked once."""

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.deploy import InferenceQuestion, inference_question
from gpuspec.errors import InputError, UnknownNameError
from gpuspec.inference import Engine, engine
from gpuspec.mig import geometry
from gpuspec.models import Model, model
from gpuspec.paths import DATA

EXAMPLE = DATA / "examples" / "tenants.csv"
TEXTS = ("name", "model", "weights", "kv")
WHOLE = {"isl": 1000, "osl": 300, "concurrency": 1, "copies": 1}
"""Columns with whole numbers, and what a blank cell means."""
NUMBERS = {
    "request_rate": 0.0,
    "ttft_s": 2.0,
    "tpot_s": 0.05,
    "memory_gib": 0.0,
    "gpu_share": 0.0,
    "bandwidth_share": 0.0,
}
COLUMNS = (*TEXTS, *WHOLE, *NUMBERS, "media")
YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
MOST_TENANTS = 2000
OBJECTIVES = ("cost", "gpus")
PRICES_USD = {
    "a100-sxm-80": 1.80,
    "h100-pcie-80": 2.90,
    "h100-sxm-80": 3.85,
    "h200-sxm-141": 4.60,
    "b200-sxm-180": 6.75,
}
"""Median of providers' on-demand lists, USD for a GPU-hour, November 2026; a parameter, because
prices age in weeks."""


class Tenant(BaseModel):
    """One tenant: a language model under a load, or anything else by its size.

    Raises
    ------
    InputError
        From `asked`, where the load cannot be served by any GPU for a reason of its own.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    load: InferenceQuestion | None
    """Its model, load and limits, over no GPU in particular; None: no language model."""
    memory_gib: float
    gpu_share: float
    """Share of the reference GPU's compute that it needs."""
    bandwidth_share: float
    media: bool
    """Whether it decodes video or JPEG in hardware."""

    @property
    def need(self) -> float:
        """Return the load that must be borne: requests a second, or in flight, or 1."""
        if self.load is None:
            return 1.0
        return self.load.request_rate or float(self.load.concurrency)


class TenantsQuestion(BaseModel):
    """A checked question: these tenants, on the fewest or cheapest of these GPUs."""

    model_config = ConfigDict(frozen=True)

    tenants: tuple[Tenant, ...]
    gpus: tuple[Gpu, ...]
    prices_usd: dict[str, float]
    """USD for a GPU-hour, by id."""
    objective: str
    reference: Gpu
    engine: Engine
    reserve: float
    """How much more than its load each tenant gets: 0.2 is 20 %; in the loads above already."""
    max_gpus: int
    seconds: float
    """Time limit of the solver."""

    def weight(self, gpu_id: str) -> float:
        """Return what one GPU counts in the objective."""
        return self.prices_usd[gpu_id] if self.objective == "cost" else 1.0


def tenants_question(
    tenants: str | Path | Sequence[Mapping[str, Any]] = "example",
    gpus: str | Sequence[str] = "A100,H100,H200",
    prices: str | Mapping[str, float] = "",
    objective: str = "cost",
    reference: str = "A100",
    engine_name: str = "vllm",
    reserve: float = 0.0,
    max_gpus: int = 8,
    seconds: float = 5.0,
) -> TenantsQuestion:
    """Check every input once, and return the question that the tables answer.

    Parameters
    ----------
    tenants : str, Path or sequence of mappings
        ``"example"``, the path of a CSV file, its text, or its rows. Columns as in
        ``docs/mig.md``; only ``name`` is needed beside ``model`` or ``memory_gib``.
    gpus : str or sequence of str
        Kinds of GPU that may be bought, separated by commas; each must have MIG.
    prices : str or mapping
        USD for a GPU-hour, such as ``"A100=1.8,H100=3.85"``; kinds left out cost what
        `PRICES_USD` says.
    objective : str
        ``cost`` or ``gpus``: what is as small as possible.
    reference : str
        The GPU of which ``gpu_share`` and ``bandwidth_share`` are shares.
    engine_name : str
        Inference engine of the language models.
    reserve : float
        Share by which every place must bear more than the tenant's load (memory aside).
    max_gpus : int
        Most whole GPUs of one replica.
    seconds : float
        Time limit of the solver.

    Raises
    ------
    InputError
        Names the tenant and the field, the value and what is valid.
    """
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    if not 0 <= float(reserve) <= 10:
        raise InputError("reserve", reserve, "give a share from 0 to 10, such as 0.2")
    if not 0 < float(seconds) <= 3600:
        raise InputError("seconds", seconds, "give seconds above 0, at most 3,600")
    kinds = tuple(gpu(name) for name in gpu_ids(gpus))
    for kind in kinds:
        geometry(kind.id)
    rows, models = _rows(tenants), dict[str, Model]()
    found = [
        tenant
        for line, row in enumerate(rows, 1)
        for tenant in _tenants(row, line, kinds[0].id, engine_name, models, 1 + float(reserve))
    ]
    repeated = [name for name, times in Counter(t.name for t in found).items() if times > 1]
    if repeated:
        raise InputError("tenants", repeated[0], "give each tenant a name of its own")
    if not 1 <= len(found) <= MOST_TENANTS:
        raise InputError("tenants", len(found), f"give 1 to {MOST_TENANTS:,} tenants")
    return TenantsQuestion(
        tenants=tuple(found),
        gpus=kinds,
        prices_usd=_prices(prices, kinds),
        objective=objective,
        reference=gpu(reference),
        engine=engine(engine_name),
        reserve=float(reserve),
        max_gpus=max_gpus,
        seconds=float(seconds),
    )


def _rows(tenants: str | Path | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table given as a path, a text or rows."""
    if not isinstance(tenants, str | Path):
        return [dict(row) for row in tenants]
    text = str(tenants).strip()
    if text == "example":
        text = EXAMPLE.read_text("utf-8")
    elif "\n" not in text and ";" not in text:
        try:
            text = Path(text).expanduser().read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            valid = f"give example, a CSV file or its lines with ; between: {error}"
            raise InputError("tenants", str(tenants), valid) from None
    else:
        text = text.replace(";", "\n")
    rows = list(csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True))
    if not rows:
        raise InputError("tenants", str(tenants)[:60], "its first line names columns, then a row")
    return rows


def _tenants(
    row: dict[str, Any],
    line: int,
    first_gpu: str,
    engine_name: str,
    models: dict[str, Model],
    factor: float,
) -> list[Tenant]:
    """Read a row of the table; ``copies`` of it become tenants of their own."""
    unknown = next((c for c in row if c not in COLUMNS), None)
    if unknown is not None:
        raise UnknownNameError(f"tenants, row {line}, column", str(unknown), COLUMNS)
    cells = {c: str(row.get(c) if row.get(c) is not None else "").strip() for c in COLUMNS}
    name = cells["name"] or f"tenant-{line}"
    where = f"tenant {name}"
    values: dict[str, Any] = {c: _number(where, c, cells[c], int, d) for c, d in WHOLE.items()}
    values |= {c: _number(where, c, cells[c], float, d) for c, d in NUMBERS.items()}
    if cells["media"].lower() not in YES:
        raise InputError(f"{where}: media", cells["media"], "say yes or no")
    if not cells["model"] and not values["memory_gib"]:
        raise InputError(where, cells["model"], "give a model, or memory_gib and gpu_share")
    for column in ("gpu_share", "bandwidth_share"):
        if values[column] > 8:
            raise InputError(
                f"{where}: {column}", values[column], "give a share of one GPU, at most 8"
            )
    if not 1 <= values["copies"] <= MOST_TENANTS:
        raise InputError(f"{where}: copies", values["copies"], f"give 1 to {MOST_TENANTS:,}")
    values["concurrency"] = math.ceil(values["concurrency"] * factor)
    for column in ("request_rate", "gpu_share", "bandwidth_share"):
        values[column] *= factor
    load = None
    if cells["model"]:
        load = _load(where, cells, values, first_gpu, engine_name, models)
    one = Tenant(
        name=name,
        load=load,
        media=YES[cells["media"].lower()],
        **{c: values[c] for c in ("memory_gib", "gpu_share", "bandwidth_share")},
    )
    copies = values["copies"]
    names = [name] if copies == 1 else [f"{name}-{i}" for i in range(1, copies + 1)]
    return [one.model_copy(update={"name": n}) for n in names]


def _load(
    where: str,
    cells: dict[str, str],
    values: dict[str, Any],
    gpu_id: str,
    engine_name: str,
    models: dict[str, Model],
) -> InferenceQuestion:
    """Check the load of a language model; `models` keeps those looked up before."""
    try:
        if cells["model"] not in models:
            models[cells["model"]] = model(cells["model"])
        return inference_question(
            models[cells["model"]],
            gpu_id,
            cells["weights"] or "bf16",
            cells["kv"] or "bf16",
            values["isl"],
            values["osl"],
            values["concurrency"],
            values["ttft_s"],
            values["tpot_s"],
            engine_name,
            request_rate=values["request_rate"],
        )
    except InputError as error:
        raise InputError(f"{where}: {error.field}", error.value, error.valid) from None


def _number(where: str, column: str, text: str, kind: type, blank: float) -> Any:
    if not text:
        return blank
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        what = "whole number" if kind is int else "number"
        raise InputError(f"{where}: {column}", text, f"give a {what} of at least 0")
    return value


def _prices(prices: str | Mapping[str, float], kinds: Sequence[Gpu]) -> dict[str, float]:
    """Return the price of each kind; those not given from `PRICES_USD`."""
    given: dict[str, Any] = {}
    if isinstance(prices, str):
        for text in filter(None, (part.strip() for part in prices.split(","))):
            name, equals, value = text.partition("=")
            if not equals:
                raise InputError("prices", text, "write A100=1.8,H100=3.85")
            given[name.strip()] = value.strip()
    else:
        given = dict(prices)
    found = dict(PRICES_USD)
    for name, value in given.items():
        try:
            price = float(value)
        except ValueError:
            price = -1.0
        if not 0 < price < 1e6:
            raise InputError("prices", f"{name}={value}", "give USD for a GPU-hour above 0")
        found[gpu_ids(name)[0]] = price
    for kind in kinds:
        if kind.id not in found:
            raise InputError("prices", prices, f"give one for {kind.id}, such as {kind.id}=2.5")
    return {kind.id: found[kind.id] for kind in kinds}
