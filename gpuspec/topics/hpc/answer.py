"""Tables of one application: speed, the host's share, many nodes, energy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.constants.collectives import LARGE, collective_interval, joined_ground
from gpuspec.constants.fabrics import fabric, link_key
from gpuspec.constants.ground import joined
from gpuspec.constants.hpc import hpc_ratio_interval
from gpuspec.formulas.hpc import (
    bound,
    energy_joules,
    exchange_seconds,
    exposed_seconds,
    fixed_seconds,
    waiting,
)
from gpuspec.formulas.hpc.devices import host_link, machine
from gpuspec.topics.hpc.ask import HpcQuestion
from gpuspec.topics.hpc.ground import class_ground, scaling_ground

HOST_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
BOUND = {
    "compute": "compute units",
    "memory": "memory bandwidth",
    "cache": "bytes in flight (L2)",
    "transfer": "the link to the host",
    "host": "host and launches",
}
SCALED = ("hpl", "hpcg", "lbm", "fft3d", "md", "weather", "cfd", "dft")
"""Classes whose scaling is compared."""
IDLE_SHARE = 0.15
"""Share of its limit that a waiting GPU draws: about 70 W of 400 to 110 W of 700 W."""


def speed_table(question: HpcQuestion) -> pd.DataFrame:
    """Return time and speed of one step on one of each GPU.

    Columns: ``gpu``, ``seconds``, ``gpu_s``, ``transfer_s`` (to and from the host, not hidden),
    ``host_s``, the seconds of ``compute``, ``memory``, ``cache`` and of ``transfer`` alone,
    ``bound``, ``speed`` (in that of the first GPU) with ``speed_low`` and ``speed_high`` (80 %
    interval of a ratio), ``ground`` (level and reasons), ``link`` (to the host), ``fits``.
    """
    q = question
    parts, busy, moved = q.seconds(q.units, q.every)
    host = q.serial_seconds(q.every)
    seconds = busy + moved + host
    return pd.DataFrame(
        {
            "gpu": [g.id for g in q.devices],
            "seconds": seconds,
            "gpu_s": busy,
            "transfer_s": moved,
            "host_s": host,
            **parts,
            "bound": [BOUND[str(name)] for name in bound({**parts, "host": host})],
            **speeds(seconds, q.kind, q.devices, q.workload.id),
            "link": [host_link(g) for g in q.devices],
            "fits": [q.memory_bytes <= g.memory_bytes for g in q.devices],
        }
    )


def speeds(seconds: np.ndarray, kind: str, gpus: Sequence[Gpu], workload: str) -> dict[str, object]:
    """Return ``speed`` over the first GPU, ``speed_low`` and ``speed_high``, from seconds.

    And ``ground`` of each ratio: its level and reasons.
    """
    speed = seconds[0] / seconds
    grounds = [class_ground(g, workload, gpus[0]) for g in gpus]
    ends = [
        hpc_ratio_interval(s, kind, g.id, gpus[0].id, workload, ground.code)
        for s, g, ground in zip(speed, gpus, grounds, strict=True)
    ]
    low, high = np.array(ends, float).T
    told = [ground.told() for ground in grounds]
    return {"speed": speed, "speed_low": low, "speed_high": high, "ground": told}


def amdahl_table(question: HpcQuestion) -> pd.DataFrame:
    """Return the speed-up over the first GPU against the share that stays on the host.

    Columns: ``gpu``, ``host_share``, ``speed`` with ``speed_low`` and ``speed_high``, ``ground``,
    ``limit``.
    """
    q = question
    shares = np.unique([*HOST_SHARES, round(q.host_share, 3)])
    _, busy, moved = q.seconds(q.units, q.every)
    own = busy + moved
    host, slower = fixed_seconds(own[0], shares), q.serial_seconds(q.every)
    rows = []
    for device, seconds, slow in zip(q.devices, own, slower / slower[0], strict=True):
        speed = (own[0] + host) / (seconds + host * slow)
        with np.errstate(divide="ignore"):
            limit = 1 / (shares * slow)
        ids = (device.id, q.devices[0].id, q.workload.id)
        low, high = hpc_ratio_interval(speed, q.kind, *ids)
        part = {"gpu": device.id, "host_share": shares, "speed": speed, "speed_low": low}
        told = class_ground(device, q.workload.id, q.devices[0]).told()
        part["ground"] = [told] * len(shares)
        part |= {"speed_high": np.minimum(high, np.maximum(limit, speed)), "limit": limit}
        rows.append(pd.DataFrame(part))
    return pd.concat(rows, ignore_index=True)


def scaling_table(question: HpcQuestion) -> pd.DataFrame:
    """Return how the application scales over nodes of each GPU.

    Weak: the same work on each GPU at every size; strong: the work of one node, spread. The
    host's seconds stay. Columns: ``gpu``, ``scaling``, ``nodes``, ``gpus``, ``seconds``,
    ``exchange_s`` (communication), ``exposed_s`` (what of it and of transfers to and from the
    host nothing hides), ``speed`` (in one
    node of the first GPU), ``efficiency`` with ``efficiency_low`` and ``efficiency_high``
    (80 % interval of the communication), ``ground`` of the class on so many GPUs.
    """
    q = question
    parts = [_scaled(q, g, way) for g in q.devices for way in ("weak", "strong")]
    table = pd.concat(parts, ignore_index=True)
    one = table[(table["gpu"] == q.devices[0].id) & (table["nodes"] == 1)].iloc[0]
    work = np.where(table["scaling"] == "weak", table["nodes"], 1)
    return table.assign(speed=work * one["seconds"] / table["seconds"])


def _scaled(q: HpcQuestion, device: Gpu, way: str) -> pd.DataFrame:
    nodes = np.array(q.nodes, float)
    spread = nodes if way == "strong" else np.ones_like(nodes)
    units = q.units / spread
    parts, busy, _ = q.seconds(units, machine(device))
    busy = busy * waiting(q.terms.scale_loss, nodes)
    host = float(q.serial_seconds(machine(device)))
    network = (q.network_kind, q.network_gb_s(device))
    cards = (q.pcie_path, q.pcie_sockets)
    joined_by = fabric(
        device, network[1], network[0], q.gpus_per_node, pcie_path=cards[0], pcie_sockets=cards[1]
    )
    exchange = exchange_seconds(units, q.workload.exchange, joined_by, q.gpus_per_node, nodes)
    moved = parts["transfer"]
    seconds, exposed = _steps(q, busy, exchange + moved, host)
    counts = nodes.astype(int) * q.gpus_per_node
    links = [joined_ground(device, int(n), *network, *cards, q.gpus_per_node) for n in counts]
    grounds = [
        joined([scaling_ground(device, q.workload.id, int(n)), link])
        for n, link in zip(counts, links, strict=True)
    ]
    known = (
        link_key(device, *cards, q.gpus_per_node),
        [link.code for link in links],
        q.network_kind,
        q.gpus_per_node,
    )
    quick, slow = collective_interval(exchange, LARGE, nodes, *known)
    ideal = seconds[0] / spread
    ends = [ideal / _steps(q, busy, other + moved, host)[0] for other in (slow, quick)]
    return pd.DataFrame(
        {
            "gpu": device.id,
            "scaling": way,
            "nodes": nodes.astype(int),
            "gpus": counts,
            "seconds": seconds,
            "exchange_s": exchange,
            "exposed_s": exposed,
            "efficiency": ideal / seconds,
            "efficiency_low": np.minimum(ends[0], ideal / seconds),
            "efficiency_high": np.clip(ends[1], ideal / seconds, 1.0),
            "ground": [ground.told() for ground in grounds],
        }
    )


def _steps(
    q: HpcQuestion, busy: np.ndarray, exchange: np.ndarray, host: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds of a step, and the communication that nothing hides."""
    exposed = exposed_seconds(exchange, busy, q.overlap)
    return busy + host + exposed, exposed


