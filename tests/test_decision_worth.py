"""What knowing more is worth before signing: against cases that are known, and as laws."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios import SERVICE
from scipy.stats import norm

from gpuspec.decision import worth as worths
from gpuspec.decision.decide import decide, regrets_usd
from gpuspec.decision.gives import later, slower
from gpuspec.decision.plan import words, words_page, words_worth
from gpuspec.decision.scenario import scenario
from gpuspec.decision.worth import _case, partial_usd, perfect_usd, regrets, variants, worth

ONE = {"name": "one", "horizon_months": 24, "workloads": [SERVICE]}
DRAWS = 2000


def decided(changes=None):
    return decide(scenario(ONE, changes or {}), samples=600, loads=8)


@pytest.fixture(scope="module")
def one():
    return decided()


def analytic(mean, spread):
    """Return what it is worth to know a difference of two costs, normal around `mean` > 0."""
    return spread * norm.pdf(mean / spread) - mean * norm.cdf(-mean / spread)


def two_plans(mean, known, unknown, seed=0, draws=DRAWS):
    """Return costs of two plans whose difference is normal, the part that is told, and another."""
    told, hidden, other, both = np.random.default_rng(seed).standard_normal((4, draws))
    first = 1000 + 50 * both
    return np.array([first, first + mean + known * told + unknown * hidden]), told, other


# --- of any costs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "known", "unknown"), [(10, 20, 10), (10, 10, 20), (5, 30, 0), (30, 10, 10), (0, 8, 8)]
)
def test_two_normal_plans_are_worth_what_the_integral_says(mean, known, unknown):
    found = np.array(
        [
            (*partial_usd(costs, told[None]), *perfect_usd(costs))
            for seed in range(24)
            for costs, told, _ in [two_plans(mean, known, unknown, seed)]
        ]
    )
    for place, spread in ((0, known), (2, np.hypot(known, unknown))):
        right, errors = analytic(mean, spread), found[:, place + 1]
        bound = 4 * np.sqrt((errors**2).mean() / len(found))
        assert found[:, place].mean() == pytest.approx(right, abs=bound + 0.03 * right)
        if right > 1:  # the error that is told is that which is seen
            assert found[:, place].std() == pytest.approx(errors.mean(), rel=0.5)


def test_what_is_signed_is_the_cheapest_plan_wherever_it_stands():
    costs = np.array([[9.0, 9.0, 9.0], [1.0, 3.0, 8.0], [2.0, 2.0, 9.0]])
    assert perfect_usd(costs)[0] == pytest.approx(1 / 3)  # the second is signed, and loses 1 once
    assert perfect_usd(costs[::-1]) == perfect_usd(costs)


def test_noise_alone_is_worth_nothing_and_nothing_flips_without_a_flip():
    costs, told, other = two_plans(10, 0, 20)
    values = [partial_usd(costs, n[None])[0] for n in (told, other)]
    assert max(values) < 0.1 * perfect_usd(costs)[0]
    far, told, _ = two_plans(1000, 20, 10)
    assert partial_usd(far, told[None]) == (0, 0)
    assert perfect_usd(far)[0] == 0
    assert partial_usd(costs[:1], told[None]) == (0, 0)
    assert partial_usd(costs, np.ones((1, DRAWS)))[0] == 0


@pytest.mark.parametrize("seed", range(3))
def test_many_numbers_that_say_nothing_of_many_plans_are_not_worth_their_noise(seed):
    draw = np.random.default_rng(seed)
    costs, noise = draw.normal(100, 1, (6, 2000)), draw.normal(size=(8, 2000))
    assert partial_usd(costs, noise)[0] < 0.03  # a regression on the own draws says 0.14


def test_what_stays_unknown_and_bends_the_cost_does_not_move_the_choice():
    """Of two plans the second costs 0.5 + known + 2 (unknown squared - 1) more."""
    known, unknown = np.random.default_rng(1).normal(size=(2, 20_000))
    more = 0.5 + known + 2 * (unknown**2 - 1)
    costs = np.stack([np.full_like(more, 100.0), 100 + more])
    usd, error = partial_usd(costs, known[None], unknown[None])
    assert usd == pytest.approx(analytic(0.5, 1.0), abs=4 * error + 0.01)
    assert usd == pytest.approx(partial_usd(costs, known[None])[0], abs=0.04)


def test_an_independent_number_beside_it_changes_nothing():
    costs, told, other = two_plans(10, 20, 10)
    alone, error = partial_usd(costs, told[None])
    assert partial_usd(costs, np.array([told, other]))[0] == pytest.approx(alone, abs=error)


@pytest.mark.parametrize(("known", "unknown"), [(20, 10), (10, 20), (10, 60)])
def test_what_stays_unknown_is_taken_off_and_the_error_told_is_the_one_seen(known, unknown):
    found = np.array(
        [
            (*partial_usd(costs, told[None], other[None]), *partial_usd(costs, told[None]))
            for seed in range(24)
            for told, other in [np.random.default_rng(seed).standard_normal((2, DRAWS))]
            for costs in [np.array([np.zeros(DRAWS), 10 + known * told + unknown * other])]
        ]
    )
    usd, error, plain, plain_error = found.T
    right = analytic(10, known)
    assert usd.mean() == pytest.approx(right, abs=4 * error.mean() / np.sqrt(len(usd)))
    assert usd.std() == pytest.approx(error.mean(), rel=0.5)
    assert error.mean() < plain_error.mean()
    assert abs(usd.mean() - right) < abs(plain.mean() - right) + error.mean() / 4


def test_two_numbers_are_worth_their_sum_in_one():
    told, other = np.random.default_rng(3).standard_normal((2, DRAWS))
    costs = np.array([np.zeros(DRAWS), 10 + 20 * told + 20 * other])
    both, error = partial_usd(costs, np.array([told, other]))
    assert both == pytest.approx(analytic(10, np.hypot(20, 20)), abs=4 * error)
    assert both > partial_usd(costs, told[None])[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.floats(0, 3))
def test_a_part_is_never_below_nothing_nor_above_everything(seed, plans, numbers, tails):
    random = np.random.default_rng(seed)
    known = random.standard_normal((numbers, 200))
    costs = np.exp(tails * random.standard_normal((plans, 200))) + known[:1]
    usd, error = partial_usd(costs, known)
    assert 0 <= usd <= perfect_usd(costs)[0]
    assert error >= 0
    assert usd == partial_usd(costs * 7, known * 3 + 1)[0] / 7 or usd == pytest.approx(
        partial_usd(costs * 7, known * 3 + 1)[0] / 7
    )


def test_several_together_are_worth_at_least_what_each_of_them_is():
    parts = [
        worths.Known(worths.QUOTE, (i,), (gpu,), (), "", usd, 1.0, np.nan)
        for i, (gpu, usd) in enumerate([("h100-sxm-80", 7.0), ("h200-sxm-141", 10.0)])
    ]
    told = worths._together(worths.QUOTES, parts, 8.0, 0.5)  # as a regression on both may say
    assert (told.usd, told.error_usd, told.offers) == (10.0, 1.0, (0, 1))
    assert worths._together(worths.QUOTES, parts, 12.0, 0.5)[5:7] == (12.0, 0.5)


def test_regret_is_the_loss_against_the_best_of_the_draw():
    costs = np.array([[1.0] * 99 + [50.0], [2.0] * 100])
    assert regrets_usd(costs).tolist() == [[0.0, 48.0], [1.0, 1.0]]


# --- of a decision -------------------------------------------------------------------------------


def test_what_is_worth_knowing_of_a_decision_keeps_the_laws(one):
    table = worth(one).set_index("kind", drop=False)
    most = table.loc["everything", "usd"]
    assert most > 0
    assert table["usd"].between(0, most).all()
    assert table["usd"].is_monotonic_decreasing
    assert table.loc["all quotes", "usd"] >= table.loc[["quote"], "usd"].max()
    assert (table["kind"] == "trial").any()
    single = table[(table["kind"] == "trial") & (table["gpus"].map(len) == 1)]
    assert (single["cost_usd"] > 0).all()


def test_the_plans_are_those_of_the_decision_and_near_ones_that_keep_the_limits(one):
    plans = variants(one)
    assert min(p.expected_usd for p in plans) <= one.best.expected_usd * (1 + 1e-9)
    for plan in plans:  # the quick way to a cost is the whole way
        fresh = worths.replace(plan)
        assert plan.costs == pytest.approx(fresh.costs)
    signed = {tuple(plan.chosen.signed) for plan in one.plans}
    assert any(tuple(plan.chosen.signed) not in signed for plan in plans)
    held = decided({"budget.capital_usd": float(one.best.upfront_usd) + 1})
    most = held.problem.limits.capital * 1.001
    assert all(plan.upfront_usd <= most for plan in variants(held))


def test_a_quote_of_ones_own_leaves_nothing_to_ask(one):
    table = worth(one)
    asked = table[table["kind"] == "quote"].iloc[0]
    offer = one.offers.iloc[asked["offers"][0]]
    assert asked["usd"] > 0
    words = "own-gpu" if offer["mode"] == "own" else offer["mode"]
    price = offer["capital_usd_gpu"] if offer["mode"] == "own" else offer["hour_usd"]
    again = decided({"prices.quotes": f"{offer['gpu']}:{words}={price}"})
    known = worth(again)
    left = known[known["kind"] == "quote"]
    names = {(again.offers.iloc[o]["gpu"], again.offers.iloc[o]["mode"]) for (o,) in left["offers"]}
    assert (offer["gpu"], offer["mode"]) not in names
    everything = [t.loc[t["kind"] == "everything", "usd"].item() for t in (table, known)]
    assert everything[1] < everything[0]


def test_a_speed_of_ones_own_leaves_nothing_to_try_there():
    stored = {"allow.weights": "stored"}
    table = worth(decided(stored))
    before = {row for row in table.loc[table["kind"] == "trial", "gpus"] if len(row) == 1}
    assert ("h100-sxm-80",) in before
    own = [{"gpu": "H100", "gpus": 1, "requests_per_s": 9.0}]
    known = worth(decided(stored | {"workloads[0].measured_speeds": own}))
    after = {row for row in known.loc[known["kind"] == "trial", "gpus"] if len(row) == 1}
    assert ("h100-sxm-80",) not in after
    assert (known["usd"] >= 0).all()


def test_questions_weigh_what_was_left_open(one):
    table = worth(one, questions=True)
    asked = table[table["kind"] == "question"].set_index("what")
    assert set(asked.index) == {"load", "hours", "spare"}
    assert (asked["usd"] >= 0).all()
    assert asked["usd"].max() > 0
    said = decided({"workloads[0].spare_replicas": 1, "workloads[0].hours_per_month": 730})
    table = worth(said, questions=True)
    assert set(table.loc[table["kind"] == "question", "what"]) == {"load"}


def test_asking_whether_limits_are_needed_is_worth_what_another_plan_saves():
    tight = decided({"workloads[0].ttft_limit_s": 1.0, "workloads[0].tpot_limit_s": 0.02})
    table = worth(tight, anew=True).set_index("what")
    loose = decide(slower(tight.scenario, 2.0), quick=True).best
    # The recommendation under looser limits: never dearer than under its own, nor below the best.
    saved = 2 * table.loc["limits", "usd"]
    assert 0 < saved <= tight.best.expected_usd - loose.expected_usd + 1e-6
    eased = _case(tight.best, ["chat"], {"slower": 2.0}).expected_usd
    assert loose.expected_usd <= eased <= tight.best.expected_usd
    assert saved == pytest.approx(eased - loose.expected_usd)
    free = decided({"workloads[0].ttft_limit_s": 1000.0, "workloads[0].tpot_limit_s": 100.0})
    assert worth(free, anew=True).set_index("what").loc["limits", "usd"] == pytest.approx(0, abs=1)


def test_asking_whether_a_deadline_is_needed_is_worth_what_another_plan_saves():
    job = {"name": "job", "kind": "training", "model": "Llama-3.1-8B", "tokens": 2e10}
    allow = {"gpus": ["A100", "H100"], "modes": ["on-demand"]}

    def told(days):
        works = [job | {"runs_per_year": 12, "deadline_days": days}]
        made = decide(scenario({"name": "due", "allow": allow, "workloads": works}), quick=True)
        return made, 2 * worth(made, anew=True).set_index("what").loc["deadline", "usd"]

    tight, saved = told(2)
    loose = decide(later(tight.scenario, 2.0), quick=True).best
    eased = _case(tight.best, ["job"], {"later": 2.0}).expected_usd
    assert saved == pytest.approx(eased - loose.expected_usd)
    assert 0 < saved <= tight.best.expected_usd - loose.expected_usd + 1e-6
    assert told(4)[1] == pytest.approx(0, abs=1)  # the cheapest takes less than half of it


def test_a_day_that_nobody_named_is_asked_about_and_a_named_one_is_not():
    busy = {"workloads[0].concurrency": None, "workloads[0].users": 20000}
    busy |= {"workloads[0].use_case": "chat"}
    table = worth(decided(busy), anew=True).set_index("what")
    assert table.loc["day", "usd"] >= 0
    named = worth(decided(busy | {"workloads[0].profile": "office"}), anew=True)
    assert "day" not in set(named["what"])


def test_nothing_is_said_where_cost_does_not_decide_or_nothing_is_feasible():
    assert worth(decided({"objective": "energy"})).empty
    assert worth(decided({"budget": {"monthly_usd": 100}})).empty


def test_the_plan_of_least_regret_loses_no_more_than_the_recommendation(one):
    mine, least = regrets(one)
    assert mine.plan is one.best
    assert least.most_usd <= mine.most_usd
    assert mine.worst_usd >= mine.most_usd >= 0
    costs = np.array([plan.costs for plan in variants(one)])
    lost = least.plan.costs - np.minimum(costs.min(axis=0), one.best.costs)
    assert np.quantile(lost, 0.95) == pytest.approx(least.most_usd)


def test_the_objective_of_least_regret_puts_that_plan_first(one):
    found = decided({"objective": "regret"})
    lost = regrets_usd(found.costs)[:, 0]
    assert lost.argmin() == 0
    assert {plan.key for plan in found.plans} == {plan.key for plan in one.plans}
    assert "loses the least" in words_page.answer_page(found).text
    assert "least regret is wanted" in words_page.answer_page(found).text


# --- in words ------------------------------------------------------------------------------------


def test_the_page_tells_what_is_surely_worth_something_with_its_error(one):
    table = worth(one)
    text = words_worth.worth_page(one, table).text
    first = table[table["kind"].isin(["quote", "trial"])].iloc[0]
    said = words.voice_of(one).money(first["usd"])
    assert f"Worth up to {said} (give or take" in text
    assert words_worth.known_words(one, first, words.voice_of(one)) in text
    for row in words_worth.told(one, table).to_dict("records"):
        assert row["usd"] > 2 * row["error_usd"]
    assert words_worth.worth_page(one, worth(decided({"objective": "energy"}))).text == ""


def test_where_nothing_flips_the_page_says_so():
    sure = decided({"allow.gpus": "H100", "allow.modes": "on-demand"})
    table = worth(sure)
    assert table["usd"].max() <= 1e-3 * sure.best.expected_usd
    assert "Nothing: " in words_worth.worth_page(sure, table).text


def test_programs_get_the_same_numbers(one):
    table = worth(one)
    record = words_worth.worth_record(one)
    assert [row["usd"] for row in record["worth"]] == table["usd"].tolist()
    quote = next(row for row in record["worth"] if row["kind"] == "quote")
    assert quote["offers"][0]["gpu"] in one.scenario.allow.gpus
    regret = record["regret"]
    assert regret["least"]["most_usd"] <= regret["recommendation"]["most_usd"]
    assert regret["recommendation"]["expected_usd"] == one.best.expected_usd


def test_the_report_lists_everything_with_what_it_costs(one):
    shown = words_worth.worth_table(one, worth(one, questions=True))
    assert len(shown) == (worth(one, questions=True)["usd"] > 0).sum()
    assert any("half of what was asked" in text for text in shown["To know"])
    chinese = words_worth.worth_table(one, worth(one), "zh")
    assert list(chinese.columns) == ["可了解的内容", "最多值", "误差", "费用"]


def test_the_command_ranks_questions_beside_quotes_and_trials(command):
    rows = json.loads(command("worth", "small-team", "--json").stdout)["worth"]
    kinds = [row["kind"] for row in rows]
    assert {"quote", "trial", "question", "everything"} <= set(kinds)
    assert [row["usd"] for row in rows] == sorted((row["usd"] for row in rows), reverse=True)
    said = command("worth", "small-team").stdout
    assert "whether the load of assistant 8B" in said
    green = command("worth", "small-team", "-p", "objective=energy").stdout
    assert "no worth in money" in green
