"""Control panel of the memory notebook."""

from typing import Any

import ipywidgets as W

from gpuspec.catalog.precision import KV_PRECISIONS
from gpuspec.topics.memory import MemoryQuestion, memory_question, serving_table, smallest_serving
from gpuspec.topics.memory.pictures import serving_memory
from gpuspec.views.display import figure
from gpuspec.views.panel import LABEL, Panel, choice, model_choice, power_slider

WEIGHTS = ("bf16", "fp8", "int8", "int4-awq", "mxfp4")


def serving_panel(question: MemoryQuestion) -> Panel:
    """Return a panel over the question "what fits where", started at `question`."""
    q = question
    ids = [g.id for g in q.gpus]
    controls = {
        "model_name": model_choice(q.network),
        "weight_precision": choice("weights", sorted({*WEIGHTS, q.weight.id}), q.weight.id),
        "kv_precision": choice("KV cache", KV_PRECISIONS, q.kv_precision),
        "isl": power_slider("ISL", q.isl),
        "osl": power_slider("OSL", q.osl),
        "concurrency": power_slider("concurrency", q.concurrency),
        "gpu_memory_utilization": W.FloatSlider(
            value=q.gpu_memory_utilization,
            min=0.5,
            max=1.0,
            step=0.01,
            description="utilization",
            style=LABEL,
        ),
    }

    def answer(**values: Any) -> tuple[MemoryQuestion, Any]:
        asked = memory_question(gpus=ids, **values)
        return asked, smallest_serving(serving_table(asked))

    def draw(answered: tuple[MemoryQuestion, Any]) -> str:
        asked, table = answered
        title = f"{asked.network.name}, {asked.concurrency:,} requests of {asked.context:,} tokens"
        return figure(serving_memory(asked, table, title), title, title).svg

    return Panel(controls, answer, draw)
