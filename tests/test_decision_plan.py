"""The planner: laws of probabilities and fronts, reasons that are true, plans that add up."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from gpuspec.decision.plan.draws import PlanDraws, best_shares, pooled_size
from gpuspec.decision.plan.options import pareto, priced_options
from gpuspec.decision.plan.ranking import candidates
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError
from gpuspec.constants.engine import engine
from gpuspec.constants.training import training_ratio_interval
from gpuspec.decision import plan as planner
from gpuspec.decision.errors import Z80, own_spreads, stream, two_sided
from gpuspec.decision.money import market
from gpuspec.decision.plan.limits import CONSTRAINTS
from gpuspec.decision.plan.sensitivity import LOAD_ROWS
from gpuspec.decision.plan.words import money
from gpuspec.decision.plan.words_asked import asked_table
from gpuspec.decision.plan.words_page import answer_page, answer_record, changes, members_table
from gpuspec.decision.plan.words_tables import plans_caption, plans_table
from gpuspec.decision.scenario import asked_scenario, owned_list, scenario
from gpuspec.decision.ways import scenario_ways
from gpuspec.topics.ways import capacity

SERVICE = {
    "kind": "inference",
    "name": "chat",
    "model": "Llama-3.1-8B",
    "concurrency": 64,
    "tpot_limit_s": 0.03,
}
JOB = {
    "kind": "training",
    "name": "tuning",
    "model": "Llama-3.1-8B",
    "tokens": 5e9,
    "deadline_days": 10,
    "global_batch": 128,
}
BOTH = {
    "name": "both",
    "workloads": [SERVICE, JOB],
    "budget": {"capital_usd": 1e6, "monthly_usd": 5e4},
    "limits": {"gpus": 64},
}
SAMPLES = 300


def decided(changes=None, content=None):
    return planner.decide(scenario(content or BOTH, changes or {}), samples=SAMPLES, loads=8)


@pytest.fixture(scope="module")
def both():
    return decided()


@pytest.fixture(scope="module")
def ranked():
    """Options of the service with what is needed to rank them again."""
    s = scenario(BOTH)
    offers = market(s)
    return s, scenario_ways(s, 0, loads=8), offers


@pytest.fixture(scope="module")
def shares(ranked):
    """Return what gives each offer's probability of being best, and those at today's prices."""
    s, tech, offers = ranked

    def probabilities(table):
        rows = candidates(s, priced_options(s, 0, tech, table), PlanDraws(s, table, SAMPLES))
        return rows.set_index("offer")["probability"]

    return probabilities, probabilities(offers)


# --- laws ----------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 99))
def test_shares_of_the_best_add_up_to_one(rows, samples, seed):
    scores = np.random.default_rng(seed).normal(size=(rows, samples))
    shares = best_shares(scores)
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()


@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=700),
)
@settings(max_examples=40, deadline=None)
def test_no_row_of_the_front_is_beaten_and_every_other_is(rows):
    table = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=float)
    kept = pareto(table, ["a", "b", "c"])
    values = table.to_numpy()
    for place in range(len(values)):
        better = (values <= values[place]).all(axis=1) & (values < values[place]).any(axis=1)
        assert kept[place] == (not better.any())


@given(st.sampled_from(range(12)), st.floats(0.3, 0.99))
@settings(max_examples=25, deadline=None)
def test_a_cheaper_price_never_lowers_the_probability_of_being_best(ranked, shares, place, factor):
    offers = ranked[-1]
    place = place % len(offers)
    cheaper = offers.copy()
    money = [c for c in offers.columns if "usd" in c.lower() or c.startswith("hour_cost")]
    cheaper.loc[place, money] = offers.loc[place, money].astype(float) * factor
    probabilities, before = shares
    assert probabilities(cheaper)[place] >= before[place] - 1e-12
    assert before.sum() == pytest.approx(1)


@given(st.floats(1.0, 8.0), st.floats(1.0, 8.0), st.floats(1.0, 20.0))
@settings(max_examples=15, deadline=None)
def test_a_relaxed_limit_loses_no_option(ranked, speed, money, capital):
    s, tech, offers = ranked
    w = s.workloads[0]
    strict = s.model_copy(
        update={"budget": s.budget.model_copy(update={"monthly_usd": 9e3, "capital_usd": 4e5})}
    )
    loose = strict.model_copy(
        update={
            "workloads": (w.model_copy(update={"tpot_limit_s": w.tpot_limit_s * speed}),),
            "budget": strict.budget.model_copy(
                update={"monthly_usd": 9e3 * money, "capital_usd": 4e5 * capital}
            ),
        }
    )
    before = priced_options(strict, 0, tech, offers).table["feasible"].to_numpy()
    after = priced_options(loose, 0, tech, offers).table["feasible"].to_numpy()
    assert (after | ~before).all()


@given(st.floats(0.5, 0.99), st.floats(1.01, 2.0))
def test_four_of_five_draws_lie_in_the_interval(low, high):
    draws = np.exp(two_sided(stream(1, "any", 20_000), low, high))
    assert ((draws >= low) & (draws <= high)).mean() == pytest.approx(0.8, abs=0.02)


def test_two_gpus_differ_by_the_stored_error_of_their_ratio():
    names = ["a100-sxm-80", "h100-sxm-80", "h200-sxm-141"]
    _, spread = own_spreads("training", names)
    low, high = np.log(training_ratio_interval(1.0, names[1], names[0]))
    assert np.hypot(spread[names[0]], spread[names[1]]) == pytest.approx(
        (high - low) / 2 / Z80, rel=0.3
    )


def test_a_stream_depends_on_its_name_and_seed_alone():
    assert (stream(0, "a", 5) == stream(0, "a", 9)[:5]).all()
    assert (stream(0, "a", 5) != stream(0, "b", 5)).all()
    assert (stream(0, "a", 5) != stream(1, "a", 5)).all()


@given(st.floats(0.5, 2.0), st.floats(0.5, 2.0))
def test_a_faster_replica_carries_no_less(one, other):
    batch = np.array([1.0, 4, 16, 64])
    excess = np.array([0.3, 0.5, 1.0, 2.5])
    slow, fast = sorted((one, other))
    assert capacity(batch, excess, slow) <= capacity(batch, excess, fast)
    assert capacity(batch, excess, 1.0) == pytest.approx(16)


def test_jobs_take_turns_and_servers_are_bought_whole():
    offer = {"step": 8.0}
    half, most = np.array([0.4]), np.array([0.7])
    turns = pooled_size(offer, np.array([4.0]), [(np.array([16.0]), half), (np.array([8.0]), half)])
    both = pooled_size(offer, np.array([4.0]), [(np.array([16.0]), most), (np.array([8.0]), most)])
    assert turns[0] == 24  # 4 + 16, in servers of 8
    assert both[0] == 32  # 4 + 16 + 8


# --- the answer ----------------------------------------------------------------------------------


def test_the_answer_is_the_same_every_time(both):
    again = decided()
    pd.testing.assert_frame_equal(
        both.policies.drop(columns="sampled"), again.policies.drop(columns="sampled")
    )


def test_plans_keep_the_limits_and_their_probabilities_add_up(both):
    assert both.policies["probability"].sum() == pytest.approx(1)
    assert (both.policies["cash_month_usd"] <= 5e4).all()
    assert (both.policies["upfront_usd"] <= 1e6).all()
    assert both.best["expected_usd"] == both.policies["expected_usd"].min()
    for table in both.candidates:
        assert table["probability"].sum() == pytest.approx(1)
        assert (table.loc[~table["feasible"], "probability"] == 0).all()


def test_a_plan_costs_what_its_works_cost_where_nothing_is_shared():
    found = decided({"allow.modes": "on-demand"})
    members = found.members(found.best)
    assert found.best["expected_usd"] == pytest.approx(members["expected_usd"].sum())
    assert found.best["low"] < found.best["expected_usd"] < found.best["high"]


def test_every_reason_is_true(both):
    s = scenario(BOTH, {"workloads[1].deadline_days": 0.4, "budget.capital_usd": 1e5})
    found = planner.decide(s, samples=SAMPLES, loads=8)
    seen = set()
    for table in found.candidates:
        for row in table[~table["feasible"]].to_dict("records"):
            seen.add(row["reason"].split(" ")[0])
            broken = [n for n in CONSTRAINTS if row[f"use_{n}"] > 1]
            assert broken
            if row["reason"].startswith("misses the deadline by"):
                late = float(row["reason"].split()[4].replace(",", ""))
                assert row["days"] - 0.4 == pytest.approx(late, abs=0.051)
            if "of capital" in row["reason"]:
                assert row["upfront_usd"] > 1e5
    assert seen


def test_a_model_that_does_not_fit_says_by_how_much():
    found = decided({"workloads[0].model": "Llama-3.1-70B", "allow.weights": "bf16"})
    out = [r for r in planner.rejected(found.options[0]) if r["split"] == "one GPU"]
    assert out
    assert all("GiB a GPU too large" in r["reason"] for r in out)


def test_too_few_gpus_for_the_cache_says_how_much_is_missing():
    found = decided(
        {
            "workloads[0].isl": 32000,
            "workloads[0].concurrency": 256,
            "workloads[0].tpot_limit_s": 0,
            "workloads[0].ttft_limit_s": 0,
            "limits.gpus": 2,
        }
    )
    reasons = set(found.candidates[0]["reason"])
    assert any(r.startswith("KV cache does not fit at 32,512 tokens x 256") for r in reasons)


def test_a_gpu_without_a_price_is_told():
    found = decided({"allow.gpus": "H100,H200 NVL"})
    reasons = {r["gpu"]: r["reason"] for r in planner.rejected(found.options[0])}
    assert "quote" in reasons["h200-nvl-141"]


def test_owned_gpus_are_used_first():
    found = decided({"owned": [{"gpu": "A100", "count": 16}]})
    assert (found.members(found.best)["mode"] == "owned").all()
    assert found.best["upfront_usd"] == 0


def test_no_more_owned_gpus_are_used_than_there_are():
    found = decided({"owned": [{"gpu": "A100", "count": 1}]})
    for _, plan in found.policies.iterrows():
        assert found.pools(plan).get(("a100-sxm-80", "owned"), 0) <= 1


def test_a_service_runs_on_spot_only_where_it_may_stop():
    modes = {"allow.modes": "spot,on-demand"}
    kept = decided(modes)
    assert not (kept.candidates[0].query("feasible")["mode"] == "spot").any()
    stops = decided(modes | {"workloads[0].interruptible": True})
    assert (stops.candidates[0].query("feasible")["mode"] == "spot").any()


def test_a_quote_of_ones_own_changes_the_answer():
    cheap = decided({"prices.quotes": "h200-sxm-141:on-demand=0.20"})
    assert set(cheap.members(cheap.best)["gpu"]) == {"h200-sxm-141"}


@pytest.mark.parametrize("objective", ["time", "energy"])
def test_other_goals_are_reached(both, objective):
    column = {"time": "time_index", "energy": "kwh_month"}[objective]
    found = decided({"objective": objective})
    cheapest = both.plans.table.query("feasible")[column].min()
    assert found.best[column] <= max(both.best[column], cheapest) * 1.001
    assert found.policies["probability"].sum() == pytest.approx(1)


def test_the_gap_moves_with_the_price_of_the_recommended_gpus(both):
    table = planner.tornado(both)
    assert {"low", "high", "flips"} <= set(table.columns)
    mine = both.members(both.best)["gpu"].iloc[0]
    label = both.members(both.best)["label"].iloc[0]
    row = table[table["input"] == f"Price of {mine}, {label}"]
    if len(row):  # dearer GPUs of one's own lessen the lead
        assert row["high"].iloc[0] <= row["low"].iloc[0] + 1e-9
    evens = planner.break_evens(both, table)
    assert (evens["far"].to_numpy()[:-1] <= evens["far"].to_numpy()[1:]).all()


def test_at_the_break_even_price_both_plans_cost_the_same(both):
    evens = planner.break_evens(both, planner.tornado(both))
    price = evens[(evens["kind"] == "price") & np.isfinite(evens["far"])]
    assert len(price)
    from gpuspec.decision.plan.sensitivity import Gap

    gap, row = Gap(both), price.iloc[0]
    factors = np.array(
        [
            row["at"] / row["value"] if (o["gpu"], o["mode"]) == (row["gpu"], row["what"]) else 1
            for o in both.plans.draws.rows
        ]
    )
    assert gap.with_prices(factors) == pytest.approx(0, abs=1e-6)


def test_what_must_give_makes_it_feasible():
    strict = {"workloads[0].tpot_limit_s": 0.001, "workloads[0].ttft_limit_s": 60.0}
    found = decided(strict)
    assert not found.feasible
    table = planner.nearest(found.scenario, found.options, found.plans)
    row = table[table["what"] == "the limit of each token"].iloc[0]
    needed, unit = row["needed"].words().split()
    assert unit == "ms"
    assert (
        decided(strict | {"workloads[0].tpot_limit_s": float(needed) / 1e3})
        .candidates[0]["feasible"]
        .any()
    )
    assert "what_must_give" in answer_record(found, None)
    assert row["needed"].words() in answer_page(found, None)
    assert len(members_table(found)) == len(table)


def test_a_total_budget_that_is_too_small_is_told_as_such():
    single = decided()
    monthly = float(single.plans.table["cash_month_usd"].min())
    found = decided({"budget.monthly_usd": monthly * 0.97, "budget.capital_usd": 0.0})
    table = planner.nearest(found.scenario, found.options, found.plans)
    assert not found.feasible
    assert (table["what"] == "the monthly budget").any()


def test_page_one_exists_in_chinese(both):
    evens = planner.break_evens(both, planner.tornado(both))
    page = answer_page(both, evens, "zh")
    for words in ("建议方案", "成本", "把握", "三条理由", "次优方案"):
        assert words in page
    for left in (" and ", "reserved", "on demand", "months"):
        assert left not in page
    assert "$" not in answer_page(both, evens)


def test_each_load_that_flips_the_choice_is_a_sentence_in_both_languages(both):
    for what, (name, *_) in LOAD_ROWS.items():
        if what == "horizon":  # has no factor
            continue
        even = pd.DataFrame([{"kind": "load", "what": name, "at": 1.5, "far": 0.4}])
        (said,) = changes(both, even)
        assert said == f"{name[0].lower()}{name[1:]} at 1.5 times what was asked"
        (said,) = changes(both, even, "zh")
        assert re.fullmatch(r"[^a-z]*(token)?[^a-z]*变为设定值的 1.5 倍", said)


def test_simulations_and_tenants_are_planned_too():
    content = {
        "name": "more",
        "allow": {"gpus": "A100,H100"},
        "workloads": [
            {
                "kind": "hpc",
                "name": "md",
                "workload": "md",
                "gpu_hours": 500,
                "deadline_days": 10,
            },
            {
                "kind": "tenants",
                "name": "small",
                "table": [{"name": "a", "memory_gib": 8, "gpu_share": 0.1, "copies": 10}],
            },
        ],
    }
    found = decided(content=content)
    assert found.feasible
    assert (found.members(found.best)["gpus"] >= 1).all()
    reference = found.candidates[0].query("gpu == 'a100-sxm-80' and feasible").iloc[0]
    assert reference["days"] * reference["gpus"] * 24 == pytest.approx(500, rel=0.06)


def test_the_inputs_of_a_buyer_are_laid_over_a_scenario():
    asked = asked_scenario(
        scenario(BOTH),
        model="Qwen2.5-7B",
        concurrency=32,
        deadline_days=5.0,
        capital_usd=1e5,
        monthly_usd=2e4,
        owned="8 x A100",
        objective="energy",
        gpus="H100",
    )
    assert asked.workloads[0].model == "qwen2.5-7b"
    assert asked.workloads[0].concurrency == 32
    assert asked.workloads[1].deadline_days == 5
    assert (asked.budget.capital_usd, asked.budget.monthly_usd) == (1e5, 2e4)
    assert asked.owned[0].count == 8
    assert asked.allow.gpus == ("h100-sxm-80",)
    assert asked_scenario(asked, owned="none").owned == ()
    with pytest.raises(InputError, match="deadline_days"):
        asked_scenario(scenario(BOTH, {"workloads": [SERVICE]}), deadline_days=3.0)
    with pytest.raises(InputError, match="owned"):
        owned_list("some A100")


def test_owned_gpus_without_a_price_are_used_all_the_same():
    found = decided({"owned": [{"gpu": "L40S", "count": 8}], "workloads": [SERVICE]})
    assert found.members(found.best)["gpu"].iloc[0] == "l40s-pcie-48"
    assert found.best["upfront_usd"] == 0


def test_one_plan_alone_has_no_runner_up_and_nothing_flips_it():
    found = decided(
        {"allow.gpus": "H100", "allow.modes": "on-demand", "workloads": [SERVICE]},
    )
    table = planner.tornado(found)
    evens = planner.break_evens(found, table)
    assert found.runner_up is None
    assert len(table) == len(evens) == 0
    assert "No other plan" in answer_page(found, evens)
    assert found.best["probability"] == 1


def test_a_gpu_that_cannot_train_in_the_format_says_so():
    found = decided({"allow.gpus": "V100,A100", "workloads": [JOB]})
    said = [r["reason"] for r in planner.rejected(found.options[0]) if r["gpu"] == "v100-sxm-32"]
    assert any("no BF16 units" in reason for reason in said)


def test_random_arrivals_need_no_fewer_gpus_than_steady_load():
    rate = {"allow.gpus": "H100", "allow.weights": "bf16", "workloads": [SERVICE]}
    found = decided(rate | {"workloads[0].concurrency": None, "workloads[0].request_rate": 40.0})
    best = found.members(found.best).iloc[0]
    in_flight = 40.0 * (best["ttft_s"] + best["tpot_s"] * 512)
    steady = decided(rate | {"workloads[0].concurrency": max(int(in_flight * 0.5), 1)})
    assert best["gpus"] >= steady.members(steady.best)["gpus"].iloc[0]


def test_the_command_answers_in_text_and_in_json(command):
    text = command("plan", "small-team")
    assert text.returncode == 0
    assert text.stdout.startswith("Take ")
    assert "Three reasons" in text.stdout
    changed = command("plan", "small-team", "--json", "-p", "workloads[0].concurrency=8")
    record = json.loads(changed.stdout)
    assert record["feasible"]
    assert record["recommendation"]["low"] < record["recommendation"]["high"]
    assert sum(plan["probability"] for plan in record["plans"]) == pytest.approx(1)


def test_the_command_refuses_what_it_cannot_use_with_exit_code_2(command):
    for words in (["article-d"], ["small-team", "-p", "budget.montly_usd=3"]):
        done = command("plan", *words)
        assert done.returncode == 2
        assert "did you mean" in done.stderr
        assert done.stderr.count("\n") == 1


def words_to_usd(text):
    return float(text.removesuffix(" USD").replace(",", ""))


def test_a_budget_of_zero_says_how_much_is_needed():
    content = {"name": "one", "workloads": [SERVICE], "budget": {"monthly_usd": 0}}
    found = decided({"allow.modes": ["on-demand"]}, content)
    row = planner.nearest(found.scenario, found.options, found.plans).iloc[0]
    needed = row["needed"].value
    assert row["asked"].words() == "0 USD a month"
    assert "nan" not in answer_page(found, None)
    assert "inf" not in answer_page(found, None)
    again = decided({"allow.modes": ["on-demand"], "budget.monthly_usd": needed}, content)
    assert again.feasible


def test_the_keep_of_owned_gpus_is_a_row_and_what_must_give_holds_it():
    owned = [{"gpu": "A100", "count": 8}]
    alone = {"name": "lab", "workloads": [JOB], "owned": owned, "allow": {"gpus": ["H100"]}}
    found = decided({"allow.modes": ["on-demand"], "owned[0].count": 1}, alone)
    amounts = [words_to_usd(a) for a in members_table(found)["A month"]]
    assert sum(amounts) == pytest.approx(found.best["expected_usd"] / 36, rel=0.01)
    assert "keeps the GPUs that are owned already" in answer_page(found, None)
    tight = {"allow.modes": ["on-demand"], "budget": {"monthly_usd": 1}, "owned[0].count": 1}
    poor = decided(tight, alone)
    table = planner.nearest(poor.scenario, poor.options, poor.plans)
    needed = table[table["what"] == "the monthly budget"]["needed"].iloc[0].value
    rich = decided(tight | {"budget": {"monthly_usd": needed}}, alone)
    assert rich.feasible


def test_a_short_horizon_holds_a_whole_run_and_the_whole_reservation():
    content = {"name": "one run", "workloads": [JOB], "allow": {"modes": ["on-demand"]}}
    month = decided({"horizon_months": 1}, content)
    year = decided({"horizon_months": 12}, content)
    assert month.best["cost_usd"] == pytest.approx(year.best["cost_usd"])
    assert "over 1 month (" in answer_page(month, None)
    assert "1 个月合计" in answer_page(month, None, "zh")
    assert "over 1 month, with" in plans_caption(month)
    assert "over 12 months, with" in plans_caption(year)
    reserved = {"horizon_months": 6, "allow": {"modes": ["reserved-1yr"]}, "workloads": [SERVICE]}
    assert "paid for all of its 12 months" in answer_page(decided(reserved, content), None)


def test_page_one_tells_rate_unused_quotes_and_servers_bought_whole():
    changes = {
        "prices": {"currency": "CNY", "quotes": "L40S:on-demand=1.0,H200:on-demand=0.9"},
        "allow.gpus": ["A100", "H200"],
        "workloads": [SERVICE],
    }
    found = decided(changes)
    page = answer_page(found, None)
    assert "1 USD = 7.1 CNY" in page
    assert "your quotes of L40S, which allow.gpus does not list" in page
    assert "汇率" in answer_page(found, None, "zh")
    bought = decided({"workloads": [SERVICE], "allow.modes": ["own"], "allow.gpus": ["H100"]})
    assert plans_table(bought).index[0] == "8 H100"


def test_amounts_of_billions_are_written_out(both):
    assert money(2.194e9, both) == "2,190 million USD"
    assert money(1.25e6, both) == "1.25 million USD"


def test_the_report_says_what_was_asked():
    content = BOTH | {"owned": [{"gpu": "A100", "count": 16}], "budget": {"capital_usd": 0}}
    table = asked_table(scenario(content))["value"]
    assert "model llama-3.1-8b" in table["chat"]
    assert "concurrency 64" in table["chat"]
    assert f"engine {engine().name}" in table["chat"]
    assert "osl 512" in table["chat"]  # a default that the answer rests on
    assert "runs_per_year 1" in table["tuning"]
    assert "tokens 5e+09" in table["tuning"]
    assert table["budget"] == "capital_usd 0"
    assert table["owned"] == "16 x a100-sxm-80"
    assert "horizon_months 36" in table["goal"]


def test_a_page_says_what_was_not_tried_and_its_limit_in_its_language():
    found = decided({"workloads": [SERVICE], "allow.gpus": ["H100"]})
    assert "prompts read on GPUs of their own; gpuspec estimate" in answer_page(found, None)
    page = answer_page(found, None, "zh")
    assert "未评估：预填充与解码分开部署" in page
    assert "the limit" not in page
    assert "speed (" not in page
    job = decided({"workloads": [JOB], "allow.gpus": ["H100"]})
    assert "gpuspec estimate" not in answer_page(job, None)
