"""Models that no table holds and no config.json describes: by the dimensions in their name."""

import re

from gpuspec.base.errors import InputError
from gpuspec.catalog.models.record import Model

NEEDED = ("layers", "hidden")
DIMENSIONS = (*NEEDED, "heads", "kv_heads", "ffn", "vocab")
HEAD, VOCAB = 128, 32000
"""Width of a head and rows of the embedding where they are not given."""
VALID = (
    "give layers and hidden, and where known heads, kv_heads, ffn and vocab, such as "
    "layers=32,hidden=4096,kv_heads=8,ffn=14336,vocab=128256"
)
_FIELD = re.compile(r"\s*(\w+)\s*=\s*([1-9]\d{0,8})\s*")


def described(name: str) -> Model | None:
    """Return the dense decoder that a name such as ``layers=32,hidden=4096`` describes.

    Blank heads are of 128 elements, blank KV heads as many as heads, a blank MLP is four times as
    wide as the model; an MLP of that width has two matrices (GPT), any other three (Llama).
    None where the name is not of that form.

    Raises
    ------
    InputError
        When a field is missing or none of these, or the dimensions do not agree.

    >>> described("layers=32,hidden=4096,heads=32,ffn=11008,vocab=32000").params
    6738415616
    """
    if "=" not in name:
        return None
    fields = [_FIELD.fullmatch(part) for part in name.split(",")]
    size = {found[1]: int(found[2]) for found in fields if found}
    if None in fields or not set(NEEDED) <= set(size) <= set(DIMENSIONS):
        raise InputError("model", name, VALID)
    hidden = size["hidden"]
    heads = size.get("heads") or max(hidden // HEAD, 1)
    ffn = size.get("ffn") or 4 * hidden
    if hidden % heads:
        raise InputError("model", name, f"its {heads} heads must divide the width of {hidden}")
    gpt = ffn == 4 * hidden
    return Model(
        id="-".join(f"{key}-{value}" for key, value in size.items()).replace("_", "-"),
        name=f"{size['layers']} layers of {hidden}",
        layers=size["layers"],
        hidden=hidden,
        heads=heads,
        kv_heads=size.get("kv_heads") or heads,
        head_dim=hidden // heads,
        ffn=ffn,
        gated_mlp=not gpt,
        vocab=size.get("vocab") or VOCAB,
        tied_embeddings=gpt,
        norm="layernorm" if gpt else "rmsnorm",
        sources=(name,),
    )
