"""The fit of slow predictions finds the same constants from wherever it starts."""

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from gpuspec.constants.memory import memory_terms
from gpuspec.constants.terms import GenerationTerms, Terms
from gpuspec.evidence.fits.engines import PRIOR_WIDTH, Together, quantity, thinned
from gpuspec.evidence.fits.hierarchy import (
    Crossed,
    Fit,
    Hierarchy,
    fitted,
    fitted_both,
    held_out,
)
from gpuspec.evidence.fits.proportional import ProportionalFit
from gpuspec.evidence.measurements.inference import (
    era_of,
    generations_of,
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.serving import EngineTerms


class Additive(Terms):
    """A time that is the sum of two parts; one of them is easily mistaken for the other."""

    sequence_us: float = Field(1.0, ge=0.0, le=60.0)
    logit_bytes: float = Field(16.0, ge=0.0, le=3000.0)


class Factor(Terms):
    """What a group makes of every time, whatever the member."""

    factor: float = Field(1.0, ge=0.5, le=2.0)


class Runs:
    def __init__(self, rows):
        self.rows = rows

    def everything(self, terms, crossed=None):
        factor = {name: one.factor for name, one in (crossed or {}).items()}
        return np.array(
            [
                self.seconds(r, terms[r.member]) * factor.get(getattr(r, "group", ""), 1.0)
                for r in self.rows.itertuples()
            ]
        )

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


def test_what_cuts_through_the_members_is_found_beside_them(rows):
    rows = rows.assign(group=np.where(np.arange(len(rows)) % 4 < 2, "old", "new"))
    rows["value"] = rows["value"] * np.where(rows["group"] == "old", 1.3, 1.0)
    across = Crossed(Factor, {"factor": 0.5}, lambda rows: rows["group"])
    fit = ProportionalFit(problem({}, proportional=True, crossed=across), rows)
    _, found = fitted_both(fit)
    assert found["old"].factor / found["new"].factor == pytest.approx(1.3, rel=0.05)
    assert held_out(fit) == pytest.approx(rows["value"].to_numpy(), rel=0.08)


def test_it_agrees_with_the_fit_that_predicts_each_time(rows):
    slow, quick = Fit(problem({}), rows), ProportionalFit(problem({}, proportional=True), rows)
    for member, terms in fitted(slow).items():
        for name, value in fitted(quick)[member]:
            assert value == pytest.approx(getattr(terms, name), rel=0.1), (member, name)


def test_several_sets_of_constants_are_predicted_as_one_by_one():
    rows = prepared(measurements("inference")).iloc[::150]
    rows = thinned(rows[skip_reasons(rows) == ""])
    eras, kinds = set(era_of(rows)), set(generations_of(rows))
    several = [
        (dict.fromkeys(eras, EngineTerms(**one)), dict.fromkeys(kinds, GenerationTerms(**other)))
        for one, other in (
            ({}, {}),
            ({name: 0.8 * getattr(EngineTerms(), name) for name in PRIOR_WIDTH}, {}),
            ({"occupancy": 0.5, "reserve_gb": 6.0}, {"matmul_factor": 1.2}),
        )
    ]
    together = Together(memory_terms())(rows, several)
    throughput = (quantity(rows) == "throughput").to_numpy()
    for values, (terms, silicon) in zip(together, several, strict=True):
        alone = predicted_inference(rows, terms, memory_terms(), silicon)
        with np.errstate(divide="ignore"):
            assert np.where(throughput, 1 / values, values) == pytest.approx(alone)
    assert len({tuple(values) for values in together}) == 3


def test_a_fit_learns_from_few_of_the_rows_that_differ_in_load_alone():
    rows = prepared(measurements("inference"))
    rows = rows[skip_reasons(rows) == ""].reset_index(drop=True)
    few = thinned(rows)
    assert len(few) < len(rows) / 2
    assert set(era_of(few)) == set(era_of(rows[rows["request_rate"].isna()]))
    assert set(few["publisher"]) == set(rows.loc[rows["request_rate"].isna(), "publisher"])
