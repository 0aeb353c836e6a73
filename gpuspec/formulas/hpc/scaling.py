"""Several GPUs on one simulation: surfaces, transposes, sums, and what they cost a step."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.catalog.workloads import Exchange
from gpuspec.constants.links import Fabric
from gpuspec.formulas.networks import collective_seconds

SUM_BYTES = 64
"""Message of an all-reduce that adds up a few scalars."""


def surface_units(units: ArrayLike, dimensions: int, gpus: ArrayLike = np.inf) -> Floats:
    """Return the units at the surface of a GPU's part, a cube cut from a periodic domain.

    2 d n^((d-1)/d) of n units; over few GPUs fewer dimensions are cut.

    >>> surface_units(1e6, 3, [2, 64]).round().tolist()
    [20000.0, 60000.0]
    """
    if not dimensions:
        return np.zeros(np.broadcast(np.asarray(units), np.asarray(gpus)).shape)
    n, count = np.asarray(units, float), np.asarray(gpus, float)
    cut = np.clip(np.log2(np.maximum(count, 1)), 0, dimensions)
    return np.asarray(2 * cut * n ** ((dimensions - 1) / dimensions))


def halo_seconds(
    units: ArrayLike,
    exchange: Exchange,
    fabric: Fabric,
    gpus_per_node: ArrayLike,
    nodes: ArrayLike,
) -> Floats:
    """Return the seconds of one exchange of surfaces; `units` are those of one GPU.

    GPUs of a node hold a cube together: g^(-1/d) of their surface faces other nodes. What stays
    inside and what leaves travel side by side, except where both cross a shared PCIe path.
    """
    g, n_nodes = np.asarray(gpus_per_node, float), np.asarray(nodes, float)
    d = exchange.dimensions
    size = surface_units(units, d, g * n_nodes) * exchange.halo_bytes
    outside = np.where(n_nodes > 1, g ** (-1.0 / max(d, 1)), 0.0)
    inside = 1.0 if fabric.link.crowd_loss > 0 else 1 - outside
    inner = collective_seconds("point_to_point", size * inside, fabric, g)
    outer = collective_seconds("point_to_point", size * outside, fabric, g, n_nodes, g)
    seconds = np.maximum(inner, np.where(n_nodes > 1, outer, 0.0))
    return np.asarray(np.where(size > 0, seconds, 0.0))


def exchange_seconds(
    units: ArrayLike,
    exchange: Exchange,
    fabric: Fabric,
    gpus_per_node: ArrayLike = 8,
    nodes: ArrayLike = 1,
) -> Floats:
    """Return the seconds that one step spends on communication, if nothing hid it.

    Parameters
    ----------
    units : array_like
        Units of work on one GPU.
    fabric : Fabric
        Links and network: `gpuspec.constants.fabrics.fabric`.
    gpus_per_node, nodes : array_like
        GPUs that take part.

    References
    ----------
    Surface and volume: Gropp, Lusk, Skjellum, Using MPI (2014), chapter 4; transposes:
    Ayala et al. 2020, doi:10.1007/978-3-030-50371-0_19.
    """
    n = np.asarray(units, float)
    seconds = halo_seconds(n, exchange, fabric, gpus_per_node, nodes)
    if exchange.transpose_bytes:
        size = n * exchange.transpose_bytes
        seconds = seconds + collective_seconds("all_to_all", size, fabric, gpus_per_node, nodes)
    if exchange.reduces:
        one = collective_seconds("all_reduce", SUM_BYTES, fabric, gpus_per_node, nodes)
        seconds = seconds + exchange.reduces * one
    return np.asarray(seconds)


def waiting(loss: ArrayLike, count: ArrayLike) -> Floats:
    """Return how much longer a step takes on `count` parts that wait for the slowest of them.

    `loss` of its time for each doubling, as in published runs of many GPUs.

    >>> float(waiting(0.02, 8))
    1.06
    """
    return np.asarray(1 + np.asarray(loss, float) * np.log2(np.asarray(count, float)))


def exposed_seconds(exchange_s: ArrayLike, gpu_s: ArrayLike, overlap: ArrayLike = 0.0) -> Floats:
    """Return what of an exchange remains beside the GPU's work.

    `overlap` is the share of the GPU's seconds behind which an exchange can hide.
    """
    hidden = np.asarray(gpu_s, float) * np.asarray(overlap, float)
    return np.asarray(np.maximum(np.asarray(exchange_s, float) - hidden, 0.0))


def energy_joules(
    busy_s: ArrayLike,
    total_s: ArrayLike,
    gpus: ArrayLike,
    power_w: ArrayLike,
    power_share: ArrayLike,
    host_w_per_gpu: ArrayLike = 250.0,
    idle_share: ArrayLike = 0.15,
    pue: ArrayLike = 1.0,
) -> Floats:
    """Return the energy of a run, servers included.

    Parameters
    ----------
    busy_s, total_s : array_like
        Seconds in which a GPU computes, and of the whole run.
    power_w, power_share : array_like
        Power limit of a GPU, and the share of it that it draws while it computes.
    host_w_per_gpu : array_like
        Host, memory, adapters and fans for each GPU.
    idle_share : array_like
        Share of the limit that a waiting GPU draws.
    pue : array_like
        Power of the building over that of the servers.

    >>> float(energy_joules(10.0, 10.0, 8, 700.0, 1.0, 300.0))
    80000.0
    """
    busy, total = np.asarray(busy_s, float), np.asarray(total_s, float)
    limit = np.asarray(power_w, float)
    drawn = busy * limit * power_share + (total - busy) * limit * idle_share
    return np.asarray(np.asarray(gpus) * (drawn + total * np.asarray(host_w_per_gpu)) * pue)
