"""Which layers lie on which stage of a pipeline, and which stages may be the fullest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuspec.base.units import Flags, Floats
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.params import LAYER_PARTS, layer_parts
from gpuspec.formulas.job import Parallel


def stage_layers(
    model: Model, stages: int, chunks: int = 1, balanced: bool = False
) -> NDArray[np.float64]:
    """Layers of each of ``model.blocks`` on each stage, shape ``(stages, blocks)``.

    Parts of the network follow each other, `chunks` of them on a stage, as even as whole layers
    allow (Megatron-LM). A split balanced by cost counts the output head as layers of mean size, so
    that the last stage holds fewer (nanotron: ``get_block_compute_costs``).

    >>> from gpuspec.catalog.models import model
    >>> stage_layers(model("llama-3.1-8b"), 3).ravel().tolist()
    [11.0, 11.0, 10.0]
    """
    kinds = {id(block): kind for kind, block in enumerate(model.blocks)}
    kind = model.by_layer(lambda block: kinds[id(block)]).astype(int)
    if balanced:
        counted = [layer_parts(block) for block in model.blocks]
        layer = sum(parts[name] for parts in counted for name in LAYER_PARTS) / model.layers
        cost = (model.layers + model.vocab * model.hidden / layer) / stages
        ends = np.ceil(cost * np.arange(1, stages))
        place = np.searchsorted(ends, np.arange(model.layers), side="right")
    else:
        each, more = divmod(model.layers, stages * chunks)
        parts = np.arange(stages * chunks)
        place = np.repeat(parts % stages, each + (parts < more))
    layers = np.zeros((stages, len(kinds)))
    np.add.at(layers, (place, kind), 1)
    return layers


@dataclass(frozen=True)
class Stages:
    """Stages of each layout that may need the most; arrays of shape ``(stages, ...)``.

    The first (embedding, most micro-batches in flight), the last (output head) and, where layers
    differ, every other mixture of layers that is not within the first, where it comes first.
    """

    layers: Floats
    """Layers of each of the model's blocks, shape ``(blocks, stages, ...)``."""
    place: Floats
    """Stages in front."""
    first: Flags
    last: Flags

    @classmethod
    def of(cls, model: Model, parallel: Parallel, shape: tuple[int, ...] = ()) -> "Stages":
        """Return the stages of layouts that broadcast to `shape`."""
        p = parallel
        sizes = np.broadcast_arrays(p.pp, p.interleave, p.balanced_stages, np.empty(shape))[:3]
        kinds, which = np.unique(
            np.stack([np.ravel(s).astype(int) for s in sizes]), axis=1, return_inverse=True
        )
        found = [_candidates(model, int(pp), int(v), bool(b)) for pp, v, b in kinds.T]
        most = max(map(len, found))
        padded = np.array([[*rows, *[rows[0]] * (most - len(rows))] for rows in found])
        table = np.moveaxis(padded[which.ravel()], 0, -1)
        table = table.reshape(most, -1, *sizes[0].shape)
        place = table[:, 0]
        return cls(np.moveaxis(table[:, 1:], 1, 0), place, place == 0, place == sizes[0] - 1)

    def sum(self, each: list[Floats]) -> Floats:
        """Return what the layers of a stage hold together, given what one of each block does."""
        return np.asarray(sum(n * e for n, e in zip(self.layers, each, strict=True)))

    def largest(self, each: list[Floats]) -> Floats:
        """Return the most that one layer of a stage holds."""
        there = [np.where(n > 0, e, 0.0) for n, e in zip(self.layers, each, strict=True)]
        return np.asarray(np.maximum.reduce(np.broadcast_arrays(*there)))


def _candidates(model: Model, stages: int, chunks: int, balanced: bool) -> list[Floats]:
    """Return place and layers of the stages of one split that may be the fullest."""
    layers = stage_layers(model, stages, chunks, balanced)
    rows = [np.array([place, *held]) for place, held in enumerate(layers)]
    _, earliest = np.unique(layers, axis=0, return_index=True)
    new = [i for i in sorted(earliest) if 0 < i < stages - 1 and np.any(layers[i] > layers[0])]
    return [rows[0], *(rows[i] for i in new), *rows[1:][-1:]]
