"""Control panel of the interconnect notebook."""

import pandas as pd

from gpuspec.topics.networks import NetworksQuestion, network_table
from gpuspec.topics.networks.pictures import network_scaling
from gpuspec.topics.networks.words import network_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, controls


def interconnect_panel(question: NetworksQuestion) -> Panel:
    """Return a panel over the question "what does the network cost", started at `question`."""
    shown = {
        **controls(question, "model"),
        "gpus": choice("GPU", question.gpus, question.gpus[0]),
        **controls(question, "seq_len", "sequences_per_gpu", "gpus_per_node"),
    }

    def answer(**values: object) -> tuple[NetworksQuestion, pd.DataFrame]:
        asked = question.but(**values)
        return asked, network_table(asked, asked.devices[0])

    def draw(answered: tuple[NetworksQuestion, pd.DataFrame]) -> str:
        asked, table = answered
        title = network_finding(asked, table)
        return figure(network_scaling(table, title), title, title, tight=False).svg

    return Panel(shown, answer, draw, lambda answered: answered[0].network.doubts, question)
