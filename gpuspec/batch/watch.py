"""Which answers changed since the run before, and why: by deciding again with the old prices."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from gpuspec.base.errors import InputError
from gpuspec.base.rows import csv_text
from gpuspec.batch.questions import Question, questions
from gpuspec.batch.run import BEFORE, MOST_ANSWER_BYTES, RUN, WARM, Batch, Ran, Told, answer, past
from gpuspec.batch.run import run as run_batch
from gpuspec.batch.store import Store
from gpuspec.batch.work import Order, plan_of
from gpuspec.crew.cluster import done_in_parallel
from gpuspec.crew.hand import Job
from gpuspec.views.columns import amount

CHANGES = "changes.csv"
MOST_TRIED = 4
"""Prices that moved most, each of which alone is tried with its old value."""
SAME = 1e-3
"""A price that moved by less did not move."""


class Moved(NamedTuple):
    """A price that an answer rests on, before and after; None where there was or is none."""

    gpu: str
    mode: str
    before: float | None
    after: float | None

    @property
    def words(self) -> str:
        """What it is, and how it moved."""
        ends = ["none" if v is None else amount(v) for v in (self.before, self.after)]
        unit = "USD a GPU" if self.mode == "own" else "USD an hour"
        return f"{self.gpu} {self.mode}: {ends[0]} to {ends[1]} {unit}"

    @property
    def size(self) -> float:
        """By which share it moved."""
        if not self.before or not self.after:
            return 1.0
        return abs(self.after / self.before - 1)


class Flip(NamedTuple):
    """An answer that is another one than before."""

    name: str
    before: str
    after: str
    before_usd: float | None
    after_usd: float | None
    why: str


@dataclass(frozen=True)
class Watched:
    """What changed."""

    ran: Ran
    flips: list[Flip]
    compared: int
    """Questions that were answered both times."""


@dataclass(frozen=True)
class _Case:
    """A question whose answer changed, with what may have changed it."""

    question: Question
    key: str
    old: dict[str, Any]
    new: dict[str, Any]
    moved: list[Moved]
    asked_otherwise: bool


def last_batch(output: str, **how: Any) -> Batch:
    """Return the batch of the last run of a folder, to be done as `how` says."""
    last = past(Store(output), RUN)
    if last is None:
        raise InputError("OUT", output, "it holds no run; gpuspec batch makes one")
    kept = Batch(tuple(last["scenarios"]), output, last["reports"], last["language"])
    return replace(kept, **how)


def last_calibration(output: str) -> str:
    """Return what the last run of a folder had learnt from; empty where nothing."""
    return str((past(Store(output), RUN) or {}).get("calibration", ""))


def watch(batch: Batch, tell: Callable[[Told], None] | None = None) -> Watched:
    """Answer a batch again where it is stale, and compare with the run before that differs."""
    asked = questions(batch.scenarios)
    ran = run_batch(batch, tell, asked)
    store = Store(batch.output)
    now, before = past(store, RUN), past(store, BEFORE)
    assert now is not None  # it was written just now
    cases, compared = _cases(store, asked, before or now, now)
    tried = _tried(batch, now["edition"], cases)
    flips = [_flip(case, now, before or now, tried) for case in cases]
    store.write(CHANGES, csv_text(Flip._fields, [flip._asdict() for flip in flips]).encode())
    return Watched(ran, flips, compared)


def _cases(
    store: Store, asked: Sequence[Question], before: dict[str, Any], now: dict[str, Any]
) -> tuple[list[_Case], int]:
    """Return the questions whose answer is another one, and how many were answered both times."""
    old = {(a["name"], a["place"]): a for a in before["answers"] if a["decision"]}
    found, compared = [], 0
    for question, new in zip(asked, now["answers"], strict=True):
        was = old.get((new["name"], new["place"]))
        if not was or not new["decision"]:
            continue
        compared += 1
        if was["decision"] == new["decision"]:
            continue
        ends = answer(store, was["decision"]), answer(store, new["decision"])
        if plan_of(ends[0]) != plan_of(ends[1]):
            prices = [_prices(store, a["decision"]) for a in (was, new)]
            otherwise = was["asks"] != new["asks"]
            found.append(_Case(question, new["decision"], *ends, _moved(*prices), otherwise))
    return found, compared


def _usd_of(told: dict[str, Any]) -> float | None:
    return float(told["recommendation"]["expected_usd"]) if told["feasible"] else None


def _prices(store: Store, key: str) -> dict[tuple[str, str], float]:
    """Return the least price of each GPU and mode that a decision was taken among."""
    rows = json.loads(store.read(f"prices/{key}.json", MOST_ANSWER_BYTES))["prices"]
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        usd = row["capital_usd_gpu"] if row["mode"] == "own" else row["hour_usd"]
        if row["mode"] != "owned" and usd:
            pair = (row["gpu"], row["mode"])
            found[pair] = min(found.get(pair, usd), usd)
    return found


def _moved(old: dict[tuple[str, str], float], new: dict[tuple[str, str], float]) -> list[Moved]:
    pairs = dict.fromkeys([*old, *new])
    found = [Moved(*pair, old.get(pair), new.get(pair)) for pair in pairs]
    return sorted((m for m in found if m.size > SAME), key=lambda m: -m.size)


def _tries(case: _Case) -> Iterator[tuple[Moved, ...]]:
    """Yield the prices that are put back: each of those that moved most, then all."""
    back = [m for m in case.moved if m.before]
    yield from ((m,) for m in back[:MOST_TRIED])
    if len(back) > 1:
        yield tuple(back)


def _tried(batch: Batch, state: str, cases: Sequence[_Case]) -> dict[str, str]:
    """Return the plan of each question with old prices, by key and prices."""
    jobs = []
    for case in cases:
        order = Order(case.question, case.key, state, batch.day, batch.output)
        for moved in _tries(case):
            old = tuple((m.gpu, m.mode, m.before) for m in moved)
            name, where = _name(case, moved), "gpuspec.batch.work:decided_at"
            jobs.append(Job(name, where, (order, old), batch.timeout_s, batch.memory_bytes, WARM))
    with closing(done_in_parallel(jobs, batch.workers, batch.scheduler)) as done:
        return {job.key: str(one.value) for job, one in done if not one.error}


def _name(case: _Case, moved: Sequence[Moved]) -> str:
    return f"{case.key} at {'; '.join(m.words for m in moved)}"


def _flip(case: _Case, now: dict[str, Any], before: dict[str, Any], tried: dict[str, str]) -> Flip:
    ends = plan_of(case.old), plan_of(case.new)
    why = _why(case, now, before, tried)
    return Flip(case.question.name, *ends, _usd_of(case.old), _usd_of(case.new), why)


def _why(case: _Case, now: dict[str, Any], before: dict[str, Any], tried: dict[str, str]) -> str:
    """Say what changed an answer: the price that brings the old one back, else what moved."""
    for moved in _tries(case):
        if tried.get(_name(case, moved)) == plan_of(case.old):
            return "; ".join(m.words for m in moved)
    others = ["the question or a file that it names"] if case.asked_otherwise else []
    others += ["the data or the program"] if now["edition"] != before["edition"] else []
    others += ["the day of the run"] if now["day"] != before["day"] else []
    said = " or ".join(others)
    if not case.moved:
        return f"{said} changed; no price that it rests on moved"
    listed = "; ".join(m.words for m in case.moved[:MOST_TRIED])
    return f"{said} changed; of its prices moved {listed}"
