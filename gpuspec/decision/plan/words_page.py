"""Page 1 of a decision in sentences, in English and from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from gpuspec.base.lazy import pd
from gpuspec.decision.decide import Decision
from gpuspec.decision.errors import SURE
from gpuspec.decision.plan.words import Voice, percent, plan_words, voice_of
from gpuspec.decision.plan.words_asked import asked_sentences, default_sentences
from gpuspec.decision.plan.words_cost import (
    cost_sentence,
    currency_sentence,
    enough_sentence,
    grade_sentence,
    left_out_sentence,
    unpriced_sentence,
)
from gpuspec.decision.plan.words_ground import (
    apart_sentence,
    engine_sentences,
    far_sentence,
    ground_warning,
    measured_sentence,
    quality_sentence,
    unread_sentence,
    unused_sentence,
)
from gpuspec.decision.plan.words_limits import give_sentences, limits_sentence, open_sentence
from gpuspec.decision.plan.words_line import assumed_sentences
from gpuspec.decision.plan.words_outside import api_first, api_sentence, owned_sentence
from gpuspec.decision.plan.words_place import place_sentences
from gpuspec.decision.plan.words_spot import spot_sentences
from gpuspec.decision.plan.words_sure import (
    changes,
    impossible_sentence,
    reasons,
    runner_up_sentence,
    sure_sentence,
)
from gpuspec.views.front import headed
from gpuspec.views.markdown import Markdown, marked

NOTHING = "Nothing that is allowed does all of this within the limits."


def answer_page(decision: Decision, language: str | None = None) -> Markdown:
    """Return the first part of page 1: what was asked, the answer, its cost and limits, how sure
    it is; where nothing keeps all limits, what must give.
    """
    voice = voice_of(decision, language)
    asked = headed("You asked", voice.joined(asked_sentences(decision.scenario, voice)), voice.say)
    told = _answer(decision, voice) if decision.feasible else _infeasible(decision, voice)
    return Markdown("\n\n").join([asked, *told])


def full_page(decision: Decision, language: str | None = None) -> Markdown:
    """Return what a report tells after its own page 1: the answer's parts but the plan, its limits
    and what was asked; where nothing keeps all limits, what must give.
    """
    voice = voice_of(decision, language)
    if not decision.feasible:
        return Markdown("\n\n").join(list(_infeasible(decision, voice))[1:])
    plan, limits = plan_words(decision.best, voice), limits_sentence(decision, voice)
    told = [text for text in _answer(decision, voice) if not text.startswith(f"**{marked(plan)}")]
    limits_text = headed("Limits", limits, voice.say)
    return Markdown("\n\n").join(text for text in told if text != limits_text)


def nothing_page(decision: Decision, language: str | None = None) -> Markdown:
    """Return what was asked and that nothing keeps all limits, without what must give: at once."""
    voice = voice_of(decision, language)
    asked = headed("You asked", voice.joined(asked_sentences(decision.scenario, voice)), voice.say)
    return Markdown("\n\n").join([asked, Markdown("**{}**").format(voice.say(NOTHING))])


def rest_page(
    decision: Decision, evens: pd.DataFrame | None = None, language: str | None = None
) -> Markdown:
    """Return the second part of page 1: the runner-up, why it is not taken, what the answer rests
    on, and what it does not use.
    """
    voice = voice_of(decision, language)
    return Markdown("\n\n").join(_rest(decision, evens, voice))


def decision_finding(decision: Decision, language: str | None = None) -> str:
    """Return the answer in a line, or that there is none."""
    voice = voice_of(decision, language)
    return plan_words(decision.best, voice) if decision.feasible else voice.say(NOTHING)


def _answer(decision: Decision, voice: Voice) -> Iterator[Markdown]:
    say, best = voice.say, decision.best
    sure = float(best.kept.mean())
    if sure < SURE:
        text = "All deadlines and limits are kept in {share} of the draws alone."
        yield Markdown("**{}**").format(say(text, share=percent(sure)))
    told = grade_sentence(decision, voice), far_sentence(best, voice), api_first(decision, voice)
    beside = voice.joined(told)
    yield Markdown("**{}** {}").format(plan_words(best, voice), beside)
    taken = decision.offers.iloc[best.offers_used]
    if where := voice.joined(place_sentences(decision.scenario, taken, voice)):
        yield headed("Where", where, voice.say)
    if enough := enough_sentence(best, voice):
        yield headed("Enough", enough, voice.say)
    yield headed("Cost", cost_sentence(best, voice), voice.say)
    if outside := api_sentence(decision, voice):
        yield headed("By API", outside, voice.say)
    if owned := owned_sentence(decision, voice):
        yield headed("Doing nothing", owned, voice.say)
    if limits := limits_sentence(decision, voice):
        yield headed("Limits", limits, voice.say)
    yield headed("How sure", sure_sentence(decision, voice), voice.say)


def _rest(decision: Decision, evens: pd.DataFrame | None, voice: Voice) -> Iterator[Markdown]:
    say, plan = voice.say, decision.best if decision.feasible else None
    if plan and decision.runner_up is not None:
        yield headed("Runner-up", runner_up_sentence(decision, voice), voice.say)
        if why := reasons(decision, voice.language):
            yield headed("Why", voice.joined(why), voice.say)
        if evens is not None:
            flips = say("; ").join(changes(decision, evens, voice.language)) + say(".")
            yield headed("The runner-up wins with", flips, voice.say)
    if impossible := impossible_sentence(decision, voice):
        yield headed("Not possible", impossible, voice.say)
    if plan:
        yield headed("Ground", ground_warning(decision, voice), voice.say)
        if known := measured_sentence(decision, voice):
            yield headed("Measured by you", known, voice.say)
        checks = [spot_sentences(plan, voice), quality_sentence(decision, voice)]
        if told := voice.joined(checks):
            yield headed("Check first", told, voice.say)
    defaults = assumed_sentences(decision.scenario, voice)
    defaults += default_sentences(decision.scenario, voice, plan)
    yield headed("Taken, as nothing was named", voice.joined(defaults), voice.say)
    notes = [currency_sentence(voice), unpriced_sentence(decision, voice)]
    notes += [left_out_sentence(decision, voice), open_sentence(decision, voice)]
    notes += engine_sentences(decision, voice)
    notes += [unused_sentence(decision, voice), unread_sentence(decision, voice)]
    doubts = decision.scenario.doubts
    notes += [apart_sentence(decision, voice), doubts and voice.say(doubts)]
    if told := voice.joined(notes):
        yield headed("Notes", told, voice.say)


def _infeasible(decision: Decision, voice: Voice) -> Iterator[Markdown]:
    say, found = voice.say, give_sentences(decision, voice)
    yield Markdown("**{}**").format(say(NOTHING))
    yield Markdown("**{}**").format(say("What must give, the cheapest first"))
    yield Markdown("\n").join(Markdown("{}. {}").format(i, t) for i, t in enumerate(found, 1))
