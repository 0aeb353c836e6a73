"""What of the data is old, and rents from the files of collectors."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from gpuspec.catalog import load_table
from gpuspec.topics.cost.prices.imports import read_prices
from gpuspec.topics.cost.prices.quotes import read_quotes

FIXTURES = Path(__file__).parent / "fixtures"
SKYPILOT, GPUHUNT = FIXTURES / "verda" / "vms.csv", FIXTURES / "gpuhunt" / "aws.csv"


def prices(found):
    return {(r.gpu, r.mode): r.usd for r in found.rents}


def test_skypilot_prices_are_those_of_one_gpu():
    found = read_prices(SKYPILOT, form="SXM")
    assert prices(found) == {
        ("h200-sxm-141", "on-demand"): 3.39,
        ("h200-sxm-141", "spot"): pytest.approx(2.373 / 2),
        ("h100-sxm-80", "on-demand"): 2.29,
        ("h100-sxm-80", "spot"): 0.8015,
        ("b200-sxm-180", "spot"): pytest.approx(13.69 / 8, rel=1e-5),
    }
    assert {r.provider for r in found.rents} == {"Verda (DataCrunch)"}


def test_a_form_that_nobody_states_is_not_guessed():
    found = read_prices(SKYPILOT)
    assert ("h100-sxm-80", "on-demand") not in prices(found)
    assert any("--form" in reason for reason in found.left_out)


def test_gpuhunt_prices_are_those_of_one_gpu():
    found = read_prices(GPUHUNT)
    assert found.collector == "gpuhunt"
    assert prices(found) == {
        ("a100-sxm-40", "on-demand"): pytest.approx(21.957642 / 8, rel=1e-5),
        ("a100-sxm-40", "spot"): 1.65,
        ("h200-sxm-141", "on-demand"): 4.975,
    }
    assert {r.provider for r in found.rents} == {"AWS EC2"}
    assert found.left_out == {"a GPU that the tables do not have": 1, "no GPU": 1}


def test_nothing_changes_before_it_is_asked_for(command, tmp_path):
    words = ("data", "import-prices", SKYPILOT, "--form", "SXM", "-o", "mine.csv")
    shown = command(*words)
    assert shown.returncode == 0
    assert "5 new" in shown.stdout
    assert "nothing was written" in shown.stdout
    assert not (tmp_path / "mine.csv").exists()
    assert "written" in command(*words, "--write", "--date", "2026-11-20").stdout
    assert "nothing to change" in command(*words).stdout
    text = (tmp_path / "mine.csv").read_text().replace("2.29", "2.5")
    (tmp_path / "mine.csv").write_text(text)
    told = json.loads(command(*words, "--json").stdout)
    assert [(c["gpu"], c["before"], c["after"]) for c in told["changes"]] == [
        ("h100-sxm-80", 2.5, 2.29)
    ]
    quote = next(q for q in read_quotes(tmp_path / "mine.csv") if q.gpu == "h100-sxm-80")
    assert (quote.provider, quote.price, quote.as_of) == (
        "Verda (DataCrunch)",
        2.5,
        date(2026, 11, 20),
    )


def test_quotes_of_others_stay(command, tmp_path):
    own = "gpu,mode,price,lead_months\nH100,own-server,250000,3\n"
    (tmp_path / "mine.csv").write_text(own)
    first = ("data", "import-prices", SKYPILOT, "--form", "SXM", "-o", "mine.csv", "--write")
    other = ("data", "import-prices", GPUHUNT, "-o", "mine.csv", "--write")
    assert "0 gone" in command(*first).stdout
    reserved = "h200-sxm-141,reserved-1yr,3.1,,USD,Verda (DataCrunch),,,,,\n"
    with (tmp_path / "mine.csv").open("a") as file:
        file.write(reserved)
    assert "3 new, 0 changed, 0 gone" in command(*other).stdout
    text = (tmp_path / "mine.csv").read_text()
    assert command(*first).returncode == command(*other).returncode == 0
    assert "nothing to change" in command(*first).stdout
    assert sorted((tmp_path / "mine.csv").read_text().split()) == sorted(text.split())
    found = read_quotes(tmp_path / "mine.csv")
    assert len(found) == 1 + 5 + 1 + 3
    assert (found[0].price, found[0].lead_months) == (250000, 3)
    assert any(q.mode == "reserved-1yr" for q in found)


def test_a_seller_whose_name_begins_like_another_keeps_its_rows(command, tmp_path):
    (tmp_path / "mine").mkdir()
    for seller in ("Acme", "Acme East", "Acme"):
        words = ("--provider", seller, "--into", "mine", "--write")
        assert "0 gone" in command("data", "import-prices", GPUHUNT, *words).stdout
    table = load_table("prices-rental", tmp_path / "mine")
    assert table["provider"].value_counts()[["Acme", "Acme East"]].tolist() == [3, 3]


def test_a_data_folder_takes_the_rows_and_keeps_its_own(command, tmp_path):
    own = tmp_path / "mine" / "prices_rental.csv"
    own.parent.mkdir()
    shipped = load_table("prices-rental").iloc[0]
    own.write_text(f"id,price_gpu_hour\n{shipped['id']},1.23\n")
    words = ("data", "import-prices", GPUHUNT, "--into", "mine", "--write", "--date", "2026-11-20")
    assert command(*words).returncode == 0
    table = load_table("prices-rental", tmp_path / "mine")
    assert table.set_index("id").loc[shipped["id"], "price_gpu_hour"] == 1.23
    mine = table[table["as_of"] == "2026-11-20"]
    assert len(mine[mine["id"].str.startswith("import-")]) == 3
    assert "nothing to change" in command(*words).stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "its first line must be that of SkyPilot"),
        (GPUHUNT.read_text().replace("21.957642", "=1+1").replace("13.2", "nan"), ""),
    ],
)
def test_a_file_that_is_none_is_one_sentence(command, tmp_path, text, said):
    (tmp_path / "aws.csv").write_text(text)
    done = command("data", "import-prices", "aws.csv", "-o", "mine.csv")
    assert said in done.stderr
    assert done.returncode == (2 if said else 0)
    if not said:
        assert "a number cannot be read" in done.stdout
        assert "1.65" not in done.stdout


@pytest.mark.parametrize("text", [SKYPILOT.read_text(), "a,b\n1,2\n", "", "gpu,mode\n"])
def test_a_file_that_holds_something_else_is_kept(command, tmp_path, text):
    (tmp_path / "mine.csv").write_text(text)
    words = ("--form", "SXM", "-o", "mine.csv", "--write")
    done = command("data", "import-prices", SKYPILOT, *words)
    assert done.returncode == 2, done.stderr
    assert "mine.csv" in done.stderr
    assert (tmp_path / "mine.csv").read_text() == text


def test_what_is_old_is_listed_by_its_limit(command):
    told = json.loads(command("data", "check", "--date", "2026-11-30", "--json").stdout)
    spot = [one for one in told["old"] if one["limit"] == "defaults-spot"]
    table = load_table("prices-defaults")
    rows = table[table["mode"] == "spot"]
    assert {one["thing"] for one in spot} == set(rows[rows["as_of"] < "2026-10-31"]["id"])
    assert all(one["age_days"] > one["limit_days"] == 30 for one in spot)
    later = json.loads(command("data", "check", "--date", "2028-11-30", "--json").stdout)
    assert len(later["old"]) > len(told["old"])


def test_every_limit_is_of_a_table_and_its_columns():
    with (Path(__file__).parents[1] / "data" / "freshness.csv").open() as file:
        for row in csv.DictReader(file):
            names = [row["column"], *row["things"].split("|"), *filter(None, [row["key"]])]
            assert set(names) <= set(load_table(row["table"]).columns)
