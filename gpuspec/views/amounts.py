"""Numbers, money and days as a language writes them, by the rules of Babel's locales."""

import math
import re
from datetime import date

from gpuspec.views.language import spoken, translator

_LARGE = {"en": (1e6, "long"), "zh": (1e4, "short")}
"""From where on a language counts in words, and which of the locale's forms it takes."""
_DAY = {"en": "d MMM y", "zh": "y 年 M 月 d 日"}
_COUNTED = re.compile(r"(?<=\d)(?=[万亿])")
_ISO = re.compile(r"(?<![\w.:/=-])(?<!--date )\d{4}-[01]\d-[0-3]\d(?![\w:/-])", re.ASCII)
_CODE = re.compile(r"(```.*?```|`[^`]*`|^ *(?:\$ |gpuspec ).*?$)", re.DOTALL | re.MULTILINE)


def three_digits(value: float) -> float:
    """Round to three significant digits.

    >>> three_digits(1_056_165.3), three_digits(0.01234)
    (1060000.0, 0.0123)
    """
    return float(f"{value:.3g}")


def plain(value: float) -> str:
    """Write a rounded number without an exponent.

    >>> plain(1060000.0), plain(14.2)
    ('1,060,000', '14.2')
    """
    return f"{value:,.10g}"


def large(value: float, language: str | None = None, digits: int = 2) -> str:
    """Write a number as people say it, with at most so many digits behind the point.

    >>> large(116.83e9), large(1e12), large(2e5), large(1.19e6, "zh")
    ('116.83 billion', '1 trillion', '200,000', '119 万')
    """
    language = language or spoken()
    least, form = _LARGE[language]
    if abs(value) < least or not math.isfinite(value):
        return plain(value)
    from babel.numbers import format_compact_decimal

    text = format_compact_decimal(
        value,
        format_type=form,  # type: ignore[arg-type]
        locale=language,
        fraction_digits=digits,
    )
    return _COUNTED.sub(" ", text)


def money(amount: float, currency: str = "USD", language: str | None = None) -> str:
    """Write an amount of a currency with three digits, in the unit that suits its size.

    >>> money(1_190_000), money(41_140), money(14.2), money(0.052), money(-4000)
    ('1.19 million USD', '41,100 USD', '14.2 USD', '5.2 cents', '-4,000 USD')
    >>> money(1_190_000, "CNY", "zh"), money(4_562_000, "USD", "zh"), money(3537, "CNY", "zh")
    ('119 万元', '456 万美元', '3,540 元')
    """
    say, value = translator(language), three_digits(amount)
    if 0 < abs(value) < 1 and currency == "USD":
        return say("{amount} cents", amount=plain(three_digits(value * 100)))
    text, unit = large(value, language), say(currency)
    return f"{text}{unit}" if text[-1] in "万亿" else f"{text} {unit}"


def day(of: date | str, language: str | None = None) -> str:
    """Write a day.

    >>> day("2026-11-30"), day(date(2026, 11, 30), "zh")
    ('30 Nov 2026', '2026 年 11 月 30 日')
    """
    from babel.dates import format_date

    language = language or spoken()
    found = date.fromisoformat(of) if isinstance(of, str) else of
    return format_date(found, _DAY[language], locale=language)


def days_written(text: str, language: str | None = None) -> str:
    """Write the days in a text, which stand there as year-month-day, but not those in commands.

    >>> days_written("by 2026-11-30; see `gpuspec prices --date 2026-11-30`")
    'by 30 Nov 2026; see `gpuspec prices --date 2026-11-30`'
    """

    def written(found: re.Match[str]) -> str:
        try:
            return day(found[0], language)
        except ValueError:  # no day of the calendar
            return found[0]

    if not _ISO.search(text):
        return text
    parts = _CODE.split(text)
    parts[::2] = [_ISO.sub(written, part) for part in parts[::2]]
    return "".join(parts)
