"""Numbers, worked out by hand, of what decisions do with contracts, hours, growth and shares."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from gpuspec.decision.calendar import calendar_of, sizes
from gpuspec.decision.contracts import keep_usd_month, power_usd_hour
from gpuspec.decision.decide import problem_of
from gpuspec.decision.errors import two_sided
from gpuspec.decision.options import _Drawn, _job
from gpuspec.decision.plan import most
from gpuspec.decision.plan.most import MostQuestion, grown, largest
from gpuspec.decision.plan.request import flip_times
from gpuspec.decision.programme import Model
from gpuspec.decision.recourse import layered, tail_of
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.cost.prices import operating
from gpuspec.topics.ways import capacity

JOB = {
    "kind": "training", "name": "run", "model": "Llama-3.1-8B", "tokens": "1e9",
    "deadline_days": 10, "runs_per_year": 73,
}  # fmt: skip
QUOTES = "H100:own-gpu=36500,H100:reserved-1yr=2,H100:on-demand=3"
ALLOW = {"gpus": "H100", "modes": "own,reserved-1yr,on-demand"}


def asked(**more):
    prices = {"power_share": 0.5, "quotes": QUOTES}
    given = {"name": "toy", "horizon_months": 18, "workloads": [JOB], "prices": prices}
    return Scenario.model_validate(given | {"allow": ALLOW} | more)


@pytest.fixture(scope="module")
def problem():
    return problem_of(asked(owned=[{"gpu": "H100", "count": 4}]), samples=50, lead_months=0.0)


def rows(problem, mode):
    """Return the places of what can be signed in a mode, in the order of rounds."""
    modes = problem.offers["mode"].to_numpy()[problem.contracts.offer]
    return np.flatnonzero(modes == mode)


def test_what_a_purchase_costs(problem):
    con, j = problem.contracts, rows(problem, "own")[0]
    # Half way between 78 % and 50 % left after 18 months; 9 % a year on the mean of that and of
    # 36,500.
    assert_allclose(con.priced_usd[j], 36_500 * (1 - 0.64) + 36_500 * 1.64 / 2 * 0.09 * 1.5)
    own = problem.offers.iloc[con.offer[j]]
    keep = own["fixed_month_usd_gpu"] + own["idle_hour_usd"] * 730
    assert_allclose(con.fixed_usd[j], keep * 18)
    assert_allclose([con.upfront_usd[j], con.month_usd[j].max()], [36_500, keep])
    assert (con.step[j], con.paid_months[j]) == (8, 18)


def test_what_a_contract_costs(problem):
    con, (first, second) = problem.contracts, rows(problem, "reserved-1yr")
    # A year is paid; one that is signed after a year as well, six months of it beyond the horizon.
    assert con.paid_months[[first, second]].tolist() == [12, 12]
    assert_allclose(con.priced_usd[[first, second]], 2 * 730 * 12)
    assert_allclose(con.month_usd[first].max(), 1460)
    assert problem.calendar.edges[con.active[first].argmin()] == 12


def test_what_an_owned_gpu_costs(problem):
    table = problem.offers.set_index("mode")
    held = problem.offers[problem.offers["mode"] == "owned"]
    energy, idle = table.loc["own", ["energy_hour_usd", "idle_hour_usd"]]
    assert_allclose(problem.kinds.busy_usd, (energy - idle) / 2)  # at full power half of the time
    assert_allclose(power_usd_hour(held, 0.5), (energy - idle) / 2)
    assert_allclose(problem.kinds.keep_usd, keep_usd_month(held))
    # Three years old, 30 % of the price are left; a seller gets 80 % of the card's market price.
    kinds, months = problem.kinds, np.array([0.0, 12.0, 18.0])
    now, end = kinds.worth_usd[0, 0], kinds.worth_usd[0, -1]
    tied = kinds.tied_usd(months)[0, -1]
    assert_allclose(tied, now - end + (now + end) / 2 * 0.09 * 1.5)


def test_gpus_that_a_job_needs_on_average():
    # 8 GPUs for 2 days, 73 times a year, each within 10 days: windows of 730 days fill the year
    # twice over, so that it needs 8 * 2 * 73 / 365 = 3.2 GPUs all the time; half as fast, 6.4.
    job = asked().workloads[0]
    row = {"gpus": 8.0, "days": 2.0}
    none = np.zeros(0)
    need = _job(job, row, np.ones(1), _Drawn(np.array([1.0, 0.5]), none, 0.0, 0.0))
    assert_allclose(need.gpus[0, 0], [3.2, 6.4])
    assert_allclose(need.hours, [730])
    assert_allclose(need.gpu_hours[0], [3.2 * 730, 6.4 * 730])
    assert need.kept.all()
    # Once a year within 10 days: it is there 20 hours a month, and needs 8 * 2 / 10 GPUs then.
    drawn = _Drawn(np.ones(1), none, 0.0, 0.0)
    once = _job(job.model_copy(update={"runs_per_year": 1.0}), row, np.ones(1), drawn)
    assert_allclose([once.gpus[0, 0, 0], once.hours[0]], [1.6, 20])


def test_growth_by_quarter():
    # 10 % a quarter from the second one on, until the third.
    job = (
        asked().workloads[0].model_copy(update={"growth": 0.1, "from_quarter": 2, "to_quarter": 3})
    )
    s = asked(horizon_months=12).model_copy(update={"workloads": (job,)})
    offers = pd.DataFrame({"mode": ["on-demand"], "term_months": [0.0], "lead_months": [0.0]})
    cal = calendar_of(s, offers)
    assert cal.edges.tolist() == [0, 3, 6, 9, 12]
    assert_allclose(sizes(job, cal), [0, 1, 1.1, 0])


def test_hours_beyond_what_is_there():
    # A base of 4 GPUs for 730 hours and a peak of 2 more for 100: with 5 there, one for 100 hours
    # is missing; with 3 there, one for 730 and two for 100.
    layers = layered(np.array([[4.0], [2.0]]), np.array([730.0, 100.0]), np.array([0, 1]))
    assert_allclose(tail_of(layers, np.ones(2), 5.0).hours, 100)
    assert_allclose(tail_of(layers, np.ones(2), 3.0).hours, 730 + 200)
    assert_allclose(tail_of(layers, np.ones(2), 3.0).short, 3)


def test_the_load_within_the_limits():
    # Loads 1, 2, 4 take 0.25, 0.5, 1 of the limit: half as fast, half of the load; between, by
    # logs.
    batch, excess = np.array([1.0, 2, 4]), np.array([0.25, 0.5, 1.0])
    assert_allclose(capacity(batch, excess, [1.0, 0.5, 0.70710678]), [4, 2, 2.82842712])


def test_samples_of_an_interval():
    # One standard deviation up of an 80 % interval from 0.5 to 2: 2^(1 / 1.28155).
    found = np.exp(two_sided(np.array([1.0, -1.0, 1.28155]), 0.5, 2.0))
    assert_allclose(found, [1.71748, 0.582248, 2.0], rtol=1e-4)
    # Where 1 lies outside, around the middle of 2 and 8.
    assert_allclose(np.exp(two_sided(np.array([0.0]), 2.0, 8.0)), 4.0)


# --- selling what is owned, and what a plan can do at most ----------------------------------------


def test_a_seller_gets_four_fifths_of_the_price_of_a_used_card_which_falls_with_age(problem):
    values, worth = operating(), problem.kinds.worth_usd[0]
    curve, price = values.residuals, problem.offers.set_index("mode").loc["own", "capital_usd_gpu"]
    card = price * (1 - values.network_share)
    assert_allclose(worth[0], 0.8 * card)
    left = np.interp([3, 4.5], range(len(curve)), curve)  # the GPUs are three years old
    assert_allclose(worth[-1], 0.8 * card * left[1] / left[0])
    assert worth[-1] < worth[0]


def test_what_may_be_sold_is_bounded_and_what_is_sold_no_longer_works(problem):
    def bounded(p):
        model = Model(p)
        rows = [high for places, _, _, high in model.rows if set(places) == set(model.sold[0])]
        return model, rows[0]

    model, high = bounded(problem)
    assert high == 4
    kept = problem.scenario.allow.model_copy(update={"sell": False})
    scenario = problem.scenario.model_copy(update={"allow": kept})
    assert bounded(replace(problem, scenario=scenario))[1] == 0
    terms, there = model._there(0, 0)
    assert there == 4
    sold = [each for places, each in terms if set(np.ravel(places)) <= set(model.sold[0])]
    assert sold == [-1]


CHAT = {"kind": "inference", "name": "chat", "model": "Llama-3.1-8B", "users": 100}
CHAT |= {"use_case": "chat"}
TWO = (CHAT, CHAT | {"name": "other"}, JOB)


def test_so_many_times_a_load_is_that_of_the_named_service_alone():
    works = grown(asked(workloads=TWO), 2.5, "chat").workloads
    assert [getattr(w, "users", None) for w in works] == [250, 100, None]
    works = grown(asked(workloads=TWO), 0.5).workloads
    assert [getattr(w, "users", None) for w in works] == [50, 50, None]


def test_the_search_ends_at_the_largest_multiple_that_holds():
    for edge in (0.3, 1.7, 900.0):
        low, high = largest(lambda times, edge=edge: times <= edge)
        assert low <= edge < high <= low * 1.02


def test_ones_own_rooms_rent_nothing_and_what_is_owned_alone_is_neither_sold_nor_added_to():
    scenario = asked(owned=[{"gpu": "H100", "count": 4}])
    rooms = MostQuestion.ask(power_kw=40).bounded(scenario)
    assert rooms.allow.modes == ("own",)
    assert rooms.limits.power_kw == 40
    alone = MostQuestion.ask(owned_only=True).bounded(scenario)
    assert (alone.allow.modes, alone.allow.sell) == (("own",), False)
    assert alone.budget.capital_usd == 0


def test_a_million_tokens_cost_what_the_service_costs_over_its_millions_of_tokens(monkeypatch):
    # 1,000 requests a month for 10 months, 200 tokens each: 2 million for 50 USD
    work = asked(workloads=[CHAT | {"osl": 200}]).workloads[0]
    monkeypatch.setattr(most, "served", lambda plan, place, w: (10.0, 1000.0))
    plan = SimpleNamespace(work_usd={"chat": 50.0})
    scenario = SimpleNamespace(workloads=[work])
    decision = SimpleNamespace(feasible=True, best=plan, scenario=scenario)
    assert most.mtok_usd(decision, 0) == pytest.approx(25.0)


def test_a_faster_token_is_a_stricter_limit(monkeypatch):
    seen = []

    def decide(s, **how):
        seen.append(s.workloads[0].tpot_limit_s)
        return SimpleNamespace(feasible=True, scenario=s)

    monkeypatch.setattr(most, "decide", decide)
    # a token of t seconds costs 1 / t USD a million: 40 USD are enough for 25 ms
    monkeypatch.setattr(most, "mtok_usd", lambda d, place: 1 / d.scenario.workloads[0].tpot_limit_s)
    found = most.most(MostQuestion.ask(mtok_usd=40), asked(workloads=[CHAT]))
    assert 0.025 <= found.tpot_s <= 0.025 * 1.02


def test_the_nearest_price_at_which_another_plan_wins_flips_the_answer():
    # 10 p + 20 against 30 p + 10 (even at 0.5), 50 p + 12 (0.2), 5 p + 30 (2), 4 p + 50 (5)
    paid, rest = np.array([10.0, 30.0, 50.0, 5.0, 4.0]), np.array([20.0, 10.0, 12.0, 30.0, 50.0])
    assert flip_times(paid, rest, 1e-6) == (0.5, 2.0)
    assert flip_times(paid[:1], rest[:1], 1e-6) == (-np.inf, np.inf)
    assert flip_times(np.array([10.0, 10.0]), np.array([1.0, 2.0]), 1e-6) == (-np.inf, np.inf)
