"""Control panel of the inference notebook."""

import pandas as pd

from gpuspec.topics.serving import ServingQuestion, best_options, frontier_table, options_table
from gpuspec.topics.serving.pictures import latency_throughput
from gpuspec.topics.serving.words import formats_sentence, option_finding, options_ground, undrawn
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, controls


def inference_panel(question: ServingQuestion) -> Panel:
    """Return a panel over the question "which GPU, how many, how split", started at `question`."""
    shown = controls(
        question,
        "model",
        "weights",
        "kv",
        "isl",
        "osl",
        "concurrency",
        "max_num_seqs",
        "chunked_prefill",
    )

    def answer(**values: object) -> tuple[ServingQuestion, pd.DataFrame]:
        asked = question.but(**values)
        return asked, best_options(options_table(asked))

    def draw(answered: tuple[ServingQuestion, pd.DataFrame]) -> str:
        asked, best = answered
        title = option_finding(asked, best)
        frontier = frontier_table(asked, best)
        return figure(latency_throughput(frontier, title), title, title, tight=False).svg

    def told(answered: tuple[ServingQuestion, pd.DataFrame]) -> str:
        asked, best = answered
        said = undrawn(asked) if asked.network.kind == "encoder" else ""
        return " ".join(filter(None, [formats_sentence(asked), options_ground(best), said]))

    return Panel(shown, answer, draw, told)
