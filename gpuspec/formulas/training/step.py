"""Seconds of a training step, in parts that add up."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from gpuspec.base.units import GB, MICRO, Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import TrainingRecipe
from gpuspec.constants.kernels import Kernels
from gpuspec.constants.links import Fabric
from gpuspec.constants.training import TrainingTerms
from gpuspec.formulas.memory import Adapter
from gpuspec.formulas.training.work import Work, step_work

PARTS = (
    "products",
    "attention",
    "elementwise",
    "recompute",
    "head",
    "waiting",
    "tp",
    "cp",
    "ep",
    "pp",
    "dp",
    "bubble",
    "optimizer",
    "fixed",
)
"""What a step consists of; ``tp`` to ``dp`` are the exposed seconds of communication."""
BACKWARD_ATTENTION = 3.0
"""Backward over forward of fused attention: 2.5 times the FLOP, at lower efficiency."""
HOST_SHARPNESS = 4
"""Exponent of the norm that joins the host's time of a layer with the GPU's."""
HIDEABLE = 0.8
"""Share of the work beside it behind which communication can hide."""


class Machine(BaseModel):
    """Where a step runs: kernels of a GPU, fabric between GPUs, constants of a framework."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kernels: Kernels
    fabric: Fabric
    terms: TrainingTerms = TrainingTerms()


def step_parts(
    model: Model,
    recipe: TrainingRecipe,
    machine: Machine,
    *,
    seq_len: ArrayLike,
    micro_batch: ArrayLike = 1,
    microbatches: ArrayLike = 1,
    tp: ArrayLike = 1,
    pp: ArrayLike = 1,
    dp: ArrayLike = 1,
    cp: ArrayLike = 1,
    ep: ArrayLike = 1,
    interleave: ArrayLike = 1,
    zero_stage: ArrayLike = 0,
    shard_gpus: ArrayLike = 0,
    recompute: ArrayLike = "none",
    sequence_parallel: ArrayLike = True,
    attention: ArrayLike = "flash",
    balanced_stages: ArrayLike = False,
    offload_optimizer: ArrayLike = False,
    document_tokens: ArrayLike = 0,
    fp8: bool = False,
    adapter: Adapter | None = None,
) -> dict[str, Floats]:
    """Seconds of one optimizer step, in the parts of `PARTS`, which add up to the step.

    Parameters
    ----------
    seq_len, micro_batch, microbatches : array_like
        Tokens a sequence; sequences that one data-parallel rank processes at once; such
        micro-batches a step.
    tp, pp, dp, cp, ep : array_like
        Tensor, pipeline, data, context and expert parallelism; ``tp * pp * dp * cp`` GPUs, of
        which experts are split over `ep` of the `dp * cp`.
    interleave : array_like
        Model chunks a stage holds (1: plain 1F1B).
    zero_stage, shard_gpus : array_like
        0 to 3; GPUs that share one copy of the sharded states (0: all `dp * cp`; fewer is HSDP).
    recompute, attention : array_like of str
        ``none``, ``selective`` or ``full``; ``flash`` (fused, made for the GPU), ``flash2``
        (FlashAttention 2 or older, half as fast on Hopper) or ``eager`` (scores materialised).
    balanced_stages : array_like of bool
        Whether the pipeline balances its stages by cost, output head included.
    offload_optimizer : array_like of bool
        Whether optimizer states lie in host memory and the CPU updates them (ZeRO-Offload).
    document_tokens : array_like
        Mean length of documents that are packed into a sequence and attend to themselves alone
        (0: a sequence is one document).
    fp8 : bool
        Products in FP8 (attention, head and norms stay in BF16).
    adapter : Adapter, optional
        Fine-tune low-rank adapters: no gradients of the frozen weights.

    Returns
    -------
    dict of arrays
        Broadcast over all parameters.

    Raises
    ------
    InputError
        When the model is no language model.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473 (1F1B, interleaving, bubble); Korthikanti et al.
    2022, arXiv:2205.05198 (sequence parallelism, selective recomputation); Rajbhandari et al.
    2020, arXiv:1910.02054 (ZeRO's communication); Liu et al. 2023, arXiv:2310.01889 (ring
    attention).
    """
    work = step_work(
        model,
        recipe,
        machine.kernels,
        machine.fabric,
        seq_len=seq_len,
        micro_batch=micro_batch,
        microbatches=microbatches,
        tp=tp,
        pp=pp,
        dp=dp,
        cp=cp,
        ep=ep,
        interleave=interleave,
        zero_stage=zero_stage,
        shard_gpus=shard_gpus,
        recompute=recompute,
        sequence_parallel=sequence_parallel,
        attention=attention,
        balanced_stages=balanced_stages,
        offload_optimizer=offload_optimizer,
        document_tokens=document_tokens,
        fp8=fp8,
        adapter=adapter,
    )
    return assembled(work, machine.terms)


