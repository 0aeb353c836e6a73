"""Services by API as offers beside GPUs: the best plan, what it costs, and what page 1 says."""

import json
from typing import Any

import brute
import numpy as np
import pytest

from gpuspec.base.errors import InputError
from gpuspec.decision.decide import API, OWN, decide
from gpuspec.decision.plan.record import answer_record
from gpuspec.decision.plan.sensitivity import Gap
from gpuspec.decision.plan.words_page import answer_page, rest_page
from gpuspec.decision.plan.words_tables import plans_table, works_table
from gpuspec.decision.scenario import asked_scenario, scenario
from gpuspec.decision.worth import worth

DRAWS = {"samples": 60}
CHAT = {"kind": "inference", "name": "chat", "model": "Llama-3.1-8B", "isl": 2048, "osl": 256}
RAG = {"kind": "inference", "name": "rag", "model": "Qwen2.5-7B", "isl": 4096, "osl": 128}
RAG |= {"request_rate": 3.0, "api_price": {"input_mtok": 0.03, "output_mtok": 0.1}}
TUNING = {"kind": "training", "name": "tuning", "model": "Llama-3.1-8B", "tokens": 1e9}
TUNING |= {"deadline_days": 10, "global_batch": 128, "runs_per_year": 12}


def asked(*works: dict[str, Any], **more: Any) -> Any:
    allow = {"gpus": ["A100", "H100"], "split": False, "api": "allowed"} | more.pop("allow", {})
    return scenario(
        {"name": "api", "horizon_months": 12, "allow": allow} | more | {"workloads": works}
    )


