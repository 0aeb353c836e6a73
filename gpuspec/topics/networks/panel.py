"""Control panel of the interconnect notebook."""

from typing import Any

from gpuspec.topics.networks import InterconnectQuestion, interconnect_question, network_table
from gpuspec.topics.networks.pictures import network_scaling
from gpuspec.topics.networks.words import network_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, model_choice, power_slider


def interconnect_panel(question: InterconnectQuestion) -> Panel:
    """Return a panel over the question "what does the network cost", started at `question`."""
    q = question
    ids = [g.id for g in q.gpus]
    controls = {
        "model_name": model_choice(q.network),
        "gpus": choice("GPU", ids, ids[0]),
        "seq_len": power_slider("tokens", q.seq_len),
        "sequences_per_gpu": power_slider("sequences", q.sequences_per_gpu),
        "gpus_per_node": choice("GPUs a node", [2, 4, 8], q.gpus_per_node),
    }

    def answer(**values: Any) -> tuple[InterconnectQuestion, Any]:
        asked = interconnect_question(nodes=q.nodes, framework=q.framework, **values)
        return asked, network_table(asked, asked.gpus[0])

    def draw(answered: tuple[InterconnectQuestion, Any]) -> str:
        asked, table = answered
        title = network_finding(asked, table)
        return figure(network_scaling(table, title), title, title, tight=False).svg

    return Panel(controls, answer, draw)
