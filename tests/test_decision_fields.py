"""Whatever is said in a scenario's file changes the answer, is named in it, or is refused."""

from datetime import timedelta

import pytest
from laws import answer, page, without

from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.decision.scenario import records

KINDS = {"gpus": ["A100", "H100"]}
OWNED = [{"gpu": "A100", "count": 4}]
TENANT = {"name": "a", "memory_gib": 8, "gpu_share": 0.12, "bandwidth_share": 0.1, "copies": 3}
SERVICE = {
    "kind": "inference",
    "name": "w",
    "model": "Llama-3.1-8B",
    "isl": 1024,
    "osl": 256,
    "concurrency": 64,
}
USERS = without(SERVICE, "isl", "osl", "concurrency") | {"use_case": "chat", "users": 2000}
JOB = {
    "kind": "training",
    "name": "w",
    "model": "Llama-3.1-8B",
    "tokens": 5e9,
    "deadline_days": 10,
    "global_batch": 128,
}
PAPERS = without(JOB, "tokens") | {"documents": 1e6, "document_tokens": 5000}
IMAGES = {"kind": "images", "name": "w", "images_per_s": 2}
SIMULATION = {"kind": "hpc", "name": "w", "workload": "md", "gpu_hours": 600, "deadline_days": 9}
SMALL = {"kind": "tenants", "name": "w", "table": [TENANT]}
KEPT = {"spare_replicas": 3, "availability": 0.9999}
SHAPE = KEPT | {"replicas_min": 9, "profile": "office"}
TIME = {"from_quarter": 3, "to_quarter": 2, "growth": 0.3}
UP = {"hours_per_month": 100, "interruptible": True}
QUOTES, LENGTHS = "quotes.csv", "lengths.csv"

WORKS = {
    "training": (
        (JOB, TIME | {"model": "Qwen2.5-14B", "tokens": 9e9, "deadline_days": 1, "epochs": 3}),
        (JOB, {"seq_len": 8192, "global_batch": 512, "tuning": "lora", "framework": "deepspeed"}),
        (JOB, {"optimizer": "adamw-8bit", "runs_per_year": 9, "interruptible": False}),
        (JOB, {"measured_speeds": [{"gpu": "A100", "gpus": 8, "tokens_per_s": 20_000}]}),
        (PAPERS, {"documents": 3e6, "document_tokens": 9000, "epochs": 3}),
    ),
    "inference": (
        (SERVICE, TIME | UP | {"model": "Qwen2.5-14B", "kv": "fp8", "isl": 4096}),
        (SERVICE, {"use_case": "code-completion", "osl": 1024, "prefill_apart": True}),
        (SERVICE, {"concurrency": 300}),
        (SERVICE, {"measured_speeds": [{"gpu": "A100", "gpus": 8, "requests_per_s": 60}]}),
        (SERVICE, {"images_per_request": 3, "max_num_seqs": 4, "max_num_batched_tokens": 512}),
        (SERVICE, {"chunked_prefill": False, "memory_share": 0.01, "active_share": 0.9}),
        (SERVICE, {"requests_per_hour": 50, "think_s": 5, "peak_factor": 9, "request_rate": 9}),
        (SERVICE, {"isl_cv": 2, "osl_cv": 2, "ttft_limit_s": 0.2, "tpot_limit_s": 0.012}),
        (SERVICE, {"engine": "vllm", "cached_share": 0.8, "lengths": LENGTHS}),
        (SERVICE | {"engine": "vllm"}, SHAPE | {"engine_version": "0.6.0"}),
        (SERVICE | {"api_price": "0.01/0.01"}, {"api": "allowed"}),
        (SERVICE | {"api": "allowed"}, {"api_price": "0.01/0.01"}),
    ),
    "images": (
        (IMAGES, TIME | UP | {"model": "FLUX.1-dev", "images_per_s": 5, "steps": 9, "size": 512}),
        (IMAGES, {"measured_speeds": [{"gpu": "A100", "gpus": 8, "images_per_s": 4}]}),
        (IMAGES, SHAPE | {"stack": "eager", "precision": "8bit"}),
    ),
    "hpc": (
        (SIMULATION, TIME | {"workload": "dft", "gpu_hours": 1200, "reference_gpu": "H100"}),
        (SIMULATION, {"measured_speeds": [{"gpu": "H100", "gpu_hours": 900}]}),
        (SIMULATION, {"deadline_days": 1, "runs_per_year": 3, "interruptible": False}),
    ),
    "tenants": ((SMALL, TIME | UP | KEPT | {"table": [TENANT | {"copies": 40}]}),),
}
"""Workloads, and for each of their fields another value that matters to them."""
FIXED = {"kind", "name"}
SCENARIO = {"objective": "time", "horizon_months": 12, "today": "2027-11-30"}
SCENARIO |= {"assumed": [{"field": "workloads[0].osl"}]}
PARTS = {
    "budget": {"capital_usd": 987_000, "monthly_usd": 987_000, "total_usd": 987_000},
    "limits": {"power_kw": 987, "gpus": 987, "racks": 98, "rack_kw": 97},
    "owned": {"gpu": "H100", "count": 2, "bought": "2020-01-01", "book_usd": 200_000},
    "allow": {"gpus": ["H100"], "vendors": ["Lambda"], "regions": ["China"], "modes": ["own"]},
    "prices": {"file": QUOTES, "quotes": "H100:on-demand=0.5", "drift": "up", "power_share": 0.2},
}
PARTS["allow"] |= {"weights": ["int4"], "sell": False, "split": False, "api": "allowed"}
PARTS["prices"] |= {"currency": "USD", "cny_per_usd": 9}
PARTS["prices"] |= {"operating": {"licence_usd_gpu_year": 4500}}
WITH = {
    "owned": {"owned": OWNED},
    "prices": {"owned": OWNED, "prices": {"currency": "CNY"}},
    "allow": {"owned": OWNED, "allow": KINDS | {"modes": ["on-demand"], "weights": ["bf16"]}},
}
"""What a scenario must say for the fields of a part to matter."""


