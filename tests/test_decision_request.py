"""Requests for quotes: what is asked, and what becomes of the answer when they are filled in."""

import csv
import io
import json

import numpy as np
import pytest
from scenarios import JOB, SERVICE

from gpuspec.base.errors import InputError
from gpuspec.base.rows import csv_text, plain_cell
from gpuspec.decision.decide import decide
from gpuspec.decision.plan import request as requests
from gpuspec.decision.plan.request import REQUEST, flips, request, request_table
from gpuspec.decision.plan.words_page import rest_page
from gpuspec.decision.scenario import asked_scenario, scenario
from gpuspec.decision.worth import QUOTE, variants, worth
from gpuspec.topics.cost.prices import open_rows, read_quotes

ASKED = {"name": "ask", "horizon_months": 24, "workloads": [SERVICE, JOB]}


def decided(changes=None):
    return decide(scenario(ASKED, changes or {}), samples=400, loads=8)


def filled(path, rows, prices):
    """Write a request with prices by GPU and way to pay."""
    for row in rows:
        row["price"] = prices.get((row["gpu"], row["mode"]), "")
    path.write_text(csv_text(REQUEST, rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def asked():
    return decided()


@pytest.fixture(scope="module")
def rows(asked):
    return request(asked, worth(asked)).to_dict("records")


def test_what_the_plan_takes_comes_first_with_all_that_a_seller_must_know(asked, rows):
    taken = {asked.offers["gpu"].iloc[o] for o in variants(asked)[0].offers_used}
    assert rows[0]["gpu"] in taken
    assert len({(row["gpu"], row["mode"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["price"] == ""
        assert row["ask"]
        assert int(row["number"]) > 0
        assert float(row["used_price"]) > 0
        assert row["used_as_of"]
        assert row["grade"] in ("guess", "indicative")
    worths = [float(row["worth_usd"] or 0) for row in rows]
    assert max(worths) > 0
    shown = request_table(request(asked, worth(asked)), asked)
    assert len(shown) == len(rows)


def test_a_request_without_prices_changes_nothing_and_says_that_it_is_open(asked, rows, tmp_path):
    path = filled(tmp_path / "q.csv", rows, {})
    assert read_quotes(path) == []
    assert open_rows(path) == len(rows)
    again = decide(asked_scenario(scenario(ASKED), quotes=path), samples=400, loads=8)
    assert again.best.expected_usd == asked.best.expected_usd
    assert f"{len(rows)} quotes are asked for" in rest_page(again).text
    assert "quotes are asked for" not in rest_page(asked).text


def test_prices_of_today_filled_in_take_away_their_error_and_nothing_else(asked, rows, tmp_path):
    prices = {(r["gpu"], r["mode"]): r["used_price"] for r in rows}
    path = filled(tmp_path / "q.csv", rows, prices)
    again = decide(asked_scenario(scenario(ASKED), quotes=path), samples=400, loads=8)
    offers = again.offers.set_index(["gpu", "mode"])
    for row in rows:
        mode = {"own-server": "own"}.get(row["mode"], row["mode"])
        column = "capital_usd_gpu" if mode == "own" else "hour_usd"
        before = asked.offers.set_index(["gpu", "mode"])[column][row["gpu"], mode]
        one = offers.loc[(row["gpu"], mode)]
        assert one[column] == pytest.approx(before, rel=0.01)  # cents, as a seller writes them
        assert one[f"{column}_low"] == one[f"{column}_high"]
        assert one["grade"] == "firm"
        assert one["minimum"] == int(row["minimum"])
    spreads = [np.std(np.log(d.best.costs)) for d in (asked, again)]
    assert spreads[1] < spreads[0]
    left = worth(again)
    names = [again.offers.iloc[o] for (o,) in left.loc[left["kind"] == QUOTE, "offers"]]
    assert not {(o["gpu"], requests.MODES.get(o["mode"], o["mode"])) for o in names} & set(prices)


def test_a_price_beyond_the_flip_changes_the_answer_and_one_before_it_does_not(asked, tmp_path):
    """For each offer with a flip: plans as they are, at the price just before it and beyond."""
    tried = 0
    plans = variants(asked)
    for place in {o for plan in plans for o in plan.offers_used}:
        offer = dict(asked.offers.iloc[place])
        for at, sign in zip(flips(asked, place), (-1, 1), strict=True):
            if not np.isfinite(at):
                continue
            tried += 1
            mode = requests.MODES.get(offer["mode"], offer["mode"])
            beyond = at * (1 + 0.03 * sign)
            quote = f"{offer['gpu']}:{mode}={beyond:.6f}"
            again = decide(asked_scenario(scenario(ASKED), quotes=quote), samples=400, loads=8)
            assert again.best.key != asked.best.key, (quote, at)
    assert tried >= 3


def test_an_answer_that_should_change_does_so_through_the_file(asked, rows, tmp_path):
    taken = asked.offers.iloc[variants(asked)[0].offers_used][["gpu", "mode"]]
    mine = set(taken.itertuples(index=False, name=None))
    row = next(r for r in rows if r["flips_below"] and (r["gpu"], r["mode"]) not in mine)
    price = 0.9 * float(row["flips_below"])
    path = filled(tmp_path / "q.csv", rows, {(row["gpu"], row["mode"]): f"{price:.3f}"})
    assert open_rows(path) == len(rows) - 1
    again = decide(asked_scenario(scenario(ASKED), quotes=path), samples=400, loads=8)
    taken = again.offers.iloc[variants(again)[0].offers_used]
    own = taken[taken["quoted"].astype(bool)]
    modes = [requests.MODES.get(mode, mode) for mode in own["mode"]]
    assert list(zip(own["gpu"], modes, strict=True)) == [(row["gpu"], row["mode"])]
    assert again.best.key != asked.best.key
    assert again.best.expected_usd < asked.best.expected_usd


def test_gpus_without_a_price_are_asked_for_where_nothing_is_known():
    found = decided({"allow.gpus": "A100,H200 NVL"})
    rows = request(found, worth(found)).to_dict("records")
    mine = [r for r in rows if r["gpu"] == "h200-nvl-141"]
    assert {r["mode"] for r in mine} == {"on-demand", "reserved-3yr", "own-server"}
    assert all(r["used_price"] == "" for r in mine)
    hourly = decided({"allow.gpus": "A100,H200 NVL", "allow.modes": "on-demand"})
    rows = request(hourly, worth(hourly)).to_dict("records")
    assert [r["mode"] for r in rows if r["gpu"] == "h200-nvl-141"] == ["on-demand"]


def test_quotes_of_the_scenario_stay_in_the_file_that_takes_their_place():
    stated = [
        {"gpu": "H200", "mode": "own-gpu", "price": 41000, "provider": "=cmd|' /C calc'!A0"},
        {"gpu": "A100", "mode": "spot", "price": 0.55},
    ]
    found = decided({"prices.quotes": stated})
    rows = request(found, worth(found)).to_dict("records")
    text = csv_text(REQUEST, rows)
    assert "'=cmd|' /C calc'!A0" in text
    assert not any(c.startswith("=") for line in csv.reader(io.StringIO(text)) for c in line)
    mine = {(r["gpu"], r["mode"]): r for r in rows}
    assert mine["h200-sxm-141", "own-gpu"]["price"] == "41000"
    assert mine["a100-sxm-80", "spot"]["price"] == "0.55"


def test_what_is_neutral_for_a_spreadsheet_is_read_back_as_it_was():
    for text in ("=1+1", "+1", "-2", "@SUM(A1)", "|x", "%x", "'t is", "plain", "a=b"):
        written = csv_text(["a"], [{"a": text}]).splitlines()[1]
        assert plain_cell(next(csv.reader([written]))[0]) == text
        assert written.strip('"')[0] not in "=+-@|%"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("H100,on-demand,two,", "line 3 price"),
        ("H100,on-demand,-2,", "line 3 price"),
        ("H1000,on-demand,2,", "line 3 gpu"),
        ("H100,monthly,2,", "line 3 mode"),
        ("H100,on-demand,2,,", "line 3"),
        (",on-demand,2,", "line 3 gpu"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, line, says):
    path = tmp_path / "q.csv"
    path.write_text(f"gpu,mode,price,ask\nA100,on-demand,,Lambda\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=says):
        read_quotes(path)


def test_a_price_is_missing_only_where_it_was_asked_for(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text("gpu,mode,price\nA100,on-demand,\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2 price"):
        read_quotes(path)
    assert open_rows("h100-sxm-80:on-demand=2.10") == 0


def test_the_command_writes_the_file_and_takes_it_back(command, tmp_path):
    path = tmp_path / "quotes.csv"
    done = command("quotes", "small-team", "-o", str(path))
    assert done.returncode == 0
    assert "quotes to ask for" in done.stdout
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert rows[0]["gpu"] == "l40s-pcie-48"
    printed = command("quotes", "small-team")
    assert printed.stdout == path.read_text("utf-8")
    asked = json.loads(command("quotes", "small-team", "--json").stdout)["quotes"]
    assert [row["gpu"] for row in asked] == [row["gpu"] for row in rows]
    a100 = next(r for r in rows if (r["gpu"], r["mode"]) == ("a100-sxm-80", "on-demand"))
    a100["price"] = "0.4"
    path.write_text(csv_text(list(rows[0]), rows), encoding="utf-8")
    for name in ("plan", "upgrade"):
        args = (name, "small-team", "--json")
        before, after = (
            json.loads(command(*args, *more).stdout)["recommendation"]["plan"]
            for more in ((), ("--quotes", str(path)))
        )
        assert "L40S" in before
        assert "A100" in after
    assert command("quotes", "small-team", "-o", str(tmp_path)).returncode == 2


def test_where_nothing_has_a_price_the_request_is_the_way_out(command, tmp_path):
    content = {**ASKED, "allow": {"gpus": ["H200 NVL"]}, "workloads": [SERVICE]}
    file, path = tmp_path / "mine.json", tmp_path / "quotes.csv"
    file.write_text(json.dumps(content), encoding="utf-8")
    done = command("quotes", str(file), "-o", str(path))
    assert done.returncode == 3
    assert "Nothing that is allowed" in done.stderr
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert {row["used_price"] for row in rows} == {""}
    rows[0]["price"] = "3.10"
    path.write_text(csv_text(list(rows[0]), rows), encoding="utf-8")
    plan = command("plan", str(file), "--quotes", str(path))
    assert plan.returncode == 0
    assert "they are your own quotes" in plan.stdout
    assert "In no draw another plan that was compared is cheaper." in plan.stdout


def test_no_price_flips_what_time_decides():
    found = decided({"objective": "time"})
    rows = request(found, worth(found)).to_dict("records")
    assert rows
    assert {row["flips_below"] + row["flips_above"] for row in rows} == {""}


def test_a_request_that_is_filled_in_is_not_written_over(command, tmp_path):
    line = ("quotes", "--model", "8B", "--users", "50", "-o", "asked.csv")
    assert command(*line).returncode == command(*line).returncode == 0
    path = tmp_path / "asked.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    rows[0]["price"] = "1.23"
    path.write_text(csv_text(list(rows[0]), rows), "utf-8")
    again = command(*line)
    assert again.returncode == 2
    assert "it holds prices that were filled in" in again.stderr
    assert "1.23" in path.read_text("utf-8")


def test_sellers_of_another_region_are_not_named(command):
    line = ("quotes", "--model", "70B", "--users", "2000", "--gpus", "H200")
    here, there = (command(*line, *more).stdout for more in ((), ("--regions", "China")))
    assert "China market" not in here
    assert "China market" in there
