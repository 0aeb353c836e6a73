"""Prices: which rows become offers, whose price wins, and when a price is too old."""

from datetime import date

import numpy as np
import pytest

from gpuspec import catalog
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.paths import DATA
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
    carried = found.loc["reserved-1yr", "carried"]
    assert half.loc["reserved-1yr", "central"] == pytest.approx(2 * 2.65 * carried)
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
    row = offers_of(gpu, ["on-demand"]).iloc[0]
    assert row["hour_usd"] / row["carried"] == pytest.approx(
        latest["price_gpu_hour"].median(), rel=0.06
    )
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
    for mark in ";\t":  # as spreadsheets of other countries write
        path.write_text("gpu,mode,price\nH100,spot,2\n".replace(",", mark))
        with pytest.raises(InputError, match="with commas between the columns"):
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
    with pytest.raises(InputError, match=r"network_share.* 0 to 0.9"):
        prices.operating("network_share=1")
    with pytest.raises(InputError, match=r"contract_share_1yr.* 0 to 2"):
        prices.operating("contract_share_1yr=1000")


def test_the_residual_follows_the_horizon():
    left = [
        offers_of("H100", ["own"], horizon_months=m)["residual_share"].iloc[0] for m in (12, 36, 60)
    ]
    assert left == pytest.approx([0.78, 0.35, 0.12])


def test_the_back_test_says_how_wrong_a_price_was_unchanged_and_carried():
    errors = prices.back_test(date(2026, 11, 26))
    found = prices.error_summary(errors)
    assert found["series"] == 20
    assert found["worst"] == pytest.approx(0.344, abs=0.001)
    assert found["worst_carried"] < 0.75 * found["worst"]
    by_name = errors.set_index("series")
    nebius = by_name.loc["Nebius H100 list"]
    assert nebius["error"] == pytest.approx(2.95 / 4.5 - 1)
    assert nebius["error"] < nebius["error_carried"] < 0
    assert (errors["error"] <= 0.005).all()  # none fell: predictions were too low or right
    assert by_name.loc["AWS p5.48xlarge", "error_carried"] == 0  # follows Azure, not specialists
    assert prices.back_test(date(2026, 9, 30)).empty  # nothing after the day is used


def test_carrying_helps_on_sellers_left_out_where_it_is_done_and_not_on_spot():
    table = prices.age_errors().set_index(["kind", "carried"])
    for kind in ("on-demand", "reserved"):
        assert table.loc[(kind, True), "rms"] < table.loc[(kind, False), "rms"]
        assert table.loc[(kind, True), "spread_year"] < table.loc[(kind, False), "spread_year"]
    assert table.loc[("spot", True), "rms"] > table.loc[("spot", False), "rms"]
    assert (offers_of("H100,H200,A100", ["spot", "own"], today=TODAY)["carried"] == 1).all()


def test_the_errors_of_age_in_the_documentation_are_those_of_the_back_test():
    text = (DATA.parent / "docs" / "cost.md").read_text("utf-8")
    for row in prices.age_errors().itertuples():
        cells = (row.kind, "yes" if row.carried else "no", row.pairs, row.sellers)
        line = f"| {' | '.join(map(str, cells))} | {row.rms:.2f} | {row.spread_year:.2f} |"
        assert line in text


def test_a_price_is_carried_by_the_mean_of_sellers_and_a_contract_by_a_share_of_it():
    rows = offers_of("H100", ["on-demand", "reserved-3yr"], today=TODAY).set_index("mode")
    assert rows.loc["on-demand", "carried"] == pytest.approx(
        np.exp(market_move("2026-10-24", TODAY))
    )
    both = market_move("2026-06-15", TODAY)
    assert both > 0.1
    assert rows.loc["reserved-3yr", "carried"] == pytest.approx(np.exp(0.53 * both))
    assert rows.loc["reserved-3yr", "carried_why"] == "0.53 of rents on demand to 2026-11-16"
    assert rows.loc["reserved-3yr", "hour_usd"] == pytest.approx(2.6 * np.exp(0.53 * both))
    own = offers_of("H100", ["reserved-3yr"], today=TODAY, operating="contract_share_3yr=1").iloc[0]
    assert own["carried"] == pytest.approx(np.exp(both))


