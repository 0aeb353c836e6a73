"""The questions and quotes that the parts of a scenario ask with."""

from collections.abc import Sequence

from gpuspec.decision.scenario.records import Inference, Prices, Training
from gpuspec.topics.cost.prices.quotes import Quote, quote_of, read_quotes
from gpuspec.topics.serving.ask import ServingQuestion, ServingQuestion
from gpuspec.topics.training.ask import TrainingQuestion, training_question


def service_question(
    service: Inference,
    gpus: str | Sequence[str],
    precisions: str | Sequence[str],
    request_rate: float = 0.0,
) -> ServingQuestion:
    """Return the question that a service of a scenario asks; the rate only where it is given."""
    w = service
    return ServingQuestion.ask(
        model=w.model,
        gpus=gpus,
        weights=precisions,
        kv=w.kv_precision,
        isl=w.isl,
        osl=w.osl,
        concurrency=max(w.concurrency, 1),
        ttft_limit_s=w.ttft_limit_s,
        tpot_limit_s=w.tpot_limit_s,
        engine=w.engine,
        cached_share=w.cached_share,
        request_rate=request_rate,
    )


def job_question(job: Training, gpu_name: str, count: int, compute: str) -> TrainingQuestion:
    """Return the question that a training job of a scenario asks of one kind of GPU."""
    w = job
    return training_question(
        w.model,
        gpu_name,
        [count],
        w.tokens,
        w.deadline_days,
        w.seq_len,
        w.global_batch,
        compute,
        w.framework,
        w.tuning,
    )


def scenario_quotes(prices: Prices) -> list[Quote] | None:
    """Return the quotes of a scenario: those of its file, then those it states itself."""
    mine, given = list(read_quotes(prices.file)), prices.quotes
    if isinstance(given, str):
        mine += read_quotes(given)
    else:
        mine += [quote_of(dict(q), f"prices.quotes[{i}]") for i, q in enumerate(given)]
    return mine or None
