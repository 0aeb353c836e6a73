"""Control panel of the inference notebook."""

from typing import Any

from gpuspec.catalog.precision import KV_PRECISIONS
from gpuspec.topics.memory.panel import WEIGHTS
from gpuspec.topics.serving import (
    InferenceQuestion,
    best_options,
    frontier_table,
    inference_question,
    options_table,
)
from gpuspec.topics.serving.pictures import latency_throughput
from gpuspec.topics.serving.words import option_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, model_choice, power_slider


def inference_panel(question: InferenceQuestion) -> Panel:
    """Return a panel over the question "which GPU, how many, how split", started at `question`."""
    q = question
    ids, weight = [g.id for g in q.gpus], q.weights[0].id
    controls = {
        "model_name": model_choice(q.network),
        "weight_precision": choice("weights", sorted({*WEIGHTS, weight}), weight),
        "kv_precision": choice("KV cache", KV_PRECISIONS, q.kv_precision),
        "isl": power_slider("ISL", q.isl),
        "osl": power_slider("OSL", q.osl),
        "concurrency": power_slider("concurrency", q.concurrency),
    }
    limits: dict[str, Any] = {"ttft_limit_s": q.ttft_limit_s, "tpot_limit_s": q.tpot_limit_s}

    def answer(**values: Any) -> tuple[InferenceQuestion, Any]:
        asked = inference_question(
            gpus=ids, engine_name=q.engine.id, max_gpus=q.max_gpus, **limits, **values
        )
        return asked, best_options(options_table(asked))

    def draw(answered: tuple[InferenceQuestion, Any]) -> str:
        asked, best = answered
        title = option_finding(asked, best)
        frontier = frontier_table(asked, best)
        return figure(latency_throughput(frontier, title), title, title, tight=False).svg

    return Panel(controls, answer, draw)