def market_move(start, end):
    """Return the mean move of sellers on demand, from the table alone, a day at a time."""
    table = load_table("prices-trend")
    table = table[table["used"] & (table["mode"] == "on-demand") & (table["as_of"] <= end)]
    table = table[table["tier"] != "hyperscaler"].sort_values("as_of")
    total = 0.0
    for day in np.arange(np.datetime64(start), np.datetime64(end)):
        sellers = {}
        for (seller, _), line in table.groupby(["provider", "series"]):
            days = line["as_of"].to_numpy("datetime64[D]")
            price = np.log(line["price_gpu_hour"].to_numpy())
            place = np.searchsorted(days, day, side="right")
            if 0 < place < len(days):
                rate = price[place] - price[place - 1]
                rate /= (days[place] - days[place - 1]).astype(int)
                sellers.setdefault(seller, []).append(rate)
        if sellers:
            total += np.mean([np.mean(rates) for rates in sellers.values()])
    return total


def test_the_shares_of_contracts_are_those_of_the_rows_that_they_name():
    table = load_table("prices-rental")
    table = table[(table["provider"] == "AWS EC2") & (table["as_of"] >= "2025-03-02")]
    home = table["region"].isin(["us-east-1", "US East (Northern Virginia)"])
    table = table[home & table["gpu_id"].isin(["a100-sxm-40", "a100-sxm-80"])]
    moves = {}
    for (name, mode), rows in table[table["used"]].groupby(["gpu_id", "mode"]):
        rows = rows[rows["gpus_per_node"].isin([8]) | rows["gpus_per_node"].isna()]
        ends = [
            rows[rows["as_of"] == day]["price_gpu_hour"] for day in ("2025-03-02", "2026-06-15")
        ]
        if all(len(end) for end in ends):
            moves[name, mode] = np.log(ends[1].iloc[0] / ends[0].iloc[0])
    for years, share in ((1, "1yr"), (3, "3yr")):
        found = [moves[n, f"reserved-{years}yr"] / moves[n, "on-demand"]
                 for n in ("a100-sxm-40", "a100-sxm-80")]  # fmt: skip
        assert prices.operating_value(f"contract_share_{share}") == pytest.approx(
            np.mean(found), abs=0.01
        )


def test_the_range_of_a_price_grows_with_its_age_and_a_quote_stands():
    late = offers_of("H100", today="2027-11-26").set_index("mode")
    now = offers_of("H100", today=TODAY).set_index("mode")
    for mode in ("on-demand", "spot", "reserved-1yr"):
        assert late.loc[mode, "hour_usd"] == pytest.approx(now.loc[mode, "hour_usd"])
        assert late.loc[mode, "hour_usd_low"] < now.loc[mode, "hour_usd_low"]
        assert late.loc[mode, "hour_usd_high"] > now.loc[mode, "hour_usd_high"]
    # By hand: high of 375 over 285, and 637 days of purchases at their spread of a year.
    spread = prices.age_errors().set_index("kind").loc["own", "spread_year"]
    never = offers_of("H100", today="9999-12-31")
    assert (never["hour_usd_high"] < 100 * never["hour_usd"].clip(lower=1)).all()
    days = offers_of("H100", ["own"], today="2026-11-30")
    width = np.hypot(np.log(375 / 285), spread * np.sqrt(637 / 365))
    ratio = days["capital_usd_gpu_high"] / days["capital_usd_gpu"]
    assert ratio.tolist() == pytest.approx([np.exp(width)])


