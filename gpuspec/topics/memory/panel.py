"""Control panel of the memory notebook."""

import pandas as pd

from gpuspec.topics.memory import MemoryQuestion, serving_table, smallest_serving
from gpuspec.topics.memory.pictures import serving_memory
from gpuspec.topics.memory.words import formats_sentence
from gpuspec.views.display import figure
from gpuspec.views.language import say
from gpuspec.views.panel import Panel, controls


def serving_panel(question: MemoryQuestion) -> Panel:
    """Return a panel over the question "what fits where", started at `question`."""
    shown = controls(
        question, "model", "weights", "kv", "isl", "osl", "concurrency", "gpu_memory_utilization"
    )

    def answer(**values: object) -> tuple[MemoryQuestion, pd.DataFrame]:
        asked = question.but(**values)
        return asked, smallest_serving(serving_table(asked))

    def draw(answered: tuple[MemoryQuestion, pd.DataFrame]) -> str:
        asked, table = answered
        title = say(
            "{model}, {count:,} requests of {context:,} tokens",
            model=asked.network.name,
            count=asked.concurrency,
            context=asked.context,
        )
        return figure(serving_memory(asked, table, title), title, title).svg

    return Panel(shown, answer, draw, lambda answered: formats_sentence(answered[0]), question)
