"""Page 1 of a report: the answer in a box, the picture, what it rests on, and what to do next.

A notebook shows `answer`, its picture and `next_page` before its first heading; a report puts the
first into a box and ends the page after the last.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from gpuspec.base.days import run_date
from gpuspec.views.display import note
from gpuspec.views.language import Words, say
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import listed, told

QUOTES_DAYS, TRIAL_DAYS, SIGN_DAYS = 7, 14, 21
"""Days within which quotes are asked for, a trial is run, and the answer is signed or dropped: a
list price counts for 30 days (``data/freshness.csv``)."""
_LEVELS = {
    "measured": "Settings like these were measured for {names}.",
    "near": "Only settings nearby were measured for {names}.",
    "far": "Nothing like these settings was measured for {names}: the interval is wider.",
}
_ALL = {
    "measured": "Settings like these were measured.",
    "near": "Only settings nearby were measured.",
    "far": "Nothing like these settings was measured, and the interval is wider for that.",
}


class Step(NamedTuple):
    """What somebody is to do, within so many days of the run."""

    who: str
    days: int
    what: str


def answer(text: str, title: str = "", answered: bool = True) -> None:
    """Show the answer of page 1; the arguments are those of `gpuspec.views.display.note`."""
    note(text, title, answered, part="answer")


def next_page(rests: Iterable[str], steps: Iterable[Step], *more: Markdown) -> None:
    """Show what an answer rests on, the next steps, and what else ends page 1."""
    said = told(" ".join(filter(None, rests)))
    found = [headed("What it rests on", said), stepped(steps), *more]
    note(Markdown("\n\n").join(found), part="next")


def headed(head: str, text: str, put: Words = say) -> Markdown:
    """Return a paragraph under a word in bold, which `put` puts into the language."""
    form = Markdown("**{head}**{colon}{text}")
    return form.format(head=put(head), colon=put(": "), text=text)


def stepped(steps: Iterable[Step]) -> Markdown:
    """Return the next steps as a list: who, by when, what."""
    form = Markdown("{i}. **{who}**{colon}{what}")
    found = [Markdown("**{}**").format(say("What to do next")), Markdown("")]
    for i, step in enumerate(steps, 1):
        day = (run_date() + timedelta(step.days)).isoformat()
        who = say("{who}, by {day}", who=say(step.who), day=day)
        found.append(form.format(i=i, who=who, colon=say(": "), what=step.what))
    return Markdown("\n").join(found)


def grounds_line(levels: Mapping[str, str]) -> str:
    """Say for which of several options settings like these were measured, without the reasons.

    >>> grounds_line({"H100": "measured", "H200": "measured"})
    'Settings like these were measured.'
    """
    names: dict[str, list[str]] = {level: [] for level in _LEVELS}
    for name, level in levels.items():
        names[level].append(name)
    levels_of = {level: found for level, found in names.items() if found}
    if len(levels_of) == 1:
        return say(_ALL[next(iter(levels_of))])
    return " ".join(say(_LEVELS[level], names=listed(found)) for level, found in levels_of.items())
