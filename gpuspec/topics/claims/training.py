"""Grids of training speed: one GPU or precision over another, each in its best layout."""

from functools import lru_cache

import pandas as pd

from gpuspec.topics.claims.ask import LARGE_B, ClaimsQuestion
from gpuspec.topics.claims.machines import about, exact
from gpuspec.topics.training import size_table

GLOBAL_BATCH_TOKENS = 4_194_304
"""Tokens of an optimizer step in the grid of training."""
WEEK_DAYS = 7.0
VENDOR_EXPERTS, VENDOR_GPUS, VENDOR_BATCH = "deepseek-v3", 8192, 8192
"""A mixture of experts of today on as many GPUs as in the vendor's footnote."""
VENDOR_SOFTWARE = "megatron-core"
Side = tuple[str, str]
"""GPU and precision."""


@lru_cache(64)
def training_grid(q: ClaimsQuestion, new: Side, old: Side) -> pd.DataFrame:
    """Return training speed of one (GPU, precision) over another.

    Columns: ``model``, ``params_b``, ``gpus``, ``seq_len``, ``precision`` (of the new side),
    ``framework`` (of both), ``value``, ``low``, ``high``. Jobs that the old GPUs do not hold are
    left out.
    """
    parts = [
        _ratios(new, old, q.trained, q.train_gpus, n, max(GLOBAL_BATCH_TOKENS // n, 1), name)
        for name in q.frameworks
        for n in q.sequences
    ]
    return pd.concat(parts, ignore_index=True)


def _ratios(
    new: Side,
    old: Side,
    models: tuple[str, ...],
    counts: tuple[int, ...],
    seq_len: int,
    batch: int,
    software: str = VENDOR_SOFTWARE,
) -> pd.DataFrame:
    table = size_table(new, old, models, counts, seq_len, batch, software)
    table = table.rename(columns={"ratio": "value", "ratio_low": "low", "ratio_high": "high"})
    table = table.assign(seq_len=seq_len, precision=new[1].upper(), framework=software)
    table["params_b"] = table["params_b"].round(1)
    columns = ["model", "params_b", "gpus", "seq_len", "precision", "framework"]
    columns += ["value", "low", "high"]
    return table[columns].dropna()


def over_a100(q: ClaimsQuestion, new: str = "h100") -> pd.DataFrame:
    """Return training speed of `new` (a field of the question) over A100: BF16, and FP8 too."""
    device = getattr(q, f"{new}_gpu")
    kinds = ("bf16", "fp8") if "fp8" in device.precisions else ("bf16",)
    parts = [training_grid(q, (device.id, kind), (q.a100_gpu.id, "bf16")) for kind in kinds]
    return pd.concat(parts, ignore_index=True).assign(gpu=device.id)


def over_h100(q: ClaimsQuestion) -> pd.DataFrame:
    """Return training speed of H200 over H100 in BF16."""
    return training_grid(q, (q.h200_gpu.id, "bf16"), (q.h100_gpu.id, "bf16"))


def fp8_gain(q: ClaimsQuestion) -> pd.DataFrame:
    """Return training speed in FP8 over BF16 on H100."""
    return training_grid(q, (q.h100_gpu.id, "fp8"), (q.h100_gpu.id, "bf16"))


def with_the_vendors_job(q: ClaimsQuestion) -> pd.DataFrame:
    """Return `over_a100`, and experts on 8,192 GPUs as in the vendor's footnote."""
    new, old = (q.h100_gpu.id, "fp8"), (q.a100_gpu.id, "bf16")
    vendor = _ratios(new, old, (VENDOR_EXPERTS,), (VENDOR_GPUS,), 4096, VENDOR_BATCH)
    parts = [over_a100(q), vendor.assign(gpu=q.h100_gpu.id)]
    return pd.concat(parts, ignore_index=True)


def days_of_a_week(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the days that a week on A100 takes on H100 or H200."""
    grid = pd.concat([over_a100(q, "h100"), over_a100(q, "h200")], ignore_index=True)
    days = {"value": grid["value"], "low": grid["high"], "high": grid["low"]}
    return grid.assign(**{name: WEEK_DAYS / speed for name, speed in days.items()})


def on_one_node(q: ClaimsQuestion) -> pd.DataFrame:
    """Return whether one node trains the large models at all: 1 where its memory holds them."""
    rows = []
    for name, network in zip(q.trained, q.trained_networks, strict=True):
        if network.params / 1e9 < LARGE_B:
            continue
        for device in (q.h100_gpu, q.h200_gpu):
            side = (device.id, "bf16")
            table = size_table(side, side, [name], [8])
            works = float(table["old_tokens_s"].notna().all())
            rows.append((*about(network).values(), device.id, works))
    return exact(rows, "model", "params_b", "gpu")
