"""Number formats of weights and the states that training keeps of each parameter."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gpuspec.catalog import find
from gpuspec.catalog.columns import Figure, Flag, Named, column

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


@dataclass(frozen=True)
class WeightFormat:
    """What each part of a network's weights is stored in, and who says so."""

    name: str
    """Such as ``"fp8"`` or ``"experts mxfp4, rest bf16"``."""
    rest: Precision
    """The format of parts that `parts` does not name."""
    parts: tuple[tuple[str, tuple[tuple[float, Precision], ...]], ...] = ()
    """Part and its formats: shares of its parameters that add up to 1, each with its format."""
    source: str = ""
    """Who says so, such as ``"as stored (config.json)"``; empty where it was asked for."""
    scale: float = 1.0
    """A stated size of the weights over the size that the formats give."""

    @classmethod
    def of(cls, form: Precision) -> "WeightFormat":
        """Return the weights in one format, in the parts that it takes; the rest in 16 bits."""
        if not form.quantized:
            return cls(form.id, form)
        taken = form.quantizes.split("|")
        return cls(form.id, precision("bf16"), tuple((part, ((1.0, form),)) for part in taken))

    def formats(self, part: str) -> tuple[tuple[float, Precision], ...]:
        """Return the formats of a part of the model, each with its share of the part."""
        return dict(self.parts).get(part, ((1.0, self.rest),))

    def bytes_each(self, part: str) -> float:
        """Return the mean bytes of a weight of a part, scales and zero points included."""
        mean = sum(share * form.bytes_per_weight for share, form in self.formats(part))
        return self.scale * mean


class TrainingRecipe(Named):
    """Bytes that training keeps of each trainable parameter."""

    weight_bytes: ParameterBytes = column("Weights as the products read them")
    grad_bytes: ParameterBytes = column("Gradients and their accumulators")
    optimizer_bytes: ParameterBytes = column("Master weights and moments")
    step_bytes: ParameterBytes = column(
        "Temporary copies during the optimizer step, divided like its states", 0.0, stated=True
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
