"""Weights, gradients and optimizer states that a pipeline stage keeps on each of its GPUs."""

from dataclasses import dataclass

import numpy as np

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model, parameter_parts
from gpuspec.catalog.models.params import LAYER_PARTS, expert_parameters, layer_parts
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.formulas.job import Parallel, TrainingJob
from gpuspec.formulas.memory.adapters import Adapter, layer_adapters
from gpuspec.formulas.memory.stages import Stages
from gpuspec.formulas.memory.weights import training_state_bytes

STATES = ("weights", "gradients", "optimizer")
WHOLE = ("norms", "router", "other")
"""Parts of a layer that every GPU of a tensor-parallel group keeps whole."""
Parts = dict[str, Floats]
"""Bytes of one GPU by part."""


@dataclass(frozen=True)
class StageParameters:
    """Parameters on one GPU: of a stage's layers, and of the two ends of the pipeline.

    Matrices are split over tensor parallelism, routed experts over expert parallelism too; norms,
    routers, indexers and what no column describes are whole on every GPU. Beyond one stage a tied
    head is a copy of the embedding. Added up over stages and ranks they are ``model.params`` and
    the copies.
    """

    layers: Floats
    """All but routed experts."""
    experts: Floats
    """Routed experts."""
    unit: Floats
    """All of the largest layer."""
    adapters: Floats
    """Adapters of what all tokens use."""
    expert_adapters: Floats
    """Adapters of routed experts."""
    embedding: Floats
    """Embedding, positions and what else lies outside the layers."""
    head: Floats
    """Output head with the norm in front of it."""

    @classmethod
    def of(
        cls, model: Model, stages: Stages, parallel: Parallel, adapter: Adapter | None = None
    ) -> "StageParameters":
        """Return what each of some stages holds."""
        tp, ep = np.asarray(parallel.tp, float), np.asarray(parallel.ep, float)
        layers = [_layer_parameters(block, tp, ep) for block in model.blocks]
        tuned = [layer_adapters(block, adapter) if adapter else (0, 0) for block in model.blocks]
        parts, last = parameter_parts(model), _last_norm(model)
        copied = model.kind != "encoder" and model.tied_embeddings
        tied = np.where(np.asarray(parallel.pp) > 1, parts["embedding"] * copied, 0.0)
        outside = parts["embedding"] + parts["positions"] + parts["extra"]
        return cls(
            layers=stages.sum([dense for dense, _ in layers]),
            experts=stages.sum([experts for _, experts in layers]),
            unit=stages.largest([dense + experts for dense, experts in layers]),
            adapters=stages.sum([np.asarray(own) for own, _ in tuned]) / tp,
            expert_adapters=stages.sum([np.asarray(routed) for _, routed in tuned]) / tp / ep,
            embedding=np.asarray(outside / tp),
            head=np.asarray((parts["lm_head"] + tied) / tp + last),
        )


def _layer_parameters(block: Model, tp: Floats, ep: Floats) -> tuple[Floats, Floats]:
    """Parameters of a mean layer of a block on one GPU: all but routed experts, and these."""
    parts = layer_parts(block)
    # The projections around latent experts serve every token: they are no expert's.
    latent = block.moe_layers * expert_parameters(block, 0)
    whole = sum(parts[name] for name in WHOLE) + block.layers * block.index_params
    split = sum(parts[name] for name in LAYER_PARTS) - whole - parts["experts"] + latent
    experts = (parts["experts"] - latent) / tp / ep
    return (split / tp + whole) / block.layers, experts / block.layers


def _last_norm(model: Model) -> int:
    """Parameters of the norms outside the layers."""
    inside = sum(layer_parts(block)["norms"] for block in model.blocks)
    return parameter_parts(model)["norms"] - inside


def stage_states(
    stage: StageParameters, recipe: TrainingRecipe, job: TrainingJob, adapter: Adapter | None
) -> dict[str, Parts]:
    """Bytes of states of a stage's ``layers``, and of what ``embedding`` and ``head`` add."""
    zero = job.parallel.zero_stage
    ranks = np.asarray(job.parallel.dp) * np.asarray(job.parallel.cp)
    over = np.maximum(ranks / np.asarray(job.parallel.ep), 1)

    def trained(count: Floats, ranks: Floats) -> Parts:
        sizes = (recipe.weight_bytes, recipe.grad_bytes, recipe.optimizer_bytes)
        return training_state_bytes(count, *sizes, zero, ranks)

    def frozen(count: Floats, bytes_each: float, ranks: Floats) -> Parts:
        return training_state_bytes(count, bytes_each, 0, 0, zero, ranks)

    if adapter is None:
        layers = [trained(stage.layers, ranks), trained(stage.experts, over)]
        ends = {name: trained(getattr(stage, name), ranks) for name in ("embedding", "head")}
    else:
        base, kept = adapter.base.bytes_per_weight, adapter.base.kept_bytes_per_weight
        layers = [frozen(stage.layers, base, ranks), frozen(stage.experts, base, over)]
        layers += [trained(stage.adapters, ranks), trained(stage.expert_adapters, over)]
        ends = {name: frozen(getattr(stage, name), kept, ranks) for name in ("embedding", "head")}
    return {"layers": {n: np.asarray(sum(part[n] for part in layers)) for n in STATES}, **ends}


def held_states(states: dict[str, Parts], stages: Stages) -> Parts:
    """Bytes of states of each stage, with the ends of the pipeline that it has."""
    return {
        name: states["layers"][name]
        + np.where(stages.first, states["embedding"][name], 0.0)
        + np.where(stages.last, states["head"][name], 0.0)
        for name in STATES
    }
