"""Answer one question: what the fork of a worker does."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from gpuspec.base.errors import InputError
from gpuspec.base.json import answer_json
from gpuspec.batch.edition import edition
from gpuspec.batch.questions import Question
from gpuspec.batch.store import Store
from gpuspec.constants.learnt import counted_use, forget_use
from gpuspec.views.language import speaking

PRICES = ["gpu", "mode", "provider", "region", "hour_usd", "capital_usd_gpu", "as_of"]
"""What is kept of the offers that a decision was taken among."""
NOTHING = "Nothing keeps all limits."


@dataclass(frozen=True)
class Order:
    """An answer that is wanted: of what, for which day and state of the data, to go where."""

    question: Question
    key: str
    edition: str
    day: date
    output: str
    language: str = ""
    """Of a report; empty: the decision."""

    @contextmanager
    def begun(self) -> Iterator[dict[str, str]]:
        """Be in the question's folder, on the day of the run, with the data that is meant."""
        if edition() != self.edition:
            valid = "this worker has other data or another program than the one that asks"
            raise InputError("worker", os.uname().nodename, valid)
        before = os.environ.get("SOURCE_DATE_EPOCH")
        os.environ["SOURCE_DATE_EPOCH"] = f"{midnight(self.day):.0f}"
        try:
            with self.question.placed() as given:
                yield given
        finally:
            os.environ.pop("SOURCE_DATE_EPOCH")
            if before is not None:
                os.environ["SOURCE_DATE_EPOCH"] = before


def midnight(day: date) -> float:
    """Return the seconds from 1970 to the beginning of a day."""
    return datetime.combine(day, time(), UTC).timestamp()


def decided(order: Order) -> None:
    """Write what ``gpuspec plan --json --lang en`` prints of a question, and its prices."""
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.record import plan_record

    forget_use()
    with order.begun() as given, speaking("en"):
        decision = decide(stated(given))
        told = answer_json({**plan_record(decision), **counted_use()}) + b"\n"
    store = Store(order.output)
    offers = decision.offers.reindex(columns=PRICES).to_dict("records")
    store.write(f"prices/{order.key}.json", answer_json({"prices": offers}) + b"\n")
    store.write(f"decisions/{order.key}.json", told)


def stated(given: dict[str, str]) -> Any:
    """Return the scenario of a question's fields."""
    from gpuspec.decision.scenario import DecisionQuestion

    return DecisionQuestion.of({"scenario": None, **given}).over({})


def reported(order: Order) -> None:
    """Write the report of a question as PDF."""
    from gpuspec.report import build

    with order.begun() as given:
        values = {"scenario": None, **given}
        made = build(
            "decision", values, Path("report.pdf"), language=order.language, date=order.day
        ).read_bytes()
    Store(order.output).write(f"reports/{order.key}.pdf", made)


def plan_of(told: Mapping[str, Any]) -> str:
    """Return the plan of an answer in words."""
    return str(told["recommendation"]["plan"]) if told["feasible"] else NOTHING


def decided_at(order: Order, old: tuple[tuple[str, str, float], ...]) -> str:
    """Return the plan of a question, in words, at other prices: GPU, mode, USD."""
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.topics.cost.prices import Quote

    with order.begun() as given, speaking("en"):
        scenario = stated(given)
        other = {(gpu, mode) for gpu, mode, _ in old}
        quotes = [q for q in scenario.prices.own if (q.gpu, q.paid) not in other]
        named = {"own": "own-gpu"}
        quotes += [Quote.of({"gpu": g, "mode": named.get(m, m), "price": usd}) for g, m, usd in old]
        rows = tuple(quote.model_dump(exclude_none=True) for quote in quotes)
        prices = scenario.prices.model_copy(update={"file": "", "quotes": rows})
        return plan_of(answer_record(decide(scenario.model_copy(update={"prices": prices}))))
