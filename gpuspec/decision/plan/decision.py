"""The answer: options, rankings and plans of a whole scenario, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from gpuspec.constants.ground import Ground
from gpuspec.decision.errors import SAMPLES, SEED
from gpuspec.decision.ground import chosen_ground
from gpuspec.decision.money import market
from gpuspec.decision.plan.draws import PlanDraws, cost_of
from gpuspec.decision.plan.options import Options, pareto, priced_options
from gpuspec.decision.plan.plans import Plans, policies
from gpuspec.decision.plan.ranking import candidates
from gpuspec.decision.scenario import Scenario
from gpuspec.decision.ways import scenario_ways
from gpuspec.topics.serving.ways import LOADS


@dataclass(frozen=True)
class Decision:
    """Everything that the answer is read from."""

    scenario: Scenario
    offers: pd.DataFrame
    options: list[Options]
    candidates: list[pd.DataFrame]
    plans: Plans

    @cached_property
    def policies(self) -> pd.DataFrame:
        """Return the plans to choose between, best first; see `plans.policies`."""
        return policies(self.plans)

    @property
    def feasible(self) -> bool:
        """Return whether any plan keeps all limits."""
        return len(self.policies) > 0 and bool(self.policies["feasible"].iloc[0])

    @property
    def best(self) -> pd.Series:
        """Return the recommended plan."""
        return self.policies.iloc[0]

    @property
    def runner_up(self) -> pd.Series | None:
        """Return the best plan that takes other GPUs or pays for them otherwise; None if none."""
        return self.policies.iloc[1] if len(self.policies) > 1 else None

    def pools(self, plan: pd.Series) -> dict[tuple[str, str], float]:
        """Return the GPUs to get of each kind and way to pay: shared in turns, whole servers."""
        chosen = self.plans.chosen(plan["choice"], central=True)
        sizes = cost_of(self.plans.draws, chosen)["pools"]
        rows = self.plans.draws.rows
        pools: dict[tuple[str, str], float] = {}
        for place, size in sizes.items():
            key = (str(rows[place]["gpu"]), str(rows[place]["mode"]))
            pools[key] = pools.get(key, 0.0) + float(np.max(size))
        return pools

    def grounds(self, plan: pd.Series) -> list[Ground]:
        """Return what is known of settings like that of each workload in a plan."""
        tech = self.members(plan)["tech"].astype(int)
        of = zip(self.options, tech, strict=True)
        return [chosen_ground(options.ways, place) for options, place in of]

    def members(self, plan: pd.Series) -> pd.DataFrame:
        """Return the option of each workload in a plan, with the workload's name."""
        members = self.plans.members(plan["choice"])
        members.insert(0, "workload", [w.name for w in self.scenario.workloads])
        return members


def decide(
    scenario: Scenario,
    gpus: Sequence[str] | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
    loads: int = LOADS,
    offers: pd.DataFrame | None = None,
) -> Decision:
    """Plan a scenario: enumerate, price, constrain, rank, combine.

    `gpus` restrict the search to these ids; the same `samples` and `seed` of errors and prices
    give the same answer; `loads` is at how many loads of a replica its speed is computed;
    `offers` are those of `gpuspec.decision.money.market` unless given.
    """
    offers = market(scenario) if offers is None else offers
    draws = PlanDraws(scenario, offers, samples, seed)
    names = gpus or list(dict.fromkeys([*scenario.allow.gpus, *(o.gpu for o in scenario.owned)]))
    options = [
        priced_options(scenario, place, scenario_ways(scenario, place, names, loads), offers)
        for place in range(len(scenario.workloads))
    ]
    ranked = [candidates(scenario, priced, draws) for priced in options]
    return Decision(scenario, offers, options, ranked, Plans(options, ranked, draws))


def front(options: Options) -> pd.DataFrame:
    """Return the options that no other beats in cost, time and energy together, in words."""
    table = options.table[options.table["feasible"]]
    table = table[pareto(table)].sort_values("cost_usd", kind="stable")
    tech = options.ways.table.iloc[table["tech"]].reset_index(drop=True)
    offer = options.offers.iloc[table["offer"]].reset_index(drop=True)
    words = tech[["gpu", "precision", "split", "batch"]].assign(mode=offer["label"])
    numbers = ["gpus", "cost_usd", "month_usd", "time_s", "days", "kwh_month"]
    return pd.concat([words, table[numbers].reset_index(drop=True)], axis=1)
