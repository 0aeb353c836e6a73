"""Number formats of weights and the states that training keeps of each parameter."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.catalog import edition, load_table, resolved

KV_PRECISIONS = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0}
"""Formats of the key-value cache and their bytes an element."""


class Precision(BaseModel):
    """One number format of weights: bits a weight and the share of its group's scales."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    bits: float
    group_size: float = 1.0
    group_overhead_bits: float = 0.0
    quantized: bool = False
    quantizes: str = ""
    """Parts of the model that take the format (all, where it is not a quantised one)."""

    @property
    def bytes_per_weight(self) -> float:
        """Bytes a weight, scales and zero points included."""
        return (self.bits + self.group_overhead_bits / self.group_size) / 8

    @property
    def kept_bytes_per_weight(self) -> float:
        """Bytes a weight of what the format leaves alone: embeddings, head, norms, routers."""
        return 2.0 if self.quantized else self.bytes_per_weight


class TrainingRecipe(BaseModel):
    """Bytes that training keeps of each trainable parameter."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    weight_bytes: float
    grad_bytes: float
    optimizer_bytes: float
    step_bytes: float = 0.0
    """Temporary copies while the optimizer steps, divided like its states."""

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
    return Precision(**_row("precisions", name, data, field, Precision))


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
    return TrainingRecipe(**_row("training_recipes", name, data, field, TrainingRecipe))


def _row(
    table: str, name: str, data: str | Path | None, field: str, record: type[BaseModel]
) -> dict[str, Any]:
    frame = load_table(table, data).set_index("id", drop=False)
    row = frame.loc[resolved(table, name, field, *edition(data))]
    return {c: row[c] for c in record.model_fields if row[c] == row[c]}  # leaves out NaN
