"""Ways to run each workload with what they need in every draw, ready for the programme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH, HOURS_YEAR
from gpuspec.catalog.models.formats import STORED, weight_format
from gpuspec.catalog.models.stored import UNKNOWN
from gpuspec.catalog.precision import precision
from gpuspec.decision.errors import SURE, Draws
from gpuspec.decision.loads import layers, replicas
from gpuspec.decision.scenario import Scenario, Workload
from gpuspec.topics.ways import Ways, capacity, doubtful, records

JOBS = ("training", "hpc")
KEPT = 3
"""Ways of a GPU and format that are kept: those that need the fewest GPUs."""
ABOVE = 1.5
"""Ways that need so many times the GPU-hours of the best one of the kind are dropped."""
SPARE = (0.95, 0.85, 0.7)
"""Shares of a deadline within which a job is tried to end, for interruptions to have the rest."""
MOST_FAST = 8
"""Ways of a GPU and format, from the cheapest to the fastest, that are kept where time counts."""
LADDER = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Multiples of the fewest GPUs on which a simulation is tried."""
SERVICES = ("inference", "images")
"""Works whose load may be split over kinds of GPU at any share; of jobs whole runs."""


@dataclass(frozen=True)
class Need:
    """What a way needs: arrays over layers of the load (L), sizes (Z) and draws (S)."""

    gpus: np.ndarray
    """(L, Z, S) GPUs of each layer, on average over the time in which the layer is there."""
    hours: np.ndarray
    """(L,) hours a month in which a layer is there; they never grow."""
    central: np.ndarray
    """(Z,) GPUs at once at the central estimate."""
    over: np.ndarray
    """(Z, S) time taken over the strictest limit on it; kept where at most 1."""
    time_s: float
    """Seconds that the objective "time" counts, at the central estimate."""
    carried: float = 0.0
    """Load of a replica within the limits, at the central estimate; 0 of jobs."""

    @property
    def gpu_hours(self) -> np.ndarray:
        """Return (Z, S) the GPU-hours of a month."""
        return np.einsum("lzs,l->zs", self.gpus, self.hours)

    @cached_property
    def mean_hours(self) -> np.ndarray:
        """(Z,) GPU-hours of a month on average over the draws."""
        return np.asarray(self.gpu_hours.mean(axis=1))

    @property
    def kept(self) -> np.ndarray:
        """Return (Z, S) whether deadline and limits are kept."""
        return np.asarray(self.over <= 1 + 1e-9)

    @property
    def chance(self) -> float:
        """Return the share of the draws in which limits are kept, in the worst of the sizes."""
        return float(self.kept.mean(axis=1).min(initial=1.0))


@dataclass(frozen=True)
class Missed:
    """What the nearest way of a workload would need where none keeps its limits surely."""

    row: dict[str, Any]
    """The way, as in the table of ways."""
    chance: float
    """Share of the draws in which it keeps the limits as they are asked."""
    times: float
    """How many times the limit would have to be what it is."""


