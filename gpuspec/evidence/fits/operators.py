"""Fit the constants of single operations to published kernel timings.

The timings are those that NVIDIA publishes in ``aiconfigurator-core`` (Apache-2.0): time of
matrix products, attention, experts and all-reduces on each GPU, by library. Half of the shapes
is held out to state the error; what is stored is fitted to all of them.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.base.units import Floats
from gpuspec.catalog import Gpu, gpu
from gpuspec.constants.kernels import hardware
from gpuspec.constants.stored import Stored
from gpuspec.constants.terms import (
    CollectiveTerms,
    DecodeAttentionTerms,
    ExpertTerms,
    MatmulTerms,
    PrefillAttentionTerms,
    Terms,
)
from gpuspec.evidence.measurements.rows import numbers
from gpuspec.formulas.networks import all_reduce_seconds
from gpuspec.formulas.roofline import (
    ExpertShape,
    decode_attention_seconds,
    experts_seconds,
    matmul_seconds,
    prefill_attention_seconds,
)

SOURCE = "https://github.com/ai-dynamo/aiconfigurator"
SYSTEMS = {
    "a100-sxm-80": "a100_sxm",
    "h100-sxm-80": "h100_sxm",
    "h200-sxm-141": "h200_sxm",
    "l40s-pcie-48": "l40s",
    "b200-sxm-180": "b200_sxm",
}
LIBRARIES = {"tensorrt-llm": "trtllm", "vllm": "vllm", "sglang": "sglang"}
DTYPES = {
    "bf16": "bfloat16",
    "fp8": "fp8",
    "int8": "int8_wo",
    "int4-awq": "int4_wo",
    "fp4": "nvfp4",
}
BLOCK_SCALED = "fp8_block"
"""FP8 with a scale for each block, as mixtures of experts are published and served in vLLM and
SGLang; their tables with one scale a tensor hold kernels that no such model runs."""
WEIGHT_BYTES = {
    "bf16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "int4-awq": 0.52,
    "fp4": 0.5625,
    "fp8-block": 1.0,
    "mxfp4": 0.53125,
}
ACTIVATION_BYTES = {
    "bf16": 2.0,
    "fp8": 1.0,
    "int8": 2.0,
    "int4-awq": 2.0,
    "fp4": 0.5625,
    "fp8-block": 1.0,
}
COMPUTES_IN = {
    "bf16": "bf16",
    "fp8": "fp8",
    "int8": "bf16",
    "int4-awq": "bf16",
    "fp4": "fp4",
    "fp8-block": "fp8",
    "mxfp4": "bf16",
}
KV_BYTES = {"bf16": 2.0, "fp8": 1.0}
ATTENTION_OF = ("tensorrt-llm", "vllm")
"""Libraries whose attention is fitted: kernels of attention are shared between engines."""
SAMPLE = 1200
MLA_LATENT, MLA_ROPE = 512, 64
"""Elements of a cached vector in the timings of latent attention (DeepSeek-V3)."""
HEAD_DIM = 128


@dataclass(frozen=True)
class Operation:
    """The timings of one operation on one GPU, and how to predict them."""

    name: str
    key: str
    terms: type[Terms]
    rows: pd.DataFrame
    predict: Callable[[pd.DataFrame, Any], Floats]
    shape: tuple[str, ...]

    def fit(self, rows: pd.DataFrame, near: Terms | None = None) -> Terms:
        """Return the constants that fit `rows` best in log space (soft L1 loss).

        From several starts, or from `near` alone.
        """
        from scipy.optimize import least_squares

        rows = rows.sample(min(SAMPLE, len(rows)), random_state=0)
        limits = self.terms.bounds()
        start, low, high = (np.array(column) for column in zip(*limits.values(), strict=True))
        scale = np.maximum(start, 0.1)
        measured = np.log(rows["seconds"].to_numpy())

        def residuals(values: np.ndarray) -> np.ndarray:
            terms = self.terms(**dict(zip(limits, np.clip(values, low, high), strict=True)))
            return np.asarray(np.log(self.predict(rows, terms)) - measured)

        options = {"bounds": (low, high), "x_scale": scale, "loss": "soft_l1", "f_scale": 0.1}
        starts = [start, *(low + (high - low) * share for share in (0.05, 0.2))]
        if near:
            edge = 1e-6 * (high - low)
            starts = [np.clip(list(near.model_dump().values()), low + edge, high - edge)]
        tries = [least_squares(residuals, s, **options) for s in starts]
        best = min(tries, key=lambda one: one.cost)
        rounded = (float(f"{v:.3g}") if v > 1e-6 else 0.0 for v in np.clip(best.x, low, high))
        return self.terms(**dict(zip(limits, rounded, strict=True)))

    def held_out(self, near: Terms) -> dict[str, float]:
        """Return the error on the half of the shapes that a fit to the other half has not seen.

        The fit starts at `near`.
        """
        half = _halves(self.rows, self.shape)
        seen, unseen = self.rows[~half], self.rows[half]
        if min(len(seen), len(unseen)) < 8:
            return {"rows": len(self.rows)}
        error = np.abs(np.log(self.predict(unseen, self.fit(seen, near)) / unseen["seconds"]))
        return {
            "rows": len(self.rows),
            "held_out_rows": len(unseen),
            "median_error": round(float(np.median(error)), 4),
            "p90_error": round(float(np.quantile(error, 0.9)), 4),
        }


def operator_data() -> Path:
    """Return the folder of kernel timings.

    Raises
    ------
    InputError
        When ``aiconfigurator-core`` is not installed; says how to install it.
    """
    package = find_spec("aiconfigurator_core")
    if package is None or not package.submodule_search_locations:
        valid = "install the calibration group: pip install --group calibration"
        raise InputError("package", "aiconfigurator-core", valid)
    return Path(package.submodule_search_locations[0]) / "systems" / "data"


def operations(device: str, library: str, folder: Path) -> Iterator[Operation]:
    """Yield every operation of a GPU that a library's tables hold."""
    system, short, chip = SYSTEMS[device], LIBRARIES[library], gpu(device)
    mixing = (_decode, _latent, _prefill) if library in ATTENTION_OF else ()
    for make in (_matmuls, *mixing, _experts, _collectives):
        yield from make(chip, folder / system, short)


