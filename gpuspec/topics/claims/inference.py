"""Checks of claims on serving."""

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu, gpu
from gpuspec.topics.claims.ask import LARGE_B, SMALL_B, ClaimsQuestion
from gpuspec.topics.claims.published import published_serving
from gpuspec.topics.claims.speeds import VENDOR_MODEL, batch_grid, latency_grid, serving_grid
from gpuspec.topics.claims.training import ABOUT
from gpuspec.topics.claims.verdict import Check
from gpuspec.topics.serving import ServingQuestion, options_table

LIMITS_S = (0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LATENCY_JOBS = (
    (VENDOR_MODEL, 8, 4),
    ("llama-3.1-405b", 8, 2),
    ("llama-3.1-70b", 4, 1),
    ("llama-3.1-8b", 1, 1),
)
"""Model, TP and PP: the vendor's own, then smaller ones on as few GPUs as serve them well."""
MORE = 1.05
"""Ratio from which we read "more" or "higher"; a smaller one nobody notices."""
LITTLE, A_LOT = 1.25, 1.5
"""Ratios up to which we read "gain little", and from which "gain a lot"."""
SMALL_MODEL_B = 9.0
LONG = 8192
REQUESTS = (8, 16, 32, 64, 128, 256, 512)
RIVAL = "B200"


def weights(q: ClaimsQuestion, device: Gpu, same: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the pairs of formats to compare: the other side in BF16, or in the same format."""
    known = [w for w in q.weights if w != "fp8" or "fp8" in device.precisions]
    return tuple((w, w if same else "bf16") for w in known or ["bf16"])


def over_a100(q: ClaimsQuestion, new: str = "h100") -> pd.DataFrame:
    """Return throughput of `new` over A100, which serves in BF16."""
    device: Gpu = getattr(q, f"{new}_gpu")
    return serving_grid(q, device, q.a100_gpu, weights(q, device))


def over_h100(q: ClaimsQuestion) -> pd.DataFrame:
    """Return throughput of H200 over H100, both in the same format."""
    return serving_grid(q, q.h200_gpu, q.h100_gpu, weights(q, q.h100_gpu, same=True))


def published_over_a100(q: ClaimsQuestion) -> pd.DataFrame:
    """Return measured throughput of H100 over A100: in one format, and FP8 over 16 bit."""
    same = published_serving(q.h100_gpu.id, q.a100_gpu.id)
    mixed = published_serving(q.h100_gpu.id, q.a100_gpu.id, "fp8", "16 bit")
    return pd.concat([same, mixed], ignore_index=True)


def large(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of models of 70B and more."""
    return table[table["params_b"] >= LARGE_B].reset_index(drop=True)


def finite(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in which the older GPU serves at all: no number describes the others."""
    return table[np.isfinite(table["value"])].reset_index(drop=True)


def named(seen: pd.DataFrame, text: str) -> pd.DataFrame:
    """Return the published rows of models whose name holds `text`, a regular expression."""
    return seen[seen["model"].str.contains(text, case=False)].reset_index(drop=True)


def c02(q: ClaimsQuestion) -> list[Check]:
    """Thirty times: at the largest load, and within a limit on the whole answer."""
    return [
        Check(
            label="at the largest load",
            what="throughput of H100 over A100 at the largest load",
            grid=finite(over_a100(q)),
            least=30 * ABOUT,
            any_will_do=True,
            measured=published_over_a100(q),
        ),
        Check(
            label="within a time limit that A100 hardly keeps or misses",
            what="throughput of H100 over A100 within a limit on the whole answer",
            grid=latency_grid(q, LIMITS_S, LATENCY_JOBS).drop(
                columns=["a100_requests", "h100_requests"]
            ),
            least=30 * ABOUT,
            any_will_do=True,
        ),
    ]


def c11(q: ClaimsQuestion) -> list[Check]:
    """Larger batches and more throughput for 70B on H200."""
    seen = named(published_serving(q.h200_gpu.id, q.h100_gpu.id), "70b|180b|405b")
    pairs = weights(q, q.h100_gpu, same=True)
    return [
        Check(
            label="larger batches",
            what="requests that fit H200 over H100, 70B and more",
            grid=large(batch_grid(q, q.h200_gpu, q.h100_gpu, pairs)),
            least=MORE,
        ),
        Check(
            label="more throughput",
            what="throughput of H200 over H100, 70B and more",
            grid=large(over_h100(q)),
            least=MORE,
            measured=seen,
        ),
    ]


def c12(q: ClaimsQuestion) -> list[Check]:
    """One and a half to twice the requests a second."""
    return [
        Check(
            label="1.5 times",
            what="throughput of H200 over H100, same number of GPUs",
            grid=finite(over_h100(q)),
            least=1.5 * ABOUT,
            measured=published_serving(q.h200_gpu.id, q.h100_gpu.id),
        )
    ]


def c15(q: ClaimsQuestion) -> list[Check]:
    """Long contexts: throughput, and requests held without swapping."""
    seen = published_serving(q.h200_gpu.id, q.h100_gpu.id)
    pairs = weights(q, q.h100_gpu, same=True)

    def lengthy(table: pd.DataFrame) -> pd.DataFrame:
        return table[table["context"] >= LONG].reset_index(drop=True)

    return [
        Check(
            label="higher throughput",
            what="throughput of H200 over H100, prompts of 8K and more",
            grid=lengthy(over_h100(q)),
            least=MORE,
            measured=lengthy(seen),
        ),
        Check(
            label="less swapping",
            what="requests held in memory, H200 over H100, prompts of 8K and more",
            grid=lengthy(batch_grid(q, q.h200_gpu, q.h100_gpu, pairs)),
            least=MORE,
        ),
    ]


def c18(q: ClaimsQuestion) -> list[Check]:
    """Four to eight H200 for 70B; small models on one or two A100 or H100."""
    grid = gpus_needed(q)
    small = pd.concat(
        [
            _fewest(device, "llama-3.1-8b", "bf16", context)
            for device in (q.a100_gpu, q.h100_gpu)
            for context in (2048, LONG)
        ],
        ignore_index=True,
    )
    return [
        Check(
            label="4 to 8 H200",
            what="H200 that 70B takes (10 s to the first token, 50 ms a token)",
            grid=grid,
            least=4,
            most=8,
            unit="GPUs",
        ),
        Check(
            label="small models on one or two A100 or H100",
            what="A100 or H100 that 8B takes for up to 128 requests",
            grid=small[small["requests"] <= 128].reset_index(drop=True),
            most=2,
            unit="GPUs",
        ),
    ]


def gpus_needed(q: ClaimsQuestion) -> pd.DataFrame:
    """Return how many H200 serve Llama-3.1-70B within 10 s to the first token and 50 ms a token.

    Columns: ``model``, ``weights``, ``context``, ``requests`` (in flight), ``value``, ``low``,
    ``high``; settings that no eight GPUs serve are left out.
    """
    parts = [
        _fewest(q.h200_gpu, "llama-3.1-70b", kind, context)
        for kind in q.weights
        for context in (2048, LONG, 32_768)
    ]
    return pd.concat(parts, ignore_index=True)


def _fewest(device: Gpu, name: str, kind: str, context: int) -> pd.DataFrame:
    asked = ServingQuestion.ask(
        model=name,
        gpus=device.id,
        weights=kind,
        isl=context,
        osl=512,
        concurrency=1,
        ttft_limit_s=10.0,
        max_gpus=8,
    )
    options = options_table(asked)
    options = options[options["within"] >= 1]
    rows = []
    for count in REQUESTS:
        needed = np.ceil(count / options["within"]) * options["replica_gpus"]
        if len(needed):
            fewest = float(needed.min())
            rows.append((asked.network.name, kind.upper(), context, count, *[fewest] * 3))
    columns = ["model", "weights", "context", "requests", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def c22(q: ClaimsQuestion) -> list[Check]:
    """H200 serves 70B and more faster than each rival, next year's among them."""
    rival = gpu(RIVAL)
    parts = [
        large(over_a100(q, "h200")).assign(rival=q.a100_gpu.id),
        large(over_h100(q)).assign(rival=q.h100_gpu.id),
        large(serving_grid(q, q.h200_gpu, rival, weights(q, q.h200_gpu, same=True))).assign(
            rival=rival.id
        ),
    ]
    return [
        Check(
            label="ahead of every rival",
            what=f"throughput of H200 over A100, H100 and {RIVAL}, 70B and more",
            grid=pd.concat(parts, ignore_index=True),
            least=1.0,
        )
    ]


def c25(q: ClaimsQuestion) -> list[Check]:
    """Small models gain little from H100, 70B with long contexts a lot."""
    grid, seen = over_a100(q), published_over_a100(q)
    heavy = large(grid)
    return [
        Check(
            label="small models gain little",
            what="throughput of H100 over A100, models up to 9B",
            grid=grid[grid["params_b"] <= SMALL_MODEL_B].reset_index(drop=True),
            most=LITTLE,
            measured=named(seen, "-[678]b"),
        ),
        Check(
            label="70B with long contexts gains a lot",
            what="throughput of H100 over A100, 70B and more, prompts of 8K and more",
            grid=heavy[heavy["context"] >= LONG].reset_index(drop=True),
            least=A_LOT,
            measured=named(seen, "70b"),
        ),
    ]


def advantage(q: ClaimsQuestion) -> Check:
    """Return whether H200 gains more over H100 at 70B than at the small models' median."""
    grid, setting = finite(over_h100(q)), ["weights", "context", "answer", "gpus"]
    small = grid[grid["params_b"] <= SMALL_B].groupby(setting)["value"].median()
    rest = large(grid).join(small.rename("typical"), on=setting).dropna()
    figures = {c: rest[c] / rest["typical"] for c in ("value", "low", "high")}
    return Check(
        label="the advantage appears at 70B",
        what="gain of H200 over H100 at 70B and more, over the median gain up to 33B",
        grid=rest.drop(columns="typical").assign(**figures),
        least=MORE,
    )
