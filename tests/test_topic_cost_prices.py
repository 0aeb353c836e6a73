"""Prices: which rows become offers, whose price wins, and when a price is too old."""

from datetime import date

import numpy as np
import pytest

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import load_table
from gpuspec.formulas.cost import gpu_hour_usd
from gpuspec.topics.cost import prices

TODAY = "2026-11-26"


def offers_of(gpus, modes=prices.MODES, **asked):
    """Return the offers of 36 months, of no provider by name unless some are asked."""
    asked = {"providers": (), "horizon_months": 36} | asked
    return prices.offers(prices.Priced.ask(gpus=gpus, **asked), modes)


def test_every_gpu_and_mode_has_one_row_unless_more_are_asked():
    found = offers_of("A100,H100,H200", today=TODAY)
    assert [name for name in found if name.removesuffix("_low") not in prices.__doc__
            and name.removesuffix("_high") not in prices.__doc__] == []  # fmt: skip
    assert not found.duplicated(["gpu", "mode"]).any()
    assert set(found["mode"]) == set(prices.MODES)
    rent = found["mode"] != "own"
    assert (found.loc[rent, "hour_usd"] > 0).all()
    assert (found.loc[rent, "capital_usd_gpu"] == 0).all()
    assert (found.loc[~rent, "hour_usd"] == 0).all()
    assert (found.loc[~rent, "capital_usd_gpu"] > 10_000).all()


def test_low_central_and_high_stand_in_this_order():
    found = offers_of("A100,H100,H200,B200,h100-pcie-80,h100-nvl-94,MI300X", providers="all")
    hours = gpu_hour_usd(found, 0.65)
    assert (hours["low"] <= hours["central"]).all()
    assert (hours["central"] <= hours["high"]).all()


def test_reserved_and_owned_hours_carry_the_idle_ones():
    found = offers_of("H100", today=TODAY).set_index("mode")
    half = gpu_hour_usd(found.reset_index(), 0.5).set_axis(found.index)
    full = gpu_hour_usd(found.reset_index(), 1.0).set_axis(found.index)
    assert half.loc["on-demand", "central"] == full.loc["on-demand", "central"]
    assert half.loc["reserved-1yr", "central"] == pytest.approx(2 * 2.65)
    assert full.loc["own", "central"] < half.loc["own", "central"] < 2 * full.loc["own", "central"]


@pytest.mark.parametrize("gpu", ["h100-sxm-80", "h200-sxm-141", "a100-sxm-80"])
def test_the_default_on_demand_rent_is_near_the_median_of_specialists(gpu):
    table = load_table("prices-rental")
    same = table["gpu_id"] == gpu
    if gpu == "h100-sxm-80":
        same |= table["gpu"] == "h100-unspec-80"
    recent = (table["as_of"] >= "2026-08-01") & (table["mode"] == "on-demand")
    rows = table[same & recent & (table["currency"] == "USD")]
    rows = rows[~rows["notes"].str.contains("GPU SKU only")]
    rows = rows[~rows["provider"].isin(["AWS EC2", "Azure", "GCP", "OCI"])]
    latest = rows.sort_values("as_of").drop_duplicates("provider", keep="last")
    central = offers_of(gpu, ["on-demand"])["hour_usd"].iloc[0]
    assert central == pytest.approx(latest["price_gpu_hour"].median(), rel=0.06)
    assert len(latest) >= 5


def test_a_quote_outranks_every_price_of_its_gpu_and_mode():
    quotes = "H100:on-demand=2.10,h200-sxm-141:own-server=300000"
    found = offers_of("H100,H200", providers="all", quotes=quotes, today=TODAY)
    rent = found[(found["gpu"] == "h100-sxm-80") & (found["mode"] == "on-demand")]
    assert rent[["hour_usd_low", "hour_usd", "hour_usd_high"]].to_numpy().tolist() == [[2.1] * 3]
    own = found[(found["gpu"] == "h200-sxm-141") & (found["mode"] == "own")]
    assert own["capital_usd_gpu"].tolist() == pytest.approx([300_000 / 8 / 0.81])
    assert own["quoted"].all()
    assert not own["stale"].any()
    others = found[(found["gpu"] == "h200-sxm-141") & (found["mode"] == "on-demand")]
    assert len(others) > 5
    assert not others["quoted"].any()


def test_a_quote_makes_an_offer_where_no_table_has_one():
    found = offers_of("V100", quotes="V100:spot=0.30")
    assert found[["gpu", "mode", "hour_usd"]].to_numpy().tolist() == [["v100-sxm-32", "spot", 0.3]]


def test_quotes_come_from_csv_and_yaml_alike(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("gpu,mode,price,currency,as_of\nH100,on-demand,14.2,CNY,2026-01-02\n")
    listed = tmp_path / "mine.yaml"
    listed.write_text(
        "- {gpu: H100, mode: on-demand, price: 14.2, currency: CNY, as_of: 2026-01-02}\n"
    )
    for path in (table, listed):
        found = offers_of("H100", ["on-demand"], quotes=path, cny_per_usd=7.1, today=TODAY)
        assert found["hour_usd"].tolist() == pytest.approx([2.0])
        assert found["stale"].tolist() == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("H100=2", "write GPU:mode=price"),
        ("H100:hourly=2", "hourly"),
        ("H1000:spot=2", "H1000"),
        ("H100:spot=-2", "above 0"),
        ("H100:spot=cheap", "above 0"),
        ("nowhere.csv", "no such file"),
    ],
)
def test_a_bad_quote_says_what_is_wrong_with_it(text, said):
    with pytest.raises(InputError, match=said):
        offers_of("H100", quotes=text)


