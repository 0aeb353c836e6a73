"""Page 1 of a decision: it says what the plan holds, in both languages, and for programs."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import v4
from scenarios import JOB, SERVICE

from gpuspec.base.errors import InputError
from gpuspec.constants.engine import engine
from gpuspec.constants.ground import MEASURED
from gpuspec.constants.training import training_ratio_interval
from gpuspec.decision.decide import ONE, TIE, Decision, decide
from gpuspec.decision.errors import Z80, own_spreads, stream, two_sided
from gpuspec.decision.plan import (
    front,
    limits,
    panel,
    words,
    words_asked,
    words_cost,
    words_ground,
    words_limits,
    words_sure,
    words_tables,
    words_worth,
)
from gpuspec.decision.plan.breakeven import break_evens
from gpuspec.decision.plan.record import answer_record
from gpuspec.decision.plan.sensitivity import LOAD_ROWS, Gap, tornado
from gpuspec.decision.plan.words_page import answer_page, rest_page
from gpuspec.decision.plans import Policy
from gpuspec.decision.scenario import asked_scenario, owned_list, scenario, scenario_of
from gpuspec.decision.scenario.line import Line
from gpuspec.decision.settings import settings_table
from gpuspec.decision.upgrade.tables import strategy_table, ways_table
from gpuspec.decision.worth import worth
from gpuspec.report.compose import _speaking
from gpuspec.topics.ways import capacity
from gpuspec.views import language

BOTH = {
    "name": "both",
    "workloads": [SERVICE, JOB],
    "budget": {"capital_usd": 1e6, "monthly_usd": 5e4},
    "limits": {"gpus": 64},
}
ONCE = {key: value for key, value in JOB.items() if key != "runs_per_year"} | {"tokens": 1e8}
SAMPLES = 300
CATALOGUE = Path(language.__file__).parent / "locale/zh/LC_MESSAGES/gpuspec.po"


def decided(changes=None, content=None):
    return decide(scenario(content or BOTH, changes or {}), samples=SAMPLES, loads=8)


def page(decision, lang="en"):
    """Return all that page 1 says."""
    parts = answer_page(decision, lang).text, rest_page(decision, None, lang).text
    return "\n".join([*parts, words_worth.worth_page(decision, worth(decision), lang).text])


@pytest.fixture(scope="module")
def both():
    return decided()


@pytest.fixture(scope="module")
def once():
    return decided(content={"name": "once", "workloads": [ONCE]})


@pytest.fixture(scope="module")
def nothing():
    return decided({"budget": {"monthly_usd": 100}})


# --- samples -------------------------------------------------------------------------------------


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


# --- amounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "english", "chinese"),
    [
        (0.0, "0 USD", "0 美元"),
        (0.3512, "35.1 cents", "35.1 美分"),
        (14.03, "14 USD", "14 美元"),
        (9_999.6, "10,000 USD", "1 万美元"),
        (677_300, "677,000 USD", "67.7 万美元"),
        (1_256_000, "1.26 million USD", "126 万美元"),
        (2.194e9, "2.19 billion USD", "21.9 亿美元"),
        (-4_321, "-4,320 USD", "-4,320 美元"),
    ],
)
def test_an_amount_has_three_digits_in_both_languages(both, usd, english, chinese):
    assert words.voice_of(both).money(usd) == english
    assert words.voice_of(both, "zh").money(usd) == chinese


@given(st.floats(1e-6, 1e12))
@settings(max_examples=200)
def test_both_languages_round_alike(usd):
    prices = scenario(BOTH).prices
    english, chinese = words.Voice(prices).money(usd), words.Voice(prices, "zh").money(usd)
    size = {
        "million": 1e6,
        "billion": 1e9,
        "trillion": 1e12,
        "cents": 1e-2,
        "万美元": 1e4,
        "亿美元": 1e8,
        "万亿美元": 1e12,
        "美分": 1e-2,
    }
    told = [
        float(text.split()[0].replace(",", "")) * size.get(text.split()[1], 1.0)
        for text in (english, chinese)
    ]
    assert told[0] == pytest.approx(told[1], rel=1e-9)
    assert told[0] == pytest.approx(usd, rel=0.0051)


@given(st.floats(1e-9, 1.0, exclude_max=True))
def test_a_share_is_never_rounded_to_nothing_or_all(share):
    assert words.percent(share) not in ("0 %", "100 %")
    assert words.percent(share, sign=True) != "+0 %"


# --- what page 1 says ----------------------------------------------------------------------------


def test_page_one_says_what_was_asked_and_which_defaults_it_took(both):
    text = answer_page(both).text
    assert "chat serves Llama 3.1 8B" in text or "chat serves Llama-3.1-8B" in text
    assert "400 requests always in flight, with 1,024 tokens in" in text
    assert "5 billion tokens" in text
    assert "6 times a year and must each time be done within 10 days" in text
    assert "At most 1 million USD may be spent on what is bought, and 50,000 USD a month" in text
    assert "At most 64 GPUs can be had" in text
    assert "within 30 ms" in text  # as stated
    rest = rest_page(both).text
    taken = rest[rest.index("Taken, as nothing was named") :]
    assert "36 months is the usual one" in taken
    assert "A100 SXM 80 GB, H100 SXM and H200 SXM" in taken
    stated = decided({"workloads[0].ttft_limit_s": 1, "horizon_months": 12, "allow.gpus": "H100"})
    assert "The first token" not in rest_page(stated).text
    assert "usual one" not in rest_page(stated).text


def test_a_default_stays_one_where_other_fields_are_laid_over_the_scenario():
    asked = asked_scenario(scenario("small-team"), monthly_usd=5000.0)
    told = words_asked.default_sentences(asked, words.Voice(asked.prices))
    assert any("50 ms" in text for text in told)
    assert asked.budget.monthly_usd == 5000
    assert asked.budget.capital_usd == 50_000


def test_every_limit_comes_back_with_what_is_used_and_left(both):
    table = limits.uses_table(both, both.best).set_index(["workload", "limit"])
    assert table.loc[("", "capital_usd"), "asked"] == 1e6
    assert table.loc[("", "monthly_usd"), "used"] == pytest.approx(both.best.monthly_usd.max())
    assert table.loc[("", "gpus"), "used"] == both.best.gpus_atonce.max()
    assert table.loc[("tuning", "deadline_days"), "asked"] == 10
    assert table.loc[("chat", "tpot_limit_s"), "used"] <= 0.03
    assert not table.loc[("chat", "ttft_limit_s"), "stated"]
    assert (table["asked"] - table["used"] == table["left"]).all()
    assert table["kept"].all()
    voice, text = words.voice_of(both), answer_page(both).text
    for name in ("capital_usd", "monthly_usd"):
        row = table.loc[("", name)]
        used, asked, left = (voice.money(row[n]) for n in ("used", "asked", "left"))
        assert f"{used} of {asked}, {left} are left" in text


def test_a_limit_that_was_left_open_and_is_used_heavily_is_named(both):
    many = {"allow.modes": "own,on-demand", "limits": {}, "workloads": [SERVICE]}
    open_ = decided(many | {"budget": {"monthly_usd": 1e5}})
    capital = words.voice_of(open_).money(open_.best.upfront_usd)
    assert open_.best.upfront_usd > 0
    assert f"You named no capital: this takes {capital} at once" in answer_page(open_).text
    assert "You named no" not in answer_page(both).text
    rented = decided({"budget": {}, "allow.modes": "on-demand"})
    assert "You named no capital" not in answer_page(rented).text


def test_the_number_signed_its_chance_and_the_shortfall_are_those_of_the_plan():
    found = decided({"allow.modes": "own,on-demand", "workloads": [SERVICE], "horizon_months": 36})
    plan, text = found.best, answer_page(found).text
    record = answer_record(found)["recommendation"]
    assert len(plan.signed)
    assert 0 < record["enough"] < 1
    assert f"are enough in {words.percent(record['enough'])} of {SAMPLES} draws" in text
    assert words.voice_of(found).money(record["shortfall_usd"]) in text
    assert sum(row["gpus"] for row in record["signed"]) == plan.chosen.signed.sum()
    assert sum(record["parts"].values()) == pytest.approx(record["expected_usd"])


def test_rows_of_the_table_add_up_to_the_cost(both):
    for found in (both, decided({"owned": [{"gpu": "A100", "count": 16}], "allow.sell": False})):
        plan = found.best
        works = plan.work_usd.sum() + plan.keep_usd + plan.effort_usd
        assert works == pytest.approx(plan.expected_usd, rel=1e-6)
        table = words_tables.works_table(found)
        assert list(table.index[:2]) == ["chat", "tuning"]
        total = words.voice_of(found).money(plan.expected_usd)
        assert table.loc["all together", "Cost"] == total


def test_a_job_that_runs_once_is_told_once_with_its_time(once):
    text = answer_page(once).text
    assert re.search(r"tuning costs [\d.]+ (USD|cents) once and takes [\d.]+ (minutes|hours)", text)
    assert "36 months (" not in text
    assert "0 USD a month" not in text
    table = words_tables.works_table(once)
    assert table.loc["tuning", "Each"] == "once"
    assert limits.runs_in(once.best, 0) == 1
    twice = decided(content={"name": "twice", "workloads": [ONCE | {"runs_per_year": 2}]})
    assert "6 runs are wanted" in answer_page(twice).text


def test_what_keeps_its_limits_too_seldom_is_said_first(both):
    plan = replace(both.best)
    vars(plan)["kept"] = np.arange(SAMPLES) < 0.5 * SAMPLES
    text = answer_page(replace(both, plans=(plan, *both.plans[1:]))).text
    paragraphs = text.split("\n\n")
    assert paragraphs[1] == "All deadlines and limits are kept in 50 % of the draws alone."
    assert "alone" not in answer_page(both).text


def test_equal_plans_are_called_equal_and_the_rule_is_named(both):
    best, other = both.plans[:2]
    same = replace(best, policies=(Policy(ONE, ("h100-sxm-80",)),))
    dear = (best.simplicity[0] + 1, *best.simplicity[1:])
    object.__setattr__(same, "__class__", type("Dear", (type(best),), {"simplicity": dear}))
    text = answer_page(Decision(both.scenario, both.problem, (best, same))).text
    assert "Equal to it, within the error: H100 SXM for all" in text
    assert "What decided is fewer kinds of GPU" in text
    assert "+0 %" not in page(both)
    if other.expected_usd > best.expected_usd * (1 + TIE):
        assert "Equal to it" not in answer_page(both).text


def test_a_reason_is_told_only_where_it_is_one(both):
    for text in words_sure.reasons(both):
        assert not re.search(r"\b0 %", text)
        assert "the same" not in text
    dearer = [p for p in both.plans[1:] for policy in p.policies if policy.kind == ONE]
    if dearer and not any(p.kind == ONE for p in both.best.policies):
        assert any("One kind of GPU for all costs more" in t for t in words_sure.reasons(both))


def test_another_number_format_is_to_be_checked_and_has_its_price(both):
    fast = decided({"workloads": [SERVICE], "effort.precision_usd": 0})
    ran = dict(fast.best.runs.iloc[0])
    assert ran["precision"] == "fp8"
    assert "chat would run in FP8 instead of BF16" in rest_page(fast).text
    plain = decided({"workloads": [SERVICE], "allow.weights": "bf16"})
    assert "instead of" not in rest_page(plain).text


def test_prices_are_graded_by_the_worst_of_them():
    mine = {"allow": {"gpus": "H100", "modes": "on-demand"}, "workloads": [SERVICE]}
    quoted = decided(mine | {"prices.quotes": "H100:on-demand=2.10"})
    assert answer_record(quoted)["recommendation"]["price_grade"] == "firm"
    assert "prices are firm" in answer_page(quoted).text
    mixed = mine | {"allow": {"gpus": "H100", "modes": "own,on-demand"}}
    old = decided(mixed | {"prices.quotes": "H100:on-demand=20.0", "budget": {}, "limits": {}})
    assert answer_record(old)["recommendation"]["price_grade"] == "guess"
    assert "in part a guess: H100 SXM (bought" in answer_page(old).text


def test_what_is_not_used_is_named():
    changes = {
        "prices": {"currency": "CNY", "quotes": "L40S:on-demand=1.0,H200:on-demand=0.9"},
        "allow.gpus": ["A100", "H200", "H200 NVL"],
        "owned": [{"gpu": "A100", "count": 8, "book_usd": 10_000}],
        "limits": {"racks": 2},
        "workloads": [SERVICE],
    }
    found = decided(changes)
    text = page(found)
    assert "1 USD = 7.1 CNY" in text
    assert "your quotes of L40S PCIe, which allow.gpus does not list" in text
    assert "H200 NVL. Give a quote of your own" in text
    assert "owned.book_usd and limits.racks" in text
    assert "prompts read on GPUs of their own; gpuspec estimate" in text
    assert "Fields that are not used" not in page(decided({"workloads": [SERVICE]}))


def test_a_quote_of_ones_own_changes_the_answer():
    cheap = decided({"prices.quotes": "h200-sxm-141:on-demand=0.20"})
    assert set(cheap.best.runs["gpu"]) == {"h200-sxm-141"}


def test_contracts_beyond_the_horizon_are_told():
    reserved = {"horizon_months": 6, "allow.modes": "reserved-1yr", "workloads": [SERVICE]}
    found = decided(reserved | {"budget": {}, "limits": {}})
    # They begin after a month and are paid for a year.
    assert "contracts are paid for 7 months beyond the horizon" in answer_page(found).text
    whole = decided(reserved | {"horizon_months": 13, "budget": {}, "limits": {}})
    assert "beyond the horizon" not in answer_page(whole).text


def test_what_is_sold_and_what_is_kept_is_told():
    owned = {"owned": [{"gpu": "A100", "count": 16}], "workloads": [ONCE]}
    kept = decided(owned | {"allow.sell": False})
    assert "You own 16 x A100 SXM 80 GB, none of which may be sold" in answer_page(kept).text
    assert "Keep the 16 x A100 SXM 80 GB that are owned." in answer_page(kept).text
    sold = decided(owned)
    count = sold.best.sold["gpus"].sum()
    assert f"Sell {count:.0f} x A100 SXM 80 GB of those that are owned" in answer_page(sold).text
    assert "H200 SXM for all" not in words.policy_words(sold.best.policies[0])


def test_a_service_runs_on_spot_only_where_it_may_stop():
    modes = {"allow.modes": "spot,on-demand", "workloads": [SERVICE]}
    assert "on spot" not in answer_page(decided(modes)).text.split("\n\n")[1]
    stops = decided(modes | {"workloads[0].interruptible": True})
    assert "on spot for the runs of chat" in answer_page(stops).text


def test_what_a_job_on_spot_rests_on_is_told_and_drawn():
    big = ONCE | {"tokens": 2e11, "deadline_days": 60, "model": "Llama-3.1-70B"}
    spot = {"allow.modes": "spot", "allow.gpus": "H100"}
    found = decided(spot, {"name": "one", "workloads": [big]})
    run = found.best.runs.iloc[0]
    way = found.problem.options[0].table.iloc[int(run["way"])]
    assert run["gpus"] > 8
    assert 0.8 < run["useful"] < 0.99
    assert run["days"] == pytest.approx(way["days"] / run["useful"])  # stops take time as well
    servers = int(np.ceil(run["gpus"] / 8))
    assert f"whether {servers} servers joined by a fast network can be had together" in page(found)
    useful = found.problem.draws.spot_useful(3.6e-4, run["gpus"])
    assert useful.min() < 0.95 < 0.98 < useful.max()
    few = decided(spot, {"name": "one", "workloads": [ONCE | {"tokens": 1e7}]})
    assert few.best.runs.iloc[0]["venue"] == "spot"
    assert "may be withdrawn" not in page(few)  # an hour on one GPU


def test_work_that_nothing_can_be_had_for_is_told_as_undone():
    late = {"allow": {"gpus": "H100", "modes": "own"}, "workloads": [SERVICE], "limits": {}}
    found = decided(late | {"horizon_months": 4, "budget": {}})
    if found.feasible:
        assert "cannot be had in this time: their work stays undone" in answer_page(found).text
    whole = decided(late | {"horizon_months": 36, "budget": {}})
    text = answer_page(whole).text
    assert "which are there after" in text
    assert "its work stays undone, counted at" in text


def test_a_recommendation_far_from_what_was_measured_says_so_in_its_headline(once):
    big = ONCE | {"model": "Llama-3.1-405B", "tokens": 1e10, "deadline_days": 60}
    found = decided({"limits.gpus": 96}, {"name": "one", "workloads": [big]})
    assert "host memory" in found.best.runs.iloc[0]["split"]
    warned = "Nothing like the settings of tuning was measured: try them before you sign."
    assert warned in answer_page(found).text.split("\n\n")[1]
    assert warned not in page(once)


def test_of_ways_that_cost_the_same_the_one_that_was_measured_is_told():
    chat = SERVICE | {"model": "DeepSeek-R1", "isl": 4000, "osl": 1000, "tpot_limit_s": 0.04}
    asked = {"workloads": [chat | {"concurrency": 4}], "allow": {"gpus": "H200"}}
    found = decided(content={"name": "one", **asked})
    splits = found.problem.options[0].table[["split", "ground", "unit_gpus"]]
    assert "TP 4 PP 2" not in set(splits["split"])  # on 8 GPUs too, but seldom run so
    assert "Settings like all of these were measured." in page(found)


def test_simulations_tenants_and_images_are_told_too():
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
            {"kind": "images", "name": "art", "model": "SDXL", "images_per_s": 2.0},
        ],
    }
    found = decided(content=content)
    text = answer_page(found).text
    assert "md takes 500 GPU-hours of A100 SXM 80 GB a run" in text
    assert "small are 10 small services on slices of GPUs" in text
    assert "art makes 2 images a second" in text
    table = words_tables.works_table(found)
    assert table.loc["art", "Delivers"] == "2 images a second"
    assert "of 10 days" in table.loc["md", "Delivers"]


def test_plans_that_no_draw_tells_apart_are_one_and_in_measured_ways():
    asked = {"model": "Qwen2.5-72B", "users": 200, "isl": 8000, "owned": "8xA100"}
    decision = decide(scenario_of(None, Line.ask(**asked, budget="30000/month")))
    signed = [(p.key[1:], p.costs.tobytes()) for p in decision.plans]
    assert len(set(signed)) == len(signed) > 1
    assert [ground.code for ground in decision.best.grounds] == [MEASURED]  # TP 4, as TP 2 PP 2


def test_a_price_that_flips_at_that_of_today_is_not_written_twice(both):
    even = pd.DataFrame(
        {"kind": "price", "what": "spot", "gpu": "h100-sxm-80", "at": [2.101], "value": [2.1]}
    ).assign(far=0.001)
    assert "a little above 2.10 USD an hour" in words_sure.changes(both, even)[0]
    assert "a little below" in words_sure.changes(both, even.assign(at=2.099))[0]
    assert "略低于" in words_sure.changes(both, even.assign(at=2.099), "zh")[0]


def test_one_plan_alone_has_no_runner_up_and_nothing_flips_it():
    one = {"allow.gpus": "H100", "allow.modes": "on-demand", "workloads": [SERVICE]}
    found = decided(one)
    evens = break_evens(found, tornado(found))
    assert found.runner_up is None
    assert len(evens) == 0
    assert "No other plan keeps all limits" in answer_page(found).text
    assert "Runner-up" not in rest_page(found, evens).text


@pytest.mark.parametrize("objective", ["time", "energy"])
def test_another_goal_is_told_with_what_the_cheapest_costs(both, objective):
    found = decided({"objective": objective})
    text = answer_page(found).text
    assert {"time": "It is the fastest", "energy": "It takes the least energy"}[objective] in text
    assert "it is the cheapest in" not in text


# --- what would flip it --------------------------------------------------------------------------


def test_at_the_break_even_price_both_plans_cost_the_same(both):
    evens = break_evens(both, tornado(both))
    assert (evens["far"].to_numpy()[:-1] <= evens["far"].to_numpy()[1:]).all()
    price = evens[(evens["kind"] == "price") & np.isfinite(evens["far"])]
    assert len(price)
    gap, row = Gap(both), price.iloc[0]
    rows = both.offers[["gpu", "mode"]].to_numpy(str)
    mine = (rows == [row["gpu"], row["what"]]).all(axis=1)
    assert gap.with_prices(np.where(mine, row["at"] / row["value"], 1.0)) == pytest.approx(
        0, abs=1e-6
    )
    assert "The runner-up wins with" in rest_page(both, evens).text


def test_each_load_that_flips_the_choice_is_a_sentence_in_both_languages(both):
    import pandas as pd

    for what, (name, *_) in LOAD_ROWS.items():
        if what == "horizon":  # has no factor
            continue
        even = pd.DataFrame([{"kind": "load", "what": name, "at": 1.5, "far": 0.4}])
        (said,) = words_sure.changes(both, even)
        assert said == f"{name[0].lower()}{name[1:]} at 1.5 times what was asked"
        (said,) = words_sure.changes(both, even, "zh")
        assert re.fullmatch(r"[^a-z]*(token)?[^a-z]*变为设定值的 1.5 倍", said)


# --- where nothing is feasible -------------------------------------------------------------------


def test_an_infeasible_page_says_what_must_give_with_its_price(nothing):
    text = answer_page(nothing).text
    rows = answer_record(nothing)["what_must_give"]
    assert "What must give, the cheapest first" in text
    assert rows
    costs = [row["cost_usd"] for row in rows if np.isfinite(row["cost_usd"])]
    assert costs == sorted(costs)
    voice, row = words.voice_of(nothing), rows[0]
    assert row["what"] == "monthly"
    assert f"With {voice.money(row['needed'])} a month instead of 100 USD" in text
    assert voice.money(row["cost_usd"]) in text
    enough = scenario(BOTH, {"budget": {"monthly_usd": row["needed"]}})
    assert decide(enough, quick=True).feasible


def test_limits_that_must_give_together_are_told_as_such():
    found = decided({"budget.monthly_usd": 100, "budget.capital_usd": 0})
    text = answer_page(found).text
    rows = answer_record(found)["what_must_give"]
    assert len(rows) > 1 or np.isfinite(rows[0]["cost_usd"])
    if len(rows) > 1:
        assert "together with the other changes here it costs" in text
    changes = {f"budget.{row['what']}_usd": row["needed"] for row in rows}
    assert decide(scenario(BOTH, changes), quick=True).feasible


TABLES = (words_tables.works_table, words_tables.plans_table, front.terms_table, strategy_table)
TABLES += (worth, settings_table, break_evens, tornado)


def test_tables_of_an_empty_answer_keep_their_columns(nothing, both):
    for table in TABLES:
        empty, full = table(nothing), table(both)
        assert len(empty) == 0, table
        assert list(empty.columns) == list(full.columns), table
        assert empty.index.name == full.index.name, table
    for table in (words_tables.rejected_table, words_tables.offers_table, ways_table):
        assert list(table(nothing).columns) == list(table(both).columns), table
    assert list(nothing.table.columns) == list(both.table.columns)


def test_the_command_ends_with_3_where_nothing_does_it(command):
    found = command("plan", "small-team", "--monthly-usd", "1", "--capital-usd", "0")
    assert found.returncode == 3
    assert found.stdout.startswith("Small team\n")
    assert "What must give" in found.stdout
    told = command("plan", "small-team", "--monthly-usd", "1", "--capital-usd", "0", "--json")
    record = json.loads(told.stdout)
    assert told.returncode == 3
    assert record["feasible"] is False
    assert record["what_must_give"][0]["needed"] > 1


def test_a_report_without_an_answer_is_written_and_ends_with_3(command, tmp_path):
    asked = ("-p", "scenario=small-team", "-p", "monthly_usd=1", "-p", "capital_usd=0")
    done = command("report", "decision", *asked, "-o", "out.html", "--quiet")
    assert done.returncode == 3
    html = (tmp_path / "out.html").read_text("utf-8")
    assert "<h1>Small team</h1>" in html
    assert "What must give" in html
    assert "<figure" not in html
    assert html.count('class="gpuspec"') <= 2  # what was asked, and what is out
    assert "The plans" not in html


def test_a_section_whose_code_shows_nothing_is_left_out():
    shown = v4.new_output("display_data", {"text/markdown": "x"})
    silent = [v4.new_markdown_cell("## None\n\nWords."), v4.new_code_cell("")]
    told = [v4.new_markdown_cell("## Some"), v4.new_code_cell("", outputs=[shown])]
    prose = [v4.new_markdown_cell("## Prose alone")]
    cells = [v4.new_markdown_cell("# Title"), *silent, *told, *prose]
    assert _speaking(cells) == [cells[0], *told, *prose]


# --- for programs, and in Chinese ----------------------------------------------------------------


def test_the_answer_is_the_same_every_time(both):
    again, drop = decided(), ["plan", "policies"]
    assert both.table.drop(columns=drop).equals(again.table.drop(columns=drop))
    assert page(both) == page(again)


def test_the_command_answers_in_text_and_in_json(command):
    text = command("plan", "small-team")
    assert text.returncode == 0
    assert text.stdout.startswith("Small team\n\nYou asked: ")
    changed = command("plan", "small-team", "--json", "-p", "workloads[0].concurrency=8")
    record = json.loads(changed.stdout)
    best = record["recommendation"]
    assert record["feasible"]
    assert best["low"] < best["expected_usd"] < best["high"]
    assert sum(plan["probability"] for plan in record["plans"]) == pytest.approx(1)
    assert {row["limit"] for row in best["limits"]} > {"capital_usd", "monthly_usd"}
    assert best["works"][1]["run_usd"] * 12 == pytest.approx(best["works"][1]["cost_usd"])


def test_the_command_refuses_what_it_cannot_use_with_exit_code_2(command):
    for asked in (["article-d"], ["small-team", "-p", "budget.montly_usd=3"]):
        done = command("plan", *asked)
        assert done.returncode == 2
        assert "did you mean" in done.stderr
        assert done.stderr.count("\n") == 1


NAMES = (
    r"GPU|A100|SXM|GB|H100|H200|L40S|NVL|PCIe|LoRA|QLoRA|Llama-?|Qwen[\d.]*|SDXL|sdxl|FP8|FP64|BF16|USD"
    r"|CNY|kW|TP|DP|PP|CP|EP|ZeRO-\d|MIG|chat|tuning|both|once|md|B\b|gpuspec (estimate|quotes)"
    r"|prices\.operating|megatron-core|Hopper|Ampere|on\b|API|DeepInfra|Nebius|Novita|token"
)


@pytest.mark.parametrize("which", ["both", "once", "nothing"])
def test_page_one_is_chinese_throughout(which, request):
    found = request.getfixturevalue(which)
    text = page(found, "zh")
    if found.feasible:
        table = words_tables.works_table(found, "zh").reset_index()
        text += " ".join([*table.columns, *table.to_numpy().ravel().tolist()])
        text += words_tables.plans_caption(found, "zh") + words_tables.works_caption(found, "zh")
        text += " ".join(words.plan_labels(found, "zh"))
    assert not re.search("[A-Za-z]{2,}", re.sub(NAMES, "", text))
    assert "$" not in page(found)


def templates():
    """All sentences that are chosen by name."""
    every = (words, words_cost, words_limits, words_sure, words_ground, words_asked, words_worth)
    for module in every:
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, dict):
                yield from value.values()
    yield from words_sure.RULE


def test_every_sentence_has_a_translation_with_the_same_places():
    known = {m.id: m.string for m in read_po(io.BytesIO(CATALOGUE.read_bytes())) if m.string}
    found = {text for text in templates() if re.search(r"\w", text)}
    assert found - set(known) == set()
    for text, said in known.items():
        assert set(re.findall(r"{(\w+)", text)) == set(re.findall(r"{(\w+)", said)), text


# --- what is asked -------------------------------------------------------------------------------


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
    with pytest.raises(InputError, match="16 x A100"):
        owned_list("some A100")


def test_the_report_says_what_was_asked():
    content = BOTH | {"owned": [{"gpu": "A100", "count": 16}], "budget": {"capital_usd": 0}}
    table = words_asked.asked_table(scenario(content))["value"]
    assert "model llama-3.1-8b" in table["chat"]
    assert "concurrency 400" in table["chat"]
    assert f"engine {engine().name}" in table["chat"]
    assert "osl 512" in table["chat"]  # a default that the answer rests on
    assert "runs_per_year 6" in table["tuning"]
    assert "tokens 5e+09" in table["tuning"]
    assert table["budget"] == "capital_usd 0"
    assert table["owned"] == "16 x a100-sxm-80"
    assert "horizon_months 36" in table["goal"]


def test_what_cannot_run_is_out_with_its_reason():
    gpus = {"allow.gpus": "V100,A100,H200 NVL", "prices.quotes": "V100:on-demand=0.5"}
    found = decided(gpus | {"workloads": [JOB]})
    table = words_tables.rejected_table(found)
    assert any("no BF16 units" in reason for reason in table["Why not"])
    assert table.loc[table["GPU"] == "H200 NVL", "Why not"].str.contains("quote").all()
    large = decided({"workloads[0].model": "Llama-3.1-70B", "allow.weights": "bf16"})
    out = words_tables.rejected_table(large)
    assert out["Why not"].str.contains("GiB a GPU too large").any()


def test_the_panel_starts_at_the_decision_and_decides_again_on_a_change(once, monkeypatch):
    decided = []
    monkeypatch.setattr(panel, "decide", lambda s: decided.append(s) or decide(s, quick=True))
    shown = panel.decision_panel(once)
    assert shown.answer is once
    assert not decided
    shown.controls["horizon_months"].value = "7"
    assert [s.horizon_months for s in decided] == [7]
    assert shown.answer.best.expected_usd != once.best.expected_usd
