"""What is asked about GPUs side by side."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gpuspec.catalog.fields import fold
from gpuspec.topics.shared import Compared

Rate = Annotated[
    Literal["fp64", "fp64_tensor", "fp32", "tf32", "fp16", "bf16", "fp8"], BeforeValidator(fold)
]


class OverviewQuestion(Compared):
    """What do these GPUs offer."""

    roofline_precision: Rate = Field(
        "bf16",
        description="Number format of the roofline: bf16, fp16, tf32, fp32, fp64 or fp64_tensor",
    )
