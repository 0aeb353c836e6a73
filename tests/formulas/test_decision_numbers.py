"""Numbers, worked out by hand, of what plans and upgrades do with costs, energy and shares."""

import numpy as np
import pandas as pd
from gpuspec.decision.plan.draws import (
    Need,
    PlanDraws,
    best_shares,
    cost_of,
    pooled_size,
)
from gpuspec.decision.plan.options import pareto, priced_options
from gpuspec.decision.upgrade.derived import (
    HOURLY,
    SPOT,
    most_nodes,
    most_units,
    unit_prices,
    unmet_prices,
)
from gpuspec.decision.upgrade.money import kinds_of
from gpuspec.decision.upgrade.problem import FleetProblem, Kinds, Work
from numpy.testing import assert_allclose

from gpuspec.decision.errors import two_sided
from gpuspec.decision.money import market
from gpuspec.decision.scenario import Scenario
from gpuspec.topics.ways import Ways, capacity, filled

JOB = {
    "kind": "training", "name": "run", "model": "Llama-3.1-8B", "tokens": "1e9",
    "deadline_days": 10, "runs_per_year": 1,
}  # fmt: skip


def asked(**more):
    return Scenario.model_validate(
        {
            "name": "toy",
            "horizon_months": 24,
            "workloads": [JOB],
            "prices": {"power_share": 0.5},
            **more,
        }
    )


OFFERS = pd.DataFrame(
    {
        "gpu": "h100-sxm-80",
        "mode": ["own", "spot", "owned"],
        "interruptions_per_gpu_hour": [0.0, 0.036, 0.0],
        "step": [8.0, 1.0, 1.0],
        "fixed_usd": [1000.0, 0, 0],
        "fixed_usd_low": [500.0, 0, 0],
        "fixed_usd_high": [2000.0, 0, 0],
        "hour_cost": [0.1, 2.0, 0.1],
        "hour_cost_low": [0.1, 1.0, 0.1],
        "hour_cost_high": [0.1, 4.0, 0.1],
        "upfront_usd": [800.0, 0, 0],
        "running_usd_month": [5.0, 0, 0],
        "months_paid": 24.0,
        "keep_usd_month": [0.0, 0, 7.0],
        "available": [np.inf, np.inf, 4],
        "power_w_gpu": 1000.0,
        "housed": [True, False, True],
        "pooled": [True, False, True],
    }
)
TECH = Ways(
    filled(
        pd.DataFrame(
            {
                "gpu": ["h100-sxm-80"], "works": True, "gpus": 100.0, "unit_gpus": 100, "days": 2.0,
                "speed_s": 172_800.0, "hours_month": 4.0,
            }
        )
    )
)  # fmt: skip
USEFUL = 0.281501
"""Share of spot hours of 100 GPUs that are not lost: see the tests of cost."""


def test_cost_and_energy_of_an_option():
    # 100 GPUs for 4 hours a month. Owned in servers of 8: 104 bought. 104 * 1000 + 0.1 * 400 * 24.
    found = priced_options(asked(), 0, TECH, OFFERS).table
    own, spot = found.iloc[0], found.iloc[1]
    assert (own["paid_gpus"], own["upfront_usd"]) == (104, 83_200)
    assert_allclose(own["cost_usd"], 104_960)
    assert_allclose(own["cost_usd_low"], 52_960)
    assert_allclose(own["month_usd"], 104_960 / 24)
    # Cash of a month: 5 for each of 104, energy of the hours, and the keep of 4 that are there.
    assert_allclose(own["cash_month_usd"], 520 + 40 + 28)
    # 100 kW for 4 hours, half of it in use on average: 200 kWh; 104 kW stand there.
    assert_allclose(own["kwh_month"], 200)
    assert_allclose([own["power_kw"], spot["power_kw"]], [104, 0])
    # On spot 0.28 of the hours are useful: hours, days, energy and cost grow by that.
    assert_allclose(spot["cost_usd"], 2 * 400 * 24 / USEFUL, rtol=1e-5)
    assert_allclose(spot["kwh_month"], 200 / USEFUL, rtol=1e-5)
    assert_allclose([own["days"], spot["days"]], [2, 2 / USEFUL], rtol=1e-5)


def test_shares_of_limits_that_an_option_uses():
    budget = {"capital_usd": 166_400, "monthly_usd": 1176}
    found = priced_options(asked(budget=budget, limits={"gpus": 50}), 0, TECH, OFFERS).table
    own, _, held = (row for _, row in found.iterrows())
    assert_allclose([own["use_capital"], own["use_monthly"], own["use_gpus"]], [0.5, 0.5, 2])
    assert_allclose([own["use_deadline"], held["use_available"]], [0.2, 25])
    assert not own["feasible"]
    assert priced_options(asked(), 0, TECH, OFFERS).table["feasible"].tolist() == [
        True,
        True,
        False,
    ]
    free = priced_options(asked(budget={"capital_usd": 0}), 0, TECH, OFFERS).table
    assert free["feasible"].tolist() == [False, True, False]


