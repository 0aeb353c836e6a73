"""Number formats of weights and the states that training keeps of each parameter."""

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
