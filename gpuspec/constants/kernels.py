"""The calibrated kernels of a GPU, or those that it inherits from its architecture."""

from functools import cache, cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from gpuspec.catalog import Gpu, table_rows
from gpuspec.constants.stored import stored
from gpuspec.constants.terms import (
    CollectiveTerms,
    DecodeAttentionTerms,
    ExpertTerms,
    GenerationTerms,
    Hardware,
    MatmulTerms,
    PrefillAttentionTerms,
    Terms,
)

T = TypeVar("T", bound=Terms)

PARENTS = {
    "Volta": "a100-sxm-80",
    "Ampere": "a100-sxm-80",
    "Ada": "l40s-pcie-48",
    "Hopper": "h100-sxm-80",
    "Blackwell": "b200-sxm-180",
    "Blackwell Ultra": "b200-sxm-180",
}
OWN = ("a100-sxm-80", "h100-sxm-80", "h200-sxm-141", "l40s-pcie-48", "b200-sxm-180")
OTHER_VENDOR_PARENT = "h100-sxm-80"
FALLBACKS = ("h100-sxm-80", "a100-sxm-80", "l40s-pcie-48")
PCIE_PARENT = "l40s-pcie-48"
LIBRARIES = ("vllm", "sglang", "tensorrt-llm")
WEIGHT_ONLY = ("int8", "int4-awq")
LARGER = {"int8": "bf16", "int4-awq": "bf16", "fp4": "fp8", "bf16/mla": "bf16/gqa"}
LARGER |= {"fp8/mla": "fp8/gqa", "fp8-block": "fp8"}
"""Kinds whose constants stand for those of a kind that was not timed."""
OWN_GENERATION = {"h20": "H20"}
"""GPUs that are unlike their architecture, by how their id begins: H20 has a seventh of the matrix
rate of H100 beside more bandwidth."""
PCIE = CollectiveTerms(
    start_us=10.0,
    per_doubling_us=5.0,
    one_shot_share=0.2,
    ring_start_us=20.0,
    share_2=0.62,
    share_4=0.55,
    share_8=0.45,
)
"""Collectives over PCIe: a start; how servers differ from it is fitted with the engines. Of two
GPUs NCCL's rate on L40S; of more between those through host memory (0.16 of the link on four
A100 and L40S) and those from GPU to GPU (0.6 on eight RTX 4090): see ``collectives.csv``."""


Tables = dict[str, dict[str, dict[str, dict[str, Any]]]]
"""Stored constants of a GPU: library, operation, kind -> terms and held-out error."""


