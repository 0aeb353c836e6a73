"""What joins the GPUs of a job: links inside a node, a network between nodes."""

from pydantic import BaseModel, ConfigDict, Field

from gpuspec.constants.terms import Terms

SWITCH_GPUS = 5
"""GPUs from which NCCL lets the NVSwitch add up (NVLink SHARP): measured on H200, 2026."""


class LinkTerms(Terms):
    """Constants of NCCL's collectives over the links of a node.

    Three ways to send compete, as in NCCL: a low-latency protocol, one in between, and bulk.
    Each has a cost a ring step and a share of the link; the fastest is taken. Defaults of the start
    and of steps are those of NCCL's tuner (src/graph/tuning.cc: base latency, NVLink ring); a fit
    is drawn to them.
    """

    start_us: float = Field(6.6, ge=0.5, le=60.0)
    """A collective that does nothing."""
    step_us: float = Field(0.6, ge=0.05, le=30.0)
    """A ring step of a small message."""
    small_share: float = Field(0.1, ge=0.001, le=1.0)
    """Share of the link of the low-latency protocol."""
    middle_start_us: float = Field(6.6, ge=0.5, le=200.0)
    """Start of the protocol in between (LL128)."""
    middle_step_us: float = Field(1.25, ge=0.05, le=60.0)
    """A ring step of it."""
    middle_share: float = Field(0.4, ge=0.002, le=1.2)
    """Share of the link of it."""
    bulk_start_us: float = Field(20.0, ge=0.5, le=500.0)
    """Start of bulk transfers: filling the pipeline of chunks."""
    bulk_step_us: float = Field(3.4, ge=0.0, le=100.0)
    """A ring step of them."""
    share: float = Field(0.8, ge=0.01, le=1.2)
    """Share of the link that large messages reach in a large ring."""
    few_loss: float = Field(0.5, ge=0.0, le=0.95)
    """Loss of an all-reduce over n GPUs, as a share of 1/n: 2 n - 1 steps, 2 n - 2 transfers."""
    one_way_loss: float = Field(0.9, ge=0.0, le=0.95)
    """The same of the other collectives: n steps, of which one copies locally."""
    crowd_loss: float = Field(0.0, ge=0.0, le=40.0)
    """Slow-down for each GPU beyond two where all share a path (PCIe through the host)."""
    exchange_start_us: float = Field(6.0, ge=0.5, le=100.0)
    """A small all-to-all between two GPUs."""
    exchange_step_us: float = Field(0.3, ge=0.0, le=30.0)
    """More for each GPU beyond them."""
    exchange_bulk_us: float = Field(12.0, ge=0.5, le=200.0)
    """Start of a large all-to-all."""
    exchange_small_share: float = Field(0.1, ge=0.001, le=1.0)
    """Share of the link of a small all-to-all."""
    exchange_share: float = Field(0.75, ge=0.01, le=1.2)
    """Share of the link of a large one."""
    pair_start_us: float = Field(10.0, ge=0.5, le=200.0)
    """Handing a message to a neighbour."""
    pair_share: float = Field(0.75, ge=0.01, le=1.1)
    """Share of the link that a hand-off reaches."""
    switch_start_us: float = Field(30.0, ge=1.0, le=200.0)
    """Start of an all-reduce that the switch adds up (NVLink SHARP)."""
    switch_share: float = Field(1.05, ge=0.8, le=1.5)
    """Its share of the link, as bus bandwidth: above 1, since the data travel once."""


class NetworkTerms(Terms):
    """Constants of NCCL's collectives between nodes; defaults as in its tuner."""

    start_us: float = Field(6.6, ge=0.5, le=500.0)
    """A small collective between nodes, before its hops."""
    hop_us: float = Field(5.0, ge=0.5, le=300.0)
    """A hop of a tree from node to node in the low-latency protocol: each doubling of the nodes
    costs two in an all-reduce."""
    ring_hop_us: float = Field(2.7, ge=0.3, le=300.0)
    """A hop of a ring over all GPUs from node to node in that protocol."""
    small_gb_s: float = Field(22.5, ge=1.0, le=200.0)
    """Most that the low-latency protocol sends from a node, GB/s, whatever the adapters."""
    middle_start_us: float = Field(6.6, ge=0.5, le=1000.0)
    """Start of the protocol in between (LL128)."""
    middle_gb_s: float = Field(40.0, ge=1.0, le=1000.0)
    """Most that it sends from a node, GB/s."""
    bulk_start_us: float = Field(20.0, ge=0.5, le=5000.0)
    """Start of bulk transfers: filling the pipeline of chunks between nodes."""
    bulk_hop_us: float = Field(14.0, ge=0.5, le=1000.0)
    """A hop of them, in a tree and in a ring."""
    share: float = Field(0.96, ge=0.05, le=1.1)
    """Share of the line rate that large messages reach in a ring over all GPUs: what the transport
    leaves of it. The other shares are of this one, so that any operation tells of it."""
    tree_share: float = Field(0.92, ge=0.05, le=1.2)
    """What trees over the nodes reach of it."""
    pair_share: float = Field(0.7, ge=0.02, le=1.1)
    """What a hand-off reaches of it, over one adapter."""
    scale_loss: float = Field(0.03, ge=0.0, le=0.5)
    """Slow-down for each doubling of the nodes beyond two."""
    exchange_share: float = Field(0.92, ge=0.02, le=1.1)
    """What an all-to-all reaches of it."""
    exchange_hop_us: float = Field(2.0, ge=0.0, le=100.0)
    """Cost of each GPU of another node in an all-to-all."""


class Fabric(BaseModel):
    """How GPUs are joined; rates in bytes/s and one direction."""

    model_config = ConfigDict(frozen=True)

    link_bytes_s: float = Field(gt=0)
    """Of one GPU to the others of its node."""
    island: int = Field(8, ge=1)
    """GPUs of a node that the links join."""
    node_bytes_s: float = Field(0.0, ge=0)
    """Of a node to the other nodes, all adapters together; 0 where there is no network."""
    reach_bytes_s: float = Field(50e9, ge=0)
    """Of the network what one GPU can use: the adapters beside it."""
    mesh: int = Field(0, ge=0)
    """GPUs of a board whose links join each pair directly; 0: a switch joins them."""
    algorithm: str = ""
    """Forced between nodes: ``ring`` or ``tree``; else the faster."""
    bulk_only: bool = False
    """Whether nodes exchange small messages in bulk transfers as well (EFA of P4d)."""
    switch_adds: bool = False
    """Whether the switch adds up (NVLink SHARP)."""
    socket_bytes_s: float = Field(0.0, ge=0)
    """Between the two processors of a node that a group spans; 0: it has one switch or processor
    in common."""
    link: LinkTerms = LinkTerms()
    network: NetworkTerms = NetworkTerms()
    bridge: "Fabric | None" = None
    """Faster links that join only some GPUs of the node (NVLink bridges): groups of up to its
    `island` use them, larger ones the links of the node."""