def _matmuls(chip: Gpu, folder: Path, library: str) -> Iterator[Operation]:
    rows = _table(folder, "gemm", library, "gemm")
    rows = rows[rows["n"].between(512, 70_000) & rows["k"].between(512, 30_000)]
    for own, dtype in DTYPES.items():
        part = rows[rows["gemm_dtype"] == dtype]

        def predict(r: pd.DataFrame, terms: MatmulTerms, own: str = own) -> Floats:
            sizes = (WEIGHT_BYTES[own], ACTIVATION_BYTES[own])
            rates = hardware(chip, COMPUTES_IN[own])
            m, n, k = numbers(r, "m", "n", "k")
            return matmul_seconds(m, n, k, rates, terms, *sizes)

        if len(part):
            yield Operation("matmul", own, MatmulTerms, part, predict, ("n", "k"))


def _decode(chip: Gpu, folder: Path, library: str) -> Iterator[Operation]:
    rows = _attention(folder, library, "generation")
    rows = rows.assign(context=rows["step"] + rows["isl"])
    rows = rows[rows["context"] >= 32]
    shape = ("batch_size", "context", "num_heads", "kv", "head_dim")
    for dtype, own in (("bfloat16", "bf16"), ("fp8", "fp8")):
        for kind, chosen in (("mha", rows["group"] == 1), ("gqa", rows["group"] > 1)):
            part = rows[chosen & (rows["kv_cache_dtype"] == dtype)]

            def predict(r: pd.DataFrame, terms: DecodeAttentionTerms, own: str = own) -> Floats:
                rates, kv = hardware(chip, "bf16"), KV_BYTES[own]
                b, s, h, g, d = numbers(r, *shape)
                return decode_attention_seconds(b, s, h, g, d, rates, terms, kv, cached=True)

            if len(part) > 100:
                key, columns = f"{own}/{kind}", ("num_heads", "kv")
                yield Operation(
                    "decode_attention", key, DecodeAttentionTerms, part, predict, columns
                )


