"""Collectives and networks: what joins GPUs, and what it costs a job, as tables."""

from gpuspec.connect.collectives import (
    bandwidth_table,
    measured_table,
    message_table,
    scale_table,
)
from gpuspec.connect.jobs import (
    ENOUGH,
    NETWORKS,
    form_table,
    network_table,
    node_layout,
    tensor_table,
    waiting_table,
)
from gpuspec.connect.layouts import WAITING
from gpuspec.connect.question import InterconnectQuestion, interconnect_question
from gpuspec.connect.wiring import Wiring, card_fabric, wirings

__all__ = [
    "ENOUGH",
    "NETWORKS",
    "WAITING",
    "InterconnectQuestion",
    "Wiring",
    "bandwidth_table",
    "card_fabric",
    "form_table",
    "interconnect_question",
    "measured_table",
    "message_table",
    "network_table",
    "node_layout",
    "scale_table",
    "tensor_table",
    "waiting_table",
    "wirings",
]
