"""Tokens bought from an API beside a fleet: prices, costs, where both meet, and page 1."""

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpuspec.base.errors import InputError
from gpuspec.catalog.api_prices import TokenQuote, api_prices
from gpuspec.catalog.tables import table_rows
from gpuspec.decision.decide import decide
from gpuspec.decision.plan.outside import Outside, by_api, nothing_done
from gpuspec.decision.plan.words_page import answer_page
from gpuspec.decision.scenario import DecisionQuestion, scenario
from gpuspec.formulas.cost import api_request_usd, even_requests
from gpuspec.topics.cost.api import ApiQuestion, api_answer, api_table

Command = Callable[..., subprocess.CompletedProcess[str]]
DAY = date(2026, 11, 30)


def test_a_request_costs_its_tokens() -> None:
    # 1,000 in, of which 250 cached, and 100 out: 0.00075 x 2 + 0.00025 x 0.5 + 0.0001 x 6
    assert float(api_request_usd(1000, 100, 2, 6, 0.25, 0.5)) == pytest.approx(0.002225)
    assert float(api_request_usd(1000, 100, 2, 6, 0.25)) == pytest.approx(0.0026)
    assert float(even_requests(100, 0.002225)) == pytest.approx(44943.82, rel=1e-6)
    assert np.isinf(even_requests(100, 0.002225, 40_000))
    assert np.isinf(even_requests(100, 0.0))


def test_many_models_have_prices_of_several_providers_with_day_and_source() -> None:
    sellers: dict[str, set[str]] = {}
    for row in table_rows("prices-api"):
        assert row["sources"]
        assert row["as_of"]
        assert row["used"] is True or row["reason"]
        if row["used"]:
            sellers.setdefault(row["model_id"], set()).add(row["provider"])
    assert sum(len(of) >= 3 for of in sellers.values()) >= 8
    assert {"llama-3.1-8b", "llama-3.3-70b", "gpt-oss-120b", "deepseek-r1"} <= set(sellers)


def test_a_cached_token_costs_no_more_and_an_answer_no_less() -> None:
    for row in table_rows("prices-api"):
        assert row["cached_mtok"] is None or row["cached_mtok"] <= row["input_mtok"], row["id"]
        assert row["output_mtok"] >= 0.5 * row["input_mtok"] > 0, row["id"]


def test_one_offer_a_provider_the_cheapest_first_and_ones_own_before_all() -> None:
    table = api_table("llama-3.1-8b", 1000, 100, 1e6, day=DAY)
    assert table["provider"].is_unique
    assert (table["month_usd"].diff().dropna() >= 0).all()
    first = table.iloc[0]
    by_hand = (1000 * first["input_mtok"] + 100 * first["output_mtok"]) / 1e6 * 1e6
    assert first["month_usd"] == pytest.approx(by_hand)
    quote = TokenQuote(input_mtok=50, output_mtok=50)
    own = api_table("llama-3.1-8b", 1000, 100, 1e6, price=quote, day=DAY)
    assert own.iloc[0]["provider"] == "your quote"
    assert own.iloc[0]["grade"] == "firm"
    assert len(own) == len(table) + 1


def test_prices_grow_old() -> None:
    late = api_table("llama-3.1-8b", 1000, 100, 1e6, day=date(2027, 11, 30))
    assert set(late["grade"]) == {"guess"}
    assert (late["age_days"] > 365).all()


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        *((text, "input=") for text in ("output=1", "input=1", "a=1,output=2", "0.2", "1/2/3")),
        *((text, "input=") for text in ("1/x", "$1/2元", "1天/2", "input=1,input=2,output=1")),
        ("input=x,output=1", "input_mtok"),
        ("input=-1,output=1", "input_mtok"),
        ("input=1,output=inf", "output_mtok"),
        ("input=1,output=2,cached=3", "exceed input"),
        ("input=1,output=2,provider=", "provider"),
        ("input=1,output=2,currency=EUR", "USD"),
    ],
)
def test_a_wrong_price_says_what_is_valid(text: str, valid: str) -> None:
    with pytest.raises(InputError, match=valid):
        ApiQuestion.ask(model="Llama-3.1-8B", gpus="H100", request_rate=1, api_price=text)


def test_a_price_is_read_as_people_write_it() -> None:
    asked = {"model": "Llama-3.1-8B", "gpus": "H100", "request_rate": 1}
    found = [
        ApiQuestion.ask(api_price=text, **asked).api_price
        for text in ("input=0.2,output=0.6,provider=Acme", "$0.125/$0.6", "2元 / 8元", "0.2/0.6")
    ]
    assert [(p.provider, p.input_mtok, p.currency) for p in found] == [
        ("Acme", 0.2, "USD"), ("your quote", 0.125, "USD"), ("your quote", 2, "CNY"),
        ("your quote", 0.2, "USD"),
    ]  # fmt: skip


