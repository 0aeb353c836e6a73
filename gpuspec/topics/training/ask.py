"""One question about training, checked once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.checks import is_number, whole_numbers
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu, gpu, gpu_ids, servers
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.precision import TrainingRecipe, precision, training_recipe
from gpuspec.constants.fabrics import NETWORKS, fabric, reference_node_gb_s
from gpuspec.constants.kernels import kernels
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.constants.training import TrainingTerms
from gpuspec.constants.training import framework as _framework
from gpuspec.formulas.memory import Adapter
from gpuspec.formulas.power import node_power_w
from gpuspec.formulas.training import FAILURES_PER_GPU_DAY, RESTART_S, Cluster

PRECISIONS = ("bf16", "fp8")
TUNINGS = ("full", "lora", "qlora")
LORA_TARGETS = ("q", "k", "v", "o", "gate", "up", "down")
WHOLE = {"seq_len": (16, 10_000_000), "global_batch": (1, 1_000_000), "lora_rank": (1, 4096)}
POSITIVE = ("tokens", "deadline_days", "storage_gb_s")
MOST_GPUS = 100_000


class TrainingQuestion(BaseModel):
    """A checked question: train which model on how many tokens, on which GPUs, until when."""

    model_config = ConfigDict(frozen=True)

    network: Model
    gpus: tuple[Gpu, ...]
    counts: tuple[int, ...]
    tokens: float
    deadline_days: float
    seq_len: int
    global_batch: int
    precision: str
    framework: str
    terms: TrainingTerms
    recipe: TrainingRecipe
    tuning: str
    lora_rank: int
    node_network_gb_s: float
    """Of a node in one direction; below 0: the reference design of each GPU."""
    network_kind: str
    storage_gb_s: float
    failures_per_gpu_day: float
    restart_s: float = RESTART_S
    memory: MemoryTerms

    @property
    def adapter(self) -> Adapter | None:
        """Return the adapters that are trained, if not all weights are."""
        if self.tuning == "full":
            return None
        base = precision("nf4" if self.tuning == "qlora" else "bf16")
        return Adapter(base=base, rank=self.lora_rank, targets=LORA_TARGETS)

    @property
    def tokens_per_step(self) -> float:
        """Return the tokens of one optimizer step."""
        return float(self.global_batch * self.seq_len)

    def computes_in(self, device: Gpu) -> str:
        """Return the precision of the products on a GPU: FP8 only where it has such units."""
        return "fp8" if self.precision == "fp8" and "fp8" in device.precisions else "bf16"

    def network_gb_s(self, device: Gpu) -> float:
        """Return the network of a node with this GPU, GB/s in one direction."""
        asked = self.node_network_gb_s
        return reference_node_gb_s(device) if asked < 0 else asked

    def cluster(self, device: Gpu) -> Cluster:
        """Return kernels, fabric and constants for a GPU."""
        return Cluster(
            kernels=kernels(device),
            fabric=fabric(device, self.network_gb_s(device), self.network_kind, NODE_GPUS),
            terms=self.terms,
        )

    def node_power_w(self, device: Gpu) -> float:
        """Return the watts that a node of eight of this GPU draws in training."""
        table = servers()
        rated = table.loc[(table["gpu_id"] == device.id) & (table["gpu_count"] == NODE_GPUS)]
        known = rated["max_system_kw"].dropna()
        watts = float(known.iloc[0]) * 1e3 if len(known) else 0.0
        return float(node_power_w(device.tdp_w, NODE_GPUS, watts))


def training_question(
    model_name: str | Path | Model,
    gpus: str | Sequence[str] = "A100,H100,H200",
    counts: str | int | Sequence[int] = "8,16,32,64,128,256,512,1024",
    tokens: float = 1e12,
    deadline_days: float = 30.0,
    seq_len: int = 4096,
    global_batch: int = 1024,
    compute: str = "bf16",
    framework: str = "megatron-core",
    tuning: str = "full",
    lora_rank: int = 16,
    node_network_gb_s: float = -1.0,
    network_kind: str = "infiniband",
    storage_gb_s: float = 10.0,
    failures_per_gpu_day: float = FAILURES_PER_GPU_DAY,
    data: str | Path | None = None,
) -> TrainingQuestion:
    """Check every input once, and return the question that the tables answer.

    Parameters
    ----------
    model_name : str, Path or Model
        A name of the table of models, or the path of a Hugging Face ``config.json``.
    gpus, counts : str or sequence
        GPUs to compare and numbers of them to try, separated by commas.
    tokens, deadline_days : float
        Tokens to train on, and days that it may take.
    seq_len, global_batch : int
        Tokens a sequence, sequences an optimizer step.
    compute : str
        ``bf16`` or ``fp8``; a GPU without FP8 units computes in BF16.
    framework : str
        A name of ``data/frameworks.csv``: its fitted constants are used.
    tuning : str
        ``full``, ``lora`` or ``qlora``.
    node_network_gb_s, network_kind : float, str
        Network of a node in one direction (below 0: the vendor's reference design, 0: none),
        and ``infiniband``, ``roce``, ``efa`` or ``tcp``.
    storage_gb_s : float
        Rate at which checkpoints are written, GB/s of the whole cluster.
    failures_per_gpu_day : float
        Unexpected interruptions of a job for each GPU and day.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    for field, value in (
        ("seq_len", seq_len),
        ("global_batch", global_batch),
        ("lora_rank", lora_rank),
    ):
        least, most = WHOLE[field]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(field, value, f"give a whole number from {least:,} to {most:,}")
    for field, number in zip(POSITIVE, (tokens, deadline_days, storage_gb_s), strict=True):
        _need(field, number, 0.0, open_end=True)
    _need("failures_per_gpu_day", failures_per_gpu_day, 0.0)
    if not float(node_network_gb_s) < float("inf"):
        valid = "give GB/s of a node (0: none; below 0: the reference design)"
        raise InputError("node_network_gb_s", node_network_gb_s, valid)
    for field, name, known in (
        ("compute", compute, PRECISIONS),
        ("tuning", tuning, TUNINGS),
        ("network_kind", network_kind, NETWORKS),
    ):
        if name not in known:
            raise UnknownNameError(field, name, known)
    network = model_name if isinstance(model_name, Model) else model(model_name, data)
    network.need_llm("training speed")
    if network.max_context and seq_len > network.max_context:
        valid = f"{network.name} ends at {network.max_context:,} tokens"
        raise InputError("seq_len", seq_len, valid)
    key, terms = _framework(framework)
    return TrainingQuestion(
        network=network,
        gpus=tuple(gpu(name, data) for name in gpu_ids(gpus, data)),
        counts=_counts(counts),
        tokens=float(tokens),
        deadline_days=float(deadline_days),
        seq_len=seq_len,
        global_batch=global_batch,
        precision=compute,
        framework=key,
        terms=terms,
        recipe=training_recipe("adamw-megatron" if tuning == "full" else "adamw-bf16"),
        tuning=tuning,
        lora_rank=lora_rank,
        node_network_gb_s=float(node_network_gb_s),
        network_kind=network_kind,
        storage_gb_s=float(storage_gb_s),
        failures_per_gpu_day=float(failures_per_gpu_day),
        memory=memory_terms(),
    )


def _need(field: str, value: Any, least: float, open_end: bool = False) -> None:
    if not is_number(value) or not (value > least if open_end else value >= least):
        words = f"above {least:g}" if open_end else f"of at least {least:g}"
        raise InputError(field, value, f"give a number {words}")


def _counts(counts: str | int | Sequence[int]) -> tuple[int, ...]:
    """Read numbers of GPUs; a job fills whole nodes beyond one."""
    found = whole_numbers("counts", counts, 1, MOST_GPUS, "8,16,64")
    for count in found:
        if count > NODE_GPUS and count % NODE_GPUS:
            valid = f"beyond one node give multiples of its {NODE_GPUS} GPUs"
            raise InputError("counts", count, valid)
    if not found:
        raise InputError("counts", counts, "give at least one number of GPUs")
    return tuple(sorted(set(found)))
