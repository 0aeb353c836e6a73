"""What a unit of each workload needs on each kind of node: picked from the ways to run it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import GIB, HOURS_MONTH
from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.catalog.models.formats import weight_format
from gpuspec.constants.ground import KNOWN, Ground
from gpuspec.decision.errors import speeds_of
from gpuspec.decision.scenario import Hpc, Images, Training
from gpuspec.decision.upgrade.problem import QUARTERS_A_YEAR
from gpuspec.decision.ways import workload_ways
from gpuspec.topics.serving.layouts import precision_note
from gpuspec.topics.ways import Ways, doubtful, records

DAYS = 365.25 / QUARTERS_A_YEAR
"""Days of a quarter."""
CHEAPER = 0.95
"""More GPUs are a way of their own where they take so many of the GPU-days, or fewer."""


@dataclass(frozen=True)
class Way:
    """One way to run a unit of a workload: on which GPU, how many, how much that does."""

    gpu: str
    precision: str
    gpus: int
    output: float
    """Demand that a unit satisfies, a job: 1."""
    days: np.ndarray
    """(T,) of a job; 0 for a replica."""
    allowed: np.ndarray
    """(T,) whether deadline and limits hold."""
    split: str
    kind: str
    """Kind of work, which says how wrong the estimate of its speed may be."""
    inherited: bool = False
    """Whether its error is wider: see `topics.ways.doubtful`."""
    ground: Ground = KNOWN
    """What is known of settings like these."""


@dataclass(frozen=True)
class Demand:
    """A workload by quarter, the ways to run it, and why some GPUs have none."""

    name: str
    unit: str
    is_job: bool
    interruptible: bool
    """Whether it may run on spot GPUs: jobs only, which restart from a checkpoint."""
    demand: np.ndarray
    hunger_bytes: float
    hours_share: float
    ways: tuple[Way, ...]
    reasons: dict[str, str]


def _growing(workload: Any, quarters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (T,) the size against the first quarter of the workload, and where it runs."""
    number = np.arange(1, quarters + 1)
    runs = (number >= workload.from_quarter) & (number <= workload.to_quarter)
    return (1 + workload.growth) ** np.maximum(number - workload.from_quarter, 0), runs


def _service(w: Any, gpus: tuple[str, ...], precisions: Any, quarters: int) -> Demand:
    """Return the demand of a service: replicas are whole, growth multiplies the load."""
    size, runs = _growing(w, quarters)
    found = workload_ways(w, gpus, precisions)
    load, unit = _load(w)
    asked = load * size * runs
    works = found.table[found.table["works"]].drop_duplicates("curve")
    works = works.assign(sure=_surely(w.kind, works, found, gpus))
    ways, reasons, hunger = [], {}, 0.0
    for name in gpus:
        mine = works[(works["gpu"] == name) & (works["within"] > 0)]
        mine = mine[mine["sure"]] if mine["sure"].any() else mine
        if mine.empty:
            reasons[name] = _why(w, found.table[found.table["gpu"] == name])
        for row in records(_fewest(mine, asked[runs])):
            output, split = float(row["within"]), str(row["split"])
            of = (name, str(row["precision"]), int(row["unit_gpus"]), output, np.zeros(quarters))
            known = found.ground(row)
            ways.append(Way(*of, runs, split, w.kind, doubtful(row), known))
            hunger = max(hunger, _held_bytes(w, row))
    share = min(w.hours_per_month / HOURS_MONTH, 1.0)
    return Demand(w.name, unit, False, False, asked, hunger, share, tuple(ways), reasons)


def _load(w: Any) -> tuple[float, str]:
    if isinstance(w, Images):
        return w.images_per_s, "images/s"
    if w.arriving:
        return w.arriving, "requests/s"
    return float(w.in_flight), "requests in flight"


def _surely(kind: str, rows: pd.DataFrame, found: Ways, gpus: tuple[str, ...]) -> list[bool]:
    """Return which ways keep their limits at the speed that a recommendation counts on."""
    speeds = speeds_of(kind, gpus)
    slow = [speeds.slow(r["gpu"], r["precision"], doubtful(r)) for r in records(rows)]
    over = [found.curves[c]["excess"][0] for c in rows["curve"]]
    return [bool(most <= pace) for most, pace in zip(over, slow, strict=True)]


def _fewest(rows: pd.DataFrame, loads: np.ndarray) -> pd.DataFrame:
    """Return the split of each format that needs the fewest GPUs for the loads of all quarters.

    Of equal ones that which does most a GPU. A later format counts where it needs fewer than
    those before it.
    """
    each, size = rows["within"].to_numpy(float), rows["unit_gpus"].to_numpy(float)
    needs = (np.ceil(loads / each[:, None] - 1e-9) * size[:, None]).sum(axis=1)
    ranked = rows.assign(needs=needs, yields=-each / size).sort_values(["needs", "yields"])
    best = ranked.drop_duplicates("precision").set_index("precision")
    best = best.reindex(rows["precision"].unique()).reset_index()
    return best[best["needs"] < best["needs"].cummin().shift(fill_value=np.inf)]


def _why(w: Any, rows: pd.DataFrame) -> str:
    """Say why a GPU runs a service in no way."""
    out = rows[~rows["works"]]
    if len(out) < len(rows.drop_duplicates(["precision", "split"])):
        return "it keeps the limits in no split"
    row = out[out["precision"] == out["precision"].iloc[0]].iloc[-1]
    if isinstance(w, Images):
        return str(row["reason"])
    note = precision_note(gpu(row["gpu"]), weight_format(model(w.model), row["precision"]))
    return f"{row['reason']} ({note})" if note else str(row["reason"])


