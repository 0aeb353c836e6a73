"""Words that every topic uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu_titles, kept, table_rows
from gpuspec.views.amounts import days_written, large
from gpuspec.views.columns import unit_of_days
from gpuspec.views.language import Words, say, spoken
from gpuspec.views.markdown import BLOCK
from gpuspec.views.punctuation import CODE, punctuated


def rows(table: pd.DataFrame) -> Any:
    """Return the rows of a table as named tuples."""
    return table.itertuples()


def gpu_name(gpu_id: str) -> str:
    """Return what a GPU of the table is called wherever it is told: the one name that it has.

    >>> gpu_name("h200-sxm-141"), gpu_name("a100-sxm-80"), gpu_name("my-own-card")
    ('H200 SXM', 'A100 SXM 80 GB', 'my-own-card')
    """
    return gpu_titles().get(gpu_id, gpu_id)


def named(text: str) -> str:
    """Put what people call the GPUs in place of their ids and full names, but not inside code.

    >>> named("2 x h200-sxm-141, see `gpuspec estimate M --gpus h200-sxm-141`")
    '2 x H200 SXM, see `gpuspec estimate M --gpus h200-sxm-141`'
    >>> named("NVIDIA H200 SXM5 141GB")
    'H200 SXM'
    """
    titles, ids = _titles(), _ids()
    parts = CODE.split(str(text))
    parts[::2] = [ids.sub(lambda found: titles[found[0]], part) for part in parts[::2]]
    return "".join(parts)


def told(text: str) -> str:
    """Return a text as a page shows it: in the language that is spoken, GPUs by name.

    Blocks of code stay as they are.
    """
    parts = BLOCK.split(text)
    parts[::2] = [say(part) if part.strip() else part for part in parts[::2]]
    parts = CODE.split(days_written(named("".join(parts))))
    chinese = spoken() == "zh"
    for i in range(0, len(parts), 2):
        parts[i] = _PERCENT.sub(" %", parts[i])
        parts[i] = _times().sub(r"\1 张 ", parts[i]) if chinese else parts[i]
    return punctuated("".join(parts))


_PERCENT = re.compile(r"(?<=\d)%(?!\w)")


@kept
def _times() -> re.Pattern[str]:
    """Return what finds so many GPUs, as English counts them; ports of a network are no GPUs."""
    names = "|".join(sorted({re.escape(title.split()[0]) for title in gpu_titles().values()}))
    return re.compile(rf"(?<![\w.-])(\d[\d,]*) x (?=(?:{names})\b)", re.ASCII)


@kept
def _titles() -> dict[str, str]:
    """Return what people call each GPU, by its id and by the maker's name of it."""
    titles = gpu_titles()
    return titles | {
        row["name"]: titles[row["id"]] for row in table_rows("gpus") if row["id"] in titles
    }


@kept
def _ids() -> re.Pattern[str]:
    """Return what finds the id of a GPU, or the maker's name of it, in a text."""
    ids = "|".join(map(re.escape, sorted(_titles(), key=len, reverse=True)))
    return re.compile(rf"(?<![\w./-])(?:{ids})(?![\w-])", re.ASCII)  # Chinese may follow


def listed(words: Sequence[str], last: str = " and ", put: Words = say) -> str:
    """Join words as a sentence does, in the language into which `put` puts them.

    >>> listed(["A100", "H100", "H200"])
    'A100, H100 and H200'
    """
    found = [put(word) for word in words]
    return put(last).join([put(", ").join(found[:-1]), found[-1]] if len(found) > 1 else found)


def counted(count: int, noun: str) -> str:
    """Write how many there are of something.

    >>> counted(1, "GPU"), counted(1024, "GPU")
    ('1 GPU', '1,024 GPUs')
    """
    return say(f"{{count:,}} {noun}" + ("" if count == 1 else "s"), count=count)


def count_words(count: float) -> str:
    """Write a large number as people say it.

    >>> count_words(116.83e9), count_words(109.5e6), count_words(1e12), count_words(2e5)
    ('116.83 billion', '110 million', '1 trillion', '200,000')
    """
    fine = count >= (1e8 if spoken() == "zh" else 1e9)
    return large(count if count >= 1e4 else round(count), digits=2 if fine else 0)


GROUND = {
    "measured": "Ground: measured, settings like these were measured.",
    "near": "Ground: near, {why}.",
    "far": "Ground: far, {why}; the interval is wider by the spread between publishers.",
}
GROUND_OF = {
    "measured": "Ground of {of}: measured, settings like these were measured.",
    "near": "Ground of {of}: near, {why}.",
    "far": "Ground of {of}: far, {why}; the interval is wider by the spread between publishers.",
}
"""What each level of ground says, of all or of one of several."""


def ground_sentence(level: str, reasons: Iterable[str], of: str = "") -> str:
    """Say what is known of settings like those of an answer.

    >>> ground_sentence("near", ["no measurement on b300-sxm-288"], "b300-sxm-288")
    'Ground of b300-sxm-288: near, no measurement on b300-sxm-288.'
    """
    why = say("; ").join(say(reason) for reason in reasons)
    return say((GROUND_OF if of else GROUND)[level], why=why, of=of)


def grounds_sentence(grounds: Mapping[str, tuple[str, Sequence[str]]]) -> str:
    """Say the ground of several options by name: those of the same ground in one sentence.

    >>> grounds_sentence({"H100": ("measured", ()), "H200": ("measured", ())})
    'Ground: measured, settings like these were measured.'
    """
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, (level, reasons) in grounds.items():
        alike.setdefault((level, tuple(reasons)), []).append(name)
    one = len(alike) == 1
    return " ".join(
        ground_sentence(*key, "" if one else listed(names)) for key, names in alike.items()
    )


def days_with_interval(days: float, low: float, high: float) -> str:
    """Write how long a job takes and its interval, in days, hours or minutes.

    >>> days_with_interval(21.4, 18.6, 24.4), days_with_interval(0.2, 0.174, 0.228)
    ('21.4 days (18.6 to 24.4)', '4.8 hours (4.2 to 5.5)')
    """
    unit, factor = unit_of_days(days)
    value, least, most = (f"{v * factor:,.1f}" for v in (days, low, high))
    text = f"{{value}} {unit} ({{least}} to {{most}})"
    return say(text, value=value, least=least, most=most)


def time_with_interval(seconds: float, low: float, high: float) -> str:
    """Write a time and its interval in the unit that suits it.

    >>> time_with_interval(0.00125, 0.001, 0.0015), time_with_interval(9.3e-4, 5e-4, 1.82e-3)
    ('1.25 ms (1 to 1.5)', '930 µs (500 to 1,820)')
    """
    unit, factor = next(
        (u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)) if seconds * f >= 1 or u == "µs"
    )
    value, least, most = (
        f"{float(f'{v * factor:.3g}'):,.12g}" for v in (seconds, low, high)
    )  # three digits, without an exponent
    return say("{value} {unit} ({least} to {most})", value=value, unit=unit, least=least, most=most)
