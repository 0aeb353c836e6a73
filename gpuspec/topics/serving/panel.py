"""Control panel of the inference notebook."""

import pandas as pd

from gpuspec.topics.serving import ServingQuestion, best_rows, frontier_table
from gpuspec.topics.serving.pictures import latency_throughput
from gpuspec.topics.serving.words import option_finding, option_sentences, undrawn
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, controls


def inference_panel(question: ServingQuestion) -> Panel:
    """Return a panel over the question "which GPU, how many, how split".

    It starts at `question`, and so at the answer above it; the load is asked as it is there.
    """
    load = question.load_field
    if load == "lengths":
        load, start = "request_rate", question.but(request_rate=question.arriving)
    else:
        start = question.but(**{load: getattr(question, load) or question.in_flight})
    shown = controls(start, "model", "weights", "kv", "max_num_seqs", "chunked_prefill")
    shown |= controls(start, "isl", "osl", load, "ttft_limit_s", "tpot_limit_s")

    def answer(**values: object) -> tuple[ServingQuestion, pd.DataFrame]:
        asked = start.but(**values)
        return asked, best_rows(asked)

    def draw(answered: tuple[ServingQuestion, pd.DataFrame]) -> str:
        asked, best = answered
        title = option_finding(asked, best)
        frontier = frontier_table(asked, best)
        return figure(latency_throughput(frontier, title), title, title, tight=False).svg

    def told(answered: tuple[ServingQuestion, pd.DataFrame]) -> str:
        asked, best = answered
        said = undrawn(asked) if asked.network.kind == "encoder" else ""
        told = [option_sentences(asked, best), said]
        return " ".join(filter(None, told))

    return Panel(shown, answer, draw, told, start)
