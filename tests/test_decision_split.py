"""A work on several kinds of GPU at once: what each share takes and costs, what page 1 says."""

import brute
import numpy as np
import pytest

from gpuspec.decision.decide import Alone, best_of, decide, in_parts, problem_of
from gpuspec.decision.plan.words_page import answer_page, rest_page
from gpuspec.decision.plan.words_tables import works_table
from gpuspec.decision.plans import Plan
from gpuspec.decision.scenario import scenario

DRAWS = {"samples": 60}
CUTS = tuple(i / 24 for i in range(1, 24))
CHAT = {"kind": "inference", "name": "chat", "model": "Llama-3.1-8B", "isl": 2048, "osl": 512}
CHAT |= {"concurrency": 500, "tpot_limit_s": 0.04}
IMAGES = {"kind": "images", "name": "pictures", "model": "SDXL", "images_per_s": 4.0}
RUNS = {"kind": "hpc", "name": "md", "workload": "md", "gpu_hours": 2400, "deadline_days": 20}
RUNS |= {"runs_per_year": 36, "reference_gpu": "A100"}
OWNED = [{"gpu": "A100", "count": 5}]


def asked(work, modes=("on-demand",), limits=None, sell=False, effort=2000, **more):
    return scenario(
        {
            "name": "split",
            "horizon_months": 36,
            "owned": OWNED,
            "allow": {"gpus": ["H200"], "modes": list(modes), "weights": ["stored"], "sell": sell},
            "limits": limits or {},
            "effort": {"kind_usd_year": effort},
            "workloads": [work | more],
        }
    )


SPLIT = {
    "no spare replica": asked(CHAT, spare_replicas=0),
    "a spare replica": asked(CHAT),
    "a profile": asked(CHAT, spare_replicas=0, profile="consumer"),
    "a limit of GPUs": asked(CHAT, limits={"gpus": 6}, sell=True, spare_replicas=0),
    "GPUs are bought": asked(CHAT, modes=("on-demand", "own"), sell=True, effort=0),
    "images": asked(IMAGES, spare_replicas=0),
    "runs": asked(RUNS),
}


@pytest.mark.parametrize("name", SPLIT)
def test_no_split_over_two_kinds_is_cheaper_than_the_answer(name):
    """Every cut of a fine grid and those that are taken, every way of both parts, every number
    signed; what is taken costs what it costs there.
    """
    found = decide(SPLIT[name], quick=True, **DRAWS)
    problem = brute.everything(SPLIT[name], **DRAWS)
    taken = sorted({*CUTS, *(cut for cut in found.best.runs["share_to"] if cut < 1)})
    least, cost = brute.best(problem, taken)[0], found.best.expected_usd
    assert cost == pytest.approx(least, rel=1e-3)
    alone = brute.best(problem)[0]
    assert cost <= alone * (1 + 1e-3)
    if name in CHEAPER:
        assert cost < alone * 0.9


CHEAPER = ("no spare replica", "a spare replica", "a profile", "images", "runs")


def test_shares_add_up_and_each_kind_is_sized_for_its_own():
    plan = decide(SPLIT["a profile"], **DRAWS).best
    runs = plan.runs
    assert len(set(runs["gpu"])) == 2
    assert runs["share"].sum() == pytest.approx(1)
    assert list(runs["share_from"]) == [0.0, runs["share_to"].iloc[0]]
    first, then = runs["gpu_hours_month"] / runs["gpus"]
    assert then < first  # what lies above the cut is there in fewer hours
    for run in runs.to_dict("records"):
        options = plan.problem.options[0]
        each = options.needs[run["way"]].carried
        load = options.ways.curves[int(options.table["curve"].iloc[run["way"]])]["load"][0]
        asked = load * (run["share_to"] - run["share_from"])
        unit = options.table["unit_gpus"].iloc[run["way"]]
        assert run["gpus"] == np.ceil(asked / each - 1e-6) * unit


def test_the_spare_replica_stands_where_replicas_carry_the_most():
    decision = decide(SPLIT["a spare replica"], **DRAWS)
    with_, without = decision.best.problem, decide(SPLIT["no spare replica"], **DRAWS).best.problem
    assert with_.options[0].split
    assert without.options[0].split
    parts = with_.choices
    taken = [int(parts.way[c]) for c in decision.best.columns]
    mine = with_.options[0]
    kept = [way for way in taken if mine.table["spares"].iloc[way]]
    assert len(taken) == 2
    assert len(kept) == 1
    assert mine.needs[kept[0]].carried == max(mine.needs[way].carried for way in taken)


def test_page_one_and_its_table_name_the_shares():
    decision = decide(SPLIT["no spare replica"], **DRAWS)
    text, rows = answer_page(decision).text, works_table(decision).index
    shares = [f"{share:.0%}".replace("%", " %") for share in decision.best.runs["share"]]
    assert len(shares) == 2
    assert "Of the requests of chat, " in text
    for share in shares:
        assert f"carry {share}" in text
        assert any(f"chat, {share} of the requests" in str(row) for row in rows)
    assert "承担" in answer_page(decision, "zh").text


def test_the_cost_of_a_split_is_what_the_programme_says():
    problem = problem_of(SPLIT["a spare replica"], **DRAWS)
    closer, _, found = best_of(problem, 1e-4, 20.0)
    plan = Plan(closer, found.chosen, ())
    assert len(plan.runs) == 2
    assert plan.expected_usd == pytest.approx(found.cost_usd, rel=1e-6)
    assert plan.work_usd.sum() + plan.keep_usd + plan.effort_usd == pytest.approx(plan.expected_usd)


def test_a_work_that_may_not_be_split_is_not():
    asked_ = SPLIT["no spare replica"]
    alone = asked_.model_copy(update={"allow": asked_.allow.model_copy(update={"split": False})})
    assert in_parts(problem_of(alone, **DRAWS)) is None
    dearer, cheaper = (decide(s, quick=True, **DRAWS).best for s in (alone, asked_))
    assert len(dearer.runs) == 1
    assert cheaper.expected_usd < dearer.expected_usd


def test_one_run_is_not_split():
    once = asked(RUNS | {"runs_per_year": 1 / 3})
    assert in_parts(problem_of(once, **DRAWS)) is None


def test_kinds_of_which_there_is_no_plan_are_named_with_the_reason():
    large = CHAT | {"name": "large", "model": "Llama-3.1-70B", "concurrency": 4}
    large |= {"ttft_limit_s": 0.3, "tpot_limit_s": 0.014}
    content = asked(CHAT).model_dump(exclude_unset=True)
    content["workloads"] = [CHAT, large]
    content["allow"] |= {"gpus": ["H100", "H200", "B200"], "modes": ["on-demand"]}
    decision = decide(scenario(content), **DRAWS)
    text = rest_page(decision).text
    assert decision.feasible
    unable = {one.gpu: one.works for one in decision.impossible}
    assert unable["a100-sxm-80"] == ("large",)
    assert "Not possible" in text
    assert "large cannot keep its limits there" in text
    assert "无法实现" in rest_page(decision, None, "zh").text
    limited = asked(CHAT, limits={"gpus": 5}, sell=True, spare_replicas=0)
    few = decide(limited, **DRAWS)
    assert [one for one in few.impossible if not one.works] == [Alone("a100-sxm-80", ())]
    assert "A100 SXM 80 GB (the limits that all work shares)" in rest_page(few).text