class Kernels(BaseModel):
    """Rates and fitted constants of one GPU with one kernel library."""

    model_config = ConfigDict(frozen=True)

    gpu: Gpu
    library: str
    measured_on: str
    """GPU whose kernel timings these constants come from."""
    tables: Tables

    @property
    def inherited(self) -> bool:
        """Whether the constants were measured on another GPU."""
        return self.measured_on != self.gpu.id

    def hardware(self, compute: str) -> Hardware:
        """Return the rates of the GPU when it computes in `compute` (``bf16``, ``fp8``)."""
        return hardware(self.gpu, compute)

    def matmul(self, kind: str) -> MatmulTerms:
        """Return the constants of products: ``bf16``, ``fp8``, ``fp4``, or weight-only ``int8``,
        ``int4-awq``.

        The timings of FP8 and FP4 products quantize their input in a kernel of its own; engines do
        that inside the norm before, so its passes and its launch are left out here. Weight-only
        kernels outside TensorRT-LLM take what the 16-bit ones do, at fewer bytes (Frantar et al.
        2024, arXiv:2408.11743, figure 1).
        """
        kind = "int4-awq" if kind == "mxfp4" else kind
        if kind in WEIGHT_ONLY and self.library != "tensorrt-llm":
            kind = "bf16"
        terms = self._record(MatmulTerms, "matmul", kind)
        if kind not in ("fp8", "fp4"):
            return terms
        launch = min(terms.launch_us, self.matmul("bf16").launch_us)
        return terms.model_copy(update={"quantize_passes": 0.0, "launch_us": launch})

    def decode_attention(self, kv: str, sharing: str) -> DecodeAttentionTerms:
        """Return the constants of decode attention for a cache in ``bf16`` or ``fp8``.

        `sharing`: ``mha`` one query a key, ``gqa`` several, ``mla`` all over one latent vector.
        """
        return self._record(DecodeAttentionTerms, "decode_attention", f"{kv}/{sharing}")

    def prefill_attention(self, compute: str) -> PrefillAttentionTerms:
        """Return the constants of prefill attention computed in ``bf16`` or ``fp8``."""
        return self._record(PrefillAttentionTerms, "prefill_attention", compute)

    def experts(self, kind: str) -> ExpertTerms:
        """Return the constants of a layer's routed experts, in the kinds of `matmul`.

        ``fp8-block``: with a scale for each block, of which TensorRT-LLM has kernels of its own;
        those of the others are all timed so. ``mxfp4``: weight-only, in 16-bit arithmetic.
        """
        if kind == "mxfp4" and not any(
            "mxfp4" in t.get("experts", {}) for t in self.tables.values()
        ):
            kind = "int4-awq"
        if kind == "fp8-block" and self.library != "tensorrt-llm":
            kind = "fp8"
        return self._record(ExpertTerms, "experts", kind)

    def over_nvlink(self, gpus: int) -> bool:
        """Whether NVLink joins `gpus` of a node."""
        island = nvlink_island(self.gpu.id, self.gpu.form_factor)
        return bool(self.gpu.nvlink_bytes_s) and gpus <= island

    def collectives(self, gpus: int) -> tuple[CollectiveTerms, float]:
        """Return the constants of collectives over `gpus` of a node, and the link's bytes/s."""
        if not self.over_nvlink(gpus):
            return PCIE, self.gpu.pcie_bytes_s or 64e9
        whole = self
        if self.measured_on == PCIE_PARENT:  # timed without NVLink
            whole = self.model_copy(update={"tables": _operators()[OTHER_VENDOR_PARENT]})
        return CollectiveTerms(**whole._terms("all_reduce", "bf16")), self.gpu.nvlink_bytes_s

    @cached_property
    def records(self) -> dict[tuple[str, str], Any]:
        """Constants that were asked for: operation and kind -> record."""
        return {}

    def _record(self, kind: type[T], operation: str, key: str) -> T:
        if (operation, key) not in self.records:
            self.records[operation, key] = kind(**self._terms(operation, key))
        found: T = self.records[operation, key]
        return found

    def _terms(self, operation: str, key: str) -> dict[str, float]:
        """Return stored constants: of the library, or of another; else those of another GPU.

        Attention kernels are shared between engines, so there the table that the formula follows
        best (by its held-out error) stands for all. Weights that no table times are taken as the
        next larger kind.
        """
        others = [name for name in LIBRARIES if name != self.library]
        for kind in (key, LARGER.get(key, key)):
            for source in (self.tables, *(_operators()[gpu] for gpu in FALLBACKS)):
                tables = [source.get(name, {}) for name in (self.library, *others)]
                entries = [e for t in tables if (e := t.get(operation, {}).get(kind))]
                if operation.endswith("attention"):
                    entries.sort(key=lambda entry: entry.get("median_error", 1.0))
                if entries:
                    terms: dict[str, float] = entries[0]["terms"]
                    return terms
        raise KeyError(f"no constants of {operation} for {key}")


def hardware(gpu: Gpu, compute: str) -> Hardware:
    """Return the rates of a GPU; a precision that it lacks computes in FP16."""
    return Hardware(
        peak_flops=gpu.peak_flops(compute if compute in gpu.precisions else "fp16"),
        bandwidth_bytes_s=gpu.bandwidth_bytes_s,
        sm_count=gpu.sm_count or 128,
        l2_bytes=(gpu.l2_cache_mb or 40.0) * 1e6,
    )


@cache
def nvlink_island(gpu_id: str, form_factor: str) -> int:
    """Return how many GPUs of a node NVLink joins.

    Bridges of PCIe cards are extras that published measurements go without (their two-GPU rates
    are those of PCIe); NVL cards are sold with them.
    """
    if form_factor == "pcie":
        return 1
    boards = [row for row in table_rows("servers") if row["gpu_id"] == gpu_id]
    if boards:
        return int(max(row["nvlink_island_gpus"] for row in boards))
    return {"sxm": 8, "oam": 8, "superchip": 1}.get(form_factor, 2)


@cache
def kernels(gpu: Gpu, library: str = "tensorrt-llm") -> Kernels:
    """Return the kernels of a GPU with the library of an engine, one of `LIBRARIES`."""
    whole = gpu.id.split("/")[0]  # of a MIG instance: the constants of its GPU
    parent = whole if whole in OWN else PARENTS.get(gpu.architecture, OTHER_VENDOR_PARENT)
    used = library if library in LIBRARIES else "vllm"
    return Kernels(gpu=gpu, library=used, measured_on=parent, tables=_operators()[parent])


def generation_of(device: Gpu) -> str:
    """Return the generation whose constants a GPU has: its architecture, or its own."""
    return OWN_GENERATION.get(device.id.split("-")[0], device.architecture)


@cache
def generation(name: str) -> GenerationTerms:
    """Return the constants of a generation of GPUs; 1 where none of it was measured."""
    fitted = stored("inference").get("generations", {}).get(name, {})
    return GenerationTerms(**fitted.get("terms", {}))


def _operators() -> dict[str, Tables]:
    """Return the stored constants by GPU."""
    operators: dict[str, Tables] = stored("inference")["operators"]
    return operators