def test_the_front_of_options():
    table = pd.DataFrame({"a": [1, 2, 3, 2, 1], "b": [3, 2, 1, 3, 3], "c": 0})
    assert pareto(table, ["a", "b", "c"]).tolist() == [True, True, True, False, True]


# --- a pool of GPUs ----------------------------------------------------------------------------


def test_gpus_of_a_pool():
    offer = {"step": 8.0}
    assert pooled_size(offer, 9, []) == 16  # whole servers
    # Two jobs that fill 0.9 of the year take turns: the larger counts. At 0.91 they stand side by
    # side.
    assert pooled_size(offer, 8, [(16, 0.5), (24, 0.4)]) == 32
    assert pooled_size(offer, 8, [(16, 0.5), (24, 0.41)]) == 48


def test_the_load_within_the_limits():
    # Loads 1, 2, 4 take 0.25, 0.5, 1 of the limit: half as fast, half of the load; between, by
    # logs.
    batch, excess = np.array([1.0, 2, 4]), np.array([0.25, 0.5, 1.0])
    assert_allclose(capacity(batch, excess, [1.0, 0.5, 0.70710678]), [4, 2, 2.82842712])


def test_what_a_plan_costs():
    def need(gpus, busy):
        one = np.ones(1)
        return Need(gpus * one, 10 * one, busy * one, 0 * one, one)

    draws = PlanDraws(asked(), OFFERS, samples=1)
    # A service on 9 GPUs and a job on 16 that uses a third of the year, owned: 9 + 16 -> 32.
    # Capital 1000 - 5 * 24 = 880 each at twice the price, keep 5 a month; energy 0.1 for 250 hours
    # a month.
    found = cost_of(draws, [(0, need(9, 1.0)), (0, need(16, 1 / 3))], np.full((3, 1), 2.0))
    kept = 28 * 24
    assert_allclose(found["cost_usd"], 32 * (2 * 880 + 120) + 25 * 24 + kept)
    assert_allclose(found["upfront_usd"], 32 * 1600)
    assert_allclose(found["cash_month_usd"], 160 + 25 + 28)
    assert found["power_kw"] == 32
    # By the hour the rent follows its price, and nothing stands in a room of one's own.
    found = cost_of(draws, [(1, need(9, 1.0))], np.full((3, 1), 2.0), keep=False)
    assert_allclose(found["cost_usd"], 2 * 2 * 90 * 24)
    assert found["power_kw"] == 0


def test_samples_of_an_interval():
    # One standard deviation up of an 80 % interval from 0.5 to 2: 2^(1 / 1.28155).
    found = np.exp(two_sided(np.array([1.0, -1.0, 1.28155]), 0.5, 2.0))
    assert_allclose(found, [1.71748, 0.582248, 2.0], rtol=1e-4)
    # Where 1 lies outside, around the middle of 2 and 8.
    assert_allclose(np.exp(two_sided(np.array([0.0]), 2.0, 8.0)), 4.0)
    assert best_shares(np.array([[1, 5, 1, 1], [2, 2, 2, 2]])).tolist() == [0.75, 0.25]


def test_what_a_gpu_costs_over_the_horizon():
    # Energy, space and staff are those of the tables: the columns of the market follow from them.
    prices = {"power_share": 0.5, "quotes": "H100:own-gpu=36500,H100:reserved-1yr=2"}
    owned = [{"gpu": "H100", "count": 4}]
    s = asked(
        prices=prices, owned=owned, horizon_months=18,
        allow={"gpus": "H100", "modes": "own,reserved-1yr,on-demand"},
    )  # fmt: skip
    found = market(s).set_index("mode")
    own, rent, held = found.loc["own"], found.loc["reserved-1yr"], found.loc["owned"]
    energy, idle, fixed = own["energy_hour_usd"], own["idle_hour_usd"], own["fixed_month_usd_gpu"]
    # Half way between 78 % and 50 % left after 18 months; 9 % on the mean of 36,500 and that.
    lost = 36_500 * (1 - 0.64) + 36_500 * 1.64 / 2 * 0.09 * 1.5
    assert_allclose(own["fixed_usd"], lost + fixed * 18 + idle * 730 * 18)
    assert_allclose(own["hour_cost"], (energy - idle) / 2)
    assert_allclose(own["upfront_usd"], 36_500)
    assert_allclose(own["running_usd_month"], fixed + idle * 730)
    # Two contracts of a year for 18 months.
    assert_allclose(rent["fixed_usd"], 2 * 730 * 24)
    assert_allclose([rent["hour_cost"], rent["running_usd_month"]], [0, 1460])
    assert (held["fixed_usd"], held["upfront_usd"], held["available"]) == (0, 0, 4)
    assert held["keep_usd_month"] > 0


