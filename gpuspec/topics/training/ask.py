"""What is asked about training."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

import numpy as np
from pydantic import Field, field_validator, model_validator

from gpuspec.base.ask import Ask, Range, Short, Was, typed
from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.base.units import NODE_GPUS, Floats
from gpuspec.catalog import Gpu, servers
from gpuspec.catalog.fields import (
    Batch,
    ComingDay,
    Days,
    Documents,
    DocumentTokens,
    Epochs,
    Fp8Recipe,
    FrameworkName,
    GpuCounts,
    ModelName,
    NodeGpus,
    Offload,
    OptimizerName,
    Rank,
    RecomputeWords,
    RunTokens,
    SequenceTokens,
    TrainingFormat,
    Tuning,
    Watts,
)
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.precision import TrainingRecipe, training_recipe
from gpuspec.catalog.precision import precision as format_of
from gpuspec.constants.fabrics import fabric
from gpuspec.constants.kernels import kernels, nvlink_island
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.constants.training import TrainingTerms, framework, stand_in
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory import TARGETS, Adapter, need_layer_order
from gpuspec.formulas.power import limited, node_power_w
from gpuspec.formulas.recompute import recompute_of
from gpuspec.formulas.training import FAILURES_PER_GPU_DAY, RESTART_S, Cluster
from gpuspec.topics.shared import MODEL_HELP, Compared, Networked

if TYPE_CHECKING:
    import pandas as pd


INSTEAD: dict[str, Any] = {"tokens": RunTokens, "deadline_days": Days}
"""Fields that others may state, and what is valid of them."""


class Job(Ask):
    """A training run: which model, on how many tokens, until when. A scenario's is one, too."""

    model: Annotated[ModelName, Was("model_name")] = Field("Llama-3.1-70B", description=MODEL_HELP)
    tokens: RunTokens = Field(1e12, description="Tokens to train on")
    deadline_days: Annotated[Days, Short("days")] = Field(
        30.0, description="Time that the run may take"
    )
    documents: Documents | None = Field(
        None, description="Instead of tokens: documents to train on, with document_tokens"
    )
    document_tokens: DocumentTokens | None = Field(None, description="Mean tokens of a document")
    epochs: Epochs = Field(1.0, description="Times that every document is seen")
    deadline: ComingDay | None = Field(
        None,
        description="Instead of deadline_days: the day on which it must be done, such as "
        "2027-01-15 or friday; counted in whole days from that of the run",
    )
    seq_len: Annotated[SequenceTokens, Short("seq")] = Field(4096, description="A sequence")
    global_batch: Annotated[Batch, Short("batch")] = Field(
        1024, description="Sequences of an optimizer step"
    )
    tuning: Tuning = Field("full", description="What is trained: full, lora or qlora")
    framework: FrameworkName = Field(
        "megatron-core",
        description="Framework whose fitted constants are used (data/frameworks.csv)",
    )
    optimizer: OptimizerName | None = Field(
        None,
        description="Optimizer and what it keeps of a parameter (data/training_recipes.csv), "
        "such as adamw-8bit, adafactor, muon; None: the framework's",
    )

    @cached_property
    def network(self) -> Model:
        """The model's record."""
        return model(self.model)

    @cached_property
    def recipe(self) -> TrainingRecipe:
        """What the optimizer keeps of each parameter: as asked, or as the framework does."""
        usual = framework_record(self.framework).recipe
        usual = usual if self.tuning == "full" else "adamw-bf16"
        return training_recipe(self.optimizer or usual)

    @property
    def software(self) -> str:
        """Say whose constants stand in, and which optimizer the framework does not have."""
        has, kept = framework_record(self.framework), self.recipe.optimizer
        lacks = f"No {kept} comes with {has.name}: it has to be brought along"
        said = [stand_in(self.framework), lacks if kept not in ("adamw", *has.optimizers) else ""]
        return " ".join(f"{words}." for words in said if words)

    def _instead(self, name: str, value: float | None, by: str) -> None:
        """Put a value that another field states into the place of a field."""
        stated, default = getattr(self, name), type(self).model_fields[name].default
        if value is None or stated == value:
            return
        if stated not in (None, default):
            raise InputError(name, stated, f"give it or {by}, not both")
        limits = get_args(INSTEAD[name])[1]
        if not value <= limits.most:
            raise InputError(by, value, f"as {name}: {limits.valid(False)}")
        self._put({name: value})

    @model_validator(mode="after")
    def _counts_tokens_and_days(self) -> Self:
        parts = {"documents": self.documents, "document_tokens": self.document_tokens}
        for name, value in parts.items():
            if value is None and self.documents != self.document_tokens:
                raise InputError(name, None, "give it beside " + " and ".join(set(parts) - {name}))
        if self.documents and self.document_tokens:
            total = self.documents * self.document_tokens * self.epochs
            self._instead("tokens", total, "documents and document_tokens")
        elif self.epochs != 1:
            raise InputError(
                "epochs", self.epochs, "it is of documents: give these, or more tokens"
            )
        left = (self.deadline - run_date()).days if self.deadline else None
        self._instead("deadline_days", left, "deadline")
        return self

    @model_validator(mode="after")
    def _fits_the_model(self) -> Self:
        need_layer_order(self.network, "training speed")
        most = self.network.max_context
        if most and self.seq_len > most:
            raise InputError(
                "seq_len", self.seq_len, f"{self.network.name} ends at {most:,} tokens"
            )
        return self