CASES = {
    "little": asked(CHAT | {"request_rate": 0.5}, TUNING),
    "much": asked(CHAT | {"request_rate": 30.0, "api_price": "0.2/0.6"}, TUNING),
    "two services": asked(CHAT | {"request_rate": 6.0}, RAG, TUNING, allow={"gpus": ["H100"]}),
    "one of two": asked(CHAT | {"request_rate": 6.0, "api": "never"}, RAG),
    "only one": asked(CHAT | {"request_rate": 2.0}),
    "owned": asked(
        CHAT | {"request_rate": 4.0, "api_price": "0.02/0.05"},
        RAG,
        owned=[{"gpu": "A100", "count": 2}],
    ),
    "a month": asked(
        CHAT | {"request_rate": 9.0}, RAG, budget={"monthly_usd": 3000, "capital_usd": 0}
    ),
    "few GPUs": asked(CHAT | {"request_rate": 9.0, "api_price": "2/6"}, RAG, limits={"gpus": 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_no_plan_of_gpus_and_apis_is_cheaper_than_the_answer(name: str) -> None:
    found = decide(CASES[name], quick=True, **DRAWS)
    problem = brute.everything(CASES[name], **DRAWS)
    least, chosen = brute.best(problem)
    cost = found.best.expected_usd if found.feasible else np.inf
    assert cost == pytest.approx(least, rel=1e-3)
    assert sum(c.way < 0 for c in chosen) == len(found.best.bought)
    assert sum(found.best.work_usd) + found.best.effort_usd + found.best.keep_usd >= 0.999 * cost


def test_the_cases_have_every_kind_of_answer() -> None:
    found = {name: decide(CASES[name], quick=True, **DRAWS).best for name in CASES}
    assert not len(found["little"].runs.query("workload == 'chat'"))
    assert not len(found["much"].bought)
    assert len(found["little"].bought) == 1
    assert found["only one"].runs.empty
    assert found["only one"].power_kw == 0


def test_twice_the_price_is_twice_the_cost_and_the_gpus_win_beyond_it() -> None:
    each = {"cost": [], "api": []}
    for price in (0.01, 0.02, 5.0):
        chat = CHAT | {"request_rate": 2.0, "api_price": f"{price}/{price}"}
        best = decide(asked(chat), quick=True, **DRAWS).best
        each["cost"].append(best.expected_usd)
        each["api"].append(len(best.bought))
    assert each["api"] == [1, 1, 0]
    assert each["cost"][1] == pytest.approx(2 * each["cost"][0])
    # 2 requests a second at the peak, which is twice the mean by default or as the record says
    work: Any = asked(CHAT | {"request_rate": 2.0}).workloads[0]
    tokens = 2.0 / work.peak_factor * 730 * 3600 * (2048 + 256) * 12
    at_price = decide(asked(CHAT | {"request_rate": 2.0, "api_price": "0.01/0.01"}), **DRAWS).best
    market = at_price.problem.draws.market("on-demand")
    assert at_price.costs == pytest.approx(tokens * 0.01 / 1e6 * market)


def test_where_it_is_not_allowed_nothing_changes() -> None:
    chat = CHAT | {"request_rate": 0.5}
    plain = decide(asked(chat, TUNING, allow={"api": "compare"}), quick=True, **DRAWS)
    never = decide(asked(chat, TUNING, allow={"api": "never"}), quick=True, **DRAWS)
    assert plain.best.expected_usd == never.best.expected_usd
    assert not len(plain.best.bought)
    assert "By API" in answer_page(plain).text
    assert "By API" not in answer_page(never).text
    timed = decide(asked(chat, TUNING, objective="time"), quick=True, **DRAWS)
    assert not len(timed.best.bought)  # an API promises no times


@pytest.fixture(scope="module")
def mixed() -> Any:
    return decide(CASES["little"], samples=200)


def test_chat_by_api_and_training_on_gpus_is_an_answer_in_words(mixed: Any) -> None:
    page = answer_page(mixed).text + rest_page(mixed).text
    assert "Buy chat by API at " in page
    assert "promises no times" in page
    assert "nothing by API, costs" in page  # why
    kinds = {policy.kind for plan in mixed.plans for policy in plan.policies}
    assert {API, OWN} <= kinds
    chinese = answer_page(mixed, "zh").text
    assert "向" in chinese
    assert "Buy chat" not in chinese
    table = works_table(mixed)
    assert table.loc["chat"].iloc[0].startswith("API, ")
    assert "API" in plans_table(mixed).iloc[0, 0]
    record: Any = json.loads(json.dumps(answer_record(mixed), default=str))
    (row,) = record["recommendation"]["by_api"]
    assert row["workload"] == "chat"
    parts = record["recommendation"]["parts"]
    assert row["cost_usd"] == pytest.approx(parts["by API"])
    assert worth(mixed)["usd"].min() >= 0
    gap = Gap(mixed)
    assert gap.with_speeds({"h100-sxm-80": 1.0}) == pytest.approx(gap.value)


def test_no_gpus_are_needed_where_that_is_the_answer() -> None:
    found = decide(CASES["only one"], **DRAWS)
    page = answer_page(found).text + rest_page(found).text
    assert page.count("No GPUs are needed.") == 1
    assert found.runner_up is not None
    assert len(found.runner_up.runs)
    no_gpu = asked(CHAT | {"request_rate": 9.0, "ttft_limit_s": 0.001})
    only = decide(no_gpu, **DRAWS)  # no GPU keeps the limit
    assert only.feasible
    assert len(only.best.bought) == 1
    assert answer_page(only).text


def test_it_is_bought_for_as_long_as_it_is_cheaper() -> None:
    """A service that doubles each quarter begins by API and moves to GPUs."""
    chat = CHAT | {"request_rate": 1.0, "growth": 0.5, "api_price": "0.1/0.3"}
    plan = decide(asked(chat, horizon_months=24), quick=True, **DRAWS).best
    assert len(plan.bought) == 1
    assert list(plan.runs["from_month"]) == [12.0]
    usd = plan.api_usd(int(plan.bought[0]))
    cal = plan.problem.calendar
    api: Any = plan.problem.options[0].api
    first = cal.round_of == 0
    assert usd.mean() == pytest.approx(
        (api.month_usd * cal.months)[first].sum() * plan.problem.draws.market("on-demand").mean()
    )
    assert (
        "From month 0 to month 12 buy chat by API"
        in answer_page(decide(asked(chat, horizon_months=24), quick=True, **DRAWS)).text
    )


def test_a_line_states_it() -> None:
    base = asked(CHAT | {"request_rate": 0.5}, TUNING, allow={"api": "compare"})
    said = asked_scenario(base, api="allowed", api_price="input=1,output=2,provider=Acme")
    assert said.allow.api == "allowed"
    work: Any = said.workloads[0]
    assert (work.api_price.provider, work.api_price.output_mtok) == ("Acme", 2)
    for names in ({"api": "maybe"}, {"api_price": "cheap"}, {"api_price": "1/-2"}):
        with pytest.raises(InputError, match="api"):
            asked_scenario(base, **names)
    with pytest.raises(InputError, match="no workload of the kind inference"):
        asked_scenario(asked(TUNING), api_price="1/2")