# --- upgrades ----------------------------------------------------------------------------------


def problem(**work):
    """One kind of node, GPUs rented in pairs at 10 a quarter, a service over two quarters."""
    kinds = Kinds(
        names=("new",),
        owned=np.zeros(1),
        capital=np.full((1, 2), 800.0),
        residual=np.zeros((1, 2)),
        resale=np.zeros((1, 3)),
        fixed=np.zeros(1),
        energy=np.zeros(1),
        power_kw=np.ones(1),
        on_demand=np.array([[10.0, 20.0]]),
        spot=np.array([[5.0, np.nan]]),
        committed=np.full((1, 1, 2), np.nan),
        rental_gpus=2,
    )
    options = {
        "demand": np.array([[5.0, 8.0]]),
        "hours_share": np.array([0.5]),
        "allowed": np.array([[True, True]]),
        **work,
    }
    return FleetProblem(
        kinds,
        Work(
            names=("service",),
            is_job=np.array([False]),
            interruptible=np.array([False]),
            hunger=np.ones(1),
            workload=np.array([0]),
            kind=np.array([0]),
            gpus=np.array([3.0]),
            gpu_quarters=np.full((1, 2), 3.0),
            output=np.array([2.0]),
            move_usd=np.zeros(1),
            **options,
        ),
        discount_year=0.21,
    )


def test_units_and_nodes_that_would_do_all_the_work():
    # 5 and 8 of demand at 2 a unit: 3 and 4 units of 3 GPUs: at most 12 GPUs, two nodes, and one
    # more.
    asked = problem()
    units = most_units(asked)
    assert units.tolist() == [[3, 4]]
    assert most_nodes(asked, units).tolist() == [3]
    assert most_units(problem(allowed=np.array([[True, False]]))).tolist() == [[3, 0]]


def test_rent_of_a_unit():
    # 3 GPUs come as 4, for half of the hours: 2 GPU-quarters at 10 and 20; on spot at 5.
    prices = unit_prices(problem())
    assert prices[0, HOURLY].tolist() == [20, 40]
    assert prices[0, SPOT].tolist() == [10, 0]


def test_price_of_work_that_is_not_done():
    # Ten times the rent by the hour of 3 GPUs for 2 units of demand: 15 and 30.
    assert unmet_prices(problem()).tolist() == [[150, 300]]


def test_a_dollar_later():
    assert_allclose(problem().factor([0, 2, 4]), [1, 1 / 1.1, 1 / 1.21])


def test_prices_of_nodes_by_quarter():
    # Drift 21 % a year. Own: 10,000 a GPU, 100 a month, 0.2 USD of energy an hour and 0.05 idle.
    rows = pd.DataFrame(
        {
            "gpu": "h100-sxm-80",
            "mode": ["own", "on-demand", "reserved-1yr", "spot"],
            "capital_usd_gpu": [10_000.0, 0, 0, 0],
            "hour_usd": [0, 2.0, 1.5, 1.0],
            "idle_hour_usd": [0.05, 0, 0, 0],
            "energy_hour_usd": [0.2, 0, 0, 0],
            "fixed_month_usd_gpu": [100.0, 0, 0, 0],
            "interruptions_per_gpu_hour": [0, 0, 0, 0.0],
        }
    )
    name = "h100-sxm-80"
    kinds = kinds_of(rows, {name: 2}, {name: 1.0}, 4, 0.21, 500.0, (name,), 0.5)
    middle, start = 1.21**0.125, 1.1  # of the first quarter; of the third
    assert_allclose(kinds.on_demand[0, 0], 2 * 2190 * middle)  # 8760 / 4 hours
    assert_allclose(kinds.spot[0, 0], 2190 * middle)
    assert_allclose(kinds.committed[0, 0, 2], 1.5 * 2190 * start)
    assert_allclose(kinds.capital[0, 2], 80_000 * start)
    # Bought in the first quarter a node is a year old at the end: 78 % are left.
    assert_allclose(kinds.residual[0, 0], 80_000 * 0.78)
    assert_allclose(kinds.residual[0, 2], 80_000 * start * 0.89)
    # Upkeep of 8 GPUs for three months, and what they draw idle; 0.15 more for half of an hour.
    assert_allclose(kinds.fixed, [2400 + 0.05 * 2190 * 8])
    assert_allclose(kinds.energy, [0.15 * 2190 / 2])
    assert_allclose(kinds.power_kw, [10.2])
    # A used node brings 80 % of 81 % of the price (no network); a year later 50 of 78 % of that.
    assert_allclose(kinds.resale[0, [0, 4]], [51_840, 51_840 * 0.5 / 0.78])
    assert kinds.introduce.tolist() == [0]