@dataclass(frozen=True)
class Options:
    """The ways of one workload that the programme chooses from.

    ``table`` has one row a way: the columns of `gpuspec.topics.ways`, ``tech`` (row of
    ``ways.table``), ``need_gpus`` and ``sure`` (share of the draws in which limits are kept).
    Ways that do all of the work come first; behind them the same ways for a part of it, from
    ``share_from`` to ``share_to`` of the load of the busiest hour (of a job: of its runs), which is
    ``share`` of all that is served. ``whole_way`` is the row of the way that does all; ``spares``
    says whether the spare replicas of the service are kept there.
    """

    place: int
    ways: Ways
    table: pd.DataFrame
    needs: list[Need]
    whole: int
    """Ways that do all of the work."""
    sizes: np.ndarray
    """(Z,) distinct sizes of the load, against its first."""
    size_of: np.ndarray
    """(Q,) place in `sizes` of each segment; -1 where the work is not there."""
    api: Any = None
    """The same service by API (`gpuspec.decision.tokens.ByApi`); None where there is none."""
    usual: str = ""
    """Number format in which its answers need no check."""
    missed: Missed | None = None
    """The nearest way where none keeps the limits; None where some do, or nothing runs at all."""

    def redrawn(self, scenario: Scenario, draws: Draws, **changed: Any) -> Options:
        """Return the same ways with their needs in other draws, and other fields changed."""
        w, fast = scenario.workloads[self.place], scenario.objective == "time"
        found = replace(self, **changed)
        needs = needs_of(w, self.rows, found.ways, found.sizes, draws, fast)
        found = replace(found, needs=needs)
        vars(found).update(cells=self.cells, rows=self.rows)  # of the same table
        return found

    def with_parts(
        self, scenario: Scenario, draws: Draws, parts: Sequence[dict[str, Any]]
    ) -> Options:
        """Return the same ways, and behind them some of them for a part of the work.

        `parts` say ``whole_way``, ``share_from``, ``share_to`` and ``spares``.
        """
        w, fast = scenario.workloads[self.place], scenario.objective == "time"
        rows, needs = list(self.rows), list(self.needs)
        within: dict[int, Any] = {}
        for part in parts:
            way = part["whole_way"]
            row = rows[way] | part | {"share": served(w, part["share_from"], part["share_to"])}
            if way not in within:
                within[way] = _drawn(w, row, _speed(w, row, draws), self.ways, fast)
            needs.append(_of_draws(w, row, self.sizes, within[way]))
            row |= {"need_gpus": float(needs[-1].central.max(initial=0.0))}
            rows.append(row | {"sure": needs[-1].chance})
        table = pd.DataFrame(rows, columns=self.table.columns)
        return replace(self, table=table, needs=needs)

    @cached_property
    def is_job(self) -> bool:
        """Whether it is a job: it ends, and may wait."""
        return bool(len(self.table)) and bool(np.isfinite(self.table["days"]).any())

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table, not to be changed."""
        return records(self.table)

    @cached_property
    def cells(self) -> dict[str, np.ndarray]:
        """The columns of the table as arrays: cells are read many times."""
        return {str(name): self.table[name].to_numpy() for name in self.table}

    @property
    def bought(self) -> bool:
        """Whether a plan may buy the service by API."""
        return self.api is not None and self.api.taken

    @property
    def split(self) -> bool:
        """Whether the work may be split over kinds of GPU."""
        return len(self.needs) > self.whole

    def carried(self, scenario: Scenario, draws: Draws, way: int) -> np.ndarray:
        """Return (S,) the share of the first load that a replica carries within the limits."""
        w, fast = scenario.workloads[self.place], scenario.objective == "time"
        row = dict(self.table.iloc[way])
        drawn = _drawn(w, row, _speed(w, row, draws), self.ways, fast)
        return np.asarray(drawn.within[:-1] / drawn.load)

    def changes_format(self, way: int) -> bool:
        """Return whether a way runs in another number format than the usual one."""
        return bool(self.cells["precision"][way] != self.usual)


def drawn_options(
    scenario: Scenario, place: int, ways: Ways, size: np.ndarray, draws: Draws, priced: set[str]
) -> Options:
    """Return the ways of a workload on GPUs that can be had, with their needs.

    `size` is the load of each segment against the first; `priced` are the GPUs for which there is
    an offer. Only ways that keep their limits in `SURE` of the draws are kept.
    """
    distinct = np.unique(size[size > 0])
    size_of = np.where(size > 0, np.searchsorted(distinct, size), -1)
    workload = scenario.workloads[place]
    table = ways.table[ways.table["works"] & ways.table["gpu"].isin(priced)]
    job = workload.kind in JOBS
    fastest = scenario.objective == "time"
    if not job and not fastest:
        table = table.drop_duplicates("curve")
    rows = records(table.assign(tech=table.index))
    speeds = [_speed(workload, row, draws) for row in rows]
    if workload.kind == "hpc":
        rows, speeds = _elastic(workload, rows, speeds, scenario.limits.gpus or 0)
    found = _needs(workload, rows, speeds, ways, distinct, fastest)
    sure = [i for i, need in enumerate(found) if len(distinct) and need.chance >= SURE]
    kept = _worth(rows, found, sure, job, fastest)
    shown = pd.DataFrame([rows[i] for i in kept], columns=[*ways.table.columns, "tech"])
    shown["need_gpus"] = [float(found[i].central.max(initial=0.0)) for i in kept]
    shown["sure"] = [found[i].chance for i in kept]
    shown = shown.assign(whole_way=range(len(kept)), share_from=0.0, share_to=1.0, share=1.0)
    shown["spares"] = True
    missed = None if kept else _nearest(rows, found)
    needs = [found[i] for i in kept]
    sized = len(kept), distinct, size_of
    usual = _usual(workload, ways)
    return Options(place, ways, shown, needs, *sized, usual=usual, missed=missed)


def _usual(w: Any, ways: Ways) -> str:
    """Return the format in which the model of a service is stored; else the widest of those that
    are allowed, and of other work the first.
    """
    names = [*dict.fromkeys(ways.table["precision"].astype(str))]
    if len(names) < 2 or w.kind not in ("inference", "training"):
        return "".join(names[:1])
    known = w.kind == "inference" and not w.network.stored.startswith(UNKNOWN)
    for name in (STORED, weight_format(w.network).id) if known else ():
        if name in names:
            return name
    return max(names, key=lambda name: precision(name).bytes_per_weight)


def served(w: Workload, share_from: float, share_to: float) -> float:
    """Return which share of all that is served lies between two shares of the busiest hour's load.

    Of a job it is that share of its runs.
    """
    if w.kind not in SERVICES:
        return share_to - share_from
    low, high, hours = np.array(layers(w), float).T
    mine = np.clip(high, share_from, share_to) - np.clip(low, share_from, share_to)
    return float(mine @ hours / ((high - low) @ hours))


def _nearest(rows: list[dict[str, Any]], needs: list[Need]) -> Missed | None:
    """Return the way that would need the smallest change of its limit to keep it surely."""
    if not rows:
        return None
    times = [float(np.quantile(need.over, SURE, axis=1, method="higher").max()) for need in needs]
    best = int(np.argmin(times))
    return Missed(rows[best], needs[best].chance, times[best])


def _speed(w: Workload, row: Mapping[str, Any], draws: Draws) -> np.ndarray:
    """Return (S,) the factor on the speed of a way."""
    gpus = int(row["unit_gpus"])
    return draws.speed(w, str(row["gpu"]), str(row["precision"]), doubtful(row), gpus)


def needs_of(
    w: Workload,
    rows: Sequence[Mapping[str, Any]],
    ways: Ways,
    size: np.ndarray,
    draws: Draws,
    fastest: bool = False,
) -> list[Need]:
    """Return what rows of a table of ways need for whole work of some sizes."""
    return _needs(w, rows, [_speed(w, row, draws) for row in rows], ways, size, fastest)


def _needs(
    w: Workload,
    rows: Sequence[Mapping[str, Any]],
    speeds: Sequence[np.ndarray],
    ways: Ways,
    size: np.ndarray,
    fastest: bool,
) -> list[Need]:
    """Return what ways need for whole work of some sizes at their speeds."""
    each = zip(rows, speeds, strict=True)
    return [_of_draws(w, row, size, _drawn(w, row, speed, ways, fastest)) for row, speed in each]


@dataclass(frozen=True)
class _Drawn:
    """What of a way follows from its speed alone, whatever the load: (S,) factors on the speed; of
    a service the load of a replica within the limits, (S + 1,) with the central one last, the load
    of all, and how far the least load is over the limits.
    """

    speed: np.ndarray
    within: np.ndarray
    load: float
    least: float


def _drawn(
    w: Workload, row: Mapping[str, Any], speed: np.ndarray, ways: Ways, fastest: bool
) -> _Drawn:
    if w.kind in JOBS:
        return _Drawn(speed, np.zeros(0), 0.0, 0.0)
    curve = ways.curves[int(row["curve"])]
    batch, over = curve["batch"], curve["excess"]
    within = capacity(batch, over, np.append(speed, 1.0))
    if "whole" in curve:  # requests in flight come in whole numbers
        within = np.floor(within + 1e-6)
    if fastest:
        within = np.minimum(within, float(row["batch"]))
    within = np.maximum(within, batch[0])
    return _Drawn(speed, within, float(curve["load"][0]), float(over[0]))


def _of_draws(w: Workload, row: Mapping[str, Any], size: np.ndarray, drawn: _Drawn) -> Need:
    return (_job if w.kind in JOBS else _service)(w, row, size, drawn)


def _job(w: Any, row: Mapping[str, Any], size: np.ndarray, drawn: _Drawn) -> Need:
    """Return what a job needs: its average rate over the time that its deadline leaves it.

    Jobs that share GPUs meet their deadlines if their average rates fit together (Liu and Layland
    1973, doi:10.1145/321738.321743, for jobs that can be paused).
    """
    gpus, days = float(row["gpus"]), float(row["days"]) * size[:, None] / drawn.speed
    runs_per_year = w.runs_per_year * (row.get("share_to", 1.0) - row.get("share_from", 0.0))
    window = w.deadline_days * runs_per_year / (HOURS_YEAR / 24)
    share = min(window, 1.0)
    used = gpus * days * runs_per_year / (HOURS_YEAR / 24) / share
    over = days / w.deadline_days
    central = np.full(len(size), gpus)
    hours = np.array([share * HOURS_MONTH])
    return Need(used[None].astype(np.float32), hours, central, over, float(row["days"]) * 86400)


def _service(w: Any, row: Mapping[str, Any], size: np.ndarray, drawn: _Drawn) -> Need:
    cut, unit = layers(w), int(row["unit_gpus"])
    low, high = row.get("share_from", 0.0), row.get("share_to", 1.0)
    ends = np.array([[layer.share_from, layer.share_to] for layer in cut])
    ends = np.clip(ends, low, high) - low
    asked = drawn.load * ends[:, :, None, None] * size[:, None]
    units = np.ceil(asked / drawn.within - 1e-6)
    held = replicas(_reserved(w, row), units, unit)
    held[0, 0] = 0.0  # what is kept in reserve is there as long as the service is
    gpus = (held[:, 1] - held[:, 0]) * unit
    late = np.broadcast_to(drawn.least / drawn.speed, (len(size), len(drawn.speed)))
    hours = np.array([layer.hours_month for layer in cut])
    central = gpus[:, :, -1].sum(axis=0)
    need, carried = gpus[:, :, :-1].astype(np.float32), float(drawn.within[-1])
    return Need(need, hours, central, late, float(row["speed_s"]), carried)


def _reserved(w: Any, row: Mapping[str, Any]) -> Any:
    """Return a service with the replicas that a part of it keeps in reserve.

    The replicas that are kept at least are split as the load is. Spare ones are kept in one part;
    an availability is reached in both, so that both together reach it.
    """
    low, high = row.get("share_from", 0.0), row.get("share_to", 1.0)
    if not (low or high < 1):
        return w
    least = getattr(w, "replicas_min", 1)
    from_, to = (int(np.ceil(least * share - 1e-9)) for share in (low, high))
    mine: dict[str, Any] = {"replicas_min": to - from_}
    if w.availability is not None:
        mine["availability"] = w.availability**0.5
    if not row["spares"]:
        mine["spare_replicas"] = 0
    return w.model_copy(update=mine)


def _elastic(
    w: Any, rows: list[dict[str, Any]], speeds: list[np.ndarray], most: int
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Return a simulation on the fewest GPUs that meet its deadline surely, and on more, with the
    speed of each.

    A run is taken to split into cases side by side, so that any number of GPUs may do.
    """
    found: list[dict[str, Any]] = []
    known: dict[str, np.ndarray] = {}
    for row, speed in zip(rows, speeds, strict=True):
        if row["gpu"] in known:
            continue
        known[row["gpu"]] = speed
        hours = float(row["days"]) * 24 * float(row["gpus"])
        slow = float(np.quantile(speed, 1 - SURE, method="lower"))
        least = int(np.ceil(hours / 24 / w.deadline_days / slow - 1e-9))
        counts = dict.fromkeys(int(np.ceil(least * more)) for more in LADDER)
        for count in [c for c in counts if c <= (most or c)] or [most]:
            days = hours / 24 / count
            sized = {"gpus": float(count), "units": float(count), "days": days}
            found.append({**row, **sized, "speed_s": days * 86400})
    return found, [known[row["gpu"]] for row in found]


