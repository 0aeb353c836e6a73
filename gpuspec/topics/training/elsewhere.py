"""What else would hold a training job that nothing asked for holds."""

from functools import lru_cache

from gpuspec.catalog import Gpu
from gpuspec.catalog.frameworks import framework_record
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.layouts import HOST, UNFIT, beside_sizes, possible_layouts
from gpuspec.topics.training.rules import TRAINED

SPLITTING = "megatron-core"
"""The framework that is tried for its tensor and pipeline parallelism."""


@lru_cache(256)
def tried_sentence(question: TrainingQuestion, device: Gpu, count: int) -> str:
    """Say what was tried beyond the layouts of a job that does not fit, and what would hold it.

    Host memory under the framework itself; tensor and pipeline parallelism under Megatron-Core;
    adapters on a 16-bit base, then on a 4-bit one that is split over the GPUs.
    """
    has = framework_record(question.framework)
    said = []
    if has.offload:
        most = "|".join(has.offload)
        said.append(f"with {HOST[most]} too")
    holding = [words for words in _others(question, device, count) if words]
    if holding:
        return f"{', '.join(said)}; {' or '.join(holding)} would fit".lstrip(", ;")
    if question.tuning == "qlora":
        return ", ".join([*said, "and no other framework holds it either"])
    return ", ".join([*said, "and neither another framework nor QLoRA split over all GPUs would"])


def _others(question: TrainingQuestion, device: Gpu, count: int) -> list[str]:
    """Return in words which other ways hold the job; empty words where one does not."""
    ways = [] if question.framework == SPLITTING else [{"framework": SPLITTING}]
    trained = list(TRAINED)
    ways += [{"tuning": t} for t in trained[trained.index(question.tuning) + 1 :]]
    return [_holding(question, device, count, way) for way in ways]


def _holding(question: TrainingQuestion, device: Gpu, count: int, way: dict[str, str]) -> str:
    """Return in words a layout that holds the job in another way; empty where none does."""
    asked = question.but(**way)
    grid, reason = possible_layouts(asked, device, count)
    held = grid[reason == ""]
    if held.empty:
        return ""
    least = held.sort_values(["offload", "memory_bytes"], kind="stable").iloc[0]
    split = [*parallel_sizes(least), *beside_sizes(dict(least))]
    what = TRAINED[asked.tuning] if "tuning" in way else framework_record(asked.framework).name
    return f"{what} ({', '.join(split) or 'one GPU'})"


def unfit_reason(question: TrainingQuestion, device: Gpu, count: int, reason: str) -> str:
    """Return the reason of the nearest layout, with what was tried where memory is short."""
    if not reason.startswith(UNFIT):
        return reason
    return f"{reason}, {tried_sentence(question, device, count)}"
