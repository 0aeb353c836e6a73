"""The plan over time: what is signed when, which strategies there are, what the command says."""

import json

import numpy as np
import pytest

from gpuspec.base.errors import InputError
from gpuspec.cli import main
from gpuspec.decision import upgrade
from gpuspec.decision.decide import decide
from gpuspec.decision.scenario import scenario
from gpuspec.decision.upgrade import words
from gpuspec.decision.upgrade.panel import upgrade_panel

CHAT = {
    "kind": "inference",
    "name": "chat",
    "model": "Llama-3.1-8B",
    "isl": 1024,
    "osl": 256,
    "concurrency": 64,
    "growth": 0.1,
    "spare_replicas": 0,
}
FLEET = {
    "name": "fleet",
    "horizon_months": 24,
    "owned": [{"gpu": "A100", "count": 8, "bought": "2023-01-01"}],
    "allow": {"gpus": ["A100", "H100"], "weights": ["bf16"]},
    "workloads": [CHAT],
}


def asked(**changes):
    return upgrade.UpgradeQuestion.ask(scenario=scenario(FLEET), **changes)


@pytest.fixture(scope="module")
def decision():
    return upgrade.UpgradeQuestion.ask(scenario="a100-owner").decision


def test_upgrade_and_plan_give_one_answer(decision):
    for plan, fleet in (
        (decide(scenario(FLEET)), asked().decision),
        (decide(scenario("a100-owner")), decision),
    ):
        assert fleet.scenario == plan.scenario
        assert [p.key for p in fleet.plans] == [p.key for p in plan.plans]
        assert fleet.best.expected_usd == plan.best.expected_usd


def test_every_strategy_costs_at_least_the_best_plan(decision):
    table = upgrade.strategy_table(decision)
    assert table["strategy"].iloc[0] == "mix"
    assert (table["expected_usd"] >= table["expected_usd"].iloc[0] * (1 - 1e-3)).all()
    assert table["probability"].drop_duplicates().sum() <= 1 + 1e-9


def test_strategies_do_what_they_say(decision):
    plans = {p.kind: plan for plan in decision.plans for p in plan.policies}
    owned = {"a100-sxm-80"}
    if "stay" in plans:
        assert set(plans["stay"].kinds_used) <= owned
        assert not (plans["stay"].signed["mode"] == "own").any()
        assert plans["stay"].sold.empty
    if "grow" in plans:
        assert plans["grow"].sold.empty
    assert not set(plans["replace"].kinds_used) & owned
    assert not (plans["wait"].signed.query("mode == 'own'")["order_month"] == 0).any()


def test_the_parts_of_a_strategy_add_up_to_its_cost(decision):
    from gpuspec.decision.plans import PARTS

    table = upgrade.strategy_table(decision)
    assert table[list(PARTS)].sum(axis=1).to_numpy() == pytest.approx(table["expected_usd"])


def test_what_is_there_follows_from_the_orders(decision):
    plan = decision.best
    there = upgrade.gpus_table(plan)
    last = there[there["period"] == there["period"].max()]
    bought = upgrade.orders_table(plan).query("what == 'own'")["gpus"].sum()
    sold = upgrade.orders_table(plan).query("what == 'sell'")["gpus"].sum()
    assert last[last["held"] == "bought"]["gpus"].sum() == bought
    assert last[last["held"] == "owned"]["gpus"].sum() == 16 - sold


def test_all_work_of_each_period_runs_somewhere(decision):
    runs = upgrade.runs_table(decision.best)
    works = [w.name for w in decision.scenario.workloads]
    for period in range(len(decision.problem.calendar.months)):
        assert sorted(runs[runs["period"] == period]["workload"]) == sorted(works)


def test_a_lead_time_delays_what_is_bought():
    found = asked(lead_quarters=2).decision
    bought = found.problem.contracts
    mine = bought.housed & (bought.start == 0)
    edges = found.problem.calendar.edges
    first = edges[[np.flatnonzero(row)[0] for row in bought.active[mine]]]
    assert (first == 6).all()


def test_a_longer_lead_time_never_costs_less():
    usd = [asked(lead_quarters=n).decision.best.expected_usd for n in (0, 2)]
    assert usd[1] >= usd[0] * (1 - 6e-3)


def test_dearer_change_never_costs_less():
    usd = [asked(effort=e).decision.best.expected_usd for e in (0.0, 1.0, 5.0)]
    assert usd[1] >= usd[0] * (1 - 6e-3)
    assert usd[2] >= usd[1] * (1 - 6e-3)


def test_owned_gpus_that_are_not_needed_are_sold():
    idle = scenario({**FLEET, "workloads": [{**CHAT, "concurrency": 1, "growth": 0.0}]})
    plan = decide(idle, quick=True).best
    assert plan.sold["gpus"].sum() > 0
    kept = scenario({**FLEET, "allow": {"gpus": ["A100"], "sell": False}})
    assert decide(kept, quick=True).best.sold.empty


def test_a_limit_of_zero_is_zero_and_a_blank_one_is_the_scenario_s():
    assert asked(capital_usd=0).decision.best.upfront_usd == 0
    assert asked().stated.budget.capital_usd is None
    assert asked(monthly_usd=1e5).stated.budget.monthly_usd == 1e5


def test_work_that_begins_later_is_not_paid_for_before():
    later = scenario({**FLEET, "owned": [], "workloads": [{**CHAT, "from_quarter": 5}]})
    months = decide(later, quick=True).best.monthly_usd
    edges = decide(later, quick=True).problem.calendar.edges
    assert months[edges[1:] <= 12].max() < 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quarters": 0}, "quarters"),
        ({"gap": 0}, "gap"),
        ({"drift": "sideways"}, "drift"),
        ({"capital_usd": -1}, "capital_usd"),
        ({"lead_quarters": 99}, "lead_quarters"),
    ],
)
def test_wrong_input_names_the_field(changes, field):
    with pytest.raises(InputError) as error:
        asked(**changes)
    assert error.value.field == field


def test_sentences_speak_of_the_plan(decision):
    text = words.answer_text(upgrade.UpgradeQuestion.ask(scenario="a100-owner"))
    assert "H200" in words.upgrade_finding(decision)
    assert "80 % interval" in text
    assert "runner-up" in text
    assert "kW" not in words.limits_sentence(decision)


def test_the_panel_answers_with_the_same_programme():
    panel = upgrade_panel(asked())
    assert "<svg" in panel.picture.value
    assert panel.answer.decision.best.expected_usd == pytest.approx(
        asked(quarters=8, owned_nodes=1).decision.best.expected_usd
    )


def told_by(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([*words])
    return ended.value.code, capsys.readouterr().out


def test_the_command_tells_the_plan(capsys):
    code, told = told_by(capsys, "upgrade", "a100-owner")
    assert code == 0
    assert "the best plan" in told
    assert "80 % interval" in told


def test_the_command_as_json(capsys):
    code, text = told_by(capsys, "upgrade", "a100-owner", "--json")
    told = json.loads(text)
    assert code == 0
    assert {"orders", "runs", "strategies", "recommendation"} <= set(told)


def test_drift_changes_the_answer(decision):
    table = upgrade.drift_table(decision).set_index("drift")["expected_usd"]
    assert table["down"] < table["flat"] < table["up"]


def test_a_fleet_without_a_way_out_says_what_must_give(capsys):
    code, text = told_by(
        capsys, "upgrade", "a100-owner", "--monthly-usd", "10", "--capital-usd", "0"
    )
    assert code == 3
    assert "month" in text
