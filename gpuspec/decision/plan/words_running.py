"""How the recommended plan is run: its commands, work by work, for a page."""

from __future__ import annotations

from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.words import voice_of
from gpuspec.decision.plan.words_tables import runs_on
from gpuspec.decision.running import plan_runs
from gpuspec.topics.words_running import run_page
from gpuspec.views.markdown import Markdown

BY_API = "{works} run at the provider of the API: there is nothing to start."


def running_page(decision: Decision, language: str) -> Markdown:
    """Return for each work of the recommendation what runs where, the commands ready to paste, and
    what they cannot say.
    """
    voice, plan = voice_of(decision, language), decision.best
    form, parts = Markdown("**{work}**{colon}{where}"), list[Markdown]()
    for row, run in zip(plan.runs.to_dict("records"), plan_runs(plan), strict=True):
        work, where = voice.say(str(row["workload"])), runs_on(plan, row, voice)
        parts.append(form.format(work=work, colon=voice.say(": "), where=where))
        parts.append(run_page(run, voice.say, voice.language))
    bought = dict.fromkeys(plan.problem.choices.workload[plan.bought].tolist())
    if bought:
        works = voice.listed(decision.scenario.workloads[w].name for w in bought)
        parts.append(Markdown("{}").format(voice.say(BY_API, works=works)))
    return Markdown("\n\n").join(filter(None, parts))
