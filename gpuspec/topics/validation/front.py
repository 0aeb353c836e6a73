"""Page 1 of the validation report: the answer, what it rests on, and what to do next."""

from gpuspec.evidence.validation import Validation
from gpuspec.topics.validation.words import WHAT
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step
from gpuspec.views.language import say
from gpuspec.views.markdown import Markdown


def opening(found: Validation) -> str:
    """Say how far off predictions are, and how many intervals hold."""
    figures = found.figures()
    if not figures["rows"]:
        return say("There are no {what} to compare with.", what=WHAT[found.kind])
    text = "Half of {rows:,} {what} are predicted within {error:.0%} of what was measured. "
    text += "Of all, {inside:.0%} lie inside the stated 80 % interval."
    values = {"rows": figures["rows"], "what": WHAT[found.kind]}
    error, inside = figures["median_absolute_error"], figures["interval_coverage"]
    return say(text, **values, error=error, inside=inside)


def rests(found: Validation) -> list[str]:
    """Say what the answer rests on."""
    text = (
        "No constant was fitted to rows of the same publisher. {rows} rows were not predicted; the "
    )
    text += "section on rows left out says why."
    return [say(text, rows=len(found.skipped))]


def steps() -> list[Step]:
    """Return what to do next."""
    own = Markdown(
        say("measure a setting of your own (`gpuspec measure`) and let estimates follow it.")
    )
    text = "take an estimate with its interval into a decision, and look its kind up in table 1."
    return [
        Step("Whoever decides", QUOTES_DAYS, say(text)),
        Step("Engineering", TRIAL_DAYS, own),
    ]
