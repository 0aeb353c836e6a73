"""Answer all questions that lack an answer, and keep what is finished."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from gpuspec.base.documents import from_json
from gpuspec.base.errors import InputError
from gpuspec.base.json import answer_json
from gpuspec.base.rows import csv_text
from gpuspec.batch.edition import edition
from gpuspec.batch.questions import Question, questions
from gpuspec.batch.store import Store, is_address
from gpuspec.batch.work import Order
from gpuspec.constants.learnt import VARIABLE
from gpuspec.crew.cluster import done_in_parallel
from gpuspec.crew.hand import MOST_WORKERS, Done, Job
from gpuspec.views.language import check_language

DECISION, REPORT = "decision", "report"
FOLDERS = {DECISION: ("decisions", ".json"), REPORT: ("reports", ".pdf")}
RUN, BEFORE, SUMMARY, PRICES = "run.json", "before.json", "summary.csv", "prices"
MOST_ANSWER_BYTES = 2**26
WARM = ("gpuspec.batch.warm",)
WARM_REPORTS = ("gpuspec.crew.kernel:load decision", *WARM, "gpuspec.report.warm")
COLUMNS = ["name", "place", "decision", "feasible", "plan", "expected_usd", "low", "high"]
COLUMNS += ["upfront_usd", "cash_month_usd", "gpus", "power_kw", "probability", "price_grade"]
COLUMNS += ["runner_up", "report", "problem"]
"""Of the summary: name and place of a question, then its answer in short."""
_OF_PLAN = COLUMNS[COLUMNS.index("plan") : COLUMNS.index("price_grade") + 1]
_ANSWER = re.compile(r"[0-9a-f]{32}\.(json|pdf)")
_PART = re.compile(r"\.[0-9a-f-]+\.part")
"""What a process that was killed left behind."""


@dataclass(frozen=True)
class Batch:
    """What is wanted: answers to questions, where they go, and how the work is done."""

    scenarios: tuple[str, ...]
    output: str
    reports: bool = False
    language: str = "en"
    day: date = field(default_factory=date.today)
    workers: int = 0
    scheduler: str = ""
    timeout_s: float = 600.0
    memory_bytes: int = 0


@dataclass(frozen=True)
class Told:
    """How far the work is."""

    done: int
    total: int
    left_s: float | None
    """Time left; None where nothing is done yet."""
    failed: int
    seconds: float
    """What the one that was done last took."""


@dataclass(frozen=True)
class Ran:
    """What became of a batch."""

    rows: list[dict[str, Any]]
    """Of the summary, in the order of the questions."""
    fresh: int
    """Answers that this run made."""
    kept: int
    """Answers that were there."""

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Names of the questions without an answer, and why."""
        return [(row["name"], row["problem"]) for row in self.rows if row["problem"]]


def key_of(question: Question, state: str, day: date, *more: str) -> str:
    """Return the name of an answer: a hash of what is asked, of the data and of the day."""
    told = json.dumps([question.asks, state, day.isoformat(), *more])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def orders(batch: Batch, asked: Iterable[Question], state: str) -> list[tuple[str, Order]]:
    """Return the answers that are wanted, each once: decisions, then reports."""
    found: dict[str, tuple[str, Order]] = {}
    readable = [question for question in asked if not question.problem]
    for kind in (DECISION, REPORT) if batch.reports else (DECISION,):
        language = batch.language if kind == REPORT else ""
        for question in readable:
            key = key_of(question, state, batch.day, kind, language)
            order = Order(question, key, state, batch.day, batch.output, language)
            found.setdefault(key, (kind, order))
    return list(found.values())


def run(
    batch: Batch,
    tell: Callable[[Told], None] | None = None,
    asked: Sequence[Question] | None = None,
) -> Ran:
    """Answer what lacks an answer of today's data; write the summary.

    Parameters
    ----------
    tell : callable, optional
        Called after each answer.
    asked : sequence of Question, optional
        In place of reading the batch's scenarios.

    Raises
    ------
    InputError
        Where an argument cannot be used; nothing was answered then.
    SchedulerGoneError
        Where the scheduler goes away; what is finished stays.
    """
    check_language(batch.language)
    if not 0 <= batch.workers <= MOST_WORKERS:
        raise InputError("workers", batch.workers, f"give 1 to {MOST_WORKERS}; 0: one a core")
    asked = questions(batch.scenarios) if asked is None else asked
    batch = replace(batch, output=_absolute(batch.output))
    store, state = Store(batch.output), edition()
    store.check()
    wanted = orders(batch, asked, state)
    there = {kind: set(store.names(FOLDERS[kind][0])) for kind in FOLDERS}
    missing = [(k, o) for k, o in wanted if f"{o.key}{FOLDERS[k][1]}" not in there[k]]
    jobs = [_job(kind, order, batch) for kind, order in missing]
    problems: dict[str, str] = {}
    progress = _Progress([kind for kind, _ in missing], batch.workers, tell)
    with closing(done_in_parallel(jobs, batch.workers, batch.scheduler)) as found:
        for job, done in found:
            if done.error:
                problems[job.key] = done.error
            progress.after(job, done)
    rows = [_row(store, batch, question, state, problems) for question in asked]
    _write(store, batch, asked, state, rows, [order.key for _, order in wanted])
    return Ran(rows, len(jobs) - len(problems), len(wanted) - len(jobs))