def _held_bytes(w: Any, row: dict[str, Any]) -> float:
    """Return the bytes of a unit's weights and cache: the article's order of what moves first."""
    if isinstance(w, Images):
        return 2.0 * model(w.model).params
    held = float(row["batch" if w.arriving else "within"])  # requests in flight
    cache = float(np.nan_to_num(row["kv_gib"])) * GIB * max(held, 1.0)
    form = weight_format(model(w.model), row["precision"])
    return model(w.model).params * form.main.bits / 8 + cache


def _job(w: Any, gpus: tuple[str, ...], precisions: Any, quarters: int) -> Demand:
    """Return the demand of a job: growth multiplies its size, jobs are whole.

    One with a deadline beyond a quarter counts as equal stages of a quarter each.
    """
    size, runs = _growing(w, quarters)
    jobs, stages, limit = _jobs(w, quarters, runs)
    table = _sized_ways(w, gpus, precisions, sorted({size[runs].min(), size[runs].max()}))
    speeds = speeds_of(w.kind, gpus)
    ways: list[Way] = []
    reasons: dict[str, str] = {}
    for (name, form), rows in table.groupby(["gpu", "precision"], sort=False):
        able = rows[rows["works"]].sort_values("gpus", kind="stable")
        days = able["days"].to_numpy(float)[:, None] * size / stages
        meets = (days <= limit) & runs
        slow = [speeds.slow(str(name), str(form), doubtful(row)) for row in records(able)]
        sure = meets & (days <= limit * np.array(slow)[:, None])
        meets = sure if sure.any() else meets
        if meets.any():
            reasons.pop(str(name), None)
            for i in _few_or_cheap(meets, able["gpus"].to_numpy(float), days):
                count, split = int(able["gpus"].iloc[i]), str(able["split"].iloc[i])
                kept = np.where(meets[i], days[i], 0.0)
                row = dict(able.iloc[i])
                of = (str(name), str(form), count, 1.0, kept, meets[i], split, w.kind)
                ways.append(Way(*of, doubtful(row), row["explain"](row)))
        elif not any(way.gpu == name for way in ways):
            late = f"{able['gpus'].max():,.0f} GPUs miss the deadline" if len(able) else ""
            over = f" by {days.min(axis=0).max() - limit:,.1f} days" if late else ""
            reasons[str(name)] = late + over or str(rows["reason"].iloc[-1])
    held = _held_by_job(w, table)
    spot = bool(w.interruptible)
    return Demand(w.name, "jobs", True, spot, jobs, held, 1.0, tuple(ways), reasons)


def _few_or_cheap(meets: np.ndarray, gpus: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return the rows with the fewest GPUs that meet the deadline of a quarter, and those with
    far fewer GPU-days; rows come with the fewest GPUs first.
    """
    fewest = meets.argmax(axis=0)
    spent = np.where(meets, gpus[:, None] * days, np.inf)
    saves = spent.min(axis=0) < CHEAPER * spent[fewest, np.arange(spent.shape[1])]
    best = [fewest[meets.any(axis=0)], spent.argmin(axis=0)[saves & meets.any(axis=0)]]
    return np.unique(np.concatenate(best))


def _sized_ways(w: Any, gpus: Any, precisions: Any, sizes: list[float]) -> pd.DataFrame:
    """Return the ways to run a job of size 1 on the numbers of GPUs that all sizes ask for."""
    parts = []
    for size in sizes:
        field = "tokens" if isinstance(w, Training) else "gpu_hours"
        grown = w.model_copy(update={field: getattr(w, field) * float(size)})
        found = workload_ways(grown, gpus, precisions)
        explain = pd.Series([found.ground] * len(found.table), dtype=object)
        parts.append(found.table.assign(days=found.table["days"] / size, explain=explain))
    same = ["gpu", "precision", "gpus"]
    return pd.concat(parts, ignore_index=True).drop_duplicates(same, ignore_index=True)


def _jobs(w: Training | Hpc, quarters: int, runs: Any) -> tuple[np.ndarray, int, float]:
    """Return (T,) jobs of each quarter, stages of a run, days that a stage may take."""
    stages = int(np.ceil(w.deadline_days / DAYS - 1e-9))
    done = np.arange(quarters + 1) * w.runs_per_year / QUARTERS_A_YEAR
    since = np.maximum(np.arange(quarters) + 1 - w.from_quarter, 0)
    jobs = (np.ceil(done[since + 1] - 1e-9) - np.ceil(done[since] - 1e-9)) * runs * stages
    return jobs, stages, min(w.deadline_days / stages, DAYS)


def _held_by_job(w: Training | Hpc, table: pd.DataFrame) -> float:
    """Return the bytes of a job's states, or of a simulation's case."""
    if isinstance(w, Hpc):
        return float(table["memory_gib"].max()) * GIB
    kept = w.recipe.bytes_per_param if w.tuning == "full" else w.recipe.weight_bytes
    return float(w.network.params * kept)


PLANNED: dict[str, Callable[..., Demand]] = dict.fromkeys(("inference", "images"), _service)
PLANNED |= dict.fromkeys(("training", "hpc"), _job)
"""By kind of work: what a workload asks for in each quarter, and the ways to run it; from the
workload, the GPUs and number formats to try, and the number of quarters."""
