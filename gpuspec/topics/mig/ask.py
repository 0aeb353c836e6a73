"""Who shares the GPUs, on which kinds and at which price: one question, checked once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.checks import number_of
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.catalog.models import Model
from gpuspec.formulas.mig import geometry
from gpuspec.formulas.serving import Engine, engine
from gpuspec.topics.mig.reading import MOST_TENANTS, Tenant, read_tenants, tenant_rows

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
    rows, models = tenant_rows(tenants), dict[str, Model]()
    found = [
        tenant
        for where, row in rows
        for tenant in read_tenants(where, row, kinds[0].id, engine_name, models, 1 + float(reserve))
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
        price = number_of(f"prices {name}", str(value), 0, 1e6, above=True)
        found[gpu_ids(name)[0]] = price
    for kind in kinds:
        if kind.id not in found:
            raise InputError("prices", prices, f"give one for {kind.id}, such as {kind.id}=2.5")
    return {kind.id: found[kind.id] for kind in kinds}
