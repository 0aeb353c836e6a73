"""What is asked about one's own measurements."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gpuspec.base.ask import Ask, Range
from gpuspec.catalog.fields import fold

Measured = Annotated[
    Literal[
        "inference", "training", "posttraining", "collectives", "hpc", "memory", "mig", "images"
    ],
    BeforeValidator(fold),
]


class ValidationQuestion(Ask):
    """How well are these measurements predicted."""

    measurements: str | None = Field(
        None,
        description="A CSV file with your own measurements (columns: docs/validation.md); None: "
        "the shipped table",
    )
    kind: Measured = Field(
        "inference",
        description="What was measured; memory, mig and images need a file",
    )
    worst_cases: Annotated[int, Range(1, 1000)] = Field(
        12, description="How many of the worst cases to name"
    )
