"""Checks of claims on training speed."""

import pandas as pd

from gpuspec.topics.claims.ask import LARGE_B, ClaimsQuestion
from gpuspec.topics.claims.published import published_fp8, published_training
from gpuspec.topics.claims.speeds import training_grid
from gpuspec.topics.claims.verdict import Check
from gpuspec.topics.training import size_table

ABOUT = 0.9
"""Share of a number from which "about" that number counts as reached."""
WEEK_DAYS, TWO_OR_THREE_DAYS = 7.0, 3.0
VENDOR_EXPERTS, VENDOR_GPUS, VENDOR_BATCH = "deepseek-v3", 8192, 8192
"""A mixture of experts of today on as many GPUs as in the vendor's footnote."""


def training_pairs(q: ClaimsQuestion, new: str = "h100", fp8: bool = True) -> pd.DataFrame:
    """Return training speed of `new` (a field of the question) over A100: BF16, and FP8 too."""
    device = getattr(q, f"{new}_gpu")
    kinds = ("bf16", "fp8") if fp8 and "fp8" in device.precisions else ("bf16",)
    pairs = tuple(((device.id, kind), (q.a100_gpu.id, "bf16")) for kind in kinds)
    return training_grid(q, pairs).assign(gpu=device.id)


def c01(q: ClaimsQuestion) -> list[Check]:
    """Nine times as fast: usual jobs, and experts on 8,192 GPUs as in the vendor's footnote."""
    grid = training_pairs(q)
    sides = ((q.h100_gpu.id, "fp8"), (q.a100_gpu.id, "bf16"))
    vendor = size_table(*sides, [VENDOR_EXPERTS], [VENDOR_GPUS], 4096, VENDOR_BATCH)
    extra = grid.iloc[: len(vendor)].assign(
        model=vendor["model"],
        params_b=vendor["params_b"].round(1),
        gpus=VENDOR_GPUS,
        seq_len=4096,
        precision="FP8",
        value=vendor["ratio"],
        low=vendor["ratio_low"],
        high=vendor["ratio_high"],
    )
    return [
        Check(
            label="9 times",
            what="training speed of H100 over A100, BF16 and FP8",
            grid=pd.concat([grid, extra.dropna()], ignore_index=True),
            least=9 * ABOUT,
            any_will_do=True,
            measured=published_training(q.h100_gpu.id, q.a100_gpu.id),
        )
    ]


def c04(q: ClaimsQuestion) -> list[Check]:
    """FP8 speeds training up on the GPU that has it."""
    grid = training_grid(q, (((q.h100_gpu.id, "fp8"), (q.h100_gpu.id, "bf16")),))
    return [
        Check(
            label="FP8 is faster",
            what="training speed in FP8 over BF16 on H100",
            grid=grid,
            least=1.0,
            measured=published_fp8(),
        )
    ]


def c08(q: ClaimsQuestion) -> list[Check]:
    """A week becomes at most three days."""
    grid = pd.concat([training_pairs(q, "h100"), training_pairs(q, "h200")], ignore_index=True)
    days = grid.assign(
        value=WEEK_DAYS / grid["value"],
        low=WEEK_DAYS / grid["high"],
        high=WEEK_DAYS / grid["low"],
    )
    seen = published_training(q.h100_gpu.id, q.a100_gpu.id)
    return [
        Check(
            label="three days",
            what="days that a week on A100 takes on H100 or H200",
            grid=days,
            most=TWO_OR_THREE_DAYS,
            unit="days",
            measured=seen.assign(value=WEEK_DAYS / seen["value"]),
        )
    ]


def large_jobs(q: ClaimsQuestion, gpus: int = 8) -> Check:
    """Return whether one node trains the large models at all: GPUs that all weights need."""
    rows = []
    for name, network in zip(q.trained, q.trained_networks, strict=True):
        if network.params / 1e9 < LARGE_B:
            continue
        for device in (q.h100_gpu, q.h200_gpu):
            table = size_table((device.id, "bf16"), (device.id, "bf16"), [name], [gpus], 4096, 1024)
            works = float(bool(table["old_tokens_s"].notna().all()))
            size = round(network.params / 1e9, 1)
            rows.append((network.name, size, device.id, works, works, works))
    columns = ["model", "params_b", "gpu", "value", "low", "high"]
    return Check(
        label=f"{gpus} GPUs train 70B",
        what=f"memory of {gpus} GPUs holds the training of all weights, 70B and more",
        grid=pd.DataFrame(rows, columns=columns),
        least=1.0,
        unit="yes",
    )