def test_a_quote_file_with_another_column_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("gpu,mode,prize\nH100,spot,2\n")
    with pytest.raises(UnknownNameError, match="prize"):
        prices.read_quotes(path)


@pytest.mark.parametrize(
    ("mode", "days", "stale"),
    [
        ("spot", 30, False),
        ("spot", 31, True),
        ("on-demand", 90, False),
        ("on-demand", 91, True),
        ("reserved-1yr", 91, True),
        ("own", 180, False),
        ("own", 181, True),
        ("spot", np.nan, True),
    ],
)
def test_prices_age_by_what_they_are(mode, days, stale):
    assert prices.is_stale([mode], [days])[0] == stale


def test_age_counts_from_the_day_given_and_is_said_in_days():
    early = offers_of("H100", ["on-demand", "spot"], today="2026-10-25")
    late = offers_of("H100", ["on-demand", "spot"], today=date(2027, 6, 1))
    assert early["age_days"].tolist() == [1, 35]
    assert (late["age_days"] - early["age_days"]).tolist() == [219, 219]
    said = prices.age_warnings(early)
    assert said == ["The spot price of h100-sxm-80 is 35 days old (limit 30): ask for a quote."]
    assert len(prices.age_warnings(late)) == 2


def test_drift_is_a_choice_and_never_silent():
    flat = offers_of("H100", ["on-demand"])["hour_usd"].iloc[0]
    assert offers_of("H100", ["on-demand"], today="2030-01-01")["hour_usd"].iloc[0] == flat
    down, up = (
        offers_of("H100", ["on-demand"], drift=name)["hour_usd"].iloc[0] for name in ("down", "up")
    )
    assert down < flat < up
    with pytest.raises(InputError, match="drift"):
        offers_of("H100", drift="sideways")


def test_hyperscalers_are_another_tier_and_only_on_request():
    plain = offers_of("H100", ["on-demand"])
    assert plain["tier"].tolist() == ["specialist"]
    both = offers_of("H100", ["on-demand"], providers="hyperscalers").set_index("tier")
    assert both.loc["hyperscaler", "hour_usd"] > 2 * both.loc["specialist", "hour_usd"]


def test_named_providers_show_what_they_printed_last():
    found = offers_of("H100", ["on-demand"], providers="RunPod,AWS EC2", today=TODAY)
    secure = found[(found["provider"] == "RunPod") & (found["tier"] == "specialist")]
    assert secure[["hour_usd", "as_of"]].to_numpy().tolist() == [[3.99, "2026-11-09"]]
    with pytest.raises(UnknownNameError, match="Runpot"):
        offers_of("H100", providers="Runpot")


def test_prices_of_the_gpu_alone_and_of_unnamed_forms_are_no_offers():
    table = load_table("prices-rental")
    alone = table["notes"].str.contains("GPU SKU only")
    assert alone.sum() > 20
    assert not table.loc[alone, "used"].any()
    assert not table.loc[table["gpu"].str.contains("unspec"), "used"].any()
    assert (table.loc[~table["used"], "reason"] != "").all()


def test_a100_is_bought_used_and_h200_in_china_in_yuan():
    used = offers_of("A100", ["own"]).iloc[0]
    assert "used market" in used["notes"]
    assert used["derived"]
    china = offers_of("H200", ["own"], regions="China", currency="CNY", cny_per_usd=7.0).iloc[0]
    assert china["region"] == "China"
    assert china["capital_usd_gpu"] == pytest.approx(1_500_000 / 8 / 0.81)
    power = prices.operating(regions=("China",), cny_per_usd=7.0)
    assert power.usd_kwh == pytest.approx(0.60 / 7)


def test_operating_values_of_ones_own_replace_the_tables():
    own = prices.operating("electricity_usd_kwh=0.2,pue=1.1")
    assert (own.usd_kwh, own.pue) == (0.2, 1.1)
    with pytest.raises(UnknownNameError, match="electrcity"):
        prices.operating("electrcity_usd_kwh=0.2")
    with pytest.raises(InputError, match="pue"):
        prices.operating({"pue": "many"})


def test_the_residual_follows_the_horizon():
    left = [
        offers_of("H100", ["own"], horizon_months=m)["residual_share"].iloc[0] for m in (12, 36, 60)
    ]
    assert left == pytest.approx([0.78, 0.35, 0.12])


def test_the_back_test_gives_the_spread_that_fills_missing_ends():
    errors = prices.back_test()
    found = prices.error_summary(errors)
    assert found["series"] == 20
    assert found["worst"] == pytest.approx(0.344, abs=0.001)
    assert np.ceil(found["worst"] * 20) / 20 == prices.PRICE_SPREAD
    nebius = errors.set_index("series").loc["Nebius H100 list", "error"]
    assert nebius == pytest.approx(2.95 / 4.5 - 1)
    assert (errors["error"] <= 0.005).all()  # none fell: predictions were too low or right


def test_every_price_has_a_day_a_grade_and_a_source():
    for table in (
        load_table("prices-rental"),
        load_table("prices-purchase"),
        load_table("prices-trend"),
        load_table("prices-defaults"),
    ):
        assert set(table["confidence"]) <= {"A", "B", "C"}
        assert (table["sources"] != "").all()
        if "used" in table:
            table = table[table["used"]]
        assert (table["as_of"] != "").all()
        assert table["as_of"].max() <= "2026-11-26"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cny_per_usd", 0),
        ("currency", "EUR"),
        ("today", "2026-02-30"),
        ("today", "yesterday"),
        ("horizon_months", 1000),
    ],
)
def test_bad_input_is_named(field, value):
    with pytest.raises(InputError, match=field):
        offers_of("H100", **{field: value})