class TrainingQuestion(Job, Compared, Networked):
    """On which GPUs, on how many, is this run done in time."""

    counts: GpuCounts = Field(
        typed("8,16,32,64,128,256,512,1024"), description="Numbers of GPUs to try, commas between"
    )
    precision: Annotated[TrainingFormat, Was("compute")] = Field(
        "bf16", description="Precision of the products: bf16, or fp8 where the GPU has it"
    )
    fp8_recipe: Fp8Recipe | None = Field(
        None,
        description="What shares a scale in FP8: tensor, row or block; None: the framework's "
        "first (data/frameworks.csv)",
    )
    power_limit_w: Watts | None = Field(
        None, description="Power limit of each GPU; None: what it is rated at"
    )
    gpus_per_node: NodeGpus = Field(
        NODE_GPUS, description="GPUs of a node, which NVLink or PCIe joins; a network joins nodes"
    )
    recompute: RecomputeWords | None = Field(
        None,
        description="What the backward pass repeats: none, selective, operations "
        "or full, modules such as norm+act or norm+moe, also 'full every 2' or 'full 4 layers' (of "
        "a stage); None: what is fastest",
    )
    offload: Offload | None = Field(
        None,
        description="What goes to host memory: none, optimizer, activations or both; None: what "
        "must, where nothing fits without",
    )
    lora_rank: Rank = Field(16, description="Rank of LoRA adapters")
    storage_gb_s: Annotated[float, Range(0, 1e6, "GB/s", above=True)] = Field(
        10.0, description="Rate at which the whole cluster writes checkpoints"
    )
    failures_per_gpu_day: Annotated[float, Range(0, 1000)] = Field(
        FAILURES_PER_GPU_DAY,
        description="Unexpected interruptions of the job, a GPU and day (Llama 3: 0.00047)",
    )
    restart_s: Annotated[float, Range(0, 1e6, "s")] = Field(
        RESTART_S, description="Time from an interruption to the next step"
    )

    @model_validator(mode="after")
    def _as_the_framework_can(self) -> Self:
        has = framework_record(self.framework)
        kind = recompute_of(self.recompute, 1)[0] if self.recompute else has.recompute[0]
        if not set(kind.split("+")) <= set(has.recompute):
            valid = f"{has.name} recomputes {', '.join(has.recompute)}"
            raise InputError("recompute", self.recompute, valid)
        there = f"keeps {' and '.join(has.offload) or 'nothing'} in host memory"
        if set(self.host_parts or ()) - set(has.offload):
            name = "offload" if self.offload else "optimizer"
            raise InputError(name, self.offload or self.optimizer, f"{has.name} {there}")
        if self.offload in ("none", "activations") and not self.recipe.optimizer_bytes:
            valid = f"{self.recipe.id} keeps optimizer states in host memory"
            raise InputError("offload", self.offload, valid)
        return self

    @model_validator(mode="after")
    def _as_the_hardware_can(self) -> Self:
        has, recipe = framework_record(self.framework), self.fp8_recipe
        if recipe and recipe not in has.fp8_recipes:
            scales = f"has a scale for each {' or '.join(has.fp8_recipes)}"
            valid = f"{has.name} {scales if has.fp8 else 'does not train in FP8'}"
            raise InputError("fp8_recipe", recipe, valid)
        for device in self.devices:
            self.as_limited(device)  # says where a limit leaves nothing
        for count in self.counts:
            if count > self.gpus_per_node and count % self.gpus_per_node:
                valid = f"beyond one node give multiples of its {self.gpus_per_node} GPUs"
                raise InputError("counts", count, valid)
        return self

    def as_limited(self, device: Gpu) -> Gpu:
        """Return a GPU under the power limit."""
        return limited(device, self.power_limit_w) if self.power_limit_w else device

    @property
    def scaled_by(self) -> str:
        """What shares a scale in FP8."""
        return self.fp8_recipe or next(iter(framework_record(self.framework).fp8_recipes), "tensor")

    @property
    def host_parts(self) -> tuple[str, ...] | None:
        """Return what goes to host memory where it is asked for; None where it is left open.

        A recipe that keeps no optimizer states on the GPU asks for them.
        """
        if self.offload is None:
            return None if self.recipe.optimizer_bytes else ("optimizer",)
        both = ("optimizer", "activations")
        return tuple(part for part in both if self.offload in (part, "both"))

    @field_validator("counts")
    @classmethod
    def _sorted(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        """Sort the numbers."""
        return tuple(sorted(set(counts)))

    @cached_property
    def terms(self) -> TrainingTerms:
        """Fitted constants of the framework."""
        return framework(self.framework)[1]

    @cached_property
    def memory(self) -> MemoryTerms:
        """Fitted constants of memory."""
        return memory_terms()

    @property
    def doubts(self) -> str:
        """Say what is not sure of the software, and what of the question changes nothing."""
        idle = " ".join(f"{words[0].upper()}{words[1:]}." for words in self._without_effect())
        return f"{self.software} {idle}".strip()

    def _without_effect(self) -> Iterator[str]:
        """Yield what is asked and changes nothing, as part of a sentence."""
        wide = [g.id for g in self.devices if self.computes_in(g) != self.precision]
        has, listed = framework_record(self.framework), " and ".join(wide)
        if wide and not has.fp8:
            yield f"{has.name} does not train in FP8: products are in BF16"
        elif wide:
            yield f"without FP8 units, products are in BF16 on {listed}"
        formats = {self.computes_in(g) for g in self.devices}
        if self.fp8_recipe and "fp8" not in formats:
            yield f"where products are in BF16, fp8_recipe {self.fp8_recipe} changes nothing"
        watts = self.power_limit_w or float("inf")
        for device in self.devices:
            if device.tdp_w <= watts < float("inf"):
                yield f"{watts:g} W is no limit to {device.id}, which draws {device.tdp_w:g}"

    @property
    def adapter(self) -> Adapter | None:
        """Return the adapters that are trained, if not all weights are."""
        if self.tuning == "full":
            return None
        base = format_of("nf4" if self.tuning == "qlora" else "bf16")
        fused = framework_record(self.framework).fused_adapters
        return Adapter(base=base, rank=self.lora_rank, targets=TARGETS, fused=fused)

    @property
    def tokens_per_step(self) -> float:
        """Return the tokens of one optimizer step."""
        return float(self.global_batch * self.seq_len)

    def microbatches(self, dp: "pd.Series[int]", micro_batch: "pd.Series[int]") -> Floats:
        """Return the micro-batches of a step of each layout; not whole where it does not divide."""
        return np.asarray(self.global_batch / dp / micro_batch, float)

    def timed(self, job: TrainingJob) -> TrainingJob:
        """Return a job as its time is computed; memory holds the longest sequences."""
        return job

    def computes_in(self, device: Gpu) -> str:
        """Return the precision of the products on a GPU: FP8 where it and the framework can."""
        able = "fp8" in device.precisions and framework_record(self.framework).fp8
        return "fp8" if self.precision == "fp8" and able else "bf16"

    def cluster(self, device: Gpu) -> Cluster:
        """Return kernels, fabric and constants for a GPU."""
        gpus = self.gpus_per_node
        joined = fabric(device, self.network_gb_s(device), self.network_kind, gpus)
        if self._nodes_are_boards(device) and joined.island > gpus:
            each = joined.node_bytes_s / gpus
            reach = max(each, min(joined.node_bytes_s, joined.reach_bytes_s))
            joined = joined.model_copy(update={"island": gpus, "reach_bytes_s": reach})
        return Cluster(kernels=kernels(self.as_limited(device)), fabric=joined, terms=self.terms)

    def network_gb_s(self, device: Gpu) -> float:
        """Return the network of a node: as asked, or an adapter a GPU as the reference has it."""
        found = super().network_gb_s(device)
        if self.node_network_gb_s is None and self._nodes_are_boards(device):
            return found * self.gpus_per_node / NODE_GPUS
        return found

    def _nodes_are_boards(self, device: Gpu) -> bool:
        """Return whether NVLink joins the GPUs of a node, and not a rack of them."""
        return nvlink_island(device.id, device.form_factor) <= NODE_GPUS

    def node_power_w(self, device: Gpu) -> float:
        """Return the watts that a node of this GPU draws in training."""
        table, gpus, less = servers(), self.gpus_per_node, self.as_limited(device).tdp_w
        rated = table.loc[(table["gpu_id"] == device.id) & (table["gpu_count"] == gpus)]
        known = rated["max_system_kw"].dropna()
        watts = float(known.iloc[0]) * 1e3 - gpus * (device.tdp_w - less) if len(known) else 0.0
        return float(node_power_w(less, gpus, watts))
