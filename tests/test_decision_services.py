"""Licences, support plans and lines in a decision: each costs what it should by hand."""

import json

import pytest

HOURS, RUNS = 1000, 12
SIMULATION = {
    "kind": "hpc",
    "name": "md",
    "workload": "md",
    "gpu_hours": HOURS,
    "reference_gpu": "H100",
    "deadline_days": 20,
    "runs_per_year": RUNS,
}
"""On the GPU that it is stated for its hours are not drawn: what is added to them is exact."""


@pytest.fixture
def planned(command, tmp_path):
    """Return what ``gpuspec plan`` recommends, with operating values of one's own."""

    def run(operating="", lang=None, **more):
        content = {"name": "s", "horizon_months": 12, "workloads": [SIMULATION], **more}
        content["prices"] = {"operating": operating} if operating else {}
        (tmp_path / "s.json").write_text(json.dumps(content), "utf-8")
        if lang:
            return command("plan", "s.json", "--lang", lang).stdout
        done = command("plan", "s.json", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["recommendation"]

    return run


def allowed(*modes):
    return {"gpus": ["H100"], "modes": list(modes)}


@pytest.mark.parametrize(
    ("mode", "key", "value", "part", "hour_usd"),
    [
        ("on-demand", "licence_usd_gpu_year", 4380, "by the hour", 0.5),
        ("on-demand", "licence_usd_gpu_hour", 1, "by the hour", 1.0),
        ("on-demand", "network_usd_gpu_month", 73, "by the hour", 0.1),
        ("reserved-1yr", "licence_usd_gpu_year", 4380, "contracts", 0.5),
        ("reserved-1yr", "licence_usd_gpu_hour", 1, "contracts", 0.0),
        ("reserved-1yr", "network_usd_gpu_month", 73, "contracts", 0.1),
        ("own", "licence_usd_gpu_year", 4380, "upkeep", 0.5),
        ("own", "network_usd_gpu_month", 73, "upkeep", 0.1),
        ("own", "support_share", 0.1, "upkeep", 0.0),
    ],
)
def test_a_line_costs_what_it_does_by_hand(planned, mode, key, value, part, hour_usd):
    plain, more = (planned(given, allow=allowed(mode)) for given in ({}, {key: value}))
    hours = sum(8 * row["paid_months"] * 730 for row in more["signed"]) or HOURS * RUNS
    added = more["parts"][part] - plain["parts"][part]
    assert added == pytest.approx(hours * hour_usd, rel=1e-6, abs=1e-3)
    line = {"lic": "licences", "net": "lines", "sup": "support"}[key[:3]]
    assert more["services_usd"][line] == pytest.approx(added, rel=1e-6, abs=1e-3)
    assert sum(more["services_usd"].values()) == pytest.approx(added, rel=1e-6, abs=1e-3)
    assert sum(more["parts"].values()) == pytest.approx(more["expected_usd"])
    assert not any(plain["services_usd"].values())


@pytest.mark.parametrize(("mode", "part"), [("on-demand", "by the hour"), ("spot", "spot")])
def test_a_support_plan_is_a_share_of_rents(planned, mode, part):
    plain, set_ = (planned(given, allow=allowed(mode)) for given in ("", "support_share=0.1"))
    rents = plain["parts"][part]
    assert set_["parts"][part] == pytest.approx(1.1 * rents)
    assert set_["services_usd"]["support"] == pytest.approx(0.1 * rents)


def test_gpus_that_are_owned_pay_licences_in_every_month(planned):
    owned = {"owned": [{"gpu": "H100", "count": 8}], "allow": allowed() | {"sell": False}}
    owned["allow"]["modes"] = ["on-demand"]
    plain, set_ = (planned(given, **owned) for given in ("", "licence_usd_gpu_year=4500"))
    assert set_["parts"]["upkeep"] - plain["parts"]["upkeep"] == pytest.approx(8 * 4500)
    assert set_["services_usd"]["licences"] == pytest.approx(8 * 4500)


def test_page_1_says_what_they_cost_and_which_are_left_out(planned):
    plain = planned(lang="en", allow=allowed("reserved-1yr"))
    assert "The costs leave out software licences, a support plan on rents and line" in plain
    given = "licence_usd_gpu_year=4500,network_usd_gpu_month=100"
    page = planned(given, lang="en", allow=allowed("reserved-1yr"))
    assert "It holds 36,000 USD of software licences and 9,600 USD for line and traffic." in page
    assert "The costs leave out a support plan on rents: set them in prices.operating." in page
    chinese = planned(given, lang="zh", allow=allowed("reserved-1yr"))
    assert "其中软件许可 3.6 万美元和专线与流量 9,600 美元。" in chinese


def test_other_operating_values_count_as_well(planned):
    plain, dear = (planned(given, allow=allowed("own")) for given in ("", "electricity_usd_kwh=1"))
    assert dear["expected_usd"] > 1.05 * plain["expected_usd"]
    plain, free = (planned(given, allow=allowed("own")) for given in ("", "cost_of_capital=0"))
    assert free["expected_usd"] < 0.98 * plain["expected_usd"]


def test_a_value_that_is_not_known_is_one_sentence(command, tmp_path):
    for given, told in (
        ("licence=1", "prices.operating: 'licence' is not valid; did you mean"),
        ("support_share=3", "prices.operating.support_share: '3' is not valid; give a number"),
    ):
        done = command("plan", "small-team", "-p", f"prices.operating={given}")
        assert done.returncode == 2
        assert told in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
