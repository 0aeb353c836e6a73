"""Upgrade plans: a hand-computed optimum, what every plan obeys, and what is said of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec import InputError
from gpuspec.cli import main
from gpuspec.decision import upgrade
from gpuspec.decision.scenario import scenario
from gpuspec.decision.upgrade import words
from gpuspec.decision.upgrade.derived import unmet_prices
from gpuspec.decision.upgrade.panel import upgrade_panel

MIXED = Path(__file__).parent / "fixtures/fleet.yaml"


def problem(quarters=4, owned=1.0, demand=(1, 1, 2, 2), capital=100.0, rent=1.0, **more):
    """Two kinds of node, one service; prices in plain numbers, nothing discounted."""
    k, t = 2, quarters
    kinds = upgrade.Kinds(
        names=("old", "new"),
        owned=np.array([owned, 0.0]),
        capital=np.vstack([np.full(t, np.nan), np.full(t, capital)]),
        residual=np.vstack([np.full(t, np.nan), np.full(t, 0.0)]),
        resale=np.zeros((k, t + 1)),
        fixed=np.array([1.0, 1.0]),
        energy=np.zeros(k),
        power_kw=np.array([6.0, 10.0]),
        on_demand=np.full((k, t), rent),
        spot=np.full((k, t), np.nan),
        committed=np.full((1, k, t), np.nan),
        introduce=more.pop("introduce", 0.0),
    )
    work = upgrade.Work(
        names=("service",),
        demand=np.array([demand[:t]], float),
        is_job=np.array([False]),
        interruptible=np.array([False]),
        hunger=np.array([1.0]),
        workload=np.array([0, 0]),
        kind=np.array([0, 1]),
        gpus=np.array([8.0, 8.0]),
        gpu_quarters=np.full((2, t), 8.0),
        output=np.array([1.0, 2.0]),
        allowed=np.ones((2, t), bool),
        hours_share=np.ones(2),
        move_usd=np.array([0.0, more.pop("move", 0.0)]),
    )
    settings = {"discount_year": 0.0, "lead_quarters": 0, "order_every": 1, **more}
    return upgrade.check(upgrade.FleetProblem(kinds, work, **settings))


def test_renting_the_rest_by_the_hour_is_found():
    # One old node does 1 and costs 1 a quarter. From quarter 3 on 2 are asked: a new replica does
    # that alone, 8 GPUs at 1 a quarter, and the old node is sold: 2 x 1 + 2 x 8 = 18. Buying: 100.
    plan = upgrade.solve(problem())
    assert plan.cost_usd == pytest.approx(18.0)
    assert plan.retired[0].tolist() == [0, 0, 1, 0]
    assert not plan.bought.any()


def test_buying_is_found_where_it_is_cheaper():
    # At a rent of 10 the two quarters would cost 160 by the hour. A new node does all: sell the
    # old one before it costs anything (resale 0), buy in quarter 1 or use the old one for two
    # quarters and buy in quarter 3: 2 x 1 + 100 + 2 x 1 = 104 either way.
    plan = upgrade.solve(problem(rent=10.0), gap=1e-6)
    assert plan.cost_usd == pytest.approx(104.0)
    assert plan.bought.sum() == 1
    assert plan.bound_usd <= plan.cost_usd + 1e-6


def test_effort_of_moving_keeps_work_where_it_is():
    # With 30 of effort the new kind is not worth it: the old node and another by the hour.
    cheap = upgrade.solve(problem(rent=1.0, move=30.0))
    assert cheap.cost_usd == pytest.approx(20.0)
    assert not cheap.units[1].any()
    both = upgrade.solve(problem(rent=10.0, move=3.0, introduce=4.0), gap=1e-6)
    assert both.cost_usd == pytest.approx(104.0 + 3 + 4)


def test_a_lead_time_delays_what_is_bought():
    plan = upgrade.solve(problem(rent=10.0, lead_quarters=2, demand=(1, 1, 2, 2)), gap=1e-6)
    arrived = plan.owned[1] > 0
    assert not arrived[:2].any()
    assert arrived[2:].all()


def test_limits_without_a_way_out_name_what_must_give():
    limits = upgrade.Limits(capital_usd=50.0, month_usd=1.0)
    tight = problem(rent=10.0, limits=limits)
    plan = upgrade.solve(tight)
    assert not plan.complete
    assert upgrade.unmet_shares(tight, plan)["service"] == pytest.approx(2 / 6, abs=0.01)
    gives = upgrade.what_gives(tight).set_index("limit")["more"]
    assert gives["capital in all"] == pytest.approx(50.0, abs=0.5)  # one node for 100
    # By the hour 10 x 8 a quarter on the new kind alone: 80 / 3 a month, 1 is allowed.
    assert gives["rent and running costs of a month"] == pytest.approx(80 / 3 - 1, abs=0.5)


@pytest.fixture(scope="module")
def question():
    return upgrade.UpgradeQuestion.ask(scenario="a100-owner", quarters=6)


@pytest.fixture(scope="module")
def plans(question):
    return upgrade.compare(question)


def test_the_optimum_is_never_dearer_than_a_strategy(plans):
    best = plans["optimum"]
    others = [plan for plan in plans.values() if plan.complete]
    assert best.complete
    assert all(best.cost_usd <= plan.cost_usd + 1e-6 for plan in others)
    assert best.bound_usd <= best.total_usd + 1e-6
    assert best.gap < 0.15


@pytest.mark.parametrize("name", [s.name for s in upgrade.STRATEGIES])
def test_a_plan_obeys_every_constraint(question, plans, name):
    obeys(question.problem, plans[name])


def pool_use(p, plan):
    """Return GPUs in use on nodes that are held, and GPUs held, by kind and quarter."""
    used = np.zeros(plan.owned.shape)
    for k in range(len(p.kinds.names)):
        own = p.work.kind == k
        used[k] = (plan.units[own, 0] * p.work.gpu_quarters[own]).sum(0)
    return used, (plan.owned + plan.reserved) * p.kinds.node_gpus


def month_by_hand(p, plan):
    """Return a third of what each quarter costs to run and rent, term by term."""
    kinds, work = p.kinds, p.work
    quarter = kinds.fixed @ plan.owned + kinds.energy @ plan.busy
    for c, length in enumerate(kinds.terms):
        paid = (plan.committed[c] * np.nan_to_num(kinds.committed[c]) * kinds.node_gpus).sum(0)
        quarter = quarter + np.convolve(paid, np.ones(length))[: len(paid)]
    rounded = np.ceil(work.gpus / kinds.rental_gpus) * kinds.rental_gpus / work.gpus
    hours = work.gpu_quarters * (rounded * work.hours_share)[:, None]
    for site, rent in ((1, kinds.on_demand), (2, kinds.spot)):
        quarter = quarter + (plan.units[:, site] * hours * np.nan_to_num(rent[work.kind])).sum(0)
    return quarter / 3


def obeys(p, plan):
    """Check capacity, whole units, blocks of jobs and demand in every quarter."""
    work, kinds = p.work, p.kinds
    used, held = pool_use(p, plan)
    assert (used <= held + 1e-6).all()
    assert (plan.units == np.round(plan.units)).all()
    assert (plan.owned >= 0).all()
    done = (plan.units.sum(1) * work.output[:, None])[:, :]
    for w in range(len(work.names)):
        met = done[work.workload == w].sum(0) + plan.unmet[w]
        assert (met >= work.demand[w] - 1e-6).all()
    jobs = work.is_job[work.workload]
    largest = np.maximum(plan.owned, plan.reserved) * kinds.node_gpus
    for o in np.flatnonzero(jobs):
        runs = plan.units[o, 0] > 0
        assert (largest[work.kind[o]][runs] >= work.gpus[o]).all()
    assert (plan.units.sum(1)[~work.allowed] == 0).all()
    assert sum(plan.parts.values()) == pytest.approx(plan.cost_usd)
    limits = p.limits
    hourly = (plan.units[~jobs, 1] * work.gpus[~jobs, None]).sum(0)
    assert (held.sum(0) + hourly <= limits.gpus + 1e-6).all()
    assert (plan.bought * np.nan_to_num(kinds.capital)).sum() <= limits.capital_usd + 1e-6
    month = month_by_hand(p, plan)
    assert upgrade.month_usd(p, plan) == pytest.approx(month)
    assert (month <= limits.month_usd * (1 + 1e-6) + 1e-6).all()
    assert ((plan.owned * kinds.power_kw[:, None]).sum(0) <= limits.power_kw + 1e-6).all()


def test_a_limit_of_gpus_is_kept_or_named(question):
    tight = replace(question.problem, limits=upgrade.Limits(gpus=24.0))
    plan = upgrade.solve(tight)
    obeys(tight, plan)
    none = replace(question.problem, limits=upgrade.Limits(gpus=4.0, month_usd=1e5))
    assert not upgrade.solve(none).complete
    gives = upgrade.what_gives(none)
    assert gives.set_index("limit")["more"]["number of GPUs"] >= 1
    assert "GPUs more than 4 GPUs" in words.gives_sentence(gives)


def test_strategies_do_what_they_say(question, plans):
    old, new = ~question.problem.kinds.is_new, question.problem.kinds.is_new
    kind = question.problem.work.kind
    assert not plans["stay"].bought.any()
    assert not plans["stay"].units[new[kind]].any()
    assert not plans["stay"].retired.any()
    assert not plans["grow"].retired.any()
    assert not plans["grow"].bought[old].any()
    assert not plans["rent only"].bought.any()
    assert not plans["replace all"].owned[old][:, question.lead_quarters :].any()
    # What is sold serves nothing: no old node is left, and none of the kind is rented.
    late = plans["replace all"].units[old[kind]][:, :, question.lead_quarters :]
    assert not late.any()


def test_the_article_s_rule_moves_the_hungriest_whole(question, plans):
    work, plan = question.problem.work, plans["grow"]
    new = question.problem.kinds.is_new[work.kind]
    late = plan.units[:, :, question.lead_quarters :].sum((1, 2))
    on_new = [late[(work.workload == w) & new].sum() > 0 for w in range(len(work.names))]
    on_old = [late[(work.workload == w) & ~new].sum() > 0 for w in range(len(work.names))]
    assert not any(a and b for a, b in zip(on_new, on_old, strict=True))
    order = np.argsort(-work.hunger)
    assert on_new[order[0]]
    assert sorted((on_new[w] for w in order), reverse=True) == [on_new[w] for w in order]


def test_more_money_is_never_dearer(question, plans):
    free = replace(question.problem, limits=upgrade.Limits())
    more = upgrade.solve(free)
    # Both are within their gaps of the best.
    assert more.cost_usd <= plans["optimum"].cost_usd * 1.05
    none = replace(question.problem, limits=upgrade.Limits(capital_usd=0.0))
    assert not upgrade.solve(none).bought.any()


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
    st.floats(0.5, 20),
    st.floats(20, 200),
    st.integers(0, 3),
    st.sampled_from([np.inf, 40.0, 10.0]),
)
def test_any_small_fleet_gets_a_plan_that_obeys(demand, rent, capital, owned, month):
    limits = upgrade.Limits(month_usd=month, power_kw=30.0)
    p = problem(
        demand=demand, rent=rent, capital=capital, owned=float(owned), limits=limits, move=1.0
    )
    plans = [upgrade.solve(p, s) for s in upgrade.STRATEGIES]
    for plan in plans:
        if (plan.owned * p.kinds.power_kw[:, None]).sum(0).max() <= 30.0:
            obeys(replace(p, limits=upgrade.Limits()), plan)
    best = upgrade.solve(p, gap=1e-6)
    # Work left undone has a price, but never makes a plan the better one.
    same = [plan for plan in plans if plan.complete or not best.complete]
    assert all(best.bound_usd <= plan.total_usd + 1e-3 for plan in same)
    assert best.complete or not any(plan.complete for plan in plans)


def test_central_draws_give_the_plan_s_own_cost(question, plans):
    draws = upgrade.draw(question, 4)
    ones = {mode: np.ones((1, 3)) for mode in draws.rent}
    middle = replace(
        draws,
        rent=ones,
        residual=np.ones(1),
        speed=np.ones((1, len(question.ways))),
    )
    for plan in plans.values():
        cost = upgrade.drawn_costs(question.problem, plan, middle)[0]
        assert cost == pytest.approx(plan.cost_usd, rel=1e-9)
    slower = replace(middle, speed=np.full((1, len(question.ways)), 0.8))
    slow = upgrade.drawn_costs(question.problem, plans["optimum"], slower)[0]
    assert slow >= plans["optimum"].cost_usd


def test_sureness_is_a_share_and_intervals_hold_the_middle(question, plans):
    spans, sure = upgrade.sureness(question, plans)
    assert (spans["cost_usd_low"] < spans["cost_usd_high"]).all()
    assert 0 <= sure <= 1
    again, same = upgrade.sureness(question, plans)
    assert again.equals(spans)
    assert same == sure


def test_waiting_never_pays_more_than_being_free(question, plans):
    table = upgrade.wait_table(question, plans, ("down", "flat"))
    wide = table.pivot(index="drift", columns="first_buy", values="cost_usd")
    assert (wide[4] >= wide[0] - 1e-6).all()
    late = table[(table["first_buy"] == 4) & (table["nodes"] > 0)]
    assert (late["first_order"] >= 4).all()


def test_sentences_and_tables_speak_of_the_plan(question, plans):
    best = plans["optimum"]
    orders = upgrade.orders_table(question.problem, best)
    finding = words.upgrade_finding(question, plans)
    assert all(f"Q{r.quarter + 1}" in finding for r in orders.itertuples())
    gpus = upgrade.gpus_table(question.problem, best)
    owned = gpus[(gpus["held"] == "owned") & (gpus["quarter"] == 0)]["gpus"].sum()
    assert owned == (best.owned[:, 0] * 8).sum()
    runs = upgrade.runs_table(question, best)
    share = runs.groupby(["workload", "quarter"])["share"].sum()
    assert (share >= 1 - 1e-6).all()
    effort = upgrade.effort_table(plans, [1.0])
    assert effort.loc[1.0, "optimum"] == pytest.approx(best.cost_usd)


def test_a_limit_of_zero_is_zero_and_a_blank_one_is_the_scenario_s():
    asked = upgrade.UpgradeQuestion.ask(scenario="a100-owner", quarters=4)
    stated = asked.stated.budget.capital_usd
    assert asked.problem.limits.capital_usd == stated
    none = asked.but(capital_usd=0.0)
    assert none.problem.limits.capital_usd == 0
    assert not upgrade.solve(none.problem).bought.any()
    free = asked.but(scenario=scenario("a100-owner", {"budget.capital_usd": None}))
    assert "capital_usd" not in free.problem.limits.asked()


def test_work_that_begins_after_the_horizon_is_named():
    late = scenario("a100-owner", {"workloads[0].from_quarter": 9})
    asked = upgrade.UpgradeQuestion.ask(scenario=late, quarters=4)
    assert "begins after" in asked.left_out[late.workloads[0].name]


def test_work_that_no_plan_knows_is_named():
    mixed = upgrade.UpgradeQuestion.ask(scenario=MIXED, quarters=4)
    assert "slices" in mixed.left_out
    assert "slices" in words.unplanned_sentence(mixed)
    plan = upgrade.solve(mixed.problem)
    obeys(mixed.problem, plan)
    pictures = list(mixed.problem.work.names).index("pictures")
    assert mixed.problem.work.demand[pictures, 0] == 0  # begins in the second quarter
    jobs = mixed.problem.work.demand[list(mixed.problem.work.names).index("adapters")]
    hours = next(d for d in mixed.demands if d.name == "simulation")
    days = {way.gpu: way.days[0] * way.gpus for way in hours.ways}
    assert days["a100-sxm-80"] == pytest.approx(2000 / 24)  # the hours given are those of A100
    assert days["h200-sxm-141"] < days["h100-sxm-80"] < days["a100-sxm-80"]
    assert jobs.sum() == 26  # in the year, whole ones
    assert (jobs == np.round(jobs)).all()


def test_the_quote_of_the_scenario_outranks_ours():
    mixed = upgrade.UpgradeQuestion.ask(scenario=MIXED, quarters=4)
    price = mixed.problem.kinds.on_demand[list(mixed.names).index("h200-sxm-141"), 0]
    assert price == pytest.approx(3.9 * 8760 / 4)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quarters": 1}, "quarters"),
        ({"quarters": 40}, "quarters"),
        ({"lead_quarters": -1}, "lead_quarters"),
        ({"effort": -1.0}, "effort"),
        ({"drift": "sideways"}, "drift"),
        ({"gap": 0.0}, "gap"),
        ({"scenario": "a100-ownr"}, "scenario"),
    ],
)
def test_wrong_input_names_the_field(changes, field):
    with pytest.raises(InputError) as caught:
        upgrade.UpgradeQuestion.ask(**{"scenario": "a100-owner", "quarters": 4, **changes})
    assert caught.value.field == field


def test_the_panel_answers_with_the_same_programme():
    asked = upgrade.UpgradeQuestion.ask(scenario="a100-owner", quarters=4)
    panel = upgrade_panel(asked)
    assert panel.answer[0].problem.kinds.owned[0] == 2
    before = panel.picture.value
    panel.controls["owned_nodes"].value = 6.0
    assert panel.answer[0].problem.kinds.owned[0] == 6
    assert panel.picture.value != before


def test_the_command_tells_the_plan(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["upgrade", "a100-owner", "--quarters", "4"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "replace all" in told
    assert "over 1 years" not in told
    with pytest.raises(SystemExit) as ended:
        main(["upgrade", "nowhere.yaml"])
    assert ended.value.code == 2


def test_a_gpu_without_a_price_is_left_out_of_the_programme():
    asked = upgrade.UpgradeQuestion.ask(scenario="article-b", quarters=4)
    assert "h200-nvl-141" in asked.stated.allow.gpus
    assert "h200-nvl-141" not in asked.problem.kinds.names


def test_the_command_says_what_is_rented_by_the_hour_and_what_must_give(tmp_path):
    job = "{kind: training, name: tuning, model: Llama-2-13B, tokens: 3e11, deadline_days: 21}"
    owned = "owned: [{gpu: A100, count: 16}]\nhorizon_months: 12\n"
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: lab\n{owned}workloads: [{job}]\n".replace("3e11", "3.0e+11"))
    told = CliRunner().invoke(main, ["upgrade", str(path)]).output
    assert "Rented while needed: up to 128 A100 on spot for tuning." in told
    assert "What must give" not in told
    path.write_text(path.read_text() + "budget: {capital_usd: 0, monthly_usd: 100}\n")
    told = CliRunner().invoke(main, ["upgrade", str(path)]).output
    assert "No plan that was found does all the work" in told
    assert "Order nothing: " not in told
    assert "What must give: " in told
    assert "rent and running costs of a month: at least" in told


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("mode", ["spot", "own"])
def test_work_undone_has_a_price_where_nothing_is_rented_by_the_hour(mode):
    changes = {"allow.modes": [mode], "owned": [], "budget": {}, "limits": {"gpus": 8}}
    asked = upgrade.UpgradeQuestion.ask(scenario=scenario("small-team", changes), quarters=4)
    work = asked.problem.work
    allowed = np.array([work.allowed[work.workload == w].any() for w in range(len(work.names))])
    assert (unmet_prices(asked.problem)[allowed] > 0).all()
