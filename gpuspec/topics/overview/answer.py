"""GPU generations side by side: the tables of the overview notebook."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB
from gpuspec.catalog import Gpu
from gpuspec.views.language import say

QUANTITIES = {  # label: how to read it off a record, in the unit the label names
    "FP64 vector, TFLOP/s": lambda g: g.fp64_tflops,
    "FP64 Tensor Core, TFLOP/s": lambda g: g.fp64_tensor_tflops,
    "BF16 dense, TFLOP/s": lambda g: g.bf16_dense_tflops,
    "FP8 dense, TFLOP/s": lambda g: g.fp8_dense_tflops,
    "Memory as reported, GiB": lambda g: g.memory_bytes / GIB,
    "Memory bandwidth, GB/s": lambda g: g.memory_bandwidth_gb_s,
    "L2 cache, MB": lambda g: g.l2_cache_mb,
    "NVLink, GB/s both ways": lambda g: g.nvlink_gb_s,
    "PCIe, GB/s both ways": lambda g: g.pcie_gb_s,
    "Power limit, W": lambda g: g.tdp_w,
}


def specification_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return the main quantities, one row each, a column a GPU; NaN where a GPU has none."""
    columns = {g.name: [_number(read(g)) for read in QUANTITIES.values()] for g in gpus}
    return pd.DataFrame(columns, index=pd.Index(list(QUANTITIES), name="quantity"))


def ratio_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return the same quantities as multiples of the first GPU's."""
    table = specification_table(gpus)
    return table.div(table.iloc[:, 0], axis=0).iloc[:, 1:]


def sparsity_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return dense and with-sparsity BF16 rates, and each as a multiple of the first GPU's.

    GPUs without BF16 units are left out. The last column is what one gets by dividing a
    with-sparsity figure by a dense one.
    """
    rates = ((g, g.bf16_dense_tflops, g.sparsity_factor) for g in gpus)
    having = [(g, dense, factor) for g, dense, factor in rates if dense and factor]
    rows = []
    for g, dense, factor in having:
        first = having[0][1]
        rows.append((g.name, dense, dense * factor, dense / first, dense * factor / first))
    columns = ["gpu", "dense_tflops", "sparse_tflops", "like_for_like", "sparse_over_dense"]
    return pd.DataFrame(rows, columns=columns)


def feature_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return what exists on which GPU: Transformer Engine, FP8, DPX, MIG and so on."""
    columns = {
        g.name: {
            "Transformer Engine (FP8 and 16-bit chosen by layer)": _yes(g.transformer_engine),
            "FP8 Tensor Cores": _yes(g.fp8_dense_tflops is not None),
            "DPX (dynamic programming instructions)": _yes(g.dpx),
            "MIG, most instances": f"{g.mig_max_instances or 0:g}",
            "Confidential computing": _yes(g.confidential_computing),
        }
        for g in gpus
    }
    return pd.DataFrame(columns).rename_axis("feature")


CONFIDENCE = {"high": "well sourced", "medium": "fairly sourced", "low": "weakly sourced"}
"""How well the row of a GPU is known, in words."""


def source_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return where each GPU's row comes from, and which of its cells no source was seen for."""
    rows = [
        (g.name, CONFIDENCE[g.confidence], ", ".join(g.unverified) or "none", g.sources[0])
        for g in gpus
    ]
    return pd.DataFrame(rows, columns=["gpu", "gpu_confidence", "unverified", "first_source"])


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _yes(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"


def rates_sentence(gpus: Sequence[Gpu], precision: str) -> str:
    """Say each GPU's dense peak in one number format."""
    rates = [
        say(
            "{name}: {precision:,.0f} TFLOP/s",
            name=g.name,
            precision=g.peak_flops(precision) / 1000000000000.0,
        )
        if precision in g.precisions
        else say("{name}: none", name=g.name)
        for g in gpus
    ]
    return say("Dense {upper}. ", upper=precision.upper()) + "; ".join(rates)


def with_units(gpus: Sequence[Gpu], precision: str) -> list[Gpu]:
    """Return the GPUs that compute in a number format.

    Raises
    ------
    InputError
        When none of them does.
    """
    able = [g for g in gpus if precision in g.precisions]
    if not able:
        known = sorted({name for g in gpus for name in g.precisions})
        raise InputError("precision", precision, f"these GPUs compute in {', '.join(known)}")
    return able


def attainable_flops(gpu: Gpu, precision: str, intensity: float) -> float:
    """Return the FLOP/s that a GPU can reach at an arithmetic intensity in FLOP per byte."""
    return min(gpu.peak_flops(precision), gpu.bandwidth_bytes_s * intensity)


def attainable_sentence(gpus: Sequence[Gpu], precision: str, intensity: float) -> str:
    """Say what each GPU can reach at an arithmetic intensity in FLOP per byte."""
    rates = []
    for g in gpus:
        rate = attainable_flops(g, precision, intensity) / 1e12
        rates.append(f"{g.name} {rate:,.0f}" if rate >= 100 else f"{g.name} {rate:.3g}")
    return say(
        "At {intensity:,.0f} FLOP a byte in {upper}: {rates} TFLOP/s",
        intensity=intensity,
        upper=precision.upper(),
        rates=", ".join(rates),
    )
