"""Tenants on the fewest or cheapest GPUs: whole layouts as patterns, chosen by a MILP solver.

Cutting stock (Gilmore and Gomory 1961, doi:10.1287/opre.9.6.849): all useful layouts of a GPU
are few and known, so there is nothing to generate. Whole numbers say how many GPUs get each
layout and how many tenants of a class take each option. HiGHS solves it, and its bound says how
far from the best the answer can be.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.solver import FEASIBLE, loaded, whole
from gpuspec.base.units import Floats
from gpuspec.formulas.mig import Placement, Placements, geometry, patterns, plain_profile
from gpuspec.topics.mig.ask import MigQuestion
from gpuspec.topics.mig.options import WHOLE_GPU, useful_options

MOST_GPUS = 20_000
"""Each becomes a row of the answer."""
Option = tuple[str, str, int]
"""Kind of GPU, profile, instances."""


@dataclass(frozen=True)
class Packing:
    """What runs where."""

    placements: pd.DataFrame
    """``gpu``, ``number`` (of the GPU within its kind, from 0), ``profile``, ``start`` and
    ``tenant`` ("" where an instance is free); whole GPUs have profile ``whole``."""
    gpus: dict[str, int]
    """GPUs of each kind."""
    usd_per_hour: float
    objective: float
    bound: float
    """No answer can be below it."""
    unplaced: tuple[str, ...]
    """Tenants that run on none of the GPUs."""
    shares: dict[str, float]
    """What each tenant adds to the bound: its share of the bill, from the relaxation's prices."""

    @property
    def gap(self) -> float:
        """Return how far above the bound the answer is: 0.02 is 2 %."""
        return max(self.objective - self.bound, 0.0) / max(self.objective, 1e-12)


def pack(question: MigQuestion, options: pd.DataFrame) -> Packing:
    """Place all tenants that some option allows, at the least cost or on the fewest GPUs.

    The question names the kinds, their prices, the objective and the solver's time; `options` are
    those of `tenant_options`, or a part of them (one kind, for a comparison).

    Raises
    ------
    InputError
        When the solver finds nothing in its time.
    """
    useful = useful_options(options)
    kinds = [k.id for k in question.devices if (options["gpu"] == k.id).any()]
    choices: dict[str, list[Option]] = defaultdict(list)
    for row in useful.itertuples():
        choices[str(row.tenant)].append((str(row.gpu), str(row.profile), int(str(row.instances))))
    unplaced = tuple(t.name for t in question.everyone if t.name not in choices)
    if not choices:
        return Packing(_frame([]), {}, 0.0, 0.0, 0.0, unplaced, {})
    classes: dict[tuple[Option, ...], list[str]] = defaultdict(list)
    for tenant, mine in choices.items():
        classes[tuple(sorted(mine))].append(tenant)
    model = _Model(question, list(classes), [len(v) for v in classes.values()])
    taken, layouts, objective, bound = model.solve(question.solver_seconds)
    prices = model.class_prices()
    shares = {t: float(p) for p, v in zip(prices, classes.values(), strict=True) for t in v}
    rows = _assigned(list(classes.items()), taken, layouts)
    gpus = {k: len({r[1] for r in rows if r[0] == k}) for k in kinds}
    usd = sum(question.prices_usd[k] * n for k, n in gpus.items())
    return Packing(_frame(rows), gpus, usd, objective, bound, unplaced, shares)


class _Model:
    """The integer program: columns for options of classes, then for layouts of kinds."""

    def __init__(
        self, question: MigQuestion, classes: list[tuple[Option, ...]], sizes: list[int]
    ) -> None:
        self.classes, self.sizes = classes, sizes
        self.takes = [(c, option) for c, options in enumerate(classes) for option in options]
        used = {(k, p) for _, (k, p, _) in self.takes if p != WHOLE_GPU}
        media = {k for k, p in used if p.endswith("+me")}
        kinds = [k.id for k in question.devices if k.id in {kind for kind, _ in used}]
        self.layouts = [(k, layout) for k in kinds for layout in patterns(k, k in media)]
        # Demand for +me alone, and for a plain profile together with its twin that has +me.
        self.demands = sorted(used | {(k, plain_profile(p)) for k, p in used})
        self.cost = np.array(
            [question.weight(k) * n if p == WHOLE_GPU else 0.0 for _, (k, p, n) in self.takes]
            + [question.weight(k) for k, _ in self.layouts]
        )
        self._rows()

    def _rows(self) -> None:
        entries: list[tuple[int, int, float]] = [(c, j, 1.0) for j, (c, _) in enumerate(self.takes)]
        first, shift = len(self.classes), len(self.takes)
        for i, (kind, profile) in enumerate(self.demands, first):
            for j, (_, (k, p, n)) in enumerate(self.takes):
                if k == kind and _serves(p, profile):
                    entries.append((i, j, -float(n)))
            for j, (k, layout) in enumerate(self.layouts, shift):
                offered = sum(_serves(one.profile, profile) for one in layout)
                if k == kind and offered:
                    entries.append((i, j, float(offered)))
        rows, columns, values = (np.array(side) for side in zip(*entries, strict=True))
        low = np.array([*map(float, self.sizes), *np.zeros(len(self.demands))])
        high = np.array([*map(float, self.sizes), *np.full(len(self.demands), np.inf)])
        upper = np.full(len(self.cost), np.inf)
        self.highs = loaded(self.cost, upper, (rows, columns, values), low, high)

    def solve(self, seconds: float) -> tuple[list[int], list[tuple[str, Placements]], float, float]:
        """Return tenants by column, the layouts in use, the objective and its bound."""
        whole(self.highs, np.arange(len(self.cost)))
        self.highs.setOptionValue("time_limit", seconds)
        self.highs.run()
        info = self.highs.getInfo()
        if info.primal_solution_status != FEASIBLE:
            raise InputError("seconds", seconds, "the solver found nothing; give it more")
        numbers = np.round(self.highs.getSolution().col_value).astype(int)
        shift = len(self.takes)
        alone = [n if p == WHOLE_GPU else 0 for _, (_, p, n) in self.takes]
        needed = int(numbers[shift:].sum() + numbers[:shift] @ np.array(alone, int))
        if needed > MOST_GPUS:
            valid = f"they need {needed:,} GPUs; give a load that {MOST_GPUS:,} bear"
            raise InputError("tenants", sum(self.sizes), valid)
        counted = zip(self.layouts, numbers[shift:], strict=True)
        layouts = [layout for layout, n in counted for _ in range(n)]
        return list(numbers[:shift]), layouts, float(self.cost @ numbers), info.mip_dual_bound

    def class_prices(self) -> Floats:
        """Return what one more tenant of each class costs in the relaxation; they sum to it."""
        whole(self.highs, np.arange(len(self.cost)), False)
        self.highs.setOptionValue("time_limit", np.inf)
        self.highs.run()
        prices = self.highs.getSolution().row_dual[: len(self.classes)]
        return np.asarray(np.maximum(prices, 0.0))


