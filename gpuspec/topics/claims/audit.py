"""The audit: every claim with its checks, its verdict, and the tables that show them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpuspec.constants.inference import inference_errors
from gpuspec.constants.training import training_errors
from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.checks import checks
from gpuspec.topics.claims.records import Claim, claim_ids, claims, verdict_word
from gpuspec.topics.claims.settings import CONDITIONS
from gpuspec.topics.claims.verdict import WHEN, WORDS, Check, Verdict, joined, judged
from gpuspec.views.columns import readable
from gpuspec.views.language import say, spoken


@dataclass(frozen=True)
class Finding:
    """A claim, what was tested of it, and the verdicts."""

    claim: Claim
    checks: tuple[Check, ...]
    parts: tuple[Verdict, ...]
    verdict: Verdict

    @property
    def deciding(self) -> int:
        """Return the place of the check that decides: the first that fails or is conditional."""
        kinds = [v.word for v in self.parts]
        return kinds.index(next(word for word in reversed(WORDS) if word in kinds))


def audit(question: ClaimsQuestion, ids: Sequence[str] | None = None) -> list[Finding]:
    """Return the finding on each claim asked for, or on all, in their order."""
    findings = []
    for name, claim in claims().items():
        tested = checks(question, name) if ids is None or name in ids else []
        if tested:
            parts = tuple(judged(check, CONDITIONS) for check in tested)
            verdict = joined(list(parts), [check.label for check in tested])
            findings.append(Finding(claim, tuple(tested), parts, verdict))
    return findings


def verdicts_table(findings: Sequence[Finding], language: str | None = None) -> pd.DataFrame:
    """Return one row a claim: what it says, the verdict, our estimate, published figures.

    Columns: ``id``, ``statement`` (short), ``verdict`` (the word), ``when`` (the condition, or
    what fails; may be empty), ``estimate`` and ``published`` (of the check that decides; ∞ where
    the older GPU holds no request).
    """
    rows = [
        (
            f.claim.id,
            f.claim.short(language),
            verdict_word(f.verdict.word, language),
            f.verdict.condition,
            estimate_text(f.checks[f.deciding], " or ∞"),
            _median_text(f.checks[f.deciding]),
        )
        for f in findings
    ]
    columns = ["id", "statement", "verdict", "when", "estimate", "published"]
    return pd.DataFrame(rows, columns=columns)


def usual_verdicts(names: str) -> pd.DataFrame:
    """Return the verdicts on some claims (``"C01,C12"``) over the usual grid, for readers."""
    findings = audit(ClaimsQuestion.ask(), claim_ids(names))
    table = verdicts_table(findings)
    table["verdict"] = [verdict_text(f.verdict) for f in findings]
    money = ["for the same money" in f.checks[f.deciding].what for f in findings]
    table.loc[money, "estimate"] += " for the same money"
    return readable(table.drop(columns="when"))


def verdict_text(verdict: Verdict, language: str | None = None) -> str:
    """Say a verdict with its condition, or with the reason."""
    word = verdict_word(verdict.word, language)
    if not verdict.condition:
        return word
    if verdict.word == WHEN and (language or spoken()) == "en":
        word = "true under a condition"
    return f"{word}: {say(verdict.condition)}"


def evidence_text(check: Check) -> str:
    """Say what is compared, our estimate with its interval, and what was published."""
    seen = published_text(check)
    what, text = say(check.what), "{what}: {estimate}"
    text += "; published {seen}" if seen else ""
    return say(text, what=what[0].upper() + what[1:], estimate=estimate_text(check), seen=seen)


def checks_table(findings: Sequence[Finding], language: str | None = None) -> pd.DataFrame:
    """Return one row a check: what was tested, the range, how often it holds, the verdict.

    ∞ in an estimate: the older GPU holds no request.
    """
    rows = [
        (
            f.claim.id,
            check.what,
            range_text(check),
            estimate_text(check, " or ∞"),
            len(check.grid),
            part.share,
            published_text(check),
            verdict_word(part.word, language),
            part.condition,
        )
        for f in findings
        for check, part in zip(f.checks, f.parts, strict=True)
    ]
    columns = ["id", "tested", "range", "estimate", "settings", "share", "published"]
    return pd.DataFrame(rows, columns=[*columns, "verdict", "when"])


def errors_table(question: ClaimsQuestion) -> pd.DataFrame:
    """Return the held-out errors of the ratios that verdicts rest on: any pair, and those asked.

    Index ``ratio``; columns ``rows``, ``sources``, ``median_error``, ``p90_error``, ``low``,
    ``high``.
    """
    q, parts = question, []
    asked = (f"{q.h100_gpu.id} / {q.a100_gpu.id}", f"{q.h200_gpu.id} / {q.h100_gpu.id}")
    names = {"ratio": "any pair of GPUs", "fp8 ratio": "FP8 over BF16"}
    names |= {f"ratio {pair}": pair for pair in asked}
    for kind, errors in (("serving", inference_errors()), ("training", training_errors())):
        part = errors[errors.index.isin(list(names))]
        parts.append(part.rename(index={n: f"{kind}, {words}" for n, words in names.items()}))
    columns = ["rows", "sources", "median_error", "p90_error", "low", "high"]
    return pd.concat(parts)[columns].rename_axis("ratio")


def estimate_text(check: Check, none: str = ", or the older GPU serves none") -> str:
    """Say the smallest and the largest estimate, and how far their intervals reach.

    `none` is added where the older GPU holds no request in some settings.
    """
    grid = check.grid
    if check.unit == "yes":
        return f"{int((grid['value'] >= 1).sum())} of {len(grid)}"
    finite = grid[np.isfinite(grid["value"].to_numpy(float))]
    if finite.empty:
        return "the older GPU serves none"
    span = _span(finite["value"].min(), finite["value"].max(), check.unit)
    low, high = finite["low"].min(), finite["high"].max()
    exact = bool((finite["low"] == finite["value"]).all())
    said = span if exact else f"{span} ({_number(low)} to {_number(high)})"
    return said + (none if len(finite) < len(grid) else "")


def published_text(check: Check) -> str:
    """Say the published figures: smallest, median, largest, how many; empty where none."""
    seen = check.measured["value"]
    if len(seen) < 2:
        return _only(seen)
    ends = f"{_number(seen.min())} to {_number(seen.max())}"
    return f"{ends}, median {_number(seen.median())} ({len(seen)})"


def _median_text(check: Check) -> str:
    seen, said = check.measured["value"], ""
    if "there" in check.measured and len(seen):
        said = f"; there we say {_number(check.measured['there'].median())}"
    if len(seen) < 2:
        return _only(seen) + said
    return f"median {_number(seen.median())} of {len(seen)}{said}"


def _only(seen: "pd.Series[float]") -> str:
    return f"{_number(seen.iloc[0])} (1)" if len(seen) else ""


def range_text(check: Check) -> str:
    """Say which values make the statement true."""
    if check.unit == "yes":
        return "yes"
    least, most = _number(check.least), _number(check.most)
    if np.isinf(check.least):
        return f"at most {most}"
    if np.isinf(check.most):
        return f"at least {least}"
    return least if check.least == check.most else f"{least} to {most}"


def _span(least: float, most: float, unit: str) -> str:
    ends = list(dict.fromkeys([_number(least), _number(most)]))
    if ends == ["1"] and unit == "times":
        return "the same"
    return f"{' to '.join(ends)} {unit}".strip()


def _number(value: float) -> str:
    """Write a number with two or three digits.

    >>> [_number(v) for v in (0.0834, 2.746, 31.4, 15616.0)]
    ['0.083', '2.7', '31', '15,616']
    """
    value = float(value)
    if abs(value) >= 10 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if 0.1 <= abs(value) < 2 else f"{value:.2g}"
