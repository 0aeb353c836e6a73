"""Seconds of a layout's communication on a fabric, before anything hides it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats, Number
from gpuspec.catalog.models import Model
from gpuspec.constants.links import Fabric
from gpuspec.formulas.job import Parallel
from gpuspec.formulas.networks import collective_seconds
from gpuspec.formulas.roofline import experts_touched
from gpuspec.formulas.training.layers import inputs, routed_width


def expert_counts(model: Model) -> tuple[int, ...]:
    """Return the numbers of routed experts that layers of a network have; empty for dense ones."""
    return tuple(sorted({block.experts for block in model.blocks if block.moe_layers}))


class DataSeconds(NamedTuple):
    """Seconds of the collectives of data parallelism."""

    reduce: Number
    """All gradients over everybody."""
    scatter: Number
    """Gradients within the GPUs that share a sharded copy."""
    gather: Number
    """Weights within them."""
    between: Number
    """Gradients between the copies (HSDP)."""


@dataclass(frozen=True)
class Ranks:
    """The groups of a job's GPUs, and how they lie on the nodes: see `Parallel`."""

    fabric: Fabric
    tp: Floats
    pp: Floats
    dp: Floats
    cp: Floats
    ep: Floats

    @classmethod
    def of(cls, fabric: Fabric, parallel: Parallel) -> "Ranks":
        """Return the groups of a split on a fabric."""
        p = parallel
        return cls(fabric, *(np.asarray(size, float) for size in (p.tp, p.pp, p.dp, p.cp, p.ep)))

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
        self,
        block: Model,
        tokens: Floats,
        sequence_parallel: ArrayLike,
        again: ArrayLike,
        fp8: bool = False,
    ) -> Floats:
        """Seconds a layer, both passes: four all-reduces, or gathers and scatters instead.

        Half of them where a layer of a block only mixes tokens, by one mixer or two side by side,
        or has nothing but an MLP.

        Sequence parallelism gathers the inputs once more for the gradients of the weights;
        full recomputation repeats the forward half, in the share `again` of the layers. With FP8
        what is gathered was cast before (Transformer Engine, ``module/linear.py``); sums travel in
        16 bit.
        """
        size, one = tokens * block.hidden * 2, np.ones_like(self.tp)
        reduced = self.collective("all_reduce", size, self.tp, one)
        gathered = self.collective("all_gather", size / (1 + fp8), self.tp, one)
        scattered = self.collective("reduce_scatter", size, self.tp, one)
        both = np.where(sequence_parallel, 6 * gathered + 4 * scattered, 4 * reduced)
        more = np.where(sequence_parallel, 2 * gathered + 2 * scattered, 2 * reduced)
        return np.asarray(inputs(block) / 2 * (both + np.asarray(again) * more))

    def context(self, block: Model, sequences: Floats, seq: Floats) -> Floats:
        """Seconds a layer and pass of passing keys and values around the ring.

        Index keys with them; a recurrent mixer hands its state on instead, in FP32.
        """
        size = np.zeros_like(self.tp)
        if block.attention != "none" and block.cache != "image":
            kv_heads = np.maximum(block.kv_heads / self.tp, 1)
            width = kv_heads * (block.head_dim + block.v_head_dim) + block.index_head_dim
            size = sequences * seq / self.cp * width * 2
        size = size + sequences * block.state_elements / self.tp * 4
        crosses = np.where(self.cp * self.tp > self.fabric.island, self.tp * self.cp, self.tp)
        hop = self.collective("point_to_point", size, np.minimum(self.cp, 2.0), crosses)
        return np.asarray((self.cp - 1) * hop * (block.mixer != "none"))

    def experts(self, block: Model, tokens: Floats, by_node: ArrayLike = False) -> Floats:
        """Seconds a layer and pass of sending tokens to their experts and back; 0 if dense.

        One copy to each expert; or one to each node with experts of the token and from there one to
        each of their GPUs, both at once (DeepSeek-AI 2024, arXiv:2412.19437, section 3.2.2).
        """
        if not block.moe_layers:
            return np.zeros_like(self.ep)
        one, active = tokens * routed_width(block) * 2 / self.tp, block.active_experts
        inside = np.clip(np.floor(self.fabric.island / self.tp), 1, self.ep)
        nodes = np.ceil(self.ep / inside)
        copies = self.collective("all_to_all", one * active, self.ep, self.tp)
        sent = one * experts_touched(active, nodes, 1) if self.fabric.node_bytes_s else one * active
        across = self.collective("all_to_all", sent, self.ep, self.tp)
        holders = experts_touched(active, self.ep, 1)
        spread = self.collective("all_to_all", one * holders, inside, self.tp)
        once = np.minimum(np.where(nodes > 1, np.maximum(across, spread), spread), copies)
        each = np.where(by_node, once, copies)
        return np.asarray(2 * each * block.moe_layers / block.layers)

    def pipeline(self, model: Model, tokens: Floats, sequence_parallel: ArrayLike) -> Floats:
        """Seconds of handing one micro-batch to the next stage, over the slowest hop there is."""
        size = tokens * model.hidden * 2 / np.where(sequence_parallel, self.tp, 1.0)
        stride = self.tp * self.cp * self.dp
        node = float(self.fabric.island)
        stride = np.where(stride * self.pp > node, np.maximum(stride, node), stride)
        return self.collective("point_to_point", size, np.minimum(self.pp, 2.0), stride)

    def data(
        self,
        gradients: Floats,
        weights: Floats,
        shards: Floats,
        scatters: Number = 1.0,
        gathers: Number = 1.0,
    ) -> DataSeconds:
        """Seconds of the collectives of data parallelism, for bytes held by one GPU.

        Gradients move in `scatters` collectives of equal size and weights in `gathers`, each of
        which waits for its first bytes.
        """
        members = self.dp * self.cp

        def seconds(
            operation: str, size: Floats, pieces: Number, group: Floats, stride: Floats
        ) -> Floats:
            return self.collective(operation, size / pieces, group, stride) * pieces

        copies = members / shards
        between = gradients / shards
        return DataSeconds(
            reduce=seconds("all_reduce", gradients, scatters, members, self.tp),
            scatter=seconds("reduce_scatter", gradients, scatters, shards, self.tp),
            gather=seconds("all_gather", weights, gathers, shards, self.tp),
            between=seconds("all_reduce", between, scatters, copies, self.tp * shards),
        )
