"""Verdicts by rule: how often a statement holds over a grid of settings, and under what condition.

A grid is a table with a column for each setting, then ``value``, ``low`` and ``high`` (80 %
interval of the estimate). A statement is a range that the value must lie in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

TRUE, WHEN, MISLEADING, FALSE = "true", "true when", "misleading", "false"
WORDS = (TRUE, WHEN, MISLEADING, FALSE)
NEARLY_ALL = 0.9
"""Share of settings from which a statement counts as true without condition."""
HARDLY_ANY = 0.1
"""Share of settings below which no condition is looked for."""
PURE = 0.85
"""Share of the settings under a condition in which the statement must hold."""
WORTH = 0.05
"""Gain in separation that a second condition must bring."""
FIGURES = ("value", "low", "high")
SEEN = ["value", "source"]
"""Columns of published figures."""
NAMES = ("model", "name", "ground", "ground_reasons")
"""Columns that name a setting or judge it, without describing it: no condition is looked for in
them."""
Test = tuple[str, str, object]
"""Column, ``"at least"``, ``"at most"``, ``"from"``, ``"is"`` or ``"is not"``, value."""


@dataclass(frozen=True)
class Check:
    """One thing that is tested of a claim: a grid of estimates, a range, published figures."""

    label: str
    """What is tested, in a few words, such as "10 GbE"."""
    what: str
    """What is compared, such as "throughput of H200 over H100"."""
    grid: pd.DataFrame
    least: float = -np.inf
    most: float = np.inf
    unit: str = "times"
    """Unit of the value; ``yes`` for a question of which 1 is yes."""
    any_will_do: bool = False
    """The statement says "up to": one ordinary setting that reaches it is enough."""
    measured: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SEEN, dtype=float))
    """Published figures beside it: ``value``, ``source``."""


class Verdict(NamedTuple):
    """What the rule says of a check or of a claim."""

    word: str
    condition: str = ""
    """In words: when it holds, or why not."""
    share: float = np.nan
    """Share of the settings in which the central estimate lies in the range."""
    possible: float = np.nan
    """Share of the settings whose interval reaches into the range."""
    measured_share: float = np.nan
    """Share of the published figures in the range; NaN where there are none."""
    tests: tuple[Test, ...] = ()
    """The tests on settings that `condition` says, where it says such."""


def within(values: ArrayLike, least: float, most: float) -> np.ndarray:
    """Return where `values` lie between `least` and `most`, ends included."""
    values = np.asarray(values, float)
    return np.asarray((values >= least) & (values <= most))


def judged(check: Check, words: Mapping[str, str] | None = None) -> Verdict:
    """Return the verdict on one check.

    The rule, in order: `FALSE` where no interval and no published figure reaches the range;
    `TRUE` where the central estimate does in nearly all settings and at least half of the
    published figures do; `WHEN` where one or two settings separate those in which it does;
    `MISLEADING` for the rest. "Up to" needs more than `HARDLY_ANY` of the settings alone. `words`
    say a column of the grid in a condition, as for `condition_words`.
    """
    grid, ends = check.grid, (check.least, check.most)
    good = within(grid["value"], *ends)
    reach = good | (
        (grid["low"].to_numpy(float) <= ends[1]) & (grid["high"].to_numpy(float) >= ends[0])
    )
    share, possible = float(good.mean()), float(reach.mean())
    seen = within(check.measured["value"], *ends)
    measured = float(seen.mean()) if len(seen) else np.nan
    shares: Any = {"share": share, "possible": possible, "measured_share": measured}
    if possible == 0 and not measured > 0:
        return Verdict(word=FALSE, condition="in none of the settings", **shares)
    if share >= NEARLY_ALL or (check.any_will_do and share >= 0.5):
        if measured >= 0.5 or not len(seen):
            return Verdict(word=TRUE, **shares)
        text = f"software is as good as assumed: {measured:.0%} of {len(seen)} published cases are"
        return Verdict(word=WHEN if measured > 0 else MISLEADING, condition=text, **shares)
    found = condition(grid, good) if share >= HARDLY_ANY else None
    if found is not None:
        text = condition_words(found, words)
        return Verdict(word=WHEN, condition=text, **shares, tests=tuple(found))
    text = f"in {share:.0%} of the settings" if share else "only within the error of the estimate"
    text = text if possible else "in none of the settings"
    text += f", in {measured:.0%} of the published cases" if measured > 0 else ""
    return Verdict(word=MISLEADING, condition=text, **shares)


def joined(verdicts: list[Verdict], names: list[str]) -> Verdict:
    """Return the verdict on a claim of several parts.

    All true: true. All false: false. True or true under conditions: true when the conditions
    hold, misleading where they exclude each other. Anything else is half right: misleading, and the
    words say which half.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    kinds = {v.word for v in verdicts}
    share = float(np.mean([v.share for v in verdicts]))
    if len(kinds) == 1 and kinds <= {TRUE, FALSE}:
        return Verdict(word=kinds.pop(), share=share)
    if kinds <= {TRUE, WHEN}:
        when = [(n, v) for n, v in zip(names, verdicts, strict=True) if v.word == WHEN]
        if exclude_each_other([test for _, v in when for test in v.tests]):
            parts = "; ".join(f"{n} when {v.condition}" for n, v in when)
            return Verdict(word=MISLEADING, condition=f"never all at once: {parts}", share=share)
        text = "; ".join(v.condition for _, v in when)
        return Verdict(word=WHEN, condition=text, share=share)
    wrong = [n for n, v in zip(names, verdicts, strict=True) if v.word in (FALSE, MISLEADING)]
    right = [n for n, v in zip(names, verdicts, strict=True) if v.word not in (FALSE, MISLEADING)]
    text = "does not hold: " + ", ".join(wrong) + ("; holds: " + ", ".join(right) if right else "")
    return Verdict(word=FALSE if kinds == {FALSE} else MISLEADING, condition=text, share=share)


