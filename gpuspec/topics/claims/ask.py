"""The settings over which claims are examined, checked once."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.models import Model, model
from gpuspec.catalog.precision import precision
from gpuspec.topics.cost.prices import default_prices

SMALL_B, LARGE_B = 33.0, 70.0
"""Parameters (in 1e9) up to which the article's "up to 30B", and from which its "70B and more"."""

SERVED = "Llama-3.2-1B,Llama-3.1-8B,Qwen2.5-32B,Llama-3.1-70B,Mistral-Large-123B"
TRAINED = "Llama-3.1-8B,Qwen2.5-32B,Llama-3.1-70B,Mixtral-8x22B,Llama-3.1-405B"


class ClaimsQuestion(BaseModel):
    """Which GPUs stand for the article's three, and the grid of settings."""

    model_config = ConfigDict(frozen=True)

    a100: Gpu
    h100: Gpu
    h200: Gpu
    models: tuple[Model, ...]
    contexts: tuple[int, ...]
    answers: tuple[int, ...]
    """Tokens of an answer."""
    fleets: tuple[int, ...]
    """GPUs that serve together."""
    trained: tuple[Model, ...]
    train_gpus: tuple[int, ...]
    """GPUs that each of `trained` is trained on."""
    sequences: tuple[int, ...]
    """Tokens of a training sequence."""
    new_weights: tuple[str, ...]
    """Formats of weights on the newer GPUs; A100 serves in BF16."""
    h100_prices: tuple[float, ...]
    """Hours of A100 that an hour of H100 costs: the levels to try."""
    h200_prices: tuple[float, ...]
    """Hours of H100 that an hour of H200 costs."""


def claims_question(
    a100: str = "A100",
    h100: str = "H100",
    h200: str = "H200",
    models: str = SERVED,
    contexts: str | Sequence[int] = "512,2048,8192,32768,98304",
    answers: str | Sequence[int] = "128,1024",
    fleets: str | Sequence[int] = "1,2,4,8",
    trained: str = TRAINED,
    train_gpus: str | Sequence[int] = "16,64,128,256,1024",
    sequences: str | Sequence[int] = "4096,32768",
    new_weights: str = "bf16,fp8",
    h100_prices: str | Sequence[float] = "",
    h200_prices: str | Sequence[float] = "",
) -> ClaimsQuestion:
    """Check every input once, and return the question that the audit answers.

    Parameters
    ----------
    a100, h100, h200 : str
        The GPUs that stand for the article's three: other forms or export variants, too.
    models, contexts, answers, fleets : str
        The grid of serving: models, tokens of a prompt and of an answer, GPUs.
    trained, train_gpus, sequences : str
        The grid of training: models, GPUs for each of them, tokens of a sequence.
    new_weights : str
        Formats of weights tried on the newer GPUs.
    h100_prices, h200_prices : str
        Price ratios to try: H100 over A100, H200 over H100. Empty: the smallest, the median and
        the largest of the rental prices of ``data/prices_defaults.csv``.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    jobs, counts = _names(trained), _whole("train_gpus", train_gpus, 1, 16_384)
    if len(jobs) != len(counts):
        valid = f"give one number for each of the {len(jobs)} trained models"
        raise InputError("train_gpus", train_gpus, valid)
    return ClaimsQuestion(
        a100=gpu(a100),
        h100=gpu(h100),
        h200=gpu(h200),
        models=_models(_names(models)),
        contexts=_whole("contexts", contexts, 1, 1_000_000),
        answers=_whole("answers", answers, 1, 100_000),
        fleets=_whole("fleets", fleets, 1, 8),
        trained=_models(jobs),
        train_gpus=counts,
        sequences=_whole("sequences", sequences, 16, 1_000_000),
        new_weights=tuple(precision(n).id for n in _names(new_weights)),
        h100_prices=_prices("h100_prices", h100_prices, gpu(h100), gpu(a100)),
        h200_prices=_prices("h200_prices", h200_prices, gpu(h200), gpu(h100)),
    )


def _names(text: str) -> list[str]:
    return [n.strip() for n in text.split(",") if n.strip()]


def _models(names: list[str]) -> tuple[Model, ...]:
    found = tuple(model(name) for name in names)
    if not found:
        raise InputError("models", "", "name at least one model")
    for network in found:
        network.need_llm("tokens per second")
    return found


def _whole(field: str, value: Any, least: int, most: int) -> tuple[int, ...]:
    """Return whole numbers of a list, in the order given."""
    found = []
    for text in value.split(",") if isinstance(value, str) else list(value):
        try:
            number = int(str(text).strip())
        except ValueError:
            raise InputError(field, value, "give whole numbers, such as 1,2,4") from None
        if not least <= number <= most:
            raise InputError(field, number, f"give numbers from {least:,} to {most:,}")
        found.append(number)
    if not found:
        raise InputError(field, value, "give at least one number")
    return tuple(found)


def _prices(field: str, value: Any, new: Gpu, old: Gpu) -> tuple[float, ...]:
    """Return the price ratios asked for, or those of rents in the same mode and tier."""
    if len(value):
        return _ratios(field, value)
    table = default_prices()
    table = table[(table["mode"] != "own") & (table["currency"] == "USD")]
    keys = ["mode", "tier", "region"]
    sides = [table[table["gpu_id"] == g.id].set_index(keys)["central"] for g in (new, old)]
    ratios = (sides[0] / sides[1]).dropna()
    if ratios.empty:
        valid = f"no rent of {new.id} and {old.id} is known: give ratios, such as 1.8,2.1,2.5"
        raise InputError(field, value, valid)
    levels = (ratios.min(), ratios.median(), ratios.max())
    return tuple(dict.fromkeys(round(float(level), 2) for level in levels))


def _ratios(field: str, value: Any) -> tuple[float, ...]:
    """Return price ratios of a list."""
    found = []
    for text in value.split(",") if isinstance(value, str) else list(value):
        try:
            ratio = float(str(text).strip())
        except ValueError:
            raise InputError(field, value, "give numbers, such as 1.8,2.1,2.5") from None
        if not 0.01 <= ratio <= 100:
            raise InputError(field, ratio, "give ratios from 0.01 to 100")
        found.append(ratio)
    if not found:
        raise InputError(field, value, "give at least one number")
    return tuple(found)
