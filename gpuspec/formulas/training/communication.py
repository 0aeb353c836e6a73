"""Seconds of a layout's communication on a fabric, before anything hides it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from gpuspec.base.units import Floats
from gpuspec.catalog.models import Model
from gpuspec.constants.links import Fabric
from gpuspec.formulas.networks import collective_seconds


class Ranks(BaseModel):
    """How the GPUs of a job are split, and how the groups lie on the nodes.

    Ranks lie as in Megatron-LM: tensor parallelism innermost, then context, data and pipeline.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    fabric: Fabric
    tp: Any
    pp: Any
    dp: Any
    cp: Any
    ep: Any

    def collective(
        self, operation: str, size: ArrayLike, members: Floats, stride: Floats
    ) -> Floats:
        """Seconds of a collective in groups of `members` whose ranks are `stride` apart."""
        node = float(self.fabric.island)
        inside = np.clip(np.floor(node / stride), 1, members)
        nodes = np.ceil(members / inside)
        groups = np.clip(stride, 1, node)
        return collective_seconds(operation, size, self.fabric, inside, nodes, groups)

    def tensor(
        self, model: Model, tokens: Floats, sequence_parallel: Any, full: Any, fp8: bool = False
    ) -> Floats:
        """Seconds a layer, both passes: four all-reduces, or gathers and scatters instead.

        Sequence parallelism gathers the inputs once more for the gradients of the weights;
        full recomputation repeats the forward half. With FP8 what is gathered was cast before
        (Transformer Engine, ``module/linear.py``); sums travel in 16 bit.
        """
        size, one = tokens * model.hidden * 2, np.ones_like(self.tp)
        reduced = self.collective("all_reduce", size, self.tp, one)
        gathered = self.collective("all_gather", size / (1 + fp8), self.tp, one)
        scattered = self.collective("reduce_scatter", size, self.tp, one)
        both = np.where(sequence_parallel, 6 * gathered + 4 * scattered, 4 * reduced)
        more = np.where(sequence_parallel, 2 * gathered + 2 * scattered, 2 * reduced)
        return np.asarray(both + np.where(full, more, 0.0))

    def context(self, model: Model, sequences: Floats, seq: Floats) -> Floats:
        """Seconds a layer and pass of passing keys and values around the ring."""
        width = np.maximum(model.kv_heads / self.tp, 1) * (model.head_dim + model.v_head_dim)
        size = sequences * seq / self.cp * width * 2
        crosses = np.where(self.cp * self.tp > self.fabric.island, self.tp * self.cp, self.tp)
        hop = self.collective("point_to_point", size, np.minimum(self.cp, 2.0), crosses)
        return np.asarray((self.cp - 1) * hop)

    def experts(self, model: Model, tokens: Floats) -> Floats:
        """Seconds a layer and pass of sending tokens to their experts and back; 0 if dense."""
        if not model.moe_layers:
            return np.zeros_like(self.ep)
        size = tokens * model.active_experts * model.hidden * 2 / self.tp
        each = self.collective("all_to_all", size, self.ep, self.tp)
        return np.asarray(2 * each * model.moe_layers / model.layers)

    def pipeline(self, model: Model, tokens: Floats, sequence_parallel: Any) -> Floats:
        """Seconds of handing one micro-batch to the next stage, over the slowest hop there is."""
        size = tokens * model.hidden * 2 / np.where(sequence_parallel, self.tp, 1.0)
        stride = self.tp * self.cp * self.dp
        node = float(self.fabric.island)
        stride = np.where(stride * self.pp > node, np.maximum(stride, node), stride)
        return self.collective("point_to_point", size, np.minimum(self.pp, 2.0), stride)

    def data(self, gradients: Floats, weights: Floats, shards: Floats) -> dict[str, Floats]:
        """Seconds of the collectives of data parallelism, for bytes held by one GPU.

        ``reduce`` all gradients over everybody; ``scatter`` gradients and ``gather`` weights
        within the GPUs that share a sharded copy; ``between`` the copies (HSDP).
        """
        members = self.dp * self.cp
        copies = members / shards
        return {
            "reduce": self.collective("all_reduce", gradients, members, self.tp),
            "scatter": self.collective("reduce_scatter", gradients, shards, self.tp),
            "gather": self.collective("all_gather", weights, shards, self.tp),
            "between": self.collective("all_reduce", gradients / shards, copies, self.tp * shards),
        }
