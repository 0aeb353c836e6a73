"""``gpuspec trial``: which measurement to make before signing, with its commands."""

import json
import shlex

import pytest


@pytest.fixture(scope="module")
def team():
    """What the small team is told to try, from one run."""
    from gpuspec.decision.decide import decide
    from gpuspec.decision.scenario import DecisionQuestion
    from gpuspec.decision.trial import trials
    from gpuspec.decision.worth import worth

    decision = decide(DecisionQuestion.ask(scenario="small-team").over({}))
    return trials(decision, worth(decision), "small-team"), decision


def test_what_is_tried_is_worth_more_than_it_costs_the_most_first(team):
    found, _ = team
    assert 1 <= len(found) <= 2
    assert [one.worth_usd for one in found] == sorted((o.worth_usd for o in found), reverse=True)
    for one in found:
        assert not one.sure or one.worth_usd > max(one.cost_usd, 2 * one.error_usd)
        assert 0.5 <= one.hours <= 8


def test_the_price_is_that_of_its_hours(team):
    found, decision = team
    for one in found:
        offers = decision.offers
        own = offers[(offers["gpu"] == one.gpu) & (offers["mode"] == "on-demand")]
        assert one.cost_usd == pytest.approx(own["hour_usd"].min() * one.gpus * one.hours)
        assert one.provider in set(own["provider"])


def test_commands_lead_from_the_machine_to_the_next_decision(team):
    found, _ = team
    serving = next(one for one in found if one.kind == "inference")
    words = [shlex.split(c.command)[:2] for c in serving.run.commands]
    order = [["nvidia-smi", "-q"], ["aiperf", "profile"], ["guidellm", "run"]]
    order += [["gpuspec", "import"], ["gpuspec", "learn"], ["gpuspec", "plan"]]
    places = [max(i for i, word in enumerate(words) if word == one) for one in order]
    assert places == sorted(places)
    read = shlex.split(serving.run.commands[places[3]].command)
    assert read[read.index("--gpus") + 1] == serving.gpu
    assert read[read.index("--count") + 1] == str(serving.gpus)


def test_it_is_told_in_text_and_json(command):
    done = command("trial", "small-team", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["trials"]
    assert {"work", "gpu", "gpus", "hours", "cost_usd", "worth_usd", "sure", "run"} <= set(told[0])
    assert any("gpuspec learn" in one["command"] for one in told[0]["run"]["commands"])
