"""One question about links and networks, checked once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from gpuspec.base.checks import is_number, whole_numbers
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import Gpu, gpu, gpu_ids
from gpuspec.catalog.models import Model, model
from gpuspec.constants.fabrics import NETWORKS, reference_node_gb_s
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.constants.training import TrainingTerms
from gpuspec.constants.training import framework as _framework
from gpuspec.formulas.networks import OPERATIONS

WHOLE = {  # name: (least, most)
    "gpus_per_node": (2, 8),
    "seq_len": (16, 10_000_000),
    "sequences_per_gpu": (1, 100_000),
}
POSITIVE = ("smallest_bytes", "largest_bytes", "tokens")
MOST_NODES = 1024


class InterconnectQuestion(BaseModel):
    """A checked question: what do links and networks cost a job on these GPUs."""

    model_config = ConfigDict(frozen=True)

    gpus: tuple[Gpu, ...]
    network: Model
    operation: str
    smallest_bytes: float
    largest_bytes: float
    gpus_per_node: int
    nodes: tuple[int, ...]
    node_network_gb_s: float
    """Of a node in one direction; below 0: the reference design of each GPU."""
    network_kind: str
    seq_len: int
    sequences_per_gpu: int
    """Sequences of one optimizer step for each GPU."""
    tokens: float
    """Of a whole training run: what days are counted for."""
    framework: str
    terms: TrainingTerms
    memory: MemoryTerms

    @property
    def message_bytes(self) -> Any:
        """Message sizes between the smallest and the largest, two for each doubling."""
        doublings = np.log2(self.largest_bytes / self.smallest_bytes)
        return np.geomspace(self.smallest_bytes, self.largest_bytes, int(2 * doublings) + 2)

    def node_gb_s(self, device: Gpu) -> float:
        """Return the network of a node with this GPU, GB/s in one direction."""
        asked = self.node_network_gb_s
        return reference_node_gb_s(device) if asked < 0 else asked


def interconnect_question(
    gpus: str | Sequence[str] = "A100,H100,H200",
    model_name: str | Path | Model = "Llama-3.1-8B",
    operation: str = "all_reduce",
    smallest_bytes: float = 2**14,
    largest_bytes: float = 2**34,
    gpus_per_node: int = 8,
    nodes: str | int | Sequence[int] = "2,4,8,16",
    node_network_gb_s: float = -1.0,
    network_kind: str = "infiniband",
    seq_len: int = 4096,
    sequences_per_gpu: int = 16,
    tokens: float = 1e11,
    framework: str = "megatron-core",
    data: str | Path | None = None,
) -> InterconnectQuestion:
    """Check every input once, and return the question that the tables answer.

    Parameters
    ----------
    gpus : str or sequence of str
        Names separated by commas, as typed: ``"A100,H100,H200"``.
    model_name : str, Path or Model
        A name of the table of models, or the path of a Hugging Face ``config.json``.
    operation : str
        ``all_reduce``, ``all_gather``, ``reduce_scatter``, ``all_to_all``, ``broadcast`` or
        ``point_to_point``.
    smallest_bytes, largest_bytes : float
        Message sizes between which bandwidths are computed.
    gpus_per_node : int
        GPUs of a node that take part.
    nodes : str, int or sequence of int
        Numbers of nodes to compare, separated by commas.
    node_network_gb_s, network_kind : float, str
        Network of a node in one direction (below 0: the vendor's reference design), and
        ``infiniband``, ``roce``, ``efa`` or ``tcp``.
    seq_len, sequences_per_gpu : int
        The training job: tokens a sequence, sequences of a step for each GPU.
    tokens : float
        Tokens of a whole run.
    framework : str
        A name of ``data/frameworks.csv``: its fitted constants are used.

    Raises
    ------
    InputError
        Names the field, the value and what is valid.
    """
    whole = dict(zip(WHOLE, (gpus_per_node, seq_len, sequences_per_gpu), strict=True))
    for field, value in whole.items():
        least, most = WHOLE[field]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(field, value, f"give a whole number from {least:,} to {most:,}")
    for field, number in zip(POSITIVE, (smallest_bytes, largest_bytes, tokens), strict=True):
        if not is_number(number) or not 0 < number <= 1e18:
            raise InputError(field, number, "give a number above 0, at most 1e18")
    if largest_bytes < 2 * smallest_bytes:
        valid = f"give at least twice the smallest message, {2 * smallest_bytes:g} bytes"
        raise InputError("largest_bytes", largest_bytes, valid)
    if not is_number(node_network_gb_s) or node_network_gb_s == 0:
        valid = "give GB/s of a node in one direction (below 0: the reference design)"
        raise InputError("node_network_gb_s", node_network_gb_s, valid)
    for field, name, known in (
        ("operation", operation, OPERATIONS),
        ("network_kind", network_kind, NETWORKS),
    ):
        if name not in known:
            raise UnknownNameError(field, name, known)
    asked = model_name if isinstance(model_name, Model) else model(model_name, data)
    asked.need_llm("training speed")
    if asked.max_context and seq_len > asked.max_context:
        raise InputError("seq_len", seq_len, f"{asked.name} ends at {asked.max_context:,} tokens")
    key, terms = _framework(framework)
    return InterconnectQuestion(
        gpus=tuple(gpu(name, data) for name in gpu_ids(gpus, data)),
        network=asked,
        operation=operation,
        smallest_bytes=float(smallest_bytes),
        largest_bytes=float(largest_bytes),
        nodes=_nodes(nodes),
        node_network_gb_s=float(node_network_gb_s),
        network_kind=network_kind,
        tokens=float(tokens),
        framework=key,
        terms=terms,
        memory=memory_terms(),
        **whole,
    )


def _nodes(nodes: str | int | Sequence[int]) -> tuple[int, ...]:
    found = whole_numbers("nodes", nodes, 2, MOST_NODES, "2,4,8")
    if not found:
        raise InputError("nodes", nodes, "give at least one number of nodes")
    return tuple(sorted(set(found)))
