"""Collectives and networks: what joins GPUs, and what it costs a job, as tables."""

from gpuspec.topics.networks.ask import NetworksQuestion
from gpuspec.topics.networks.collectives import (
    bandwidth_table,
    measured_table,
    message_table,
    scale_table,
)
from gpuspec.topics.networks.jobs import (
    ENOUGH,
    form_table,
    network_table,
    tensor_table,
    waiting_table,
)