def test_a_quote_is_never_carried_and_one_of_a_day_to_come_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("gpu,mode,price,as_of\nH100,reserved-1yr,2.4,2026-06-15\n")
    row = offers_of("H100", ["reserved-1yr"], quotes=path, today=TODAY).iloc[0]
    assert (row["hour_usd"], row["carried"], row["carried_why"]) == (2.4, 1, "your quote")
    assert row["grade"] == "guess"
    assert row["hour_usd_low"] < 2.4 < row["hour_usd_high"]
    fresh = offers_of("H100", ["reserved-1yr"], quotes=path, today="2026-06-20").iloc[0]
    assert (fresh["grade"], fresh["hour_usd_low"], fresh["hour_usd_high"]) == ("firm", 2.4, 2.4)
    with pytest.raises(InputError, match=r"as_of.*2026-06-15.*2026-06-14"):
        offers_of("H100", quotes=path, today="2026-06-14")


def test_a_price_of_a_later_day_is_taken_as_it_is_and_no_provider_prints_ahead():
    row = offers_of("H100", ["on-demand"], today="2026-09-30").iloc[0]
    assert (row["carried"], row["age_days"]) == (1, 0)
    assert (row["carried_why"], row["grade"]) == ("of a later day", "guess")
    named = offers_of("H100", ["on-demand"], providers="all", today="2026-06-30")
    assert named.loc[named["provider"] != "specialist clouds", "as_of"].max() <= "2026-06-30"


def test_prices_that_follow_no_market_say_so():
    found = offers_of("L40S,H200", ["on-demand", "own"], today=TODAY, regions="China")
    found = found.set_index(["gpu", "mode"])["carried_why"]
    assert found["l40s-pcie-48", "on-demand"] == "no series of this GPU"
    assert found["h200-sxm-141", "own"] == "no series of purchases"


def test_grades_say_how_firm_a_price_is():
    quotes = "H200:on-demand=4"
    found = offers_of("A100,H100,H200", quotes=quotes, today=TODAY).set_index(["gpu", "mode"])
    grade = found["grade"]
    assert grade["h200-sxm-141", "on-demand"] == "firm"
    assert grade["h100-sxm-80", "on-demand"] == "indicative"
    for gpu in ("a100-sxm-80", "h200-sxm-141"):
        assert found.loc[(gpu, "reserved-1yr"), "derived"]
        assert grade[gpu, "reserved-1yr"] == grade[gpu, "reserved-3yr"] == "guess"
    assert grade["h100-sxm-80", "own"] == "guess"  # of March 2025
    # Not stale, but carried by more than a tenth through contracts that rose by an eighth.
    spring = offers_of("A100", ["reserved-1yr"], today="2026-06-16", providers="hyperscalers")
    assert set(spring["grade"]) == {"guess"}
    late = offers_of("H100", ["on-demand"], today="2027-02-01").iloc[0]
    assert (late["stale"], late["grade"]) == (True, "guess")


def test_offers_know_what_they_bind_to(tmp_path):
    found = offers_of("A100,H100,H200", today=TODAY).set_index(["gpu", "mode"])
    hourly = found[[mode in ("on-demand", "spot") for _, mode in found.index]]
    assert (hourly[["step", "minimum"]] == 1).all(axis=None)
    assert (hourly["lead_months"] == 0).all()
    assert (hourly["after_term"] == "").all()
    terms = ["step", "minimum", "lead_months", "after_term"]
    assert found.loc[("h100-sxm-80", "reserved-3yr"), terms].tolist() == [8, 8, 1, "on-demand"]
    assert found.loc[("h100-sxm-80", "own"), terms].tolist() == [8, 8, 8.3, ""]
    assert found.loc[("a100-sxm-80", "own"), "lead_months"] == 1
    whole = offers_of("MI300X", ["on-demand", "own"], today=TODAY).set_index("mode")
    assert whole["lead_months"].to_dict() == {"on-demand": 0, "own": 5}
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- {gpu: H100, mode: reserved-1yr, price: 2.5, gpus_per_node: 4, minimum: 30,"
        " lead_months: 2, after_term: month by month}\n- {gpu: H100, mode: spot, price: 1}\n"
    )
    mine = offers_of("H100", quotes=path, today=TODAY).set_index("mode")
    assert mine.loc["reserved-1yr", terms].tolist() == [4, 32, 2, "month by month"]
    assert mine.loc["spot", terms].tolist() == [1, 1, 0, ""]


