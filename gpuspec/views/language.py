"""Words in other languages: English is in the code, the rest in gettext catalogues.

A sentence is one template with named fields; `say` puts it into the language that is spoken. What
lower layers write reaches a page as text: the catalogue finds it whole, or by its shape where it
holds names and numbers (entries that are marked ``shape``).
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter

from gpuspec.base.errors import UnknownNameError
from gpuspec.constants.ground import Reason
from gpuspec.views import LANGUAGE_OF_RUN

Words = Callable[..., str]
"""Puts an English label or sentence into a language, then the values into its places."""
SHAPE = "#. shape"
"""Comment of the entries that are looked for in what is written already."""
_LOCALE = Path(__file__).resolve().parent / "locale"
_WORD = re.compile(r"[A-Za-z]{2}")
_SENTENCES = r"(?:(?<=\w{2}[.)])|(?<=[）%”]\.)|(?<=[。；])) (?=[A-Z0-9\u3400-\u9fff])"
_ENVIRONMENT = (LANGUAGE_OF_RUN, "LC_ALL", "LC_MESSAGES", "LANG")
_inside: ContextVar[str | None] = ContextVar("language", default=None)
_process: list[str] = []


@cache
def languages() -> list[str]:
    """Return the languages that labels exist in."""
    return ["en", *sorted(p.name for p in _LOCALE.iterdir() if p.is_dir())]


def check_language(language: str) -> None:
    """Raise UnknownNameError where there are no labels in `language`."""
    if language not in languages():
        raise UnknownNameError("language", language, languages())


def speak(language: str | None) -> None:
    """Let this process speak a language from now on; None: that of the environment."""
    if language:
        check_language(language)
    _process[:] = [language] if language else []


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Speak a language within a block, in this thread alone."""
    if language:
        check_language(language)
    token = _inside.set(language)
    try:
        yield
    finally:
        _inside.reset(token)


def spoken() -> str:
    """Return the language that is spoken: what was set, else that of the environment, else English.

    The environment says it as to any program: ``LC_ALL``, ``LC_MESSAGES``, ``LANG``.
    """
    return _inside.get() or (_process[0] if _process else _of_environment())


def _of_environment() -> str:
    said = next(filter(None, map(os.environ.get, _ENVIRONMENT)), "")
    found = re.split(r"[_.@-]", said)[0].lower()
    return found if found in languages() else "en"


def say(text: str, /, **values: object) -> str:
    """Put an English label or sentence into the language that is spoken.

    >>> with speaking("zh"):
    ...     say("{count} GPUs", count=8)
    '8 张 GPU'
    """
    return translator()(text, **values)


def translator(language: str | None = None) -> Words:
    """Return the function that puts an English label or sentence into `language`.

    None: into the one that is spoken.
    """
    return _translator(language or spoken())


@cache
def _translator(language: str) -> Words:
    """Return that function of a language.

    Reads the catalogue's source, so that there is no compiled file to keep in step.
    """
    check_language(language)
    if language == "en":
        return lambda text, /, **values: text.format(**values) if values else text

    entries = list(_entries((_LOCALE / language / "LC_MESSAGES" / "gpuspec.po").read_text("utf-8")))
    words = {text: said for _, text, said in entries}
    shapes = [(text, said) for notes, text, said in entries if SHAPE in notes]
    shapes.sort(key=lambda shape: -_literal(shape[0]))  # what says most is tried first
    known = [(_shape(text), said) for text, said in shapes]

    @lru_cache(maxsize=4096)
    def written(text: str) -> str:
        if text in words:
            return words[text]
        for pattern, said in known if _WORD.search(text) else ():
            if found := pattern.fullmatch(text):
                return said.format(**{k: written(v) for k, v in found.groupdict().items()})
        for between, mark in ((_SENTENCES, " "), ("; ", "; ")):
            parts = re.split(between, text)
            if len(parts) > 1 and (put := [written(part) for part in parts]) != parts:
                return mark.join(put)
        return written(text[:-1]) + "." if text.endswith(".") else text

    def filled(value: object) -> object:
        if isinstance(value, Reason):
            return reason_in(value, say)
        return written(value) if type(value) is str else value

    def say(text: str, /, **values: object) -> str:
        if values:
            return words.get(text, text).format(**{k: filled(v) for k, v in values.items()})
        if isinstance(text, Reason):
            return reason_in(text, say)
        found = written(text)
        return text if found == text else found

    return say


_ENTRY = re.compile(r'^((?:#.*\n)*)msgid ((?:".*"\n)+)msgstr ((?:".*"(?:\n|\Z))+)', re.MULTILINE)


def _entries(catalogue: str) -> Iterator[tuple[str, str, str]]:
    """Read a catalogue in a fiftieth of Babel's time: comments, text and translation of each."""
    for notes, *texts in _ENTRY.findall(catalogue):
        text, said = ("".join(map(json.loads, part.splitlines())) for part in texts)
        if text and said:
            yield notes, text, said


_ANYTHING = {
    "": r"(?:(?!; |\. ).)+?",  # no more than a part of a sentence
    "s": r"(?:(?!\. ).)+?",
    "w": r"[^\s,;]+",
    "d": r"[-+−]?[\d.,∞]+(?:e[-+]?\d+)?[%A-Za-z]?",
    "date": r"\d{4}-\d\d-\d\d",
}
"""What fills a field of a shape, by its format: text, text with semicolons, word, number, date."""


def _shape(template: str) -> re.Pattern[str]:
    """Return what finds a template with its fields filled."""
    parts, seen = "", set[str]()
    for literal, field, kind, _ in Formatter().parse(template):
        parts += re.escape(literal)
        if field:
            parts += f"(?P={field})" if field in seen else f"(?P<{field}>{_ANYTHING[kind or '']})"
            seen.add(field)
    return re.compile(parts, re.DOTALL)


def _literal(template: str) -> int:
    """Return how many characters of a template stand outside its fields."""
    return sum(len(literal) for literal, *_ in Formatter().parse(template))


def reason_in(reason: str, say: Words) -> str:
    """Put a reason of ground into a language, part by part; a name without a word stays."""
    if not isinstance(reason, Reason):
        return say(reason)
    parts = {name: reason_in(part, say) for name, part in reason.values.items()}
    return say(reason.template, **parts) if parts else say(reason.template)


ENGLISH = translator("en")