def test_twice_the_load_costs_twice_by_api() -> None:
    asked = {"model": "Llama-3.3-70B", "gpus": "H200", "today": DAY, "isl": 1000, "osl": 200}
    one, two = (api_answer(ApiQuestion.ask(request_rate=r, **asked)) for r in (0.5, 1.0))
    assert two["taken"]["month_usd"] == pytest.approx(2 * one["taken"]["month_usd"])
    assert one["requests_month"] == pytest.approx(0.5 / 1.0 * 730 * 3600, rel=0.7)
    tokens = one["requests_month"] * 1000
    assert one["input_tokens_month"] == pytest.approx(tokens)


def test_a_fleet_wins_where_the_api_is_dear_and_never_where_a_full_one_costs_more() -> None:
    asked = {"model": "Llama-3.1-8B", "gpus": "H100", "today": DAY, "request_rate": 0.2}
    asked |= {"isl": 1000, "osl": 200}
    cheap = api_answer(ApiQuestion.ask(api_price="input=0.0001,output=0.0001", **asked))["fleets"]
    assert np.isinf(cheap["even_requests_month"]).all()
    dear = api_answer(ApiQuestion.ask(api_price="input=50,output=50", **asked))["fleets"].iloc[0]
    each = (1000 + 200) * 50 / 1e6
    assert dear["even_requests_month"] == pytest.approx(dear["month_usd"] / each)
    assert dear["even_requests_month"] < dear["carries_requests_month"]


def test_a_month_by_api_is_the_cheapest_beside_the_median_of_the_providers() -> None:
    offers = pd.DataFrame({"month_usd": [10.0, 20.0, 90.0]})
    beside = Outside(0, requests_month=1000.0, plan_month_usd=50.0, offers=offers)
    assert (beside.month_usd, beside.median_usd, beside.cheaper) == (10.0, 20.0, True)
    assert beside.even_times == pytest.approx(5)  # 5,000 requests of a cent


def test_the_small_team_is_told_that_an_api_costs_less() -> None:
    decision = decide(scenario("small-team", {}), quick=True)
    found = by_api(decision.best)
    assert [one.cheaper for one in found] == [True]
    one = found[0]
    # 16 in flight, each for TTFT + 511 TPOT (page 1): Little's law, 200 hours a month
    each = 0.2438 + 511 * 0.03306
    assert one.requests_month == pytest.approx(16 / each * 200 * 3600, rel=0.01)
    assert one.even_times == pytest.approx(one.plan_month_usd / one.month_usd)
    page = answer_page(decision).text
    assert "The API costs less" in page
    assert "leave the house" in page
    assert "按 API" in answer_page(decision, "zh").text
    assert nothing_done(decision.best) == {}


def test_a_dear_api_loses_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row["id"] for row in table_rows("prices-api") if row["model_id"] == "llama-3.1-8b"]
    lines = ["id,input_mtok,output_mtok", *(f"{name},90,90" for name in rows)]
    (tmp_path / "prices_api.csv").write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.setenv("GPUSPEC_DATA", str(tmp_path))
    assert {price.input_mtok for price in api_prices("llama-3.1-8b")} == {90.0}
    decision = decide(scenario("small-team", {}), quick=True)
    assert not by_api(decision.best)[0].cheaper
    assert "The plan costs less." in answer_page(decision).text


def test_doing_nothing_says_what_the_owned_gpus_carry() -> None:
    decision = decide(scenario("a100-owner", {}), quick=True)
    found = nothing_done(decision.best)
    assert set(found) == {w.name for w in decision.scenario.workloads}
    fewer = {"owned": [{"gpu": "A100", "count": 8}]}
    half = nothing_done(decide(scenario("a100-owner", fewer), quick=True).best)
    assert half["chat 70B"] == pytest.approx(found["chat 70B"] / 2, rel=0.05)
    assert "Doing nothing" in answer_page(decision).text


def test_owned_gpus_on_which_no_load_keeps_the_limits_carry_nothing() -> None:
    asked = {"model": "Qwen2.5-72B", "users": 200, "isl": 8000, "owned": "8xA100"}
    decision = decide(DecisionQuestion.of({**asked, "scenario": None}).over({}), quick=True)
    assert nothing_done(decision.best) == {"service": 0.0}
    page = answer_page(decision).text
    assert "as it is and each work by itself: nothing of service within its limits." in page


def test_the_command_answers_in_words_and_for_programs(command: Command) -> None:
    asked = ("api", "Llama-3.3-70B", "--use-case", "chat", "--users", "200", "--gpus", "H100")
    said = command(*asked).stdout
    assert "By API it costs" in said
    told = json.loads(command(*asked, "--json").stdout)
    assert len(told["offers"]) >= 3
    assert told["taken"]["month_usd"] < told["fleets"][0]["month_usd"]
    bare = command("api", "Mistral-7B-v0.1", "--concurrency", "4", "--gpus", "H100")
    assert "No API price" in bare.stdout
    plan = json.loads(command("plan", "small-team", "--json").stdout)
    assert plan["by_api"][0]["workload"] == "assistant 8B"
