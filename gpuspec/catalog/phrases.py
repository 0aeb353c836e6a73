"""Amounts, times and days as people write them: ``500k``, ``3万``, ``2 weeks``, ``30k USD/month``.

The words are rows of ``phrases.csv``. A phrase that is not understood to its last letter is none:
what is left is never guessed.
"""

import csv
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gpuspec.base.ask import NUMBER, Range
from gpuspec.base.days import coming_day, run_date
from gpuspec.base.errors import InputError

MOST_CHARACTERS = 80
"""Of a phrase: nobody writes an amount that is longer."""
YEAR_DAYS = 365.0
MONTH_DAYS = YEAR_DAYS / 12
DAY_S = 86_400.0
_TABLE = Path(__file__).with_name("phrases.csv")
_NUMBER = re.compile(
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,9})?|\d{1,19}(?:\.\d{1,9})?(?:e[+-]?\d{1,2}(?!\d))?)(?![\d.,]*\d)",
    re.ASCII,
)
_UNSURE = re.compile(r"(?<![\d.,])[1-9]\d{0,2}\.\d{3}(?![\d.])", re.ASCII)
"""A point before three digits: a decimal one here, one of thousands elsewhere."""
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})((?:[ '’]\d{3})+)(?![\d.,])")
"""Thousands apart by blanks or apostrophes, as 30 000 and 30'000: nothing else is written so."""
_LATIN = re.compile(r"[a-z]+\$?|\$")
_LETTERS = {
    "number": "N",
    "scale": "S",
    "money": "M",
    "time": "T",
    "unit": "U",
    "per": "P",
    "each": "E",
    "label": "L",
    "rate": "R",
    "before": "B",
    "after": "A",
}
_GRAMMAR = re.compile("B?L?(?:PT|E)?B?M?NS?(?:R|(?:M{0,2}|T|U)?(?:PT|E)?)L?A?")
"""Kinds of words, in the orders in which people put them."""
_PARTS = re.compile(r"\s*(?:[+;、&]|(?<!\d),|,(?!\d)|\band\b|和|加)\s*")
EXAMPLES = {
    "USD": "500k, 30,000 USD or 3万",
    "days": "30d, 2 weeks or 7天",
    "months": "36, 3 years or 3年",
    "users": "2000, 2k or 3万人",
    "requests": "200, 2k or 200个",
    "requests/s": "5, 300/min or 每秒5次, of the busiest hour",
    "images/s": "2, 120/min or 每秒2张, of the busiest hour",
    "tokens": "2e9, 2B or 20亿",
    "documents": "10,000, 10k or 1万篇",
    "GPU-hours": "3000, 3k or 3千",
}
"""How a quantity may be written, by the unit of its field."""


class Word(NamedTuple):
    """A word of the table: what it does in a phrase, of which unit, with which value."""

    kind: str
    of: str
    value: float


class Phrase(NamedTuple):
    """What a phrase says: a number with its unit, over so many days, and what it is of."""

    number: float
    unit: str = ""
    """``days`` for a time, whose number is then in days."""
    per_days: float = 0.0
    """0: not by time."""
    label: str = ""


@cache
def vocabulary() -> dict[str, dict[str, Word]]:
    """Return the words of the table by their kind."""
    found: dict[str, dict[str, Word]] = {}
    with _TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            word = Word(row["kind"], row["of"], float(row["value"] or 0))
            found.setdefault(row["kind"], {})[row["word"]] = word
    return found


@cache
def _amounts() -> dict[str, Word]:
    """Return the words that an amount is written with."""
    kinds = vocabulary()
    return {text: word for kind in _LETTERS for text, word in kinds.get(kind, {}).items()}


def folded(text: str) -> str:
    """Return a phrase in small letters and narrow forms, its blanks single; bounded."""
    if len(text) > MOST_CHARACTERS:
        raise InputError("", text, f"write it in at most {MOST_CHARACTERS} characters")
    found = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _THOUSANDS.sub(lambda m: m[1] + re.sub(r"\D", "", m[2]), found)


def phrase(text: str, decimals: bool = False) -> Phrase | None:
    """Read a quantity; None where it is not understood to its last letter.

    A point before three digits is refused where no word such as k follows: it may be one of
    thousands; with `decimals` it is none.

    >>> phrase("30,000 USD/month").number, phrase("每月20万元").unit
    (30000.0, 'CNY')
    >>> phrase("3万").number, phrase("两周").number, phrase("1e3k"), phrase("30 parsecs")
    (30000.0, 14.0, None, None)
    """
    text = folded(text)
    found = _words(text)
    if found is None or not _GRAMMAR.fullmatch("".join(_LETTERS[w.kind] for w in found)):
        return None
    kinds = [w.kind for w in found]
    number, scale = kinds.index("number"), 1.0
    if "scale" in kinds:
        if re.search(r"\de", text, re.ASCII):
            return None
        scale = found[kinds.index("scale")].value
    elif (match := _UNSURE.search(text)) and not decimals:
        raise _unsure(match[0], text)
    units = {w.of for w in found if w.kind in ("money", "unit", "rate")}
    if len(units) > 1:
        return None
    by_time = [i for i, kind in enumerate(kinds) if kind == "per"]
    days = [found[i + 1].value for i in by_time] + [
        w.value for w in found if w.kind in ("each", "rate")
    ]
    own = [w for i, w in enumerate(found) if w.kind == "time" and i - 1 not in by_time]
    labels = [w.of for w in found if w.kind == "label"]
    if len(days) > 1 or len(labels) > 1:
        return None
    amount = found[number].value * scale * (own[0].value if own else 1.0)
    unit = "days" if own else next(iter(units), "")
    return Phrase(amount, unit, days[0] if days else 0.0, labels[0] if labels else "")


def _unsure(number: str, said: str) -> InputError:
    """Return the complaint of a number whose point may be one of thousands."""
    short = f"{float(number):g}"
    short += "0" * bool(_UNSURE.fullmatch(short))
    valid = f"write {number.replace('.', '')} or {short}: the point may be one of thousands"
    return InputError("", said, valid)


def _words(text: str) -> list[Word] | None:
    """Take a folded phrase apart; None where a part of it is no word."""
    found: list[Word] = []
    place = 0
    while place < len(text):
        if text[place] == " ":
            place += 1
            continue
        if match := _NUMBER.match(text, place):
            found.append(Word("number", "", float(match[0].replace(",", ""))))
            place = match.end()
            continue
        if match := _LATIN.match(text, place):
            words = _latin(text, match)
            if words is None:
                return None
            found += words[0]
            place = words[1]
            continue
        after = bool(found) and found[-1].kind == "number"
        longest = _longest(text, place)
        numeral = "" if after else _numeral(text, place)
        if numeral and len(numeral) >= len(longest):
            value = _value(numeral)
            if value is None:
                return None
            found.append(Word("number", "", value))
            place += len(numeral)
        elif longest:
            found.append(_amounts()[longest])
            place += len(longest)
        else:
            return None
    return found


def _latin(text: str, match: re.Match[str]) -> tuple[list[Word], int] | None:
    """Read a run of letters: a word, two of them with a hyphen or blank, or one after ``k``."""
    words = _amounts()
    longest = _longest(text, match.start())
    if len(longest) > len(match[0]):
        return [words[longest]], match.start() + len(longest)
    if match[0] in words:
        return [words[match[0]]], match.end()
    first, rest = words.get(match[0][0]), words.get(match[0][1:])
    if first and rest and first.kind == "scale":
        return [first, rest], match.end()
    return None


def _longest(text: str, place: int) -> str:
    """Return the longest word that begins here."""
    return max((w for w in _amounts() if text.startswith(w, place)), key=len, default="")


def _numeral(text: str, place: int) -> str:
    """Return the Chinese numeral that begins here."""
    end = place
    while end < len(text) and text[end] in vocabulary()["digit"]:
        end += 1
    return text[place:end]


def _value(numeral: str) -> float | None:
    """Return the value of a Chinese numeral below ten thousand; None for what is none.

    >>> _value("三百"), _value("十二"), _value("两千零五"), _value("三千五")
    (300.0, 12.0, 2005.0, None)
    """
    total, digit, least, zero = 0.0, None, 10_000.0, False
    for letter in numeral:
        value = vocabulary()["digit"][letter].value
        if value >= 10:
            if value >= least or digit == 0:
                return None
            total, least, digit, zero = total + (digit or 1.0) * value, value, None, False
        elif digit not in (None, 0):
            return None
        else:
            digit, zero = value, zero or value == 0
    if digit is None:
        return total
    return None if least > 10 and total and not zero else total + digit


@dataclass(frozen=True)
class Said(Range):
    """A range whose numbers may also be written as phrases of its unit."""

    def valid(self, whole: bool) -> str:
        """Say what is valid, and how it may be written."""
        return f"{super().valid(whole)}, such as {EXAMPLES[self.unit]}"

    def read(self, value: object, whole: bool) -> float:
        """Return the number that is given or said, or say what is valid."""
        if not isinstance(value, str):
            return super().read(value, whole)
        text = folded(value)
        if _UNSURE.fullmatch(text):
            raise _unsure(text, value)
        if NUMBER.fullmatch(text):
            return super().read(text, whole)
        number = self._said(text)
        if number is None or not self.holds(number):
            raise InputError("", value, self.valid(whole))
        return super().read(round(number, 9) if whole else number, whole)

    def _said(self, text: str) -> float | None:
        """Return the number of a phrase in the unit of the range; None where it is of another."""
        said = phrase(text)
        if said is None or said.label:
            return None
        if self.unit.endswith("/s"):
            counted = said.unit in ("", "any", self.unit[:-2]) and 0 < said.per_days < 1
            return said.number / (said.per_days * DAY_S) if counted else None
        if said.per_days:
            return None
        if self.unit == "months":
            return said.number / MONTH_DAYS if said.unit == "days" else None
        counts = ("", self.unit) if self.unit in ("USD", "days") else ("", self.unit, "any")
        if self.unit == "days" and not said.unit:
            return None
        return said.number if said.unit in counts else None


def said_day(value: object) -> object:
    """Read a day to come: as `coming_day` does, and ``by 4 December``, ``12月4日``, ``周五``."""
    if not isinstance(value, str):
        return coming_day(value)
    text = folded(value)
    text = text.removeprefix("by ").removesuffix("之前").removesuffix("前").strip()
    today, words = run_date(), vocabulary()
    if text in words["day"]:
        return today + timedelta(int(words["day"][text].value))
    if text in words["weekday"]:
        names = [name for name, word in words["weekday"].items() if name.isascii()]
        same = words["weekday"][text].value
        return coming_day(next(n for n in names if words["weekday"][n].value == same))
    parts = _calendar(text)
    if parts is None:
        return coming_day(text)
    year, month, day = parts
    for after in (year,) if year else (today.year, today.year + 1):
        try:
            found = date(after, month, day)
        except ValueError:
            continue
        if found > today or year:
            return coming_day(found)
    raise InputError("", value, "it is no day of the calendar; write one such as 2026-12-04")


_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})", re.ASCII)
_CHINESE = re.compile(r"(?:(\d{4}) ?年 ?)?(\d{1,2}) ?月 ?(\d{1,2}) ?[日号]", re.ASCII)
_ENGLISH = re.compile(
    r"(?:(?P<d1>\d{1,2})(?:st|nd|rd|th)? (?:of )?(?P<m1>[a-z]+)\.?"
    r"|(?P<m2>[a-z]+)\.? (?P<d2>\d{1,2})(?:st|nd|rd|th)?)"
    r"(?:,? (?P<y>\d{4}))?",
    re.ASCII,
)


def _calendar(text: str) -> tuple[int, int, int] | None:
    """Return year (0: not said), month and day of a day with a name of a month, or of 12月4日."""
    if match := _CHINESE.fullmatch(text) or _YEAR_FIRST.fullmatch(text):
        return int(match[1] or 0), int(match[2]), int(match[3])
    match = _ENGLISH.fullmatch(text)
    month = vocabulary()["month"].get((match["m1"] or match["m2"]) if match else "")
    if match is None or month is None:
        return None
    return int(match["y"] or 0), int(month.value), int(match["d1"] or match["d2"])


def phrases(text: str) -> list[Phrase] | None:
    """Read quantities with ``+``, ``and`` or commas between; None where one is not understood.

    >>> [(p.number, p.label) for p in phrases("500k capital + 30,000 USD/month")]
    [(500000.0, 'capital'), (30000.0, '')]
    """
    found = [phrase(part) for part in _PARTS.split(folded(text))]
    return None if None in found else [p for p in found if p is not None]


def numeral(text: str) -> int | None:
    """Return a whole number in Arabic or Chinese digits; None for what is none."""
    if text.isascii() and text.isdigit():
        return int(text)
    value = _value(text) if text and _numeral(text, 0) == text else None
    return None if value is None else int(value)
