"""Words in other languages: English is in the code, the rest in gettext catalogues."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from gpuspec.base.errors import UnknownNameError
from gpuspec.constants.ground import Reason

Words = Callable[..., str]
"""Puts an English label or sentence into a language, then the values into its places."""
_LOCALE = Path(__file__).resolve().parent / "locale"


def languages() -> list[str]:
    """Return the languages that labels exist in."""
    return ["en", *sorted(p.name for p in _LOCALE.iterdir() if p.is_dir())]


def check_language(language: str) -> None:
    """Raise UnknownNameError where there are no labels in `language`."""
    if language not in languages():
        raise UnknownNameError("language", language, languages())


@cache
def translator(language: str) -> Words:
    """Return the function that puts an English label or sentence into `language`.

    Reads the catalogue's source, so that there is no compiled file to keep in step.
    """
    check_language(language)
    words: dict[str, str] = {}
    if language != "en":
        from babel.messages.pofile import read_po

        with (_LOCALE / language / "LC_MESSAGES" / "gpuspec.po").open("rb") as file:
            catalogue = read_po(file, locale=language)
        words = {str(m.id): str(m.string) for m in catalogue if m.id and m.string}

    def say(text: str, /, **values: object) -> str:
        said = words.get(text, text)
        return said.format(**values) if values else said

    return say


def reason_in(reason: str, say: Words) -> str:
    """Put a reason of ground into a language, part by part; a name without a word stays."""
    if not isinstance(reason, Reason):
        return say(reason)
    parts = {name: reason_in(part, say) for name, part in reason.values.items()}
    return say(reason.template, **parts)


ENGLISH = translator("en")
