"""What readers and frameworks write of recomputation (activation checkpointing)."""

import re

from gpuspec.base.errors import InputError

RECOMPUTE = ("none", "selective", "operations", "full")
"""What a layer's backward pass computes again: nothing; the attention core (Megatron's
``selective``); every second product and all passes over vectors, but not attention (what PyTorch's
selective checkpointing of operations does not save); the whole layer."""
_EVERY = re.compile(r"(\w+) every ([1-9]\d*)")
_LAYERS = re.compile(r"(\w+) (\d+) layers?")
VALID = f"{', '.join(RECOMPUTE)}; of some layers: 'full every 2', 'full 4 layers' (of a stage)"


def recompute_of(text: str, stage_layers: float) -> tuple[str, float]:
    """Return the kind of recomputation, one of `RECOMPUTE`, and the share of layers that do it.

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
    """
    kind, share = text, 1.0
    if every := _EVERY.fullmatch(text):
        kind, share = every[1], 1 / int(every[2])
    elif layers := _LAYERS.fullmatch(text):
        kind, share = layers[1], min(int(layers[2]) / stage_layers, 1.0)
    if kind not in RECOMPUTE:
        raise InputError("recompute", text, VALID)
    return kind, share
