"""How an answer is run, for a page: commands ready to paste, then what they cannot say."""

import re
import textwrap

from gpuspec.topics.commands import Run
from gpuspec.views.language import Words, say, spoken
from gpuspec.views.markdown import Markdown, code

WIDTH = 92
"""Letters of a line of a page."""
BEGIN, GO_ON = " \\\n  ", re.compile(r" (?=--?[a-zA-Z])")
WITH_VERSION = "{purpose} (arguments of {version})"
COMPARES = "gpuspec validate"


def started(model: str, gpus: int, gpu: str, split: str, copies: int = 1) -> str:
    """Say what commands start: a job, or one of the replicas of a service."""
    text = "These commands start {model} on {gpus} x {gpu} ({split})."
    if copies > 1:
        text = "These commands start one of {copies} replicas of {model}, on {gpus} x {gpu} "
        text += "({split})."
    named = {"model": model, "gpus": f"{gpus:,}", "gpu": gpu, "split": split or say("one GPU")}
    return say(text, **named, copies=copies)


def run_page(run: Run, put: Words = say, language: str | None = None) -> Markdown:
    """Return the commands of a run, but for the one long line that compares, and its notes; `put`
    puts them into the language.
    """
    parts, lines = [], list[str]()
    for command in run.commands:
        if COMPARES in command.command:  # one long line: `--run` prints it
            continue
        purpose = put(command.purpose)
        if command.version:
            purpose = put(WITH_VERSION, purpose=purpose, version=command.version)
        lines += [*([""] if lines else []), f"# {purpose}", *folded(command.command).splitlines()]
    if lines:
        parts.append(code(lines))
    if run.notes:
        between = "" if (language or spoken()) == "zh" else " "
        parts.append(Markdown("{}").format(between.join(put(note) for note in run.notes)))
    return Markdown("\n\n").join(parts)


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
