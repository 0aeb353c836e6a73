"""Every measured case is predicted as it was: a changed formula or constant moves a number here.

What is meant is made again by `make predictions`; its diff is one number a case.
"""

from pathlib import Path

import numpy as np
import pytest
from goldens import predictions

from gpuspec.evidence import validation

STORED = Path(__file__).parent / "predictions"
AGAIN = "\nif that is meant: make predictions"


@pytest.fixture(scope="module")
def now():
    return {kind: predictions.predicted(kind) for kind in predictions.KINDS}


@pytest.mark.parametrize("kind", predictions.KINDS)
def test_predictions_have_not_moved(now, kind):
    moved = predictions.moved(kind, predictions.read(STORED, kind), now[kind])
    if moved:
        pytest.fail(moved + AGAIN, pytrace=False)


def test_what_moved_is_named_with_the_worst_first(now):
    before = now["training"]
    after = before.copy()
    after.iloc[[3, 5, 8]] *= [1.002, 0.5, 1.1]
    said = predictions.moved("training", before, after)
    assert said.startswith(f"training: 3 of {len(before):,} predictions moved")
    assert "median 10.00%, largest 50.00%" in said
    lines = said.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == list(before.index[[5, 8, 3]])
    assert not predictions.moved("training", before, before * 1.0005)
    assert "1 gone" in predictions.moved("training", before, before.iloc[1:])


APART = {"inference": 0.05, "training": 0.1, "collectives": 0.14, "hpc": 0.03}
"""How far leaving its publisher out of the fit may move a prediction in the median, in logs."""


@pytest.mark.parametrize("kind", APART)
def test_held_out_predictions_belong_to_the_formulas_that_are_shipped(now, kind):
    rows = validation.held_out(kind).rows
    here = now[kind].reindex(rows["case_id"]).to_numpy()
    apart = np.abs(np.log(here / rows["predicted"].to_numpy(float)))
    assert np.median(apart) < APART[kind], "if the formulas are meant: make calibrate"


def figures(kind):
    """Return the held-out errors of each quantity that a kind states as a whole."""
    found = validation.held_out(kind)
    rows = found.rows
    if kind == "training":
        known = rows.loc[rows["known"], "error"]
        return {"step time": rows["error"], "step time, framework known": known}
    if kind == "hpc":
        return {"speed, kernels": rows.loc[rows["absolute"], "error"]}
    by = {"inference": "quantity", "collectives": "size"}[kind]
    said = {name: group["error"] for name, group in rows.groupby(by)}
    return said | ({"ratio": found.ratios["error"]} if kind == "inference" else {})


@pytest.mark.parametrize("kind", APART)
def test_stated_errors_follow_from_the_held_out_predictions(kind):
    stated = validation.stated_errors(kind)
    for name, error in figures(kind).items():
        size, row = np.abs(np.expm1(error)), stated.loc[name]
        assert len(size) == row["rows"]
        assert np.median(size) == pytest.approx(row["median_error"], abs=6e-4)
        assert np.quantile(size, 0.9) == pytest.approx(row["p90_error"], abs=6e-4)
