"""Scenarios to try decisions with: every field of a file, most of them with an answer.

One function takes every choice from a source of choices, so that the same fields follow from a
seed (`seeded`) and from Hypothesis (`drawn`). Scenarios are plain mappings, as a file says them.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

Pick = Callable[[Sequence[Any]], Any]
Plain = dict[str, Any]

SERVICE: Plain = {
    "kind": "inference",
    "name": "chat",
    "model": "Llama-3.1-8B",
    "isl": 1024,
    "concurrency": 400,
    "tpot_limit_s": 0.03,
}
JOB: Plain = {
    "kind": "training",
    "name": "tuning",
    "model": "Llama-3.1-8B",
    "tokens": 5e9,
    "deadline_days": 10,
    "global_batch": 128,
    "runs_per_year": 6,
}
"""A service and a job that several tests ask for."""

COMMON = ("A100", "H100", "H200")
PRICED = (*COMMON, "H100 PCIe", "H100 NVL", "a100-pcie-80", "A100 40GB SXM", "L40S", "B200")
PRICED += ("MI300X", "H20", "H800")
UNPRICED = ("H200 NVL", "A800", "GH200", "V100", "MI455X", "Rubin", "RTX PRO 6000", "GB200")
MODES = ("on-demand", "reserved-1yr", "reserved-3yr", "spot", "own")
BILLIONS = {
    "Llama-3.2-1B": 1.2,
    "Llama-3.1-8B": 8,
    "Mistral-7B": 7,
    "Qwen2.5-14B": 14,
    "Qwen3-30B-A3B": 3,
    "Qwen2.5-32B": 32,
    "Mixtral-8x7B": 13,
    "Llama-3.1-70B": 70,
    "Qwen2.5-72B": 72,
    "GPT-OSS-120B": 5,
    "Llama-3.1-405B": 405,
    "DeepSeek-V3": 37,
}
"""Parameters that a token uses, in billions: they size a job, nothing else."""
SMALL = ("Llama-3.2-1B", "Llama-3.1-8B", "Mistral-7B", "Qwen2.5-14B", "Qwen2.5-32B")
SIMULATIONS = ("md", "hpcg", "stencil7", "cfd", "dft", "weather", "genomics", "lbm", "nbody")
RUNS = (1, 1, 2, 4, 6, 12, 12, 24, 52)
HOURS = (730, 730, 365, 200, 120)
DAY = (*(0.1,) * 7, 0.5, *(1.0,) * 4, 0.8, *(1.0,) * 5, *(0.3,) * 6)
"""Load of each hour of a day."""
WEIGHTS = (["bf16"], ["stored"], ["bf16", "fp8"], ["fp8"], ["stored", "int4"], ["int8", "int4"])
REGIONS = (["US"], ["China"], ["Europe", "US"], ["Africa"])
QUOTES = ("H100:on-demand=2.10", "A100:own=9000", "H200:reserved-1yr=2.50", "H200 NVL:spot=1.40")


def number(pick: Pick, low: float, high: float) -> float:
    """Return a number of two digits between the two, each power of ten as likely as another."""
    value = low * (high / low) ** (pick(range(101)) / 100)
    return float(f"{value:.2g}")


def whole(pick: Pick, low: int, high: int) -> int:
    """Return a whole number of two digits."""
    return max(low, int(number(pick, low, high)))


def chance(pick: Pick, share: float) -> bool:
    """Return whether something of that probability happens; not, where choices are shrunk."""
    return bool(pick(range(100)) >= 100 * (1 - share))


def some(pick: Pick, items: Sequence[str], least: int, most: int) -> list[str]:
    """Return some of the items, in any order."""
    left, many = list(items), pick(range(least, most + 1))
    return [left.pop(pick(range(len(left)))) for _ in range(many)]


def maybe(pick: Pick, share: float, **fields: Callable[[], Any]) -> Plain:
    """Return those of the fields that are stated, each with that probability."""
    return {name: value() for name, value in fields.items() if chance(pick, share)}


def _training(pick: Pick) -> Plain:
    tuning = pick(("full", "full", "lora", "qlora"))
    models = SMALL if tuning == "full" and not chance(pick, 0.35) else tuple(BILLIONS)
    model, days, gpus = pick(models), number(pick, 0.5, 60), number(pick, 0.05, 60)
    tokens = gpus * 4e14 * 86400 * days / (6e9 * BILLIONS[model])
    work = {"kind": "training", "model": model, "tokens": float(f"{tokens:.2g}")}
    work |= {"deadline_days": days, "runs_per_year": pick(RUNS)}
    work["runs_per_year"] = min(work["runs_per_year"], max(1, int(300 / days)))
    if tuning != "full":
        work["tuning"] = tuning
    if chance(pick, 0.1):
        work.pop("runs_per_year")  # once over the horizon
    if chance(pick, 0.1):
        work |= {"documents": work.pop("tokens") / 1000, "document_tokens": 1000}
    return work | maybe(
        pick,
        0.4,
        global_batch=lambda: pick((64, 128, 256, 512)),
        seq_len=lambda: pick((2048, 8192)),
        interruptible=lambda: False,
    )


def _inference(pick: Pick) -> Plain:
    model = pick(tuple(BILLIONS)) if chance(pick, 0.5) else pick(SMALL)
    work = {"kind": "inference", "model": model}
    load = pick(("concurrency",) * 30 + ("request_rate", "users"))
    work |= {
        "concurrency": lambda: {"concurrency": whole(pick, 1, 400)},
        "request_rate": lambda: {"request_rate": number(pick, 0.1, 20)},
        "users": lambda: {"users": whole(pick, 20, 5000)},
    }[load]()
    if load != "users" and chance(pick, 0.7):
        work |= {"isl": pick((256, 1024, 2048, 4096, 8192)), "osl": pick((64, 128, 512, 1024))}
    else:
        work["use_case"] = pick(("chat", "code-completion", "rag", "summarising"))
    return (
        work
        | maybe(
            pick,
            0.35,
            tpot_limit_s=lambda: pick((0.03, 0.05, 0.1, 0.2)),
            ttft_limit_s=lambda: pick((1, 2, 5, 10)),
            hours_per_month=lambda: pick(HOURS),
            interruptible=lambda: True,
            engine=lambda: pick(("vllm", "sglang", "tensorrt-llm")),
            cached_share=lambda: pick((0.3, 0.6)),
        )
        | _kept(pick)
        | _read(pick, work)
    )


def _kept(pick: Pick) -> Plain:
    """Return what a service says of its day and its reserve."""
    return maybe(
        pick,
        0.15,
        replicas_min=lambda: pick((2, 3, 6)),
        spare_replicas=lambda: pick((0, 0, 2)),
        availability=lambda: pick((0.99, 0.999)),
        profile=lambda: pick(("office", "consumer", "night", list(DAY))),
    )


def _read(pick: Pick, work: Plain) -> Plain:
    """Return what a service says of its memory, its lengths and who else would run it."""
    found = maybe(
        pick,
        0.08,
        kv=lambda: "fp8",
        isl_cv=lambda: pick((0, 1.5)),
        osl_cv=lambda: pick((0, 1.5)),
        chunked_prefill=lambda: False,
        max_num_seqs=lambda: pick((8, 64)),
        memory_share=lambda: 0.8,
        prefill_apart=lambda: True,
        api=lambda: pick(("allowed", "never")),
        api_price=lambda: pick(("0.20/0.60", "3/15")),
    )
    if "users" in work:
        found |= maybe(pick, 0.3, requests_per_hour=lambda: pick((4, 40)))
    return found


def _images(pick: Pick) -> Plain:
    work = {"kind": "images", "model": pick(("SDXL", "FLUX.1-dev", "FLUX.1-schnell"))}
    work["images_per_s"] = number(pick, 0.05, 8)
    return (
        work
        | maybe(
            pick,
            0.4,
            steps=lambda: pick((4, 20, 50)),
            size=lambda: pick((512, 1024)),
            hours_per_month=lambda: pick(HOURS),
            interruptible=lambda: True,
        )
        | _kept(pick)
    )


def _hpc(pick: Pick) -> Plain:
    days, gpus = number(pick, 0.5, 40), number(pick, 0.1, 60)
    work = {"kind": "hpc", "workload": pick(SIMULATIONS), "gpu_hours": gpus * 24 * days}
    work["gpu_hours"] = float(f"{work['gpu_hours']:.2g}")
    work |= {"deadline_days": days, "runs_per_year": min(pick(RUNS), max(1, int(300 / days)))}
    return work | maybe(pick, 0.4, reference_gpu=lambda: pick(COMMON), interruptible=lambda: False)


def _tenants(pick: Pick) -> Plain:
    rows = (
        {"name": "embeddings", "memory_gib": 8, "gpu_share": 0.12, "bandwidth_share": 0.1},
        {"name": "notebooks", "memory_gib": 9, "gpu_share": 0.1, "bandwidth_share": 0.05},
        {"name": "classifier", "model": "Llama-3.2-1B", "isl": 500, "osl": 20, "concurrency": 16}
        | {"ttft_s": 1, "tpot_s": 0.1},
    )
    table = [{**row, "copies": pick((1, 3, 6))} for row in rows[: pick((1, 2, 3))]]
    return {"kind": "tenants", "table": table} | maybe(
        pick, 0.3, hours_per_month=lambda: pick(HOURS), spare_replicas=lambda: pick((0, 1, 2))
    )


KINDS = (_training, _inference, _hpc, _training, _inference, _hpc, _images, _tenants)


def workload(pick: Pick, place: int) -> Plain:
    """Return a work of any kind."""
    work = {"name": f"w{place}"} | pick(KINDS)(pick)
    if chance(pick, 0.15):
        work |= {"growth": pick((0.05, 0.1, -0.1))}
    if chance(pick, 0.1):
        work |= {"from_quarter": pick((2, 3))}
    if chance(pick, 0.1):
        work |= {"to_quarter": pick((4, 8))}
    return work


def _allow(pick: Pick) -> Plain:
    gpus = some(pick, PRICED if chance(pick, 0.5) else COMMON, 1, 3)
    gpus += some(pick, UNPRICED, 1, 2) if chance(pick, 0.15) else []
    allow: Plain = {"gpus": gpus}
    if chance(pick, 0.6):
        allow["modes"] = some(pick, MODES, 1, 4)
        if "on-demand" not in allow["modes"] and chance(pick, 0.8):
            allow["modes"].append("on-demand")
    if chance(pick, 0.3):
        allow["weights"] = pick(WEIGHTS)
    return allow | maybe(
        pick,
        0.07,
        regions=lambda: pick(REGIONS),
        sell=lambda: False,
        split=lambda: False,
        api=lambda: pick(("allowed", "never")),
    )


def _owned(pick: Pick) -> list[Plain]:
    kinds = some(pick, (*PRICED, "V100", "H200 NVL") if chance(pick, 0.4) else COMMON, 1, 2)
    return [
        {"gpu": gpu, "count": pick((1, 2, 4, 8, 16, 24))}
        | maybe(pick, 0.15, bought=lambda: "2024-05-01", book_usd=lambda: 100_000)
        for gpu in kinds
    ]


def _site(pick: Pick) -> Plain:
    found = maybe(
        pick, 0.25, gpus=lambda: whole(pick, 8, 512), power_kw=lambda: number(pick, 30, 900)
    )
    if chance(pick, 0.1):
        found |= {"racks": pick((1, 2, 8)), "rack_kw": pick((12, 40))}
    return found


def _prices(pick: Pick) -> Plain:
    found = maybe(pick, 0.15, drift=lambda: pick(("down", "up", -0.15)))
    found |= maybe(
        pick,
        0.08,
        quotes=lambda: pick(QUOTES),
        currency=lambda: "CNY",
        power_share=lambda: 1.0,
        operating=lambda: {"licence_usd_gpu_year": pick((900, 4500)), "support_share": 0.1},
    )
    return found


def scenario_of(pick: Pick, most_works: int = 4) -> Plain:
    """Return a scenario, every choice of which is made by `pick` from a sequence."""
    found: Plain = {"name": "tried", "today": "2026-11-30"}
    if chance(pick, 0.8):
        found["horizon_months"] = pick((1, 3, 6, 12, 13, 18, 24, 36, 37, 48, 60))
    if chance(pick, 0.15):
        found["objective"] = pick(("time", "energy", "regret"))
    found["allow"] = _allow(pick)
    if chance(pick, 0.3):
        found["owned"] = _owned(pick)
    budget = maybe(
        pick,
        0.3,
        capital_usd=lambda: 0 if chance(pick, 0.15) else number(pick, 1e5, 2e7),
        monthly_usd=lambda: number(pick, 2e4, 1e6),
    )
    budget |= maybe(pick, 0.08, total_usd=lambda: number(pick, 1e5, 3e7))
    parts = {"budget": budget, "limits": _site(pick), "prices": _prices(pick)}
    parts["effort"] = maybe(pick, 0.05, kind_usd_year=lambda: 0, contract_usd=lambda: 20_000)
    found |= {name: part for name, part in parts.items() if part}
    found["workloads"] = [
        workload(pick, place) for place in range(min(most_works, pick((1, 1, 2, 2, 3, 4))))
    ]
    return found


def seeded(seed: int) -> Plain:
    """Return the scenario of a seed."""
    return scenario_of(random.Random(seed).choice)


@st.composite
def drawn(draw: st.DrawFn, most_works: int) -> Plain:
    """Return a scenario that Hypothesis chooses."""
    return scenario_of(lambda options: draw(st.sampled_from(options)), most_works)


class Sticky:
    """Takes one change at random, and then the same again: by its name, or by what it changes."""

    def __init__(self, seed: object) -> None:
        self.random, self.label = random.Random(str(seed)), ""

    def __call__(self, options: Mapping[str, Any]) -> Any:
        """Return one of the changes; a `LookupError` where the same is not among them."""
        if not self.label:
            self.label = self.random.choice(sorted(options))
        what = self.label.partition(" of ")[0]
        same = [name for name in options if name.partition(" of ")[0] == what]
        return options[self.label if self.label in options else same[0]]


def smaller(scenario: Plain) -> Iterator[Plain]:
    """Return scenarios that say a little less: a part left out, or a rounder number."""
    for place, work in enumerate(scenario["workloads"]):
        others = [w for at, w in enumerate(scenario["workloads"]) if at != place]
        if others:
            yield scenario | {"workloads": others}
        for changed in _less(work, ("kind", "name")):
            yield scenario | {
                "workloads": [changed if w is work else w for w in scenario["workloads"]]
            }
    yield from _less(scenario, ("name", "workloads", "today"))


def _less(part: Plain, needed: Sequence[str]) -> Iterator[Plain]:
    for name, value in part.items():
        if name in needed:
            continue
        yield {k: v for k, v in part.items() if k != name}
        if isinstance(value, dict):
            yield from (part | {name: less} for less in _less(value, ()) if less)
        elif isinstance(value, list) and len(value) > 1:
            yield from (part | {name: value[:i] + value[i + 1 :]} for i in range(len(value)))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            rounder = type(value)(float(f"{value:.1g}"))
            if rounder != value:
                yield part | {name: rounder}


def shrunk(scenario: Plain, broken: Callable[[Plain], bool], seconds: float) -> Plain:
    """Return a scenario that says as little as still is `broken`, or what was found in time."""
    end = time.monotonic() + seconds
    found = scenario
    while True:
        for less in smaller(found):
            if time.monotonic() > end:
                return found
            if broken(less):
                found = less
                break
        else:
            return found