def scenario_of(work, **more):
    return {"name": "t", "today": "2026-11-30", "allow": KINDS, "workloads": [work]} | more


def changed(part, field, value):
    """Return a scenario, and the same with one field said that was not, or said otherwise."""
    base = scenario_of(SERVICE, **WITH.get(part, {}))
    if part == "scenario":
        return base, base | {field: value}
    if part == "owned":
        return base, base | {part: [OWNED[0] | {field: value}]}
    return base, base | {part: base.get(part, {}) | {field: value}}


CASES = [("scenario", f, *changed("scenario", f, v)) for f, v in SCENARIO.items()]
CASES += [(p, f, *changed(p, f, v)) for p, fields in PARTS.items() for f, v in fields.items()]
CASES += [
    (kind, field, scenario_of(work), scenario_of(work | {field: value}))
    for kind, rows in WORKS.items()
    for work, fields in rows
    for field, value in fields.items()
]
DATED = scenario_of(without(JOB, "deadline_days") | {"deadline": f"{run_date() + timedelta(3)}"})
CASES += [("training", "deadline", scenario_of(JOB), DATED)]
HEAVY = [scenario_of(w, **WITH["allow"]) for w in (SERVICE, SERVICE | {"weights_gb": 75})]
CASES += [("inference", "weights_gb", *HEAVY)]
IDS = [f"{part}.{field}" for part, field, *_ in CASES]


@pytest.mark.parametrize(("part", "field", "base", "said"), CASES, ids=IDS)
def test_nothing_that_is_said_is_ignored(part, field, base, said, tmp_path, monkeypatch):
    (tmp_path / QUOTES).write_text("gpu,mode,price\nH100,on-demand,1.0\n", "utf-8")
    rows = "\n".join(f"{3000 + 7 * i},{900 + 3 * i}" for i in range(50))
    (tmp_path / LENGTHS).write_text(f"input_tokens,output_tokens\n{rows}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    try:
        after = answer(said)
    except InputError as error:
        if field in str(error):
            return
        raise
    if without(after, "scenario", "objective") != without(answer(base), "scenario", "objective"):
        return
    assert page(said) != page(base), f"{part}.{field} changes nothing and is not named"


def test_every_field_is_tried():
    tried = {tuple(name.split(".")) for name in IDS}
    kinds = {**records.KINDS, "budget": records.Budget, "limits": records.SiteLimits}
    kinds |= {"owned": records.Owned, "allow": records.Allow, "prices": records.Prices}
    there = {(kind, f) for kind, record in kinds.items() for f in record.model_fields}
    there |= {("scenario", f) for f in records.Scenario.model_fields if f not in PARTS}
    given = {("inference", "users"), ("scenario", "workloads"), ("scenario", "effort")}
    assert {(k, f) for k, f in there - tried - given if f not in FIXED} == set()
