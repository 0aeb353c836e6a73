"""What readers and frameworks write of recomputation (activation checkpointing)."""

import re

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.errors import InputError
from gpuspec.base.units import Flags

RECOMPUTE = ("none", "selective", "operations", "full")
"""What a layer's backward pass computes again: nothing; the attention core (Megatron's
``selective``); every second product and all passes over vectors, but not attention (what PyTorch's
selective checkpointing of operations does not save); the whole layer."""
MODULES = {"selective": "core_attn", "norm": "layernorm", "act": "moe_act", "moe": "moe"}
"""Parts of a layer that may be repeated alone or together (``norm+act``), and Megatron-Core's
``recompute_modules`` for them: the attention core, norms, the activation between the feed-forward
products, whole mixtures of experts with their dispatch."""
WORDS = {its: ours for ours, its in MODULES.items()}
_EVERY = re.compile(r"(\w+) every ([1-9]\d*)")
_SELECTIVE = re.compile(r"selective ?[(\[](.+)[)\]]")
_LAYERS = re.compile(r"(\w+) (\d+) layers?")
VALID = f"{', '.join(RECOMPUTE)}; modules: 'norm+act', 'norm+moe'; of some layers: 'full every 2', "
VALID += "'full 4 layers' (of a stage)"


def recompute_of(text: str, stage_layers: float) -> tuple[str, float]:
    """Return the kind of recomputation and the share of layers that do it.

    A kind is one of `RECOMPUTE`, or several of `MODULES` with ``+`` between (commas, blanks and
    Megatron's own words are understood).

    A kind alone means every layer; ``full every 2`` every second one; ``full 4 layers`` four of the
    `stage_layers` that a pipeline stage holds.

    Raises
    ------
    InputError
        For anything else.

    >>> recompute_of("full every 2", 32)
    ('full', 0.5)
    >>> recompute_of("full 4 layers", 16)
    ('full', 0.25)
    >>> recompute_of("selective(layernorm, moe_act)", 16)
    ('norm+act', 1.0)
    """
    named = _SELECTIVE.fullmatch(text)
    kind, share = named[1] if named else text, 1.0
    if every := _EVERY.fullmatch(text):
        kind, share = every[1], 1 / int(every[2])
    elif layers := _LAYERS.fullmatch(text):
        kind, share = layers[1], min(int(layers[2]) / stage_layers, 1.0)
    if kind in RECOMPUTE:
        return kind, share
    parts = [WORDS.get(part, part) for part in re.split(r"[+,\s]+", kind)]
    if not set(parts) <= set(MODULES):
        raise InputError("recompute", text, VALID)
    return "+".join(dict.fromkeys(parts)), share


def repeats(recompute: ArrayLike, module: str) -> Flags:
    """Return whether each kind of recomputation repeats one of `MODULES` alone.

    >>> repeats(["none", "norm+act", "full"], "act").tolist()
    [False, True, False]
    """
    between = np.char.add(np.char.add("+", np.asarray(recompute, str)), "+")
    return np.char.find(between, f"+{module}+") >= 0