def exclude_each_other(tests: list[Test]) -> bool:
    """Return whether two tests on one column can never pass together.

    >>> exclude_each_other([("bound", "is", "memory"), ("bound", "is not", "memory")])
    True
    """
    for place, (column, test, value) in enumerate(tests):
        for other, how, bar in tests[place + 1 :]:
            if column != other:
                continue
            same, kinds = value == bar, {test, how}
            if (kinds == {"is"} and not same) or (kinds == {"is", "is not"} and same):
                return True
            if kinds == {"at least", "at most"}:
                least, most = (value, bar) if test == "at least" else (bar, value)
                if least > most:  # type: ignore[operator]
                    return True
    return False


def condition(grid: pd.DataFrame, good: np.ndarray) -> list[Test] | None:
    """Return the one or two tests on settings that best separate where a statement holds.

    At least `PURE` of the settings that pass must hold, at least `HARDLY_ANY` of all must pass; a
    second test must be worth `WORTH`. None where nothing separates.
    """
    tests, masks = _tests(grid)
    if not tests:
        return None
    inside, held = masks.astype(float), np.asarray(good, float)
    single = _separation(inside @ held, inside.sum(axis=1), held)
    both = _separation((inside * held) @ inside.T, inside @ inside.T, held)
    columns = np.array([t[0] for t in tests])
    both[columns[:, None] == columns[None, :]] = -np.inf
    one, pair = float(single.max()), float(both.max())
    if max(one, pair) <= 0:
        return None
    if one >= pair - WORTH:
        return [tests[int(single.argmax())]]
    first, second = np.unravel_index(int(both.argmax()), both.shape)
    return [tests[first], tests[second]]


def _separation(hits: np.ndarray, passed: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return share of the holding settings found less share of the others let through."""
    rest = len(held) - held.sum()
    pure = hits >= PURE * np.maximum(passed, 1e-9)
    enough = passed >= max(HARDLY_ANY * len(held), 1)
    score = hits / max(held.sum(), 1) - (passed - hits) / max(rest, 1)
    return np.where(pure & enough, score, -np.inf)


def _tests(grid: pd.DataFrame) -> tuple[list[Test], np.ndarray]:
    """Return every test on one column, and where each passes."""
    tests: list[tuple[Test, np.ndarray]] = []
    for column in grid.columns.difference([*FIGURES, *NAMES], sort=False):
        values, levels = grid[column].to_numpy(), sorted(grid[column].unique())
        inner = levels[1:-1]
        if pd.api.types.is_numeric_dtype(values):
            tests += [((column, "at least", v), values >= v) for v in levels[1:]]
            tests += [((column, "at most", v), values <= v) for v in levels[:-1]]
            tests += [
                ((column, "from", (low, high)), (values >= low) & (values <= high))
                for i, low in enumerate(inner)
                for high in inner[i:]
            ]
        elif len(levels) > 1:
            tests += [((column, "is", v), values == v) for v in levels]
            tests += [((column, "is not", v), values != v) for v in levels if inner]
    masks = np.array([mask for _, mask in tests]).reshape(len(tests), len(grid))
    return [test for test, _ in tests], masks


def condition_words(tests: list[Test], words: Mapping[str, str] | None = None) -> str:
    """Say a condition; `words` maps a column to a phrase with ``{}`` for its test.

    >>> condition_words([("gpus", "at most", 2)], {"gpus": "{} GPUs serve"})
    'at most 2 GPUs serve'
    """
    said = []
    for column, test, value in tests:
        phrase = (words or {}).get(column, f"{column} {{}}")
        said.append(phrase.format(_amount(test, value)))
    return " and ".join(said)


def _amount(test: str, value: object) -> str:
    """Say a test's value: numbers with three digits, ranges with "to"."""
    ends = value if isinstance(value, tuple) else (value,)
    written = [
        f"{v:,.3g}" if isinstance(v, int | float | np.number) and v < 1000 else _plain(v)
        for v in ends
    ]
    amount = " to ".join(dict.fromkeys(written))
    return {"is": amount, "from": amount, "is not": f"other than {amount}"}.get(
        test, f"{test} {amount}"
    )


def _plain(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float | np.number) else str(value)