def _absolute(place: str) -> str:
    """Return a place as workers find it, whose current folder is another."""
    store = Store(place)
    return place if store.here is None else str(store.here.absolute())


def _job(kind: str, order: Order, batch: Batch) -> Job:
    target = {DECISION: "decided", REPORT: "reported"}[kind]
    where, warm = f"gpuspec.batch.work:{target}", WARM_REPORTS if batch.reports else WARM
    return Job(order.key, where, (order,), batch.timeout_s, batch.memory_bytes, warm)


class _Progress:
    """Counts what is done, by kind, and tells how long the rest will take."""

    def __init__(self, kinds: list[str], workers: int, tell: Callable[[Told], None] | None) -> None:
        self.left = {kind: kinds.count(kind) for kind in FOLDERS}
        self.total, self.tell = len(kinds), tell
        self.took: dict[str, list[float]] = {kind: [] for kind in FOLDERS}
        self.failed, self.start = 0, time.monotonic()

    def after(self, job: Job, done: Done) -> None:
        """Count one that is done."""
        kind = REPORT if job.target.endswith("reported") else DECISION
        self.left[kind] -= 1
        self.failed += bool(done.error)
        self.took[kind].append(done.seconds)
        if self.tell:
            count = self.total - sum(self.left.values())
            self.tell(Told(count, self.total, self._left_s(), self.failed, done.seconds))

    def _left_s(self) -> float:
        """Return the time left: the mean of each kind, at the pace of the crew so far."""
        every = [s for times in self.took.values() for s in times]
        pace = sum(every) / max(time.monotonic() - self.start, 1e-9)  # jobs at a time
        means = {k: sum(t) / len(t) if t else sum(every) / len(every) for k, t in self.took.items()}
        return sum(means[k] * left for k, left in self.left.items()) / max(pace, 1e-9)


def _row(
    store: Store, batch: Batch, question: Question, state: str, problems: dict[str, str]
) -> dict[str, Any]:
    """Return the row of a question in the summary."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {"name": question.name, "place": question.place, "problem": question.problem}
    if question.problem:
        return row
    key = key_of(question, state, batch.day, DECISION, "")
    row["problem"] = problems.get(key, "")
    if not row["problem"]:
        try:
            row |= {"decision": f"decisions/{key}.json", **_short(answer(store, key))}
        except InputError as error:
            row["problem"] = f"{error}; OUT must be a place that all workers share"
    if batch.reports:
        key = key_of(question, state, batch.day, REPORT, batch.language)
        row["problem"] = row["problem"] or problems.get(key, "")
        row["report"] = "" if problems.get(key) else f"reports/{key}.pdf"
    return row


def answer(store: Store, key: str) -> dict[str, Any]:
    """Return a decision as it was written."""
    found = store.read(f"decisions/{key}.json", MOST_ANSWER_BYTES)
    told: dict[str, Any] = json.loads(found)
    return told


def _short(told: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in short."""
    found: dict[str, Any] = {"feasible": "true" if told["feasible"] else "false"}
    if told["feasible"]:
        best, other = told["recommendation"], told["runner_up"]
        found |= {name: best[name] for name in _OF_PLAN}
        found["runner_up"] = other["plan"] if other else ""
    return found


def _write(
    store: Store,
    batch: Batch,
    asked: Sequence[Question],
    state: str,
    rows: list[dict[str, Any]],
    keys: list[str],
) -> None:
    """Write the summary and what the run was; drop answers that neither it nor the last one has."""
    answers = [
        {"name": q.name, "place": q.place, "asks": q.asks, "decision": _key(row["decision"])}
        for q, row in zip(asked, rows, strict=True)
    ]
    scenarios = [p if is_address(p) else str(_absolute_if_there(p)) for p in batch.scenarios]
    told = {"scenarios": scenarios, "edition": state, "day": batch.day, "reports": batch.reports}
    told |= {"language": batch.language, "calibration": _calibration(), "answers": answers}
    old = past(store, RUN)
    if old and [a["decision"] for a in old["answers"]] != [a["decision"] for a in answers]:
        store.write(BEFORE, answer_json(old))
    store.write(RUN, answer_json(told))
    store.write(SUMMARY, csv_text(COLUMNS, rows).encode())
    before = past(store, BEFORE)
    kept = {*keys, *(a["decision"] for a in (before or {"answers": []})["answers"])}
    for folder in ("decisions", "reports", PRICES):
        for name in store.names(folder):
            stale = _ANSWER.fullmatch(name) and name.partition(".")[0] not in kept
            if stale or _PART.fullmatch(name):
                store.drop(f"{folder}/{name}")


def _calibration() -> str:
    """Return the folder of what was learnt, as the next run finds it; empty where none is used."""
    folder = os.environ.get(VARIABLE, "")
    return folder and str(Path(folder).expanduser().absolute())


def _absolute_if_there(place: str) -> str:
    store = Store(place)
    there = store.here is not None and store.here.exists()
    return _absolute(place) if there else place


def _key(path: str) -> str:
    return path.removeprefix("decisions/").removesuffix(".json")


def past(store: Store, name: str) -> dict[str, Any] | None:
    """Return what a run was, as it was written; None where there was none."""
    if name not in store.names():
        return None
    text = store.read(name, MOST_ANSWER_BYTES).decode()
    found: dict[str, Any] = from_json("run", text, name)
    return found
