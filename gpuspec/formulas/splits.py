"""How a model may be split over GPUs: one list of sizes and one set of rules for every topic."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.models import Model

TENSOR = (1, 2, 4, 8)
"""Tensor-parallel sizes that are tried: they exchange in every layer, so they stay in a node."""
Rule = tuple[Any, Callable[[int], str]]
"""Where a rule is broken, and what is said of row i there."""
Rules = list[Rule]


class Split(NamedTuple):
    """How a model is split over the GPUs of a replica."""

    tp: int = 1
    """GPUs that share the layers of a stage."""
    pp: int = 1
    """Stages."""
    ep: int = 1
    """GPUs of `tp` over which whole experts are spread; the rest of it splits each expert."""
    attention_dp: int = 1
    """Groups of the `tp` GPUs whose attention works on requests of its own."""

    @property
    def gpus(self) -> int:
        """GPUs of the replica."""
        return self.tp * self.pp

    @property
    def words(self) -> str:
        """The split in words; experts that are spread as usual, over all of `tp`, are not said."""
        if self.gpus == 1:
            return "one GPU"
        said = [f"TP {self.tp}"] + [f"PP {self.pp}"] * (self.pp > 1)
        if self.attention_dp > 1:
            said += [f"EP {self.ep}"] * (self.ep > 1) + [f"attention DP {self.attention_dp}"]
        return " ".join(said)


def splits(network: Model, max_gpus: int) -> list[Split]:
    """Return the splits of a replica worth trying, the fewest GPUs first.

    In a node tensor parallelism over all GPUs, or over half of them in two stages; beyond it
    stages of whole nodes. Where the model does not allow a size, `impossible` says why, and the
    largest one that it allows stands beside it. Whole experts are spread over `tp` where their
    number divides; beside each such split stands the one whose GPUs each attend to requests of
    their own, and beyond a node the one that spreads the experts over all nodes.
    """
    found = []
    for gpus in [2**i for i in range(int(max_gpus).bit_length())]:
        inside = min(gpus, NODE_GPUS)
        sizes = [inside, inside // 2] if 2 < gpus <= NODE_GPUS else [inside]
        for tp in dict.fromkeys([*sizes, node_tp(network, inside)]):
            ep = expert_split(network, tp)
            found.append(Split(tp, gpus // tp, ep))
            if ep > 1:
                found.append(Split(tp, gpus // tp, ep, tp))
        if gpus > NODE_GPUS and expert_split(network, gpus) > 1:
            found.append(Split(gpus, 1, gpus, gpus))
    return found


def uneven(network: Model, tp: int, ep: int, attention_dp: int) -> str:
    """Return why groups of `tp` GPUs cannot be made so; empty where they can."""
    if tp % attention_dp:
        return f"attention DP {attention_dp} does not divide the {tp} GPUs of TP {tp}"
    if tp % ep:
        return f"EP {ep} does not divide the {tp} GPUs of TP {tp}"
    for experts in {block.experts for block in network.blocks if block.moe_layers}:
        if experts % ep:
            return f"EP {ep} does not divide the {experts} experts"
    sparse = any(block.moe_layers for block in network.blocks)
    return "" if sparse or ep == 1 else f"EP {ep} spreads experts, and {network.name} has none"


def split_rules(network: Model, tp: Any, pp: Any, node_gpus: int = NODE_GPUS) -> Rules:
    """Return what breaks a split of a model over arrays of `tp` x `pp` GPUs, memory aside.

    Each kind of layer has its heads; those of recurrent mixers lie side by side in the width that
    their output projection reads.
    """
    tp, pp = np.atleast_1d(tp), np.atleast_1d(pp)
    attending = [block for block in network.blocks if block.mixer in ("attention", "both")]
    recurrent = [block for block in network.blocks if block.mixer in ("linear", "both")]
    rules = [_heads_rule(heads, tp) for heads in _different(b.heads for b in attending)]
    rules.append((tp > node_gpus, lambda i: f"TP {tp[i]} crosses the {node_gpus} GPUs of a node"))
    rules += [_kv_heads_rule(kv, tp) for kv in _different(b.kv_heads for b in attending)]
    rules += [_width_rule(width, tp) for width in _different(b.linear_out for b in recurrent)]
    layers = network.layers
    return [*rules, (pp > layers, lambda i: f"PP {pp[i]} is more than the {layers} layers")]


def _different(sizes: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(sizes))


def _heads_rule(heads: int, tp: np.ndarray) -> Rule:
    return heads % tp > 0, lambda i: f"TP {tp[i]} does not divide the {heads} attention heads"


def _kv_heads_rule(kv: int, tp: np.ndarray) -> Rule:
    words = f"neither divides the {kv} KV heads nor is a multiple of them"
    return (kv % tp > 0) & (tp % max(kv, 1) > 0), lambda i: f"TP {tp[i]} {words}"


def _width_rule(width: int, tp: np.ndarray) -> Rule:
    words = f"does not divide the {width} elements of the recurrent heads"
    return width % tp > 0, lambda i: f"TP {tp[i]} {words}"


def first_broken(rules: Rules, size: int) -> np.ndarray:
    """Return for each row what the first rule that it breaks says; empty where it breaks none."""
    reason = np.full(size, "", dtype=object)
    for broken, words in rules:
        for i in np.flatnonzero(np.asarray(broken) & (reason == "")):
            reason[i] = words(int(i))
    return reason


def impossible(network: Model, tp: int, pp: int, node_gpus: int = NODE_GPUS) -> str:
    """Return why a split does not work at all, memory aside; empty where it does.

    Under attention data parallelism `tp` is the GPUs of one of its groups.
    """
    return str(first_broken(split_rules(network, tp, pp, node_gpus), 1)[0])


def expert_split(network: Model, tp: int) -> int:
    """Return the GPUs over which whole experts are spread: all of `tp`, where they divide."""
    experts = {block.experts for block in network.blocks if block.moe_layers}
    return tp if experts and all(n % tp == 0 for n in experts) else 1


def node_tp(network: Model, count: int) -> int:
    """Return the largest tensor-parallel size in a node that the model and `count` GPUs allow."""
    return max(t for t in TENSOR if count % t == 0 and not impossible(network, t, 1))


def together(network: Model, counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (gpus, tp, pp) of one replica over all of `counts` GPUs, where the layers suffice."""
    found = [(n, node_tp(network, n)) for n in counts]
    return [(n, tp, n // tp) for n, tp in found if n // tp <= network.layers]
