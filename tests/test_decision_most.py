"""The largest load within limits, and the fastest tokens at a price: laws and the public door."""

import json

import pytest

from gpuspec.base.errors import InputError
from gpuspec.decision.decide import decide
from gpuspec.decision.plan.limits import uses
from gpuspec.decision.plan.most import MOST, TOLERANCE, MostQuestion, grown, largest, most
from gpuspec.decision.plan.words_most import most_text
from gpuspec.decision.scenario import scenario

EPOCH = "1764288000"
SMALL = {"scenario": None, "model": "8B", "users": 20_000, "gpus": "H100,H200"}


@pytest.fixture(autouse=True)
def _one_day(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)


def asked(**names):
    question = MostQuestion.of(SMALL | names)
    return most(question, question.stated)


def service(found):
    return found.decision.scenario.workloads[0]


@pytest.mark.parametrize("edge", [3e-4, 0.03, 0.999, 1.0, 1.7, 64.0, 3000.0])
def test_the_search_ends_within_the_tolerance_and_soon(edge):
    calls = []
    low, high = largest(lambda x: calls.append(x) or x <= edge)
    assert low <= edge < high <= low * (1 + TOLERANCE)
    assert len(calls) <= 20


def test_more_power_is_never_fewer_users_and_the_plan_stays_within_it():
    answers = [asked(power_kw=kw) for kw in (12, 24, 48)]
    for found, kw in zip(answers, (12, 24, 48), strict=True):
        assert found.binds == ("power",)
        assert found.decision.best.power_kw <= kw
        assert set(found.decision.best.signed["mode"]) == {"own"}
    users = [service(found).users for found in answers]
    assert users == sorted(users)
    assert users[2] > 3 * users[0]


@pytest.mark.parametrize(
    ("limit", "binds"),
    [
        ({"gpu_limit": 8}, "gpus"),
        ({"budget": "20k/month"}, "monthly"),
        # replicas of two GPUs: one of the seventeen idles, and would bring money if it were sold
        ({"owned": "17xA100", "owned_only": True, "model": "70B", "users": 100}, "owned"),
    ],
)
def test_the_plan_keeps_the_limits_and_5_percent_more_does_not(limit, binds):
    found = asked(**limit)
    assert found.binds == (binds,)
    exact = decide(found.decision.scenario, quick=True, samples=400)
    assert exact.feasible
    assert all(use.kept for use in uses(exact, exact.best))
    assert not decide(grown(found.decision.scenario, 1.05), quick=True, samples=400).feasible
    if binds == "owned":
        assert exact.best.kinds_used == ("a100-sxm-80",)
        assert not len(exact.best.signed)
        assert not len(exact.best.sold)


def test_a_higher_price_is_never_slower_and_the_price_is_kept():
    low, high = (asked(mtok_usd=usd) for usd in (3.5, 8.0))
    for found, usd in ((low, 3.5), (high, 8.0)):
        assert found.holds
        assert found.binds == ("price",)
        assert found.mtok_usd <= usd
        assert service(found).tpot_limit_s == found.tpot_s
    assert high.tpot_s < low.tpot_s
    assert not asked(mtok_usd=2.0).holds


def test_one_named_work_grows_alone():
    works = {"name": "two", "limits": {"gpus": 16}, "allow": {"gpus": "H100"}}
    one = {"kind": "inference", "model": "Llama-3.1-8B", "use_case": "chat"}
    works["workloads"] = [one | {"name": n, "request_rate": 4.0} for n in ("a", "b")]
    s = scenario(works)
    both, alone = (most(MostQuestion.ask(work=work), s) for work in (None, "b"))
    assert [load.workload for load in alone.loads] == ["b"]
    assert alone.decision.scenario.workloads[0].request_rate == 4.0
    assert "As they are: a." in most_text(alone)
    assert "As they are" not in most_text(both)
    assert alone.times > both.times > 1
    with pytest.raises(InputError, match="work"):
        most(MostQuestion.ask(work="c"), s)


def test_what_bounds_nothing_is_refused_and_what_never_binds_is_told():
    with pytest.raises(InputError, match="--power-kw"):
        asked()
    with pytest.raises(InputError, match="--owned"):
        asked(owned_only=True)
    open_ = asked(budget="1T capital", users=20)
    assert open_.times == MOST
    assert "none of them bounds it" in most_text(open_)


def test_the_command_answers_in_one_line(command):
    line = ("most", "--model", "8B", "--users", "2万人", "--gpus", "H100", "--gpu-limit", "8")
    done = command(*line, SOURCE_DATE_EPOCH=EPOCH)
    assert done.returncode == 0, done.stderr
    for text in ("At most ", " users of service", "the 8 GPUs that can be had", "does not hold"):
        assert text in done.stdout
    told = json.loads(command(*line, "--json", SOURCE_DATE_EPOCH=EPOCH).stdout)
    assert told["binds"] == ["gpus"]
    assert told["beyond_times"] / told["times"] - 1 <= TOLERANCE
    assert f"{told['loads'][0]['most']:,} users" in done.stdout
    zh = command(*line, "--language", "zh", SOURCE_DATE_EPOCH=EPOCH).stdout
    assert "名用户" in zh
    assert " the " not in zh


@pytest.mark.parametrize(
    "line",
    [
        ("--model", "70B", "--rate", "5", "--budget", "500/month"),
        ("--model", "8B", "--users", "20", "--mtok-usd", "0.01"),
    ],
)
def test_what_does_not_fit_at_all_ends_with_3(command, line):
    done = command("most", *line, SOURCE_DATE_EPOCH=EPOCH)
    assert done.returncode == 3
    assert "Not even" in done.stdout or "cost more than" in done.stdout
    told = json.loads(command("most", *line, "--json", SOURCE_DATE_EPOCH=EPOCH).stdout)
    assert told["feasible"] is False
    assert told["recommendation"] is None
