"""The programme behind every decision: what is signed is paid, what is short is rented."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from write_by_hand import by_hand

from gpuspec.base.units import HOURS_MONTH
from gpuspec.decision.alone import alone
from gpuspec.decision.decide import decide, problem_of
from gpuspec.decision.gives import what_gives
from gpuspec.decision.plans import Plan
from gpuspec.decision.programme import POOL, Chosen, Model, solve
from gpuspec.decision.recourse import layered, slopes, tail_of
from gpuspec.decision.scenario import scenario

CHAT = {"kind": "inference", "name": "chat", "model": "Llama-3.1-8B", "isl": 1024, "osl": 256}
CHAT |= {"concurrency": 300, "spare_replicas": 0}
JOB = {"kind": "training", "name": "job", "model": "Llama-3.1-8B", "tokens": 5e9}
JOB |= {"deadline_days": 10, "global_batch": 128, "runs_per_year": 6}


def made(*workloads, **more):
    return scenario({"name": "t", "workloads": list(workloads), **more})


def simulated(need, hours, taken, there):
    """GPU-hours beyond what is there, hour by hour: the layers with the most hours first."""
    total = np.zeros(need.shape[1])
    for s in range(need.shape[1]):
        left = there
        for level in np.argsort(-hours, kind="stable"):
            wanted = need[level, s] * taken[level]
            served = min(left, wanted)
            left -= served
            total[s] += (wanted - served) * hours[level]
    return total


@given(st.integers(0, 2**31), st.floats(0, 40))
@settings(max_examples=60, deadline=None)
def test_the_tail_is_what_gpus_that_are_there_do_not_serve(seed, there):
    rng = np.random.default_rng(seed)
    need, hours = rng.integers(0, 12, (4, 5)).astype(float), rng.uniform(0, 730, 4)
    taken = rng.integers(0, 2, 4).astype(float)
    layers = layered(need, hours, np.arange(4))
    found = tail_of(layers, taken[layers.column], there)
    assert found.hours == pytest.approx(simulated(need, hours, taken, there), abs=1e-6)


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_a_bound_lies_nowhere_above_the_cost_and_meets_it_where_it_was_made(seed):
    rng = np.random.default_rng(seed)
    need, hours = rng.uniform(0, 12, (5, 8)), rng.choice([100.0, 300.0, 730.0], 5)
    weight = rng.uniform(0, 5, 8)
    layers = layered(need, hours, np.arange(5))

    def cost(taken, there):
        return float((weight * tail_of(layers, taken, there).hours).mean())

    taken, there = rng.uniform(0, 1, 5), float(rng.uniform(0, 40))
    each, slope = slopes(layers, tail_of(layers, taken, there).marginal, weight)
    assert each @ taken + slope * there == pytest.approx(cost(taken, there), abs=1e-6)
    for _ in range(5):
        other, more = rng.uniform(0, 1, 5), float(rng.uniform(0, 40))
        assert each @ other + slope * more <= cost(other, more) + 1e-6


@pytest.fixture(scope="module")
def mixed():
    return problem_of(made(CHAT, JOB, allow={"gpus": ["A100", "H100"]}))


def test_the_plan_costs_what_the_programme_says(mixed):
    model = Model(mixed)
    found = solve(model)
    plan = Plan(mixed, found.chosen, ())
    assert plan.expected_usd == pytest.approx(found.cost_usd, rel=1e-6)
    assert found.gap <= 1e-3
    assert sum(v.mean() for v in plan.parts.values()) == pytest.approx(plan.expected_usd)


def test_no_other_choice_is_cheaper(mixed):
    """Every way of the two works at every venue, and every number signed of one contract."""
    best = solve(Model(mixed)).cost_usd
    cho, con = mixed.choices, mixed.contracts
    of = [np.flatnonzero(cho.workload == w) for w in range(2)]
    least = np.inf
    for pair in itertools.product(*of):
        taken = np.zeros(len(cho))
        taken[list(pair)] = 1.0
        kinds = set(cho.kind[list(pair)])
        signs = [None, *[j for j in range(len(con.offer)) if con.kind[j] in kinds]]
        for j in signs:
            for steps in (0,) if j is None else (1, 2, 3):
                signed = np.zeros(len(con.offer))
                if j is not None:
                    signed[j] = steps * con.step[j]
                plan = Plan(mixed, Chosen(taken, signed, np.zeros((len(mixed.kinds.names), 1))), ())
                if not _blocks_fit(mixed, plan):
                    continue
                least = min(least, plan.expected_usd)
    assert best <= least * (1 + 1e-3)


def _blocks_fit(problem, plan):
    there = plan.chosen.there(problem)[0][:, 0]
    cho = problem.choices
    for c in plan.columns:
        if cho.block[c] and cho.venue[c] == POOL:
            mine = [d for d in plan.columns if cho.kind[d] == cho.kind[c] and not cho.block[d]]
            if cho.block[c] + sum(cho.atonce[d, 0] for d in mine) > there[cho.kind[c]] + 1e-9:
                return False
    return True


def test_rent_by_the_hour_is_gpus_times_hours_times_price():
    flat = made(
        {**CHAT, "hours_per_month": 100},
        allow={"gpus": ["H100"], "modes": ["on-demand"]},
        prices={"quotes": "H100:on-demand=2.00"},
        horizon_months=10,
    )
    plan = decide(flat, quick=True).best
    p = plan.problem
    need = p.options[0].needs[plan.runs["way"].iloc[0]]
    gpus = need.gpus[0, 0]
    price = 2.0 * p.draws.price(int(p.kinds.hour_offer[0]))
    assert plan.costs == pytest.approx(gpus * price * 100 * 10, rel=1e-5)


def test_what_is_signed_is_paid_in_every_draw():
    quotes = "H100:on-demand=9.00,H100:reserved-3yr=2.00"
    allow = {"gpus": ["H100"], "modes": ["on-demand", "reserved-3yr"]}
    busy = {**CHAT, "concurrency": 3000}
    plan = decide(made(busy, prices={"quotes": quotes}, allow=allow), quick=True).best
    signed = float(plan.signed["gpus"].sum())
    factor = plan.problem.draws.price(int(plan.signed["offer"].iloc[0]))
    paid = signed * 2.0 * HOURS_MONTH * 36 * factor
    assert signed % 8 == 0
    assert plan.parts["contracts"] == pytest.approx(paid)
    assert (plan.costs >= paid).all()


def test_one_month_more_costs_one_month_more():
    usd = [decide(made(CHAT, horizon_months=m), quick=True).best for m in (36, 37)]
    assert usd[1].expected_usd - usd[0].expected_usd <= 1.6 * usd[0].monthly_usd.max() + 1000


def test_jobs_that_share_gpus_leave_each_other_time():
    two = made(JOB, {**JOB, "name": "other"}, allow={"gpus": ["H100"], "modes": ["own"]})
    plan = decide(two, quick=True).best
    assert plan.enough.mean() > 0.7
    assert plan.kept.mean() >= 0.8


def test_the_hours_of_a_simulation_are_sure_on_its_own_gpu():
    md = {"kind": "hpc", "name": "md", "workload": "md", "gpu_hours": 6000}
    md |= {"reference_gpu": "A100", "deadline_days": 20}
    only = {"modes": ["own"]}
    first = decide(made(md, allow={"gpus": ["A100"], **only}), quick=True).best
    more = decide(made(md, allow={"gpus": ["A100", "H100"], **only}), quick=True).best
    assert first.runs["gpus"].iloc[0] == 13  # 6000 h / 24 / 20 days
    assert more.expected_usd <= first.expected_usd * (1 + 1e-6)


def test_an_answer_that_is_not_there_says_what_must_give():
    poor = decide(made(CHAT, budget={"monthly_usd": 100, "capital_usd": 0}))
    assert not poor.feasible
    rows = what_gives(poor)
    needed = rows.set_index("what")["needed"]
    assert needed["monthly"] > 100
    rich = made(CHAT, budget={"monthly_usd": float(needed["monthly"]), "capital_usd": 0})
    assert decide(rich, quick=True).feasible


def test_limits_that_only_help_together_are_all_named():
    tight = made(CHAT, budget={"monthly_usd": 10, "capital_usd": 10}, limits={"gpus": 1})
    rows = what_gives(decide(tight))
    assert len(rows) >= 1
    assert (rows["needed"] > rows["asked"]).all()


def test_a_deadline_that_nothing_meets_names_the_one_that_works():
    rushed = made({**JOB, "deadline_days": 0.02}, limits={"gpus": 16})
    rows = what_gives(decide(rushed)).set_index("what")
    assert "deadline" in rows.index
    days = float(rows.loc["deadline", "needed"])
    assert decide(made({**JOB, "deadline_days": days}, limits={"gpus": 16}), quick=True).feasible


def test_alone_prices_every_way_to_pay(mixed):
    found = alone(mixed, 0)
    assert set(found.table["mode"]) == {"on-demand", "reserved-1yr", "reserved-3yr", "own"}
    assert found.table["probability"].sum() == pytest.approx(1)
    assert found.table["expected_usd"].is_monotonic_increasing
    hourly = found.table[(found.table["mode"] == "on-demand")]
    assert (hourly["signed"] == 0).all()


def test_objectives_are_least_in_what_they_name():
    asked = made(CHAT, JOB, allow={"gpus": ["A100", "H100"]})
    cost, time = (
        decide(asked.model_copy(update={"objective": o}), quick=True).best for o in ("cost", "time")
    )
    assert cost.expected_usd <= time.expected_usd * (1 + 1e-3)
    fast, cheap = (float(plan.runs["days"].dropna().iloc[0]) for plan in (time, cost))
    assert fast <= cheap


@pytest.mark.parametrize("name", ["article-b", "small-team"])
def test_the_cost_is_what_the_tables_give_by_hand(name):
    hand, planner = by_hand(name)
    assert hand == pytest.approx(planner, rel=0.01)


def test_prompts_read_apart_are_tried_where_a_service_allows_it():
    long = {**CHAT, "model": "Llama-3.1-70B", "isl": 8192, "concurrency": None, "request_rate": 20}
    long |= {"ttft_limit_s": 2, "tpot_limit_s": 0.03}
    asked = [made({**long, "prefill_apart": apart}) for apart in (False, True)]
    usual, apart = (decide(s, quick=True, loads=8).best for s in asked)
    assert apart.expected_usd < usual.expected_usd
    assert "read" in apart.runs["split"].iloc[0]
