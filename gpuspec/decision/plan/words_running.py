"""How the recommended plan is run: its commands, work by work, for a page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.words import Voice, voice_of
from gpuspec.decision.plan.words_tables import runs_on
from gpuspec.decision.running import plan_runs
from gpuspec.topics.commands import Run
from gpuspec.views.markdown import Markdown, code

WIDTH = 92
"""Letters of a line of a page."""
BEGIN, GO_ON = " \\\n  ", re.compile(r" (?=--?[a-zA-Z])")
WITH_VERSION = "{purpose} (arguments of {version})"
COMPARES = "gpuspec validate"
BY_API = "{works} run at the provider of the API: there is nothing to start."


def running_page(decision: Decision, language: str) -> Markdown:
    """Return for each work of the recommendation what runs where, the commands ready to paste, and
    what they cannot say.
    """
    voice, plan = voice_of(decision, language), decision.best
    pairs = zip(plan.runs.to_dict("records"), plan_runs(plan), strict=True)
    parts = [part for row, run in pairs for part in _of(runs_on(plan, row, voice), row, run, voice)]
    bought = dict.fromkeys(plan.problem.choices.workload[plan.bought].tolist())
    if bought:
        works = voice.listed(decision.scenario.workloads[w].name for w in bought)
        parts.append(Markdown("{}").format(voice.say(BY_API, works=works)))
    return Markdown("\n\n").join(parts)


def _of(where: str, row: dict[object, object], run: Run, voice: Voice) -> Iterator[Markdown]:
    form = Markdown("**{work}**{colon}{where}")
    yield form.format(work=voice.say(str(row["workload"])), colon=voice.say(": "), where=where)
    lines: list[str] = []
    for command in run.commands:
        if COMPARES in command.command:  # one long line: `--run` prints it
            continue
        purpose = voice.say(command.purpose)
        if command.version:
            purpose = voice.say(WITH_VERSION, purpose=purpose, version=command.version)
        lines += [*([""] if lines else []), f"# {purpose}", *folded(command.command).splitlines()]
    if lines:
        yield code(lines)
    if run.notes:
        yield Markdown("{}").format(voice.joined(voice.say(note) for note in run.notes))


def folded(command: str) -> str:
    """Return a command of one line over several, which the shell reads as one; a command that holds
    a quote or a file stays as it is.

    >>> print(folded("serve a/model " + "--longer-than-a-line 1 " * 5 + "--last 2"))
    serve a/model --longer-than-a-line 1 --longer-than-a-line 1 --longer-than-a-line 1 \\
      --longer-than-a-line 1 --longer-than-a-line 1 --last 2
    """
    if len(command) <= WIDTH or re.search(r"['\n]", command):
        return command
    words = GO_ON.split(command)
    kept = [word.replace(" ", "\0") for word in words]  # an option stays beside its value
    lines = textwrap.wrap(" ".join(kept), WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return BEGIN.join(lines).replace("\0", " ")