def test_gpus_without_a_price_are_named_with_the_ways_that_lack_one():
    found = prices.unpriced(["H100", "MI455X", "L40S"])
    assert found == [
        ("mi455x-oam-432", list(prices.MODES)),
        ("l40s-pcie-48", ["reserved-1yr", "reserved-3yr", "spot", "own"]),
    ]
    assert prices.unpriced(["L40S"], ["on-demand"]) == []
    quoted = offers_of("MI455X", quotes="MI455X:own-server=500000", today=TODAY)
    assert prices.unpriced(["MI455X"], ["own", "spot"], quoted) == [("mi455x-oam-432", ["spot"])]


def test_a_price_that_is_known_in_another_region_alone_is_told(command):
    assert prices.priced_elsewhere(["h20-sxm-96", "mi455x-oam-432"], ()) == {
        "China": ["h20-sxm-96"]
    }
    assert prices.priced_elsewhere(["h20-sxm-96"], ("China",)) == {}
    known = "Prices of Ascend 910B are known in China: name it as the region, or give a quote."
    line = ("plan", "--model", "8B", "--users", "50", "--gpus", "H200,Ascend 910B")
    assert known in command(*line).stdout
    there = command(*line, "--regions", "China").stdout
    assert "no price is known" not in there
    assert "are known in" not in there
    assert "known in China" in command("prices", "H20").stdout


@pytest.mark.parametrize("gpu", ["H100", "H200", "H800", "Ascend 910B", "Ascend 910C"])
def test_a_year_s_rent_in_china_is_that_of_the_rows_from_there(gpu):
    table = load_table("prices-rental")
    rows = table[(table["region"] == "China") & (table["mode"] == "reserved-1yr")]
    rows = rows[(rows["gpu_id"] == catalog.gpu(gpu).id) & (rows["as_of"] >= "2026-08-01")]
    there = offers_of(gpu, ["reserved-1yr"], regions="China", currency="CNY", today=TODAY)
    price = (there["hour_usd"] / there["carried"]).iloc[0]
    assert price == pytest.approx(rows["price_gpu_hour"].median(), rel=0.02)


def test_licence_support_and_line_are_paid_where_they_are_set():
    lines = "licence_usd_gpu_year=4380,support_share=0.1,network_usd_gpu_month=73"
    plain, more = (
        offers_of("H100", today=TODAY, operating=given, drift="up").set_index("mode")
        for given in (None, lines)
    )
    assert (plain["licence_month_usd_gpu"] == 0).all()
    assert (more["licence_month_usd_gpu"] == 365).all()
    for mode in ("on-demand", "reserved-1yr", "spot"):  # 4,380 / 8,760 and 73 / 730
        rent = 1.1 * plain.loc[mode, "hour_usd"] + 0.5 + 0.1
        assert more.loc[mode, "hour_usd"] == pytest.approx(rent)
    added = more.loc["own", "fixed_month_usd_gpu"] - plain.loc["own", "fixed_month_usd_gpu"]
    assert added == pytest.approx(365 + 73)
    hour = "licence_usd_gpu_hour=1"
    hourly = offers_of("H100", today=TODAY, operating=hour, drift="up").set_index("mode")
    assert hourly.loc["spot", "hour_usd"] == pytest.approx(plain.loc["spot", "hour_usd"] + 1)
    assert hourly.loc["spot", "licence_month_usd_gpu"] == 730
    assert hourly.loc["reserved-1yr", "licence_month_usd_gpu"] == 0
    china = offers_of("H100", today=TODAY, operating=lines, currency="CNY", cny_per_usd=7)
    assert (china["licence_month_usd_gpu"] == 365 * 7).all()


def test_the_day_of_a_run_is_the_clock_s_unless_it_is_given(monkeypatch):
    for day, seconds in (("2026-12-24", "1798070400"), ("2026-11-24", "1795478400")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
        row = offers_of("H100", ["on-demand"]).iloc[0]
        assert row["age_days"] == (date.fromisoformat(day) - date(2026, 10, 24)).days


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
