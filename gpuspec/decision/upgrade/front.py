"""Page 1 of the upgrade report: the answer, what it rests on, and what to do next."""

from gpuspec.decision.decide import Decision
from gpuspec.decision.upgrade.words import (
    cost_sentence,
    ground_sentence,
    measured_words,
    moves_sentence,
    rented_sentence,
    sharing_sentence,
    upgrade_finding,
)
from gpuspec.views.amounts import money
from gpuspec.views.front import QUOTES_DAYS, SIGN_DAYS, TRIAL_DAYS, Step
from gpuspec.views.language import say
from gpuspec.views.markdown import Markdown


def opening(decision: Decision) -> str:
    """Say what is ordered, signed and sold, and what that costs."""
    said = f"{upgrade_finding(decision)}."
    if not decision.feasible:
        return said
    best, (low, high) = decision.best, decision.best.interval_usd
    text = "It costs {usd} over {months} months (80 % interval {low} to {high})."
    values = {"usd": money(best.expected_usd), "low": money(low), "high": money(high)}
    return f"{said} {say(text, **values, months=decision.scenario.horizon_months)}"


def rests(decision: Decision, doubts: str) -> list[str]:
    """Say what the answer rests on."""
    if not decision.feasible:
        return [say("Every plan that was tried breaks a limit."), doubts]
    return [ground_sentence(decision), measured_words(decision), doubts]


def detail(decision: Decision) -> str:
    """Say the rest of the answer: what is rented, what is shared, what it costs, what moves."""
    best = decision.best
    said = [rented_sentence(best), sharing_sentence(decision), cost_sentence(decision)]
    return " ".join(filter(None, [*said, moves_sentence(decision)]))


def steps(decision: Decision) -> list[Step]:
    """Return what to do next."""
    if not decision.feasible:
        text = "choose which limit gives: `gpuspec plan` on the same file says by how much."
        return [Step("Whoever signs", QUOTES_DAYS, Markdown(say(text)))]
    ask = Markdown(
        say("ask for quotes of what is ordered first: `gpuspec quotes` writes the list.")
    )
    grow = say("hold the growth of the last quarter against the growth that is assumed.")
    sign = say("sign what is ordered now; decide on what comes later when it is due.")
    return [
        Step("Purchasing", QUOTES_DAYS, ask),
        Step("Engineering", TRIAL_DAYS, grow),
        Step("Whoever signs", SIGN_DAYS, sign),
    ]
