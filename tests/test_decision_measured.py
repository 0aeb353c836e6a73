"""Speeds that the buyer measured: what they change, what they leave, which are refused."""

import numpy as np
import pytest
from laws import page

from gpuspec.base.errors import InputError
from gpuspec.decision.decide import problem_of
from gpuspec.decision.errors import Z80
from gpuspec.decision.scenario import scenario

LENGTH = {"model": "Llama-3.1-8B", "isl": 2048, "osl": 512, "tpot_limit_s": 0.04}
CHAT = {"kind": "inference", "name": "w", "concurrency": 500, "spare_replicas": 0, **LENGTH}
RATE = {"kind": "inference", "name": "w", "request_rate": 20, "spare_replicas": 0, **LENGTH}
JOB = {"kind": "training", "name": "w", "model": "Llama-3.1-8B", "tokens": 5e9}
JOB |= {"deadline_days": 1, "global_batch": 128, "runs_per_year": 6}
IMAGES = {"kind": "images", "name": "w", "model": "SDXL", "images_per_s": 4, "spare_replicas": 0}
SIMULATION = {"kind": "hpc", "name": "w", "workload": "md", "gpu_hours": 900, "deadline_days": 9}
MEASURED = {
    "concurrency": (CHAT, {"gpus": 8, "requests_per_s": 40.0}),
    "rate": (RATE, {"gpus": 8, "requests_per_s": 40.0}),
    "training": (JOB, {"gpus": 8, "tokens_per_s": 9e4}),
    "images": (IMAGES, {"gpus": 8, "images_per_s": 4.0}),
    "simulation": (SIMULATION, {"gpu_hours": 500.0}),
}
DAY_S = 86400.0


def asked(work, *rows, gpus=("A100", "H100", "H200"), **more):
    content = {"name": "m", "allow": {"gpus": list(gpus), "weights": ["stored"]}}
    return scenario(content | {"workloads": [work | {"measured_speeds": list(rows)} | more]})


def ways_of(problem, gpu):
    options = problem.options[0]
    places = [i for i in range(options.whole) if options.table["gpu"].iloc[i] == gpu]
    return options, places


def served(options, way, work):
    """What 8 GPUs do of a way, at the central estimate."""
    row = options.table.iloc[way]
    if work is SIMULATION:
        return float(row["days"] * 24 * row["gpus"])
    each = options.needs[way].carried * 8 / row["unit_gpus"]
    if work is IMAGES:
        return each / 0.85  # so much of it is used
    if work is RATE:
        return each
    return each / seconds(options, row, options.needs[way].carried)


def seconds(options, row, load):
    curve = options.ways.table.query("curve == @row.curve").sort_values("batch")
    first, then = (np.interp(load, curve["batch"], curve[n]) for n in ("ttft_s", "tpot_s"))
    return first + (CHAT["osl"] - 1) * then


@pytest.mark.parametrize("name", [n for n in MEASURED if n != "training"])
def test_the_planner_reckons_with_what_was_measured_and_no_error(name):
    work, figure = MEASURED[name]
    problem = problem_of(asked(work, {"gpu": "H100", **figure}))
    options, places = ways_of(problem, "h100-sxm-80")
    value = next(v for k, v in figure.items() if k != "gpus")
    best = max(served(options, i, work) for i in places)
    assert best == pytest.approx(value, rel=0.03)
    for i in places:
        assert np.ptp(options.needs[i].gpu_hours) == pytest.approx(0, abs=1e-3)


def test_a_job_trains_as_fast_as_was_measured_and_surely():
    figure = MEASURED["training"][1]
    problem = problem_of(asked(JOB, {"gpu": "H100", **figure}))
    table = problem.options[0].ways.table.query("gpu == 'h100-sxm-80' and gpus == 8 and works")
    assert JOB["tokens"] / (table["days"].iloc[0] * DAY_S) == pytest.approx(9e4, rel=0.01)
    w = problem.scenario.workloads[0]
    assert np.ptp(problem.draws.speed(w, "h100-sxm-80", "bf16", False, 8)) == 0


@pytest.mark.parametrize("name", ["concurrency", "rate", "training", "images"])
def test_other_gpus_follow_and_keep_an_error_of_their_own(name):
    work, figure = MEASURED[name]
    key = next(k for k in figure if k != "gpus")
    before = problem_of(asked(work))
    after = problem_of(asked(work, {"gpu": "H100", **figure}))
    slower = problem_of(asked(work, {"gpu": "H100", **figure, key: figure[key] / 1.3}))
    spreads, medians = [], []
    for problem in (before, after, slower):
        draws, w = problem.draws, problem.scenario.workloads[0]
        speed = draws.speed(w, "h200-sxm-141", "bf16", False, 8)
        spreads.append(float(np.std(np.log(speed))))
        options, places = ways_of(problem, "h200-sxm-141")
        medians.append(float(np.median(options.needs[places[0]].gpu_hours)))
    assert 0.02 < spreads[1] < spreads[0]
    assert medians[2] > medians[1]


def test_what_the_row_says_of_its_error_is_all_that_is_left():
    problem = problem_of(
        asked(JOB, {"gpu": "H100", "gpus": 8, "tokens_per_s": 9e4, "plus_minus": 0.1})
    )
    w = problem.scenario.workloads[0]
    drawn = problem.draws.speed(w, "h100-sxm-80", "bf16", False, 8)
    assert np.std(np.log(drawn)) == pytest.approx(np.log(1.1) / Z80, rel=0.05)
    other = problem.draws.speed(w, "h100-sxm-80", "bf16", False, 64)
    assert np.std(np.log(other)) > np.std(np.log(drawn))  # so many GPUs were not measured


def test_page_one_says_which_speeds_are_measured_and_which_rows_are_not_used():
    work = CHAT | {
        "measured_speeds": [
            {"gpu": "H100", "gpus": 8, "requests_per_s": 40},
            {"gpu": "B200", "gpus": 8, "requests_per_s": 90},
        ]
    }
    content = {"name": "m", "allow": {"gpus": ["A100", "H100"]}, "workloads": [work]}
    text = page(content)
    assert "Measured by you" in text
    assert "w on H100 SXM (40 requests a second on 8 GPUs)" in text
    assert "measured\\_speeds[1]" in text or "measured_speeds[1]" in text
    assert "您的实测速度" in page(content, "zh")


@pytest.mark.parametrize(
    ("work", "row", "said"),
    [
        (CHAT, {"gpus": 8, "requests_per_s": 1e5}, "at peak"),
        (JOB, {"gpus": 8, "tokens_per_s": 1e6}, "at peak"),
        (IMAGES, {"gpus": 8, "images_per_s": 4000}, "the estimate is"),
        (SIMULATION, {"gpu_hours": 2}, "the estimate is"),
        (CHAT, {"gpus": 8, "requests_per_s": 0}, "give a number above 0"),
        (CHAT, {"gpus": 0, "requests_per_s": 9}, "give a whole number from 1"),
        (CHAT, {"gpus": 8, "requests_per_s": 9, "plus_minus": 3}, "give a number from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(work, row, said):
    with pytest.raises(InputError) as found:
        problem_of(asked(work, {"gpu": "H100", **row}))
    text = str(found.value)
    assert "workloads[0].measured_speeds[0]" in text
    assert said in text
    assert "\n" not in text