def _serves(offered: str, wanted: str) -> bool:
    """Whether an instance counts as one of a profile; +me also as its plain twin."""
    return offered == wanted or plain_profile(offered) == wanted


def _assigned(
    classes: list[tuple[tuple[Option, ...], list[str]]],
    taken: list[int],
    layouts: list[tuple[str, Placements]],
) -> list[tuple[str, int, str, int, str]]:
    """Give every tenant its instances, and whole GPUs the numbers after the shared ones."""
    waiting: dict[tuple[str, str], list[str]] = defaultdict(list)
    whole: list[tuple[str, int, str]] = []
    column = 0
    for options, tenants in classes:
        left = list(tenants)
        for kind, profile, instances in options:
            chosen, left = left[: taken[column]], left[taken[column] :]
            column += 1
            for tenant in chosen:
                if profile == WHOLE_GPU:
                    whole.append((kind, instances, tenant))
                else:
                    waiting[kind, profile] += [tenant] * instances
    return _filled(waiting, whole, layouts)


def _filled(
    waiting: dict[tuple[str, str], list[str]],
    whole: list[tuple[str, int, str]],
    layouts: list[tuple[str, Placements]],
) -> list[tuple[str, int, str, int, str]]:
    rows: list[tuple[str, int, str, int, str]] = []
    numbers: Counter[str] = Counter()
    slots = [(kind, g, one) for g, (kind, layout) in enumerate(layouts) for one in layout]
    # Instances with media engines go to those who need them before anybody else.
    holder: dict[tuple[int, Placement], tuple[str, str]] = {}
    for pass_me in (True, False):
        for kind, g, one in slots:
            name = one.profile if pass_me else plain_profile(one.profile)
            if (g, one) in holder or pass_me != name.endswith("+me"):
                continue
            if waiting[kind, name]:
                holder[g, one] = (name, waiting[kind, name].pop(0))
    for g, (kind, layout) in enumerate(layouts):
        if not any((g, one) in holder for one in layout):
            continue
        number = numbers[kind]
        numbers[kind] += 1
        for one in layout:
            name, tenant = holder.get((g, one), (plain_profile(one.profile), ""))
            rows.append((kind, number, name, one.start, tenant))
    for kind, count, tenant in whole:
        for _ in range(count):
            rows.append((kind, numbers[kind], WHOLE_GPU, 0, tenant))
            numbers[kind] += 1
    return rows


def _frame(rows: list[tuple[str, int, str, int, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["gpu", "number", "profile", "start", "tenant"])


def layouts_of(packing: Packing, free: bool = True) -> dict[tuple[str, int], Placements]:
    """Return the layout of each GPU that is shared, by kind and number; `free`: with free parts."""
    found: dict[tuple[str, int], Placements] = {}
    shared = packing.placements[packing.placements["profile"] != WHOLE_GPU]
    if not free:
        shared = shared[shared["tenant"] != ""]
    for row in shared.to_dict("records"):
        key = (str(row["gpu"]), int(row["number"]))
        found[key] = (*found.get(key, ()), Placement(str(row["profile"]), int(row["start"])))
    return found


def faults(packing: Packing) -> list[str]:
    """Return every broken rule of a packing's layouts; empty where the driver takes them all."""
    checked = (
        (kind, geometry(kind).fault(layout)) for (kind, _), layout in layouts_of(packing).items()
    )
    return [f"{kind}: {fault}" for kind, fault in checked if fault]