def _latent(chip: Gpu, folder: Path, library: str) -> Iterator[Operation]:
    """Yield decode attention over latent vectors, whose one key and value all heads share."""
    if not list((folder / "mla" / library).glob("*/generation_mla_perf.parquet")):
        return
    rows = _table(folder, "mla", library, "generation_mla")
    rows = rows.assign(context=rows["step"] + rows["isl"])
    rows = rows[rows["context"] >= 32]
    wide = (2 * MLA_LATENT + MLA_ROPE) / (MLA_LATENT + MLA_ROPE)
    for dtype, own in (("bfloat16", "bf16"), ("fp8", "fp8")):
        part = rows[rows["kv_cache_dtype"] == dtype]

        def predict(r: pd.DataFrame, terms: DecodeAttentionTerms, own: str = own) -> Floats:
            rates, kv = hardware(chip, "bf16"), KV_BYTES[own]
            b, s, h = numbers(r, "batch_size", "context", "num_heads")
            width = (MLA_LATENT + MLA_ROPE) / 2
            return decode_attention_seconds(
                b, s, h * wide, 1.0, width, rates, terms, kv, cached=True
            )

        if len(part) > 100:
            key, columns = f"{own}/mla", ("num_heads", "batch_size")
            yield Operation("decode_attention", key, DecodeAttentionTerms, part, predict, columns)


def _prefill(chip: Gpu, folder: Path, library: str) -> Iterator[Operation]:
    rows = _attention(folder, library, "context")
    rows = rows[rows["isl"] >= 32]
    if "step" in rows:
        rows = rows[rows["step"] == 0]
    shape = ("batch_size", "isl", "num_heads", "kv", "head_dim")
    for dtype, own in (("bfloat16", "bf16"), ("fp8", "fp8")):
        part = rows[(rows["attn_dtype"] == dtype) & (rows["kv_cache_dtype"] == dtype)]

        def predict(r: pd.DataFrame, terms: PrefillAttentionTerms, own: str = own) -> Floats:
            b, s, h, g, d = numbers(r, *shape)
            return prefill_attention_seconds(b, s, h, g, d, hardware(chip, own), terms)

        if len(part) > 100:
            columns = ("num_heads", "kv")
            yield Operation("prefill_attention", own, PrefillAttentionTerms, part, predict, columns)


def _experts(chip: Gpu, folder: Path, library: str) -> Iterator[Operation]:
    tables = [_gated(table) for table in _tables(folder, "moe", library, "moe")]
    kinds = {**DTYPES, "fp8-block": BLOCK_SCALED}
    if library != "trtllm" and any((t["moe_dtype"] == BLOCK_SCALED).any() for t in tables):
        kinds = {**DTYPES, "fp8": BLOCK_SCALED}
    if "fp4" not in chip.precisions:  # which computes with such weights as they are
        kinds["mxfp4"] = "w4a16_mxfp4"
    for own, dtype in kinds.items():
        timed = (table[table["moe_dtype"] == dtype] for table in tables)
        part = next((table for table in timed if len(table) > 100), tables[0][:0])

        def predict(r: pd.DataFrame, terms: ExpertTerms, own: str = own) -> Floats:
            rates = hardware(chip, COMPUTES_IN[own])
            tokens, tp, ep = numbers(r, "num_tokens", "moe_tp_size", "moe_ep_size")
            h, f, e, k = numbers(r, "hidden_size", "inter_size", "num_experts", "topk")
            shape = ExpertShape(h, f, e, k)
            return experts_seconds(tokens, shape, rates, terms, tp, ep, WEIGHT_BYTES[own])

        if len(part):
            columns = ("hidden_size", "inter_size", "num_experts", "moe_tp_size", "moe_ep_size")
            yield Operation("experts", own, ExpertTerms, part, predict, columns)


