"""Every measured case is predicted as it was: a changed formula or constant moves a number here.

What is meant is made again by `make predictions`; its diff is one number a case.
"""

from pathlib import Path

import numpy as np
import pytest
from goldens import predictions

from gpuspec import validation

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
    assert said.startswith("training: 3 of 832 predictions moved")
    assert "median 10.00%, largest 50.00%" in said
    lines = said.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == list(before.index[[5, 8, 3]])
    assert not predictions.moved("training", before, before * 1.0005)
    assert "1 gone" in predictions.moved("training", before, before.iloc[1:])


HELD_OUT = {"inference": 0.06, "training": 0.06, "collectives": 0.06, "hpc": 0.06}


@pytest.mark.parametrize("kind", HELD_OUT)
def test_held_out_predictions_belong_to_the_formulas_that_are_shipped(now, kind):
    rows = validation.held_out(kind).rows
    here = now[kind].reindex(rows["case_id"]).to_numpy()
    apart = np.abs(np.log(here / rows["predicted"].to_numpy(float)))
    print(kind, len(rows), np.median(apart), np.mean(np.log(here / rows["predicted"])))
    assert np.median(apart) < HELD_OUT[kind]
