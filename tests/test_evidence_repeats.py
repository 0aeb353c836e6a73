"""How far apart published steps of one setting lie, and which runs of a sweep are used."""

import numpy as np
import pandas as pd
import pytest

from gpuspec.evidence.measurements.pairs import matched_steps
from gpuspec.evidence.measurements.repeats import (
    CLASSES,
    CONTRADICTS,
    REPEATABLE,
    contradicting,
    factors,
    repeats_table,
    sweep,
    twins,
)
from gpuspec.evidence.measurements.training import prepared_rows

ROW = {
    "metric": "step_time_s", "value": 1.0, "n_gpus": 8, "global_batch": 8, "seq_len": 100,
    "model": "a", "publisher": "x",
}  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    return sweep()


def test_the_faster_over_the_slower():
    rows = pd.DataFrame([ROW] * 5)
    rows["publisher"] = ["x", "x", "x", "y", "z"]
    rows["value"] = [1.0, 2.0, 4.0, 3.0, 9.0]
    rows.loc[4, "model"] = "b"
    # The median of x takes 2 s, y 3; z ran another model.
    np.testing.assert_allclose(factors(rows, ["model"], "publisher"), [1.5])


def test_a_class_of_runs_is_used_where_its_twins_agree(runs):
    spread = {name: np.quantile(own, 0.9) for name, own in twins(runs).items()}
    assert set(spread) == set(CLASSES)
    for name, part in runs[~contradicting(runs)].groupby("class"):
        assert set(part["used"]) == {bool(spread[name] < REPEATABLE)}, name


def test_runs_whose_memory_contradicts_their_micro_batch_are_not_used(runs):
    against = runs[contradicting(runs)]
    assert not against["used"].any()
    assert (runs["not_used_because"] == CONTRADICTS).sum() == 14
    assert set(runs.loc[runs["not_used_because"] == CONTRADICTS, "case_id"]) <= set(
        against["case_id"]
    )
    # A micro-batch of 16 would take 7.6 + 15 x 2.6 GB by another run; two printed 18.5 instead.
    split = (runs["model"] == "nanotron-8b") & (runs["tp"] == 32) & (runs["pp"] == 1)
    same = split & (runs["micro_batch"] == 16) & (runs["n_gpus"] < 512)
    assert contradicting(runs)[same].tolist() == [False, True, True]


def test_the_sweep_between_nodes_is_in_the_fit(runs):
    used = runs[runs["used"] & (runs["n_gpus"] > 8)]
    assert len(used) > 200
    assert set(used["pp"]) == {1}
    assert {2, 4, 8, 16, 32} <= set(used["n_gpus"] // 8)
    assert (used["tp"] > 8).sum() > 60
    left = runs[~runs["used"] & (runs["not_used_because"] != CONTRADICTS)]
    assert left["not_used_because"].str.contains("twins").all()


def test_publishers_of_one_setting_lie_percents_apart_and_of_one_job_more():
    table = repeats_table()
    same, job = (
        table.loc[f"same {kind}"]
        for kind in ("settings, other publisher", "job and framework, other publisher and layout")
    )
    assert same.pairs > 10
    assert job.pairs > 10
    assert 0.01 < same["median"] < job["median"] < 0.2


def test_pairs_of_steps_are_of_one_publisher():
    rows = prepared_rows()
    pairs = matched_steps(rows)
    sides = [rows["publisher"].to_numpy()[pairs[side].to_numpy(int)] for side in ("old", "new")]
    assert (sides[0] == sides[1]).all()