def _gated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the timings of gated experts of one node; the fastest kernel, which engines run."""
    rows = rows[(rows["distribution"] == "power_law_1.01") & (rows["num_experts"] <= 512)]
    rows = rows[~rows["kernel_source"].str.contains("nongated")]
    rows = rows[(rows["moe_ep_size"] <= 8) & (rows["moe_tp_size"] <= 8)]
    keys = ["moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts"]
    return rows.sort_values("seconds").drop_duplicates([*keys, "moe_tp_size", "moe_ep_size"])


def _collectives(chip: Gpu, folder: Path, library: str) -> Iterator[Operation]:
    rows = _table(folder, "comm", library, "custom_allreduce")
    rows = rows[~rows["kernel_source"].str.contains("eager")]
    link = chip.nvlink_bytes_s or chip.pcie_bytes_s

    def predict(r: pd.DataFrame, terms: CollectiveTerms) -> Floats:
        size, gpus = numbers(r, "message_size", "num_gpus")
        return all_reduce_seconds(2.0 * size, gpus, link, terms)

    yield Operation("all_reduce", "bf16", CollectiveTerms, rows, predict, ("message_size",))


def _attention(folder: Path, library: str, phase: str) -> pd.DataFrame:
    rows = _table(folder, "attention", library, f"{phase}_attention")
    shared = rows["num_key_value_heads"]
    rows = rows.assign(kv=shared.where(shared > 0, rows["num_heads"]))
    rows = rows.assign(group=rows["num_heads"] / rows["kv"])
    rows = rows[(rows["head_dim"] == HEAD_DIM) & (rows["group"] <= 16)]
    return rows[rows["window_size"] == 0] if "window_size" in rows else rows


def _table(folder: Path, group: str, library: str, name: str) -> pd.DataFrame:
    """Return the newest version; a supplement that times a few new kernels only is passed over."""
    tables = _tables(folder, group, library, name)
    return next(t for t in tables if len(t) > max(map(len, tables)) / 4)


def _tables(folder: Path, group: str, library: str, name: str) -> list[pd.DataFrame]:
    """Return all versions of a table, the newest first."""
    files = sorted((folder / group / library).glob(f"*/{name}_perf.parquet"), key=_version)
    tables = [pd.read_parquet(file) for file in reversed(files)]
    seconds = [table["latency"] / 1e3 for table in tables]
    return [
        table.assign(seconds=taken)[taken > 0].reset_index(drop=True)
        for table, taken in zip(tables, seconds, strict=True)
    ]


def _version(path: Path) -> list[int]:
    """Sort versions as numbers: 1.0.0 < 1.3.0rc9 < 1.3.0rc20."""
    text = path.parent.name.replace("rc", ".").replace("post", ".")
    return [int(part) for part in text.split(".") if part.isdigit()]


def _halves(rows: pd.DataFrame, shape: tuple[str, ...]) -> np.ndarray:
    """Return which rows are held out: whole shapes, chosen by a hash of their dimensions."""
    text = rows[list(shape)].astype(str).agg("/".join, axis=1)
    chosen = {t: hashlib.sha256(t.encode()).digest()[0] % 2 == 0 for t in text.unique()}
    return text.map(chosen).to_numpy(bool)


def fit_operators(folder: Path | None = None) -> Stored:
    """Return constants and held-out errors by GPU, library, operation and key."""
    folder = folder or operator_data()
    stored: Stored = {}
    for device in SYSTEMS:
        for library in LIBRARIES:
            for operation in operations(device, library, folder):
                place = stored.setdefault(device, {}).setdefault(library, {})
                terms = operation.fit(operation.rows)
                place.setdefault(operation.name, {})[operation.key] = {
                    "terms": terms.model_dump(),
                    **operation.held_out(terms),
                }
    return stored
