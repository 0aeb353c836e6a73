"""Replicas that are told apart before a search are none that the search would have kept."""

import numpy as np
import pandas as pd
import pytest
from scenarios import SERVICE

from gpuspec.decision import decide as deciding
from gpuspec.decision.decide import problem_of
from gpuspec.decision.scenario import scenario

LOADS = (
    {"users": 900, "use_case": "chat"},
    {"request_rate": 6, "isl": 2048, "osl": 256, "ttft_limit_s": 2, "tpot_limit_s": 0.02},
    {"request_rate": 3, "availability": 0.999, "growth": 0.1},
)


def service_of(load, **more):
    service = {k: v for k, v in SERVICE.items() if k not in ("concurrency", "isl", "tpot_limit_s")}
    allow = {"gpus": ["A100", "H100"]}
    asked = {"name": "s", "workloads": [service | load], "allow": allow, "horizon_months": 12}
    return scenario(asked | more)


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_those_left_out_would_not_be_kept(load, monkeypatch):
    few = problem_of(service_of(load), 200).options[0]
    monkeypatch.setattr(deciding, "contenders", lambda *_: None)
    whole = problem_of(service_of(load), 200).options[0]
    assert len(few.ways.table) < len(whole.ways.table)
    names = [name for name in whole.table if name not in ("tech", "curve")]
    pd.testing.assert_frame_equal(few.table[names], whole.table[names])
    for mine, known in zip(few.needs, whole.needs, strict=True):
        np.testing.assert_array_equal(mine.gpus, known.gpus)


def test_those_on_owned_gpus_all_stay():
    owned = [{"gpu": "A100", "count": 8}]
    plain, own = (
        problem_of(service_of(LOADS[0], owned=some), 200).options[0].ways.table
        for some in ([], owned)
    )
    many = [t["gpu"].str.startswith("a100").sum() for t in (plain, own)]
    assert many[0] < many[1]
    assert {1, 2, 4, 8} <= set(own.loc[own["gpu"].str.startswith("a100"), "unit_gpus"])
