"""Cost: published arithmetic comes out, parts add up, and comparisons agree with each other."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.formulas import cost
from gpuspec.topics import cost as money
from gpuspec.topics.cost import pictures, words
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.training import TrainingQuestion
from gpuspec.views import charts

# Central inputs of November 2026: 19 % network, five years to 12 %, 9 % interest, 5 % upkeep.
CENTRAL = {
    "network_share": 0.19,
    "residual_share": 0.12,
    "years": 5,
    "rate_year": 0.09,
    "usd_kw_month": 190,
    "pue": 1.3,
    "usd_kwh": 0.09,
    "maintenance_share_year": 0.05,
}
NODES = {  # server USD, rated and drawn kW of eight GPUs: hour owned, hour used at 70 %
    "h100": (280_000, 10.2, 7.9, 1.81, 2.59),
    "h200": (320_000, 10.2, 7.9, 2.01, 2.87),
    "a100": (100_000, 6.5, 4.9, 0.77, 1.10),
}
share = st.floats(0.05, 1.0)
money_usd = st.floats(1e3, 1e6)


def node(name, **other):
    server, rated, drawn, _, _ = NODES[name]
    given = {"server_usd": server, "rated_w_gpu": rated * 125, "power_w_gpu": drawn * 125}
    return cost.OwnedServer(**(CENTRAL | given | other))


@pytest.mark.parametrize("name", NODES)
def test_an_owned_hour_is_what_the_central_inputs_give(name):
    owned, used = NODES[name][3:]
    assert cost.owned_hour_usd(node(name)) == pytest.approx(owned, abs=0.005)
    assert cost.owned_hour_usd(node(name, used_hours_share=0.7)) == pytest.approx(used, abs=0.005)


def test_the_parts_of_an_h100_hour_are_the_published_ones():
    parts = cost.owned_parts_usd(node("h100"))
    assert parts["server"] + parts["network"] == pytest.approx(0.87, abs=0.005)
    published = {"finance": 0.25, "colocation": 0.33, "maintenance": 0.25, "energy": 0.12}
    assert {n: round(float(parts[n]), 2) for n in published} == published


@given(money_usd, share, st.floats(0, 0.5), st.floats(1, 8), st.floats(0, 1))
def test_parts_add_up_and_more_use_is_never_dearer(server, used, network, years, idle):
    drivers = {"server_usd": server, "network_share": network, "years": years}
    drivers |= {"idle_share": idle, "staff_usd_year": 2e5}
    owned = node("h100", **drivers, used_hours_share=used)
    parts = cost.owned_parts_usd(owned)
    assert set(parts) == set(cost.OWNED_PARTS)
    hour = cost.owned_hour_usd(owned)
    assert hour == pytest.approx(sum(parts.values()) / used)
    more = replace(owned, used_hours_share=min(used * 1.1, 1))
    assert cost.owned_hour_usd(more) <= hour * (1 + 1e-12)


@given(st.floats(0.5, 10), st.floats(0.1, 5), st.floats(0, 0.3), st.floats(0, 0.3))
def test_at_the_break_even_share_both_cost_the_same(rent, fixed, energy, idle):
    used = float(cost.break_even_share(rent, fixed, energy, idle))
    if np.isfinite(used):
        own = fixed / used + energy + idle * (1 - used) / used
        assert own == pytest.approx(rent, rel=1e-9)
    else:
        assert fixed + energy >= rent * (1 - 1e-9)


def test_a_reservation_is_cheaper_at_any_use_or_at_none():
    assert cost.break_even_share(2.0, 1.5, 0.1, 0.05, paid_always=True) == 0
    assert cost.break_even_share(1.2, 1.5, 0.1, 0.05, paid_always=True) == np.inf


@given(st.floats(600, 5000), money_usd.map(lambda x: x / 20), st.floats(0, 500), st.floats(0, 0.3))
def test_at_the_break_even_month_the_savings_are_worth_the_capital(rent, capital, running, rate):
    month = float(cost.break_even_month(rent, capital, running, rate))
    saved = float(cost.present_value_usd(rent - running, min(month, 1e5), rate))
    if month < 1e5:
        assert saved == pytest.approx(capital, rel=1e-6)
    else:
        assert saved < capital * (1 + 1e-6)


def test_present_value_of_money_that_costs_nothing_is_the_sum():
    assert cost.present_value_usd(100, 36, 0, 1000, 400) == pytest.approx(4200)
    assert cost.present_value_usd(100, 36, 0.09, 1000, 0) < 4600


def test_drift_averages_over_the_horizon_and_a_contract_keeps_its_price():
    assert cost.drift_factor(0.25, 36, 36) == pytest.approx(1)
    yearly = (1 + 1.25 + 1.25**2) / 3
    assert cost.drift_factor(0.25, 36, 12) == pytest.approx(yearly)
    years = np.linspace(0, 3, 30_001)
    assert cost.drift_factor(-0.25, 36) == pytest.approx(np.mean(0.75**years), rel=1e-4)
    assert cost.drift_factor(0.0, 36, [0, 12, 36]) == pytest.approx([1, 1, 1])


def test_spot_loses_more_the_larger_the_job():
    useful = cost.spot_useful_share(3.6e-4, np.array([1, 8, 64, 512]))
    assert np.all(np.diff(useful) < 0)
    assert 0.98 < useful[1] < 1
    assert cost.spot_hour_usd(2.0, 3.6e-4, 64) == pytest.approx(2.0 / useful[2])
    assert cost.spot_useful_share(0.0, 1024) == pytest.approx(1, abs=1e-6)


def test_work_costs_its_hours():
    assert cost.usd_per_million_tokens(3.6, 1000) == pytest.approx(1.0)
    assert cost.run_usd(2.0, 64, 10) == pytest.approx(1280)
    kwh = cost.energy_kwh(1000, 8, 10, 1.3)
    assert kwh == pytest.approx(104)
    assert cost.carbon_kg(kwh, 0.5) == pytest.approx(52)


@pytest.fixture(scope="module")
def question():
    return money.CostQuestion.ask(gpus="A100,H100,H200", today="2026-11-26")


def test_parts_of_the_picture_add_up_to_the_owned_hour_of_the_table(question):
    ways = money.ways_table(question)
    own = ways[ways["mode"] == "own"].set_index("gpu")["central"]
    assert money.parts_table(question).sum(axis=1).to_dict() == pytest.approx(own.to_dict())


def test_an_owned_h100_costs_about_what_the_central_inputs_say():
    asked = money.CostQuestion.ask(
        gpus="H100",
        used_hours_share=0.7,
        horizon_months=60,
        operating="staff_usd_year=0,idle_share=1",
    )
    own = money.ways_table(asked).set_index("mode").loc["own"]
    assert own["paid"] == pytest.approx(1.8, abs=0.06)
    assert own["central"] == pytest.approx(2.6, abs=0.06)


def test_break_even_agrees_with_the_costs_on_both_sides_of_it(question):
    row = money.break_even_table(question).query("gpu == 'h100-sxm-80' and mode == 'on-demand'")
    row = row[row["tier"] == "specialist"].iloc[0]
    for shift, cheaper in ((0.95, "on-demand"), (1.05, "own")):
        asked = money.CostQuestion.ask(
            gpus="H100", used_hours_share=row["used_hours_share"] * shift, providers=""
        )
        ways = money.ways_table(asked)
        pair = ways[ways["mode"].isin(["own", "on-demand"])].set_index("mode")["central"]
        assert pair.idxmin() == cheaper


def test_yuan_are_dollars_at_the_rate_asked(question):
    yuan = money.CostQuestion.ask(
        gpus="A100,H100,H200", today="2026-11-26", currency="CNY", cny_per_usd=7.0
    )
    columns = ["low", "central", "high"]
    ratio = money.ways_table(yuan)[columns] / money.ways_table(question)[columns]
    assert np.allclose(ratio, 7.0)
    assert np.allclose(money.parts_table(yuan) / money.parts_table(question), 7.0)


def test_a_quote_replaces_the_price_in_every_table():
    quotes = "h100-sxm-80:on-demand=1.00"
    asked = money.CostQuestion.ask(gpus="H100", quotes=quotes)
    ways = money.ways_table(asked)
    assert list(ways[ways["mode"] == "on-demand"]["central"]) == [1.0]
    assert (money.spot_table(asked)["on_demand"] == 1.0).all()
    service = ServingQuestion.ask(
        model="Llama-3.1-8B", gpus="H100", weights="fp8", concurrency=64, max_gpus=8
    )
    tokens = money.tokens_table(asked, service).set_index("mode")
    rate = tokens.loc["on-demand", "tokens_s_gpu"]
    assert tokens.loc["on-demand", "usd"] == pytest.approx(1e6 / rate / 3600)


def test_utilisation_moves_the_owned_hour_most_and_energy_little(question):
    drivers = money.driver_table(question, "h100-sxm-80")
    order = list(drivers["driver"])
    assert order[:2] == ["utilisation", "server price"]
    assert order.index("electricity") > order.index("colocation")
    assert (drivers["cost_low"] <= drivers["central"] * 1.0001).all()
    assert (drivers["cost_high"] >= drivers["central"] * 0.9999).all()


def test_a_value_of_ones_own_is_no_driver_any_more():
    asked = money.CostQuestion.ask(gpus="H100", operating="pue=1.2")
    assert "PUE" not in set(money.driver_table(asked, "h100-sxm-80")["driver"])


def test_falling_rents_help_who_rents_and_leave_the_owner(question):
    table = money.drift_table(question).pivot_table(
        index=["gpu", "mode"], columns="drift", values="hour"
    )
    rent = table.drop(index="own", level="mode")
    assert (rent["down"] < rent["flat"]).all()
    assert (rent["flat"] < rent["up"]).all()
    own = table.xs("own", level="mode")
    assert np.allclose(own["down"], own["up"])
    fixed = rent.xs("reserved-3yr", level="mode")
    free = rent.xs("on-demand", level="mode")
    assert (fixed["up"] / fixed["flat"] < free["up"] / free["flat"]).all()


def test_a_run_costs_its_gpu_hours_and_its_energy(question):
    job = TrainingQuestion.ask(model="Llama-3.1-8B", gpus="H100", counts="64", tokens=1e11)
    table = money.runs_table(question, job).set_index("mode")
    row = table.loc["on-demand"]
    assert row["usd"] == pytest.approx(row["gpu_hours"] * row["hour"])
    watts = row["mwh"] * 1e6 / row["gpu_hours"] / question.assumptions.pue
    assert watts == pytest.approx(7900 / 8)
    assert table.loc["spot", "gpu_hours"] > row["gpu_hours"]


def test_a_gpu_that_nobody_sells_is_left_out_and_not_guessed():
    asked = money.CostQuestion.ask(gpus="V100,H100")
    assert set(money.ways_table(asked)["gpu"]) == {"h100-sxm-80"}
    assert list(money.parts_table(asked).index) == ["h100-sxm-80"]
    assert money.driver_table(asked, gpu("V100").id).empty


def test_a_cheap_old_gpu_can_still_lose_by_the_token():
    names = ["gpu", "mode", "usd", "hour"]
    tokens = pd.DataFrame(
        [("a100-sxm-80", "on-demand", 3.0, 1.5), ("h100-sxm-80", "on-demand", 2.0, 4.0)],
        columns=names,
    )
    table = money.claims_table(tokens, tokens, "a service", "a job").set_index("statement")
    verdict = table.loc["C20: up to 30B A100 is the best value", "holds"]
    assert verdict == "not by price; even at 1.00 an hour of A100"


@pytest.mark.parametrize(
    ("field", "value"), [("used_hours_share", 0), ("used_hours_share", 1.5), ("horizon_months", -1)]
)
def test_bad_input_is_named(field, value):
    with pytest.raises(InputError, match=field):
        money.CostQuestion.ask(gpus="H100", **{field: value})


@pytest.mark.parametrize("name", ["MI455X", "L40S"])
def test_a_gpu_without_prices_is_named_in_every_list_and_breaks_no_picture(name):
    asked = money.CostQuestion.ask(gpus=name, today="2026-11-26")
    device = asked.gpus[0]
    service = ServingQuestion.ask(model="Llama-3.1-8B", gpus=name, concurrency=64)
    tokens = money.tokens_table(asked, service)
    assert device in set(tokens["gpu"])
    assert device in set(money.age_table(asked)["gpu"])
    said = words.age_sentences(asked)
    assert f"{device} has no price" in said
    assert "No price that is used" not in said
    if name == "MI455X":
        assert tokens["way"].tolist() == money.age_table(asked)["way"].tolist() == ["no price"]
        assert "no price of mi455x-oam-432" in words.work_finding(tokens, "A token", "USD")
    breaks, months = money.break_even_table(asked), money.month_curves(asked, device)
    for finding in (
        words.break_even_finding(asked, breaks),
        words.break_even_sentences(asked, breaks),
        words.ways_finding(asked, money.ways_table(asked)),
        words.drift_finding(money.drift_table(asked)),
    ):
        assert finding
    for drawn in (
        pictures.cost_ranges(money.ways_table(asked), "USD", "title"),
        pictures.owned_parts(money.parts_table(asked), "USD", "title"),
        pictures.cost_by_used_hours(money.used_hours_curves(asked), "USD", 0.5, "title"),
        pictures.paid_by_month(months, device, "USD", "title"),
        pictures.drift_bars(money.drift_table(asked), "USD", "title"),
        pictures.spot_prices(money.spot_table(asked), "USD", "title"),
        pictures.tornado(money.driver_table(asked, device), device, "USD", "title"),
    ):
        charts.settled(drawn)


def test_services_are_a_part_of_the_owned_hour_where_they_are_set():
    lines = "licence_usd_gpu_year=8760,network_usd_gpu_month=73"
    asked = money.CostQuestion.ask(gpus="H100", operating=lines, used_hours_share=0.5)
    parts = money.parts_table(asked).loc["h100-sxm-80"]
    assert parts["services"] == pytest.approx((1 + 0.1) / 0.5)
    own = money.ways_table(asked).set_index("mode").loc["own", "central"]
    assert parts.sum() == pytest.approx(own)
    assert "services" not in money.parts_table(money.CostQuestion.ask(gpus="H100"))
    said = words.services_sentence(asked)
    assert said == (
        "The costs hold software licences and line and traffic. The costs leave out "
        "a support plan on rents: set support_share in operating."
    )


def test_the_trend_ends_at_the_day_of_the_run():
    day = date(2026, 9, 30)
    assert money.trend_table(day)["date"].max() <= pd.Timestamp(day)
    assert len(money.trend_table(day)) < len(money.trend_table(date(2026, 11, 30)))
    table, summary = money.backtest_table(day)
    assert table.empty
    assert words.backtest_finding(summary) == "No series has both rows"
