"""Commands that help to ask: five questions in words, and a file to start from."""

import re
import sys
from typing import TYPE_CHECKING

import click

from gpuspec.base.errors import InputError
from gpuspec.cli.common import echo, echo_json, main
from gpuspec.cli.decisions import answered
from gpuspec.cli.names import completes
from gpuspec.cli.options import json_option

if TYPE_CHECKING:
    from gpuspec.views.language import Words

NONE = ("none", "no", "nothing", "无", "没有", "不限")
MOST_LINE = 1000
"""Characters of an answer."""
MOST_TRIES = 10
QUESTIONS = {
    "model": (
        "Which model do you run?",
        "70B",
        "a name such as Qwen2.5-72B, a config.json, or a size such as 8B or 700亿",
    ),
    "users": (
        "How many people use it?",
        "200",
        "a number such as 2000, 2k or 3万人, or none: it serves nobody",
    ),
    "training": (
        "What is trained, by when?",
        "none",
        "such as 1B tokens in 30d, or 10k documents by friday; or none",
    ),
    "budget": (
        "What may it cost?",
        "none",
        "such as 30,000 USD/month, 500k capital or 20万元; or none: no limit",
    ),
    "owned": (
        "Which GPUs do you own?",
        "none",
        "such as 8xA100 or 8张A100, 4张H100; or none",
    ),
}
"""Question, default and what is valid, by the field that it fills."""
_TUNING = re.compile(r"(?<![a-z])q?lora(?![a-z])", re.I)
_WORK = re.compile(r"\b(?:train(?:ing)?|fine-?tun(?:e|ing)|on|with)\b|训练|微调", re.I)
"""Words of a training that name no amount."""
_BETWEEN = re.compile(
    r"\s*(?:[,，;；、]\s*(?:in|within|by)?|\bin\b|\bwithin\b|(?=\bby\b))\s*", re.I
)


@main.command(dated=True)
@click.option(
    "--save", "save_as", metavar="FILE", help="Where the question is written (question.yaml)."
)
@json_option
def ask(save_as: str | None, as_json: bool) -> None:
    """Ask five questions, say what to buy or rent, and write the question as a YAML file.

    \b
    gpuspec ask --lang zh
    printf '8B\\n500\\nnone\\n20000/month\\n8xA100\\n' | gpuspec ask
    An empty answer takes the default. In a pipe, each line is an answer.
    """
    from gpuspec.base.files import check_writable, path_of
    from gpuspec.decision.scenario import scenario_of
    from gpuspec.decision.scenario.line import Line
    from gpuspec.decision.scenario.writing import save
    from gpuspec.views.language import say, spoken

    language, path = spoken(), path_of("save", save_as or "question.yaml")
    if save_as is None and path.exists():
        raise InputError("save", str(path), "it exists; name another file with --save")
    check_writable("save", path)
    given: dict[str, object] = {}
    for field, texts in QUESTIONS.items():
        given |= _answer(field, texts, given, say)
    scenario = scenario_of(None, Line.ask(**given), language=language)
    save(scenario, str(path))
    click.echo(say("Written to {file}; gpuspec plan {file} answers it again.", file=path), err=True)
    answered(scenario, language, as_json)


@main.command()
@click.argument(
    "kind",
    metavar="training|inference|images|hpc|tenants",
    shell_complete=completes("kinds of work"),
)
@json_option
def template(kind: str, as_json: bool) -> None:
    """Print a scenario of a KIND of work, with every field and what it means.

    \b
    gpuspec template inference > mine.yaml
    gpuspec template training --lang zh
    gpuspec plan mine.yaml
    """
    from gpuspec.decision.scenario.template import template as text_of
    from gpuspec.views.language import spoken

    text = text_of(kind, spoken())
    if as_json:
        echo_json({"kind": kind.strip().lower(), "yaml": text})
        return
    echo(text.rstrip("\n"))


def _answer(
    field: str, texts: tuple[str, str, str], given: dict[str, object], say: "Words"
) -> dict[str, object]:
    """Return what one question adds; a person is asked again where an answer cannot be used."""
    question, default, valid = texts
    person = is_person()
    for _ in range(MOST_TRIES if person else 1):
        click.echo(f"{say(question)} ({say(valid)}) [{say(default)}] ", nl=False, err=True)
        try:
            return _checked(field, _line(field) or default, given)
        except InputError as error:
            if not person:
                click.echo(err=True)
                raise
            click.echo(str(error), err=True)
    raise InputError(field, "", "no answer could be used; see gpuspec ask --help")


def is_person() -> bool:
    """Return whether somebody sits at the keyboard, who can be asked again."""
    return sys.stdin is not None and sys.stdin.isatty()


def _line(field: str) -> str:
    """Read one answer, bounded."""
    if sys.stdin is None:
        return ""
    try:
        text = sys.stdin.readline(MOST_LINE + 1)
    except UnicodeDecodeError:
        raise InputError(field, "bytes", "write it in UTF-8") from None
    if len(text) > MOST_LINE:
        raise InputError(field, text, f"give at most {MOST_LINE} characters")
    if not text and is_person():
        raise click.Abort
    return text.strip()


def _checked(field: str, text: str, given: dict[str, object]) -> dict[str, object]:
    """Return the fields of a line that an answer states, once it fits those given before."""
    from gpuspec.decision.scenario.line import Line

    none = text.lower() in NONE
    if none and field == "model":
        raise InputError(field, text, QUESTIONS[field][2])
    if none and field == "training" and "users" not in given:
        raise InputError(field, text, "nobody is served, so say what is trained")
    found: dict[str, object] = {} if none else {field: text}
    if field == "training" and not none:
        found = _trained(text)
    Line.ask(**given, **found)
    return found


def _trained(text: str) -> dict[str, object]:
    """Read what is trained and by when: tokens or documents, a time or a day, and adapters.

    >>> _trained("1B tokens in 30d"), _trained("1万篇，周五")
    ({'tokens': '1B tokens', 'deadline': '30d'}, {'documents': '1万篇', 'deadline': '周五'})
    >>> _trained("QLoRA on 10k documents friday")
    {'tuning': 'qlora', 'documents': '10k documents', 'deadline': 'friday'}
    """
    from gpuspec.catalog.phrases import phrase

    ways = {way.lower() for way in _TUNING.findall(text)}
    found: dict[str, object] = {"tuning": min(ways)} if ways else {}
    rest = _WORK.sub(" ", _TUNING.sub(" ", text)).strip()
    if len(ways) > 1 or not (ways or rest):
        raise InputError("training", text, "say it " + QUESTIONS["training"][2])
    for part in (piece for whole in _BETWEEN.split(rest) for piece in _apart(whole)):
        said = phrase(part)
        unit = said.unit if said else ""
        field = unit if unit in ("tokens", "documents") else "deadline"
        if field in found or (said and unit not in ("tokens", "documents", "days")):
            raise InputError("training", text, "say it " + QUESTIONS["training"][2])
        found[field] = part
    return found


def _apart(text: str) -> list[str]:
    """Part an amount of training from the time that a blank sets off.

    >>> _apart("10B tokens 30天"), _apart("friday")
    (['10B tokens', '30天'], ['friday'])
    """
    from gpuspec.catalog.phrases import phrase

    words = text.split()
    for place in range(1, len(words)):
        said = phrase(" ".join(words[:place]))
        if said and said.unit in ("tokens", "documents"):
            return [" ".join(words[:place]), " ".join(words[place:])]
    return [text] if words else []
