"""The fit of slow predictions finds the same constants from wherever it starts."""

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from gpuspec.catalog import table_rows
from gpuspec.constants.terms import Terms
from gpuspec.evidence.fits.engines import PRIOR_WIDTH, touched
from gpuspec.evidence.fits.hierarchy import Fit, Hierarchy, fitted, held_out
from gpuspec.evidence.fits.proportional import ProportionalFit
from gpuspec.evidence.measurements.inference import (
    predicted_inference,
    prepared,
)
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.serving import EngineTerms


class Additive(Terms):
    """A time that is the sum of two parts; one of them is easily mistaken for the other."""

    sequence_us: float = Field(1.0, ge=0.0, le=60.0)
    logit_bytes: float = Field(16.0, ge=0.0, le=3000.0)


class Runs:
    def __init__(self, rows):
        self.rows = rows

    def everything(self, terms):
        return np.array([self.seconds(r, terms[r.member]) for r in self.rows.itertuples()])

    def part(self, chosen):
        rows = self.rows[chosen]
        return lambda terms: np.array([self.seconds(r, terms) for r in rows.itertuples()])

    def seconds(self, row, terms):
        per_sequence = terms.sequence_us + terms.logit_bytes * row.vocab * 1e-6
        return 1e-3 + 1e-6 * row.batch * per_sequence


def problem(start, **more):
    return Hierarchy(
        terms=Additive,
        widths={"sequence_us": 2.0, "logit_bytes": 2.0},
        predictor=Runs,
        measured=lambda rows: rows["value"].to_numpy(float),
        member=lambda rows: rows["member"],
        family=lambda member: "all",
        noise=0.02,
        start=start,
        **more,
    )


@pytest.fixture
def rows():
    cells = [(b, v) for b in (16, 64, 256, 1024) for v in (32_000, 128_000)]
    table = pd.DataFrame(cells * 2, columns=["batch", "vocab"])
    table["member"] = ["a"] * len(cells) + ["b"] * len(cells)
    table["publisher"] = table["case_id"] = [f"s{i % 4}" for i in range(len(table))]
    truth = {
        "a": Additive(sequence_us=5, logit_bytes=40),
        "b": Additive(sequence_us=4, logit_bytes=60),
    }
    return table.assign(value=Runs(table).everything(truth))


@pytest.mark.parametrize("start", [{}, {"sequence_us": 50.0}, {"logit_bytes": 800.0}])
def test_it_recovers_constants_that_trade_off_from_any_start(rows, start):
    fit = ProportionalFit(problem(start, proportional=True), rows)
    found = fitted(fit)
    assert found["a"].sequence_us == pytest.approx(5, rel=0.15)
    assert found["a"].logit_bytes == pytest.approx(40, rel=0.15)
    assert held_out(fit) == pytest.approx(rows["value"].to_numpy(), rel=0.06)


def test_it_agrees_with_the_fit_that_predicts_each_time(rows):
    slow, quick = Fit(problem({}), rows), ProportionalFit(problem({}, proportional=True), rows)
    for member, terms in fitted(slow).items():
        for name, value in fitted(quick)[member]:
            assert value == pytest.approx(getattr(terms, name), rel=0.1), (member, name)


def test_a_constant_moves_no_row_that_it_is_said_not_to_touch():
    rows = prepared(measurements("inference")).iloc[::180]
    rows = rows[
        rows["model"].isin(["llama-3.1-8b", "llama-2-70b", "mixtral-8x7b", "mistral-7b-v0.3"])
    ]
    eras = [row["id"] for row in table_rows("engines")]

    def asked(part, **changed):
        return predicted_inference(part, dict.fromkeys(eras, EngineTerms(**changed)))

    moved = 0
    for name in PRIOR_WIDTH:
        inside = touched(rows, name)
        changed = {name: 0.8 * getattr(EngineTerms(), name)}
        if not inside.all():
            part = rows[~inside]
            assert (asked(part, **changed) == asked(part)).all(), name
        moved += (
            (asked(rows[inside], **changed) != asked(rows[inside])).any() if inside.any() else 0
        )
    assert moved > 6
