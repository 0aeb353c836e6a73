"""Models that stand for a size where nobody names one."""

import math
import re

from gpuspec.base.ask import NUMBER
from gpuspec.base.errors import InputError
from gpuspec.catalog import find, table_rows
from gpuspec.catalog.models.record import Model
from gpuspec.catalog.phrases import phrase

NEAR = 1.25
"""How many times as large the model that stands for a size may be, or the size as the model."""
_OF_A_KIND = re.compile(r"[-_ ](?:instruct|chat|base|it|hf)$", re.IGNORECASE)
"""What is said of a model beside its size, and changes neither its speed nor its memory."""
SMALLEST = 1e6
"""Parameters below which a number means no size of a language model."""


def size_of(name: str) -> float | None:
    """Return the parameters that a text such as ``70B`` or ``700亿`` states; None for a name.

    >>> size_of("70B"), size_of("700亿"), size_of("Llama-3.1-70B"), size_of("70")
    (70000000000.0, 70000000000.0, None, None)
    >>> size_of("70b-instruct")
    70000000000.0
    """
    if len(name) > 40 or NUMBER.fullmatch(name.strip()):
        return None
    said = phrase(_OF_A_KIND.sub("", name.strip()))
    sized = said and said.unit in ("", "parameters") and not (said.per_days or said.label)
    return said.number if said and sized and said.number >= SMALLEST else None


def typical_model(name: str, dense: bool = False) -> str | None:
    """Return the id of the model that stands for a size; None where the text is no size.

    Mixtures of experts count unless `dense` ones are asked for.

    Raises
    ------
    InputError
        For a size that none of the table is near; lists those that there are.

    >>> typical_model("70B"), typical_model("8b")
    ('llama-3.1-70b', 'llama-3.1-8b')
    """
    size = size_of(name)
    if size is None:
        return None
    listed = [find("models", Model, row["model_id"]) for row in table_rows("typical-models")]
    known = {model.id: model.params for model in listed if not (dense and model.experts)}
    away, found = min((abs(math.log(size / params)), name_) for name_, params in known.items())
    if away > math.log(NEAR):
        sizes = ", ".join(f"{params / 1e9:.3g}B" for params in sorted(known.values()))
        raise InputError("", name, f"name a model; sizes that one stands for: {sizes}")
    return found
