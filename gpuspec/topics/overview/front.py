"""Page 1 of the generations report: the answer, what it rests on, and what to do next."""

from collections.abc import Sequence

from gpuspec.catalog import Gpu
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step
from gpuspec.views.language import say
from gpuspec.views.words import listed


def opening(gpus: Sequence[Gpu]) -> str:
    """Say what the GPUs have more than the first of them."""
    first, others = gpus[0], gpus[1:]
    if not others:
        return say("Only {id} was asked for: nothing to compare with.", id=first.id)
    said = []
    if all("bf16" in g.precisions for g in gpus):
        rates = [g.peak_flops("bf16") / first.peak_flops("bf16") for g in others]
        values = {"gpus": listed([g.id for g in others]), "first": first.id, "times": rates[0]}
        text = "{gpus} do {times:.2f} times as many operations a second in dense BF16 as {first}."
        if len({f"{rate:.2f}" for rate in rates}) > 1:
            values["times"] = _times(others, rates)
            text = "In dense BF16 {times} as many operations are done in a second as by {first}."
        said.append(say(text, **values))
    rates = [g.bandwidth_bytes_s / first.bandwidth_bytes_s for g in others]
    text = "Memory is read {times} as fast, and work that waits for memory gains no more than that."
    return " ".join([*said, say(text, times=_times(others, rates))])


def _times(gpus: Sequence[Gpu], times: Sequence[float]) -> str:
    found = [
        say("{times:.2f} times ({gpu})", times=n, gpu=g.id)
        for g, n in zip(gpus, times, strict=True)
    ]
    return listed(found)


def rests() -> list[str]:
    """Say what the answer rests on."""
    text = (
        "Rates and sizes are those of the vendors' data sheets, dense, and of what drivers report."
    )
    return [say(text), say("What programs reach of them is told by the other reports.")]


def steps() -> list[Step]:
    """Return what to do next."""
    find = say("find out what your work waits for: operations, memory or links.")
    offers = say("compare offers by dense rates: a rate with sparsity is twice as high on paper.")
    return [Step("Engineering", TRIAL_DAYS, find), Step("Purchasing", QUOTES_DAYS, offers)]