def assembled(work: Work, terms: Any) -> dict[str, Floats]:
    """Return the parts of a step from its work and the constants of a framework.

    The constants may be arrays too, one value for each step of `work`.
    """
    w, t = work, terms
    layer = _layer(w, t)
    forward = sum(v["forward"] for v in layer.values())
    again = np.where(w["full"], forward, 0.0)
    core = layer["attention"]["forward"]
    again = again + np.where(w["selective"] & w["eager"], core, 0.0)
    passes = 2.0 + w["full"]
    tp_each = w["tp"] * t.tp_exposed
    attending = sum(layer["attention"].values())
    cp_each = _exposed(w["cp"] * (passes + 1) / 2, attending, t.cp_exposed)
    ep_each = w["ep"] * passes * t.ep_exposed
    busy = sum(sum(v.values()) for v in layer.values()) + again + tp_each + cp_each + ep_each
    host = t.layer_us * MICRO * (1 + w["moe"]) * (1 + passes)
    head = _head(w, t)
    last = np.where(w["balanced"], head / w["stages"], head)
    each = {
        **{name: w["layers"] * sum(v.values()) for name, v in layer.items()},
        "recompute": w["layers"] * again,
        "head": last,
        "waiting": w["layers"] * _beyond(busy, host),
        "tp": w["layers"] * tp_each,
        "cp": w["layers"] * cp_each,
        "ep": w["layers"] * ep_each,
        "pp": w["pp"] * 2 * w["chunks"] * t.pp_exposed,
    }
    micro = sum(each.values())
    parts = {name: seconds * w["microbatches"] for name, seconds in each.items()}
    # While the pipeline fills, every stage but the last works on its layers alone.
    filling = micro - last * np.where(w["balanced"], 0.0, (w["stages"] - 1) / w["stages"])
    parts["bubble"] = (w["stages"] - 1) / w["chunks"] * filling * t.bubble_factor
    parts["dp"] = _data_parallel(w, micro, t)
    on_host = w["host_link"] + w["host_bytes"] / (t.offload_gb_s * GB)
    parts["optimizer"] = np.where(w["offload"], on_host, w["update"] * t.optimizer_factor)
    parts["fixed"] = np.asarray(t.step_ms * 1e-3)
    slower = (1 + t.jitter) ** np.log2(np.maximum(w["gpus"], 1.0))
    shape = np.broadcast(*parts.values(), slower).shape
    return {name: np.broadcast_to(parts[name] * slower, shape) for name in PARTS}


def _layer(w: Work, t: Any) -> dict[str, dict[str, Any]]:
    """Seconds of an average layer: part -> forward pass, gradients of inputs, of weights."""
    generation = np.where(w["hopper"], t.hopper_factor, 1.0)
    factor = np.where(w["fp8"], t.fp8_factor, t.matmul_factor) * generation
    products = {
        d: (w[f"dense_{d}"] + w[f"routed_{d}"] * t.expert_factor) * factor
        for d in ("forward", "inputs", "weights")
    }
    products["weights"] = np.where(w["trained"], products["weights"], 0.0)
    flash = w["flash"] * t.attention_factor * np.where(w["old_flash"], t.flash2_on_hopper, 1.0)
    unfused = w["score_products"] + w["score_pass"] * t.score_passes / 3
    attention = {
        "forward": np.where(w["eager"], unfused, flash),
        "inputs": np.where(w["eager"], 2 * unfused, BACKWARD_ATTENTION * flash),
    }
    moved = w["elementwise"] * t.elementwise_factor
    more = w["casts"] * t.fp8_passes + w["unpack"]
    between = {"forward": moved + more, "inputs": 2 * moved + more}
    return {"products": products, "attention": attention, "elementwise": between}


def _head(w: Work, t: Any) -> Any:
    """Seconds of the output projection with its loss, both passes, in BF16."""
    products = w["head_forward"] + w["head_inputs"]
    products = products + np.where(w["trained"], w["head_weights"], 0.0)
    return products * t.matmul_factor + w["logit_pass"] * t.head_passes


def _beyond(busy: Any, host: Any) -> Any:
    """Return how much longer a layer takes because the host launches its kernels too slowly.

    Host and GPU work side by side: the slower one rules, with a soft corner.
    """
    return (busy**HOST_SHARPNESS + host**HOST_SHARPNESS) ** (1 / HOST_SHARPNESS) - busy


def _exposed(seconds: Any, beside: Any, share: Any) -> Any:
    """Return what of `seconds` shows: a share always, the rest where no work lies beside it."""
    hidden = np.minimum(seconds * (1 - np.minimum(share, 1.0)), beside * HIDEABLE)
    return seconds * np.maximum(share, 1.0) - hidden


def _data_parallel(w: Work, micro: Any, t: Any) -> Any:
    """Exposed seconds of gradients and sharded parameters.

    ZeRO-0 reduces gradients once a step; ZeRO-1 and 2 scatter them and gather the weights
    once, beside the last micro-batch's backward and the first forward; ZeRO-3 gathers weights
    for each pass and scatters gradients of each micro-batch. Under an interleaved schedule a
    stage meets its chunks one after the other, a group of as many micro-batches as there are
    stages each (Narayanan et al. 2021, arXiv:2104.04473, section 2.2): the collectives of all
    chunks but one have the work of the other chunks' group beside them.
    """
    sharded = w["zero_stage"] >= 3
    once = np.where(w["zero_stage"] == 0, w["reduce"], w["scatter"] + w["gather"] + w["between"])
    each = (2 * w["gather"] + w["scatter"]) * w["microbatches"] + w["between"]
    group = np.minimum(w["stages"], w["microbatches"]) * (1 - 1 / w["chunks"])
    beside = micro * np.where(sharded, w["microbatches"], np.maximum(group, 1.0))
    shown = _exposed(np.where(sharded, each, once), beside, t.dp_exposed)
    return np.where(w["members"] > 1, shown, 0.0)
