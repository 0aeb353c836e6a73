"""The answer in HTML, part by part: page 1 first, then what takes longer.

Whatever a visitor typed arrives as escaped text: Markdown escapes it, and so do tables.
"""

import base64
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from gpuspec.decision.decide import Decision, decide
from gpuspec.decision.plan import pictures, words, words_asked, words_page, words_tables
from gpuspec.decision.plan import request as requests
from gpuspec.decision.plan.breakeven import break_evens
from gpuspec.decision.plan.sensitivity import gap, tornado
from gpuspec.decision.plan.words_settings import settings_text
from gpuspec.decision.plan.words_worth import worth_page
from gpuspec.decision.scenario import Scenario
from gpuspec.decision.worth import worth
from gpuspec.topics.cost.prices import age_warnings
from gpuspec.views.columns import readable
from gpuspec.views.display import ShownFigure, ShownTable, figure, table
from gpuspec.views.language import Words, speaking, translator
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANSWER, OPTIONS, FLIPS, PRICES, ERRORS = PARTS = ("answer", "options", "flips", "prices", "errors")
TITLES = {
    OPTIONS: "Options",
    FLIPS: "What would flip it",
    PRICES: "Prices and quotes",
    ERRORS: "How wrong it may be",
}
"""The tabs below the answer."""


class Part(NamedTuple):
    """A part of the page, as far as it is known."""

    name: str
    html: str
    whole: bool = True
    """Whether nothing more of it will come."""
    tables: tuple[tuple[str, ShownTable], ...] = ()


def answer(s: Scenario, language: str, put: Callable[[Part], None]) -> Decision:
    """Answer a scenario, and put page 1 as soon as it is known; the tabs are made one by one."""
    with speaking(language):
        decision = decide(s)
        if not decision.feasible:
            put(Part(ANSWER, _markdown(words_page.nothing_page(decision, language)), whole=False))
        evens = break_evens(decision) if decision.feasible else None
        page = words_page.answer_page(decision, language)
        works = _works(decision, language) if decision.feasible else None
        rest = words_page.rest_page(decision, evens, language)
        put(_named(ANSWER, [_markdown(page), works, _markdown(rest)]))
    return decision


def tab(decision: Decision, name: str, language: str) -> Part:
    """Return one of the tabs of an answer. What would flip it takes as long as many answers."""
    with speaking(language):
        say = translator(language)
        if name == ERRORS:
            known = _worth(decision, language) if decision.feasible else None
            return _named(name, [known, _errors(decision, say), _asked(decision, say)])
        if name == OPTIONS and not decision.feasible:
            return _named(name, [_out(decision, say)])
        if not decision.feasible:
            finding = words_page.decision_finding(decision, language)
            return _named(name, [f"<p>{escape(finding)}</p>"])
        if name == OPTIONS:
            return _named(name, [_costs(decision, language), *_plans(decision, language)])
        if name == PRICES:
            return _named(name, _prices(decision, language))
        settings = _markdown(settings_text(decision, language))
        return _named(name, [*_flips(decision, language), settings])


def _works(decision: Decision, language: str) -> ShownTable:
    rows = words_tables.works_table(decision, language)
    return table(rows, words_tables.works_caption(decision, language))


def _worth(decision: Decision, language: str) -> str:
    return _markdown(worth_page(decision, worth(decision), language))


Shown = str | ShownTable | None


def _named(name: str, found: list[Shown]) -> Part:
    """Join what is shown of a part; its tables are named after it."""
    tables = [t for t in found if isinstance(t, ShownTable)]
    names = [f"{name}-{i}" if i > 1 else name for i in range(1, len(tables) + 1)]
    of = dict(zip(map(id, tables), names, strict=True))
    html = "".join(_boxed(t) if isinstance(t, ShownTable) else t or "" for t in found)
    return Part(name, html, tables=tuple((of[id(t)], t) for t in tables))


def _boxed(shown: ShownTable) -> str:
    """Return a table that scrolls by itself where it is wider than the page."""
    label = escape(shown.caption, quote=True)
    return f'<div class="table" role="region" tabindex="0" aria-label="{label}">' + (
        f"{shown._repr_html_()}</div>"
    )


def _markdown(text: Markdown) -> str:
    """Return our own Markdown, told as a page tells it, as HTML; what was typed is escaped."""
    import mistune

    made: str = mistune.create_markdown(escape=True)(told(str(text)))  # type: ignore[assignment]
    return made


def _picture(drawing: "Figure", caption: str, alt: str) -> str:
    """Return a drawing with its caption, as an image that brings no markup with it."""
    shown: ShownFigure = figure(drawing, caption, alt)
    data = base64.b64encode(shown.svg.encode()).decode()
    text = escape(shown.alt, quote=True)
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{text}">'
    return f"<figure>{image}<figcaption>{escape(shown.caption)}</figcaption></figure>"


def _costs(decision: Decision, language: str) -> str:
    places = words_tables.shown_plans(decision)
    rows = decision.table.iloc[places]
    labels = words.plan_labels(decision, language)
    axis = words_tables.money_axis(decision, float(rows["high"].max()), language)
    drawing = pictures.plan_costs(rows, [labels[i] for i in places], *axis)
    caption = words_tables.plans_caption(decision, language)
    return _picture(drawing, caption, words_page.decision_finding(decision, language))


def _plans(decision: Decision, language: str) -> list[Shown]:
    say, unit = translator(language), words_tables.cost_unit(decision, language)[0]
    text = "Plans to choose between: cost over the horizon with its 80 % interval, {unit}"
    plans = words_tables.plans_table(decision, language)
    return [table(plans, say(text, unit=unit)), _out(decision, say)]


def _out(decision: Decision, say: Words) -> ShownTable | None:
    out = words_tables.rejected_table(decision)
    return table(out, say("Ways that are out")) if len(out) else None


def _prices(decision: Decision, language: str) -> list[Shown]:
    say = translator(language)
    old = told(" ".join(age_warnings(decision.offers))) or say("No price is older than its limit.")
    text = "Prices of the GPUs of the recommendation and the runner-up, USD an hour or USD a GPU"
    found: list[Shown] = [f"<p>{escape(old)}</p>"]
    found.append(table(words_tables.offers_table(decision), say(text)))
    rows = requests.request(decision, worth(decision), language)
    if len(rows):
        caption = say("Quotes to ask for; a price that was quoted is firm")
        found.append(table(requests.request_table(rows, decision, language), caption))
        found.append(f"<p>{escape(requests.request_notes(rows, decision, language))}</p>")
    return found


def _errors(decision: Decision, say: Words) -> ShownTable:
    text = "Errors that the draws use: 80 % interval of measured over estimated"
    return table(words_tables.error_table(decision), say(text))


def _asked(decision: Decision, say: Words) -> ShownTable:
    rows = readable(words_asked.asked_table(decision.scenario))
    return table(rows, say("What was asked, defaults included"))


def _flips(decision: Decision, language: str) -> list[Shown]:
    say, inputs = translator(language), tornado(decision)
    found: list[Shown] = []
    if len(inputs):
        finding = words_tables.flips_finding(inputs)
        text = (
            "The dotted line is the gap as it is. A bar that is missing: one of the two plans is "
            "then not possible."
        )
        drawing = pictures.tornado_bars(inputs, gap(decision), finding)
        found.append(_picture(drawing, say(text), finding))
    evens = break_evens(decision, inputs)
    if len(evens):
        rows = readable(evens[["input", "now", "flips_at"]])
        found.append(table(rows, say("Break-even values, the nearest first")))
    none = say("There is no second plan to compare with.")
    return found or [f"<p>{escape(none)}</p>"]
