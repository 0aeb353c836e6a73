"""Number formats of weights and the states that training keeps of each parameter."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gpuspec.base.errors import InputError
from gpuspec.catalog import find
from gpuspec.catalog.columns import Figure, Flag, Named, column
from gpuspec.catalog.records import Gpu

KV_PRECISIONS = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0}
"""Formats of the key-value cache and their bytes an element."""
Bits = Annotated[float, Figure(unit="bit")]
ParameterBytes = Annotated[float, Figure(unit="byte/parameter")]


class Precision(Named):
    """One number format of weights: bits a weight and the share of its group's scales."""

    bits: Annotated[float, Figure(1, unit="bit")] = column("Bits of one weight")
    group_size: Annotated[float, Figure(1, unit="weight")] = column(
        "Weights that share one scale", 1.0
    )
    group_overhead_bits: Annotated[float, Figure(unit="bit")] = column(
        "Bits of scale and zero point of one group", 0.0, stated=True
    )
    quantized: Flag = column(
        "Whether embeddings, head, norms and routers stay in 16 bits", False, stated=True
    )
    quantizes: str = column("Parts of the model that take the format, | between them", "")
    computes: str = column(
        "Precision in which GPUs multiply it; empty: weights only, the arithmetic is in 16 bits", ""
    )
    units: str = column("Units that a GPU needs for that where they are not those of computes", "")
    counts_as: str = column("Format by whose id tables of ways call it; empty: its own", "")

    def native(self, gpu: Gpu) -> str:
        """Return the precision in which a GPU multiplies it, such as ``"fp8"``, else ``"bf16"``.

        Activations are in the same precision. FP8 from Ada and Hopper on, FP4 from Blackwell; a
        GPU without the units reads the small weights and computes in 16 bits.
        """
        has = {self.computes, self.units or self.computes} <= {*gpu.precisions}
        return self.computes if self.computes and has else "bf16"

    def weight_only(self, gpu: Gpu) -> bool:
        """Whether a GPU stores it smaller than it computes with it."""
        return self.quantized and self.native(gpu) == "bf16"

    @property
    def bytes_per_weight(self) -> float:
        """Bytes a weight, scales and zero points included."""
        return (self.bits + self.group_overhead_bits / self.group_size) / 8

    @property
    def kept_bytes_per_weight(self) -> float:
        """Bytes a weight of what the format leaves alone: embeddings, head, norms, routers."""
        return 2.0 if self.quantized else self.bytes_per_weight


QUANTIZABLE = ("attention", "linear", "mlp", "experts", "shared_experts", "network")
"""Parts of a model that formats below 16 bits may take; see `gpuspec.catalog.models.params`."""
PARTS = (*QUANTIZABLE, "embedding", "lm_head", "router", "norms", "other", "towers")
"""Parts whose format a text may state."""
_BITS = re.compile(r"(\d{1,2}(?:\.\d{1,6})?)bit")
Mix = tuple[tuple[float, Precision], ...]
"""Shares of a part's parameters that add up to 1, each with its format."""


@dataclass(frozen=True)
class WeightFormat:
    """What each part of a network's weights is stored in, and who says so."""

    name: str
    """Such as ``"FP8 (E4M3)"`` or ``"experts MXFP4, rest BF16"``."""
    rest: Precision
    """The format of parts that `parts` does not name."""
    parts: tuple[tuple[str, Mix], ...] = ()
    """Parts and their formats."""
    source: str = ""
    """Who says so, such as ``"as stored (config.json)"``; empty where it was asked for."""
    scale: float = 1.0
    """A stated size of the weights over the size that the formats give."""
    id: str = ""
    """How tables of ways call it: a format of precisions.csv, or ``"stored"`` for a mixture."""

    @classmethod
    def of(cls, form: "Precision | WeightFormat") -> "WeightFormat":
        """Return the weights in one format, in the parts that it takes; the rest in 16 bits.

        What states its parts already is returned as it is.
        """
        if isinstance(form, WeightFormat):
            return form
        called = form.counts_as or form.id
        if not form.quantized:
            return cls(form.name, form, id=called)
        parts = tuple((part, ((1.0, form),)) for part in form.quantizes.split("|"))
        rest = precision("bf16")
        name = form.name if len(parts) >= len(QUANTIZABLE) else _words(dict(parts), rest)
        return cls(name, rest, parts, id=called)

    @classmethod
    def read(cls, text: str) -> "WeightFormat":
        """Return what a text such as ``"fp8"`` or ``"experts=mxfp4|rest=bf16"`` states.

        A part may be a mixture, ``attention=0.75*fp8+0.25*bf16``; a format is one of
        precisions.csv, or the bits of a weight with all its scales, ``4.65bit``.

        Raises
        ------
        InputError
            When a part, a format or the shares are none.
        """
        return _read(text)

    def formats(self, part: str) -> Mix:
        """Return the formats of a part of the model, each with its share of the part."""
        return dict(self.parts).get(part, ((1.0, self.rest),))

    def bytes_each(self, part: str) -> float:
        """Return the mean bytes of a weight of a part, scales and zero points included."""
        mean = sum(share * form.bytes_per_weight for share, form in self.formats(part))
        return self.scale * mean

    @property
    def words(self) -> str:
        """Say the format with who says so: ``"experts MXFP4, rest BF16, as stored (...)"``."""
        sized = "at the stated size" if self.scale != 1 else ""
        return ", ".join(filter(None, (self.name, self.source, sized)))

    @property
    def main(self) -> Precision:
        """The smallest format in it, which gives it its name."""
        forms = [form for _, mix in self.parts for _, form in mix]
        return min(forms, key=lambda form: form.bytes_per_weight, default=self.rest)

    @property
    def quantized(self) -> bool:
        """Whether any part is stored in less than 16 bits."""
        return self.main.bytes_per_weight < 2.0


