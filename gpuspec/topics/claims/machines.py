"""Grids of the machines themselves: rates, memory, MIG, links, nodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import GB, NODE_GPUS
from gpuspec.catalog import Gpu, gpu, gpus, mig_profile, mig_profiles, servers
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import training_recipe
from gpuspec.formulas.mig import slice_sms
from gpuspec.formulas.training import checkpoint_bytes, host_memory_gb
from gpuspec.topics.claims.ask import LARGE_B, ClaimsQuestion
from gpuspec.topics.memory import MemoryQuestion, utilization_table

SHARES = (0.85, 0.9, 0.95, 0.98)
"""Shares of the memory that engines are given."""
ARTICLE_CELLS = {  # family: (memory label GB, least and most TB/s, NVLink GB/s)
    "a100": (80, 2.0, np.inf, 600),
    "h100": (80, 3.0, 3.4, 900),
    "h200": (141, 4.8, 4.8, 900),
}
SAID_TFLOPS = (312.0, 1979.0)
RATES = ("fp64", "fp32", "tf32", "bf16", "fp8")


def about(network: Model) -> dict[str, Any]:
    """Return what the rows of a grid say of a model."""
    return {"model": network.name, "params_b": round(network.params / 1e9, 1)}


def exact(rows: Sequence[tuple[object, ...]], *columns: str) -> pd.DataFrame:
    """Return rows whose last column is a value known exactly."""
    table = pd.DataFrame(rows, columns=[*columns, "value"])
    return table.assign(low=table["value"], high=table["value"])


def printed_rates(q: ClaimsQuestion) -> pd.DataFrame:
    """Return how far each printed FP16 rate is from one of that GPU, dense or sparse."""
    rows = []
    for device in (q.a100_gpu, q.h100_gpu, q.h200_gpu):
        printed = SAID_TFLOPS[device is not q.a100_gpu] * 1e12
        dense = device.peak_flops("bf16")
        rows.append((device.id, min(abs(printed / rate - 1) for rate in (dense, dense * 2))))
    return exact(rows, "gpu")


def rates_over_a100(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the FP16 rate over that of A100, like for like."""
    base = q.a100_gpu.peak_flops("bf16")
    rows = [
        (new.id, convention, new.peak_flops("bf16") / base)
        for new in (q.h100_gpu, q.h200_gpu)
        for convention in ("dense", "sparse")
    ]
    return exact(rows, "gpu", "convention")


def rates_over_h100(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the rate of H200 over that of H100 in each precision that H100 has."""
    new, old = q.h200_gpu, q.h100_gpu
    rows = [
        (kind, (new.peak_flops(kind) if kind in new.precisions else 0.0) / old.peak_flops(kind))
        for kind in RATES
        if kind in old.precisions
    ]
    return exact(rows, "format")


def printed_cells(q: ClaimsQuestion) -> pd.DataFrame:
    """Return every cell of the article's table against every form of the three GPUs (1: agrees)."""
    rows = []
    for name, row in gpus().iterrows():
        family = str(name).split("-")[0]
        if family not in ARTICLE_CELLS:
            continue
        label, least, most, link = ARTICLE_CELLS[family]
        form = f"{row['form_factor'].upper()} {row['memory_label_gb']:.0f} GB"
        usual = form in ("SXM 80 GB", "SXM 141 GB")
        part = "SXM parts of 80 and 141 GB" if usual else "other forms"
        agrees = {
            "memory": row["memory_label_gb"] == label,
            "bandwidth": least <= row["memory_bandwidth_gb_s"] / 1e3 <= most,
            "NVLink": row["nvlink_gb_s"] == link,
        }
        rows += [(cell, part, float(good)) for cell, good in agrees.items()]
    return exact(rows, "cell", "part")


def weights_of_70b(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the GB of Llama-3.1-70B in BF16 over the stated 140."""
    network = MemoryQuestion.ask(model="Llama-3.1-70B").network
    return exact([(network.name, network.params * 2.0 / GB / 140.0)], "model")


def context_left(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the tokens that one H200 has left beside Llama-3.1-70B."""
    asked = MemoryQuestion.ask(model="Llama-3.1-70B", gpus=q.h200_gpu.id)
    room = utilization_table(asked, SHARES).astype({"max_context": float})
    return exact(list(zip(room["utilization"], room["max_context"], strict=True)), "share_given")


def number_formats(q: ClaimsQuestion) -> pd.DataFrame:
    """Return which number formats of A100 the newer GPUs have too."""
    rows = [
        (new.id, kind, float(kind in new.precisions))
        for new in (q.h100_gpu, q.h200_gpu)
        for kind in sorted(q.a100_gpu.precisions)
    ]
    return exact(rows, "gpu", "format")


def power_of_nodes(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the rated power of a node of eight over that of A100; of the GPUs where unrated."""
    table = servers()
    rated = table[table["gpu_count"] == NODE_GPUS].groupby("gpu_id")["max_system_kw"].max()
    rows = []
    for new in (q.h100_gpu, q.h200_gpu):
        ratio = rated.get(new.id, np.nan) / rated.get(q.a100_gpu.id, np.nan)
        rows.append((new.id, ratio if ratio > 0 else new.tdp_w / q.a100_gpu.tdp_w))
    return exact(rows, "gpu")


def host_memory(q: ClaimsQuestion) -> pd.DataFrame:
    """Return the GB of a node's host memory, from its share of the checkpoint."""
    recipe = training_recipe("adamw-megatron")
    rows = [
        (*about(m).values(), n, float(host_memory_gb(checkpoint_bytes(m, recipe), n)))
        for m in q.trained_networks
        if m.params / 1e9 >= LARGE_B
        for n in (8, 16, 32, 64)
    ]
    return exact(rows, "model", "params_b", "nodes")


def instances(q: ClaimsQuestion) -> pd.DataFrame:
    """Return what MIG offers over A100: more, larger and better isolated instances (``part``)."""
    old, rows = _profiles(q.a100_gpu), []
    for new in (q.h100_gpu, q.h200_gpu):
        now = _profiles(new)
        first, before = now.iloc[0], old.iloc[0]
        bandwidth = new.memory_bandwidth_gb_s / q.a100_gpu.memory_bandwidth_gb_s
        rows += [
            ("more", new.id, "instances", first["max_instances"] / before["max_instances"]),
            ("more", new.id, "profiles", len(now) / len(old)),
            ("larger", new.id, "SMs", _sms(first) / _sms(before)),
            ("larger", new.id, "bandwidth", bandwidth),
            ("isolated", new.id, "own decoder", float(first["nvdec"] >= 1)),
            ("isolated", new.id, "confidential", float(bool(new.confidential_computing))),
        ]
    return exact(rows, "part", "gpu", "resource")


def _sms(profile: "pd.Series[str]") -> float:
    return float(slice_sms(gpu(profile["gpu_id"]), mig_profile(*profile[["gpu_id", "profile"]])))


def _profiles(device: Gpu) -> pd.DataFrame:
    """Return the MIG profiles of a GPU, or of one with the same chip.

    Raises
    ------
    InputError
        The GPU has no MIG.
    """
    table = mig_profiles().reset_index()
    chips = gpus()["chip"]
    kin = [device.id, *chips.index[chips == device.chip][::-1]]
    known = [name for name in kin if (table["gpu_id"] == name).any()]
    if not device.mig_max_instances or not known:
        raise InputError("claims", "C05", f"{device.id} has no MIG: leave this claim out")
    return table[table["gpu_id"] == known[0]]