def class_scaling_table(question: HpcQuestion) -> pd.DataFrame:
    """Return the efficiency of the classes of `SCALED` on the largest number of nodes asked for.

    Each at its typical size on the same GPUs and network. Columns: ``workload``, ``name``,
    ``gpu``, ``scaling``, ``nodes``, ``efficiency`` with ``efficiency_low`` and
    ``efficiency_high``, ``ground``.
    """
    parts = []
    for name in SCALED:
        asked = question.but(application=name, size=1.0, cpu_share=None, host_bytes=0.0)
        found, table = asked.workload, scaling_table(asked)
        last = table[table["nodes"] == table["nodes"].max()]
        parts.append(last.assign(workload=found.id, name=found.name))
    columns = ["workload", "name", "gpu", "scaling", "nodes", "efficiency"]
    columns += ["efficiency_low", "efficiency_high", "ground"]
    return pd.concat(parts, ignore_index=True)[columns]


def energy_table(question: HpcQuestion) -> pd.DataFrame:
    """Return time and energy of a step on one node of each GPU.

    The work of `gpus_per_node` GPUs, servers and cooling included. Columns: ``gpu``,
    ``seconds``, ``joules``, ``watts``, ``energy`` (in that of the first GPU) with
    ``energy_low`` and ``energy_high`` (80 % interval of the ratio of times), ``ground`` of the
    times: shares of power limits are assumptions.
    """
    q = question
    speed = speed_table(q)
    joules = energy_joules(
        speed["gpu_s"],
        speed["seconds"],
        q.gpus_per_node,
        q.every.power_w,
        q.workload.power_share,
        q.host_w_per_gpu,
        IDLE_SHARE,
        q.pue,
    )
    ratio = joules / joules[0]
    return pd.DataFrame(
        {
            "gpu": speed["gpu"],
            "seconds": speed["seconds"],
            "joules": joules,
            "watts": joules / speed["seconds"],
            "energy": ratio,
            "energy_low": ratio * speed["speed"] / speed["speed_high"],
            "energy_high": ratio * speed["speed"] / speed["speed_low"],
            "ground": speed["ground"],
        }
    )