def _read(text: str) -> WeightFormat:
    if "=" not in text:
        return WeightFormat.of(_form(text))
    stated: dict[str, Mix] = {}
    for pair in text.split("|"):
        part, _, mix = pair.partition("=")
        if part not in (*PARTS, "rest"):
            raise InputError("stored", text, f"parts are {', '.join(PARTS)} and rest")
        stated[part] = _mix(mix, text)
    rest = stated.pop("rest", ((1.0, precision("bf16")),))
    if len(rest) > 1:
        raise InputError("stored", text, "rest has one format")
    found = WeightFormat(_words(stated, rest[0][1]), rest[0][1], tuple(stated.items()), id="stored")
    same = WeightFormat.of(found.main)
    return same if (same.rest, dict(same.parts)) == (found.rest, stated) else found


def _mix(text: str, whole: str) -> Mix:
    shares, forms = [], []
    for piece in text.split("+"):
        share, _, name = piece.rpartition("*")
        try:
            shares.append(float(share or 1))
        except ValueError:
            raise InputError("stored", whole, "a mixture is such as 0.75*fp8+0.25*bf16") from None
        forms.append(_form(name))
    if not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-3:
        raise InputError("stored", whole, "the shares of a part add up to 1")
    return tuple((share / sum(shares), form) for share, form in zip(shares, forms, strict=True))


def _form(name: str) -> Precision:
    """Return a format of the table, or one that is stated by its bits alone."""
    stated = _BITS.fullmatch(name.strip())
    if not stated or not 1 <= float(stated[1]) <= 32:
        return precision(name, field="stored")
    bits, quantizes = float(stated[1]), "|".join(QUANTIZABLE)
    called = f"{bits:g} bits"
    return Precision(id=name, name=called, bits=bits, quantized=bits < 16, quantizes=quantizes)


def _words(stated: dict[str, Mix], rest: Precision) -> str:
    """Say a mixture: parts in the same formats together, the rest last."""
    kinds: dict[str, list[str]] = {}
    for part, mix in stated.items():
        several = len(mix) > 1
        said = [f"{share:.0%} " * several + form.name for share, form in mix if share >= 5e-3]
        kinds.setdefault(" + ".join(said), []).append(part.replace("_", " "))
    words = [f"{' and '.join(parts)} {said}" for said, parts in kinds.items() if said != rest.name]
    return ", ".join([*words, f"rest {rest.name}"])


class TrainingRecipe(Named):
    """Bytes that training keeps of each trainable parameter."""

    optimizer: str = column(
        "Which optimizer it is: adamw, adamw-8bit, adamw-paged, sgd, adafactor or muon",
        "adamw",
        stated=True,
    )
    weight_bytes: ParameterBytes = column("Weights as the products read them")
    grad_bytes: ParameterBytes = column("Gradients and their accumulators")
    optimizer_bytes: ParameterBytes = column("Master weights and moments")
    step_bytes: ParameterBytes = column(
        "Temporary copies during the optimizer step, divided like its states", 0.0, stated=True
    )
    gathered_bytes: ParameterBytes = column(
        "Weights of a layer at work where they are sharded", 2.0, stated=True
    )
    reduced_bytes: ParameterBytes = column(
        "Gradients as they travel between ranks", 2.0, stated=True
    )
    paged: Flag = column(
        "Whether optimizer states move to host memory where the GPU's ends", False, stated=True
    )

    @property
    def bytes_per_param(self) -> float:
        """All states together, without sharding."""
        return self.weight_bytes + self.grad_bytes + self.optimizer_bytes


def precision(
    name: str, data: str | Path | None = None, field: str = "weight_precision"
) -> Precision:
    """Look up a number format of weights, such as ``"bf16"``, ``"fp8"`` or ``"int4"``.

    Raises
    ------
    UnknownNameError
        When no format has that name; lists close matches.

    >>> precision("awq").bytes_per_weight
    0.51953125
    """
    return find("precisions", Precision, name, data, field)


def training_recipe(
    name: str, data: str | Path | None = None, field: str = "recipe"
) -> TrainingRecipe:
    """Look up an optimizer recipe, such as ``"adamw"``, ``"megatron"`` or ``"8bit-adam"``.

    Raises
    ------
    UnknownNameError
        When no recipe has that name; lists close matches.

    >>> training_recipe("megatron").bytes_per_param
    18.0
    """
    return find("training_recipes", TrainingRecipe, name, data, field)