def _chance(need: Need, share: float) -> float:
    """Return the share of the draws in which a way needs at most a share of its time."""
    return float((need.over <= share).mean(axis=1).min(initial=1.0))


def _worth(
    rows: list[dict[str, Any]], needs: list[Need], sure: list[int], job: bool, fastest: bool
) -> list[int]:
    """Return the ways worth choosing from: of each GPU and format those that need the least.

    A job on more GPUs counts where it takes fewer GPU-hours than on fewer of them.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for i in sure:
        groups.setdefault((rows[i]["gpu"], rows[i]["precision"]), []).append(i)
    kept: list[int] = []
    for places in groups.values():
        spent = {i: float(needs[i].mean_hours.mean()) for i in places}
        atonce = {i: float(needs[i].central.max(initial=0.0)) for i in places}
        order = sorted(places, key=lambda i: (atonce[i], spent[i]))
        front: list[int] = []
        for i in order:
            if not front or spent[i] < (1 - 1e-9) * min(spent[j] for j in front):
                front.append(i)
        if job:  # interruptions of spot GPUs take some of the time
            spare = [[i for i in order if _chance(needs[i], share) >= SURE] for share in SPARE]
            front += [places[0] for places in spare if places]
        if fastest:
            faster = [
                i
                for i in order
                if needs[i].time_s <= min(needs[j].time_s for j in order if atonce[j] <= atonce[i])
            ]
            some = np.linspace(0, len(faster) - 1, min(len(faster), MOST_FAST)).round().astype(int)
            front += [faster[i] for i in some]
        # Services whose needs spread otherwise may be cheaper beside others.
        cheap = [] if job else sorted(places, key=lambda i: (spent[i], atonce[i]))[:KEPT]
        close = [i for i in cheap if spent[i] <= ABOVE * spent[cheap[0]]]
        some_of = sorted(dict.fromkeys([*front, *close]))
        kept += [i for i in some_of if not any(_serves(rows, needs, j, i) for j in some_of)]
    return sorted(kept)


def _serves(rows: list[dict[str, Any]], needs: list[Need], one: int, other: int) -> bool:
    """Return whether one way of a GPU and format is as good as another in all that counts.

    That is GPUs and limits in every draw, the smallest number that is added, what a replica
    carries, the ground and the speed; of two that are alike in all of it the first is as good.
    """

    def bad(i: int) -> tuple[Any, ...]:
        row, need = rows[i], needs[i]
        mine = int(row["unit_gpus"]), int(row["ground"]), bool(row["inherited"])
        return (*mine, -need.carried, need.time_s, need.central, need.gpus, need.over)

    each = [(np.asarray(a), np.asarray(b)) for a, b in zip(bad(one), bad(other), strict=True)]
    if one == other or any((a > b).any() for a, b in each):
        return False
    return one < other or any((a < b).any() for a, b in each)
