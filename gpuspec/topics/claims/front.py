"""Page 1 of the claims report: the answer, what it rests on, and what to do next."""

from collections.abc import Sequence

from gpuspec.topics.claims import Finding
from gpuspec.topics.claims.verdict import FALSE, MISLEADING, WHEN
from gpuspec.topics.claims.words import SAID
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step
from gpuspec.views.language import say
from gpuspec.views.words import listed


def _ids(findings: Sequence[Finding], *words: str) -> list[str]:
    return [f.claim.id for f in findings if f.verdict.word in words]


def opening(findings: Sequence[Finding]) -> str:
    """Say how many statements hold, and which do not."""
    wrong = _ids(findings, FALSE)
    text = "Wrong under every setting that was tried: {ids}." if wrong else "None of them is wrong."
    counts = []
    for word, verdict in SAID.items():
        if count := len(_ids(findings, word)):
            form = "{count} is {verdict}" if count == 1 else "{count} are {verdict}"
            counts.append(say(form, count=count, verdict=verdict))
    first = say("Of {findings} statements {counts}.", findings=len(findings), counts=listed(counts))
    return f"{first} {say(text, ids=listed(wrong))}"


def rests() -> list[str]:
    """Say what the answer rests on."""
    text = "Each statement is tested over a grid of settings and beside measurements that were "
    text += "published; a rule that is written down gives the verdict."
    return [say(text)]


def steps(findings: Sequence[Finding]) -> list[Step]:
    """Return what to do next."""
    found = []
    if wrong := _ids(findings, FALSE, MISLEADING):
        text = "take these statements out of papers that others buy by: {ids}."
        found.append(Step("Purchasing", QUOTES_DAYS, say(text, ids=listed(wrong))))
    if when := _ids(findings, WHEN):
        text = "see whether the conditions of {ids} are those of your work."
        found.append(Step("Engineering", TRIAL_DAYS, say(text, ids=listed(when))))
    return found
