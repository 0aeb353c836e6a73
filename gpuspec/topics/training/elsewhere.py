"""What else would hold a training job that nothing asked for holds."""

from functools import lru_cache

from gpuspec.catalog import Gpu
from gpuspec.catalog.frameworks import framework_record
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.layouts import HOST, UNFIT, beside_sizes, possible_layouts
from gpuspec.topics.training.rules import TRAINED

OTHERS = ("megatron-core", "torchtune")
"""Frameworks that are tried beside the one asked for: that with every split of a model, and that
with the fewest bytes a parameter; both lend host memory and split a 4-bit base."""


@lru_cache(256)
def tried_sentence(question: TrainingQuestion, device: Gpu, count: int) -> str:
    """Say what was tried beyond the layouts of a job that does not fit, and what would hold it.

    Host memory under the framework itself; the same training under `OTHERS`; adapters on a 16-bit
    base, then on a 4-bit one that is split over the GPUs, under the framework itself or `OTHERS`.
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
    own, trained = framework_record(question.framework).id, list(TRAINED)
    others, found = [name for name in OTHERS if name != own], []
    for tuning in trained[trained.index(question.tuning) :]:
        likely = others if tuning == "full" else others[::-1]
        tried = likely if tuning == question.tuning else [own, *likely]
        held = (_holding(question, device, count, name, tuning) for name in tried)
        found.append(next(filter(None, held), ""))
    return found


def _holding(
    question: TrainingQuestion, device: Gpu, count: int, framework: str, tuning: str
) -> str:
    """Return in words a layout that holds the job in another way; empty where none does."""
    own = framework_record(question.framework).id
    # What one framework cannot be asked for (a recipe of scales, host memory) is left open.
    open_ = {} if framework == own else {"recompute": None, "offload": None, "fp8_recipe": None}
    asked = question.but(framework=framework, tuning=tuning, **open_)
    grid, reason = possible_layouts(asked, device, count)
    held = grid[reason == ""]
    if held.empty:
        return ""
    least = held.sort_values(["offload", "memory_bytes"], kind="stable").iloc[0]
    split = [*parallel_sizes(least), *beside_sizes(dict(least))]
    new = [TRAINED[tuning]] if tuning != question.tuning else []
    new += [framework_record(framework).name] if framework != own else []
    return f"{' under '.join(new)} ({', '.join(split) or 'one GPU'})"


def unfit_reason(question: TrainingQuestion, device: Gpu, count: int, reason: str) -> str:
    """Return the reason of the nearest layout, with what was tried where memory is short."""
    if not reason.startswith(UNFIT):
        return reason
    return f"{reason}, {tried_sentence(question, device, count)}"
