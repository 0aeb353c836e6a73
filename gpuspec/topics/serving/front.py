"""Page 1 of the serving report: the answer, what it rests on, and what to do next."""

import pandas as pd

from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving.words import formats_sentence, software_sentence
from gpuspec.views.front import QUOTES_DAYS, TRIAL_DAYS, Step, grounds_line
from gpuspec.views.language import say
from gpuspec.views.words import listed, rows


def rests(question: ServingQuestion, best: pd.DataFrame) -> list[str]:
    """Say what the answer rests on."""
    works = [r for r in rows(best) if r.works]
    said = [software_sentence(question), formats_sentence(question)]
    if not works:
        return said
    row = works[0]
    ends = {e: getattr(row, f"output_tokens_s_{e}") / row.output_tokens_s for e in ("low", "high")}
    text = (
        "In four of five published measurements the throughput was {low:.2f} to {high:.2f} times "
    )
    text += "such an estimate."
    return [*said, say(text, **ends), grounds_line({str(r.gpu): str(r.ground) for r in works})]


def steps(best: pd.DataFrame) -> list[Step]:
    """Return what to do next."""
    good = [f"{r.gpus:,} x {r.gpu}" for r in rows(best) if r.works]
    if not good:
        less = say("allow longer times to tokens, a smaller number format, or other GPUs.")
        return [Step("Project owner", QUOTES_DAYS, less)]
    ask = say("ask for the price of {gpus}.", gpus=listed(good, " or "))
    text = (
        "rent one replica for a day, send it its share of the load, and hold throughput and times "
    )
    text += "to tokens against table 1."
    format_ = say("check that answers in the number format of the weights are good enough.")
    return [
        Step("Purchasing", QUOTES_DAYS, ask),
        Step("Engineering", TRIAL_DAYS, say(text)),
        Step("Owner of the service", TRIAL_DAYS, format_),
    ]
