"""Tables of training jobs: what links and networks take of a step."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from gpuspec.base.units import GB, NODE_GPUS
from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.models import Model, model
from gpuspec.constants.collectives import LARGE, collective_interval, joined_ground
from gpuspec.constants.fabrics import fabric, link_key
from gpuspec.constants.ground import joined as joined_all
from gpuspec.constants.links import Fabric
from gpuspec.constants.stored import Interval
from gpuspec.constants.training import training_ratio_interval
from gpuspec.formulas.splits import TENSOR, impossible
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.networks.ask import NetworksQuestion
from gpuspec.topics.networks.ground import inside_ground, said_ground
from gpuspec.topics.networks.layouts import WAITING, adapters, evaluated, fastest, layout_grid
from gpuspec.topics.networks.wiring import PATHS, Wiring, crowded, wirings

NETWORKS = (
    ("10 GbE", 1.25, "tcp"),
    ("25 GbE", 3.125, "tcp"),
    ("100 GbE", 12.5, "roce"),
    ("4 x 100 GbE", 50.0, "roce"),
    ("8 x HDR", 200.0, "infiniband"),
    ("8 x NDR", 400.0, "infiniband"),
)
"""Networks of a node: name, GB/s in one direction, kind of constants."""
FORMS = (("a100-pcie-80", "a100-sxm-80"), ("h100-pcie-80", "h100-sxm-80"))
FORM_MODELS: tuple[str, ...] = ("llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b")
FORM_MODELS += ("qwen2.5-14b", "qwen2.5-32b", "llama-3.1-70b")
SHARES = ("share", "share_low", "share_high")
FORM_FIGURES = ("ratio", "ratio_low", "ratio_high", "card", "kept")
ENOUGH = 0.9
"""Share of the speed that NVLink would give the same cards from which PCIe is called enough."""
ACCUMULATED = 16
"""Micro-batches of a step where a table looks at tensor parallelism alone."""
SECONDS_A_DAY = 86_400


class TypicalJob(NamedTuple):
    """A job whose waiting is shown: sequences are the global batch; the sizes that are tried."""

    name: str
    model: str
    gpus: int
    seq_len: int
    sequences: int
    stages: tuple[int, ...] = (1,)
    contexts: tuple[int, ...] = (1,)
    experts: tuple[int, ...] = (1,)


JOBS = (
    TypicalJob("8B on 8", "llama-3.1-8b", 8, 4096, 128),
    TypicalJob("8B, 128K context, on 64", "llama-3.1-8b", 64, 131_072, 32, contexts=(4, 8, 16)),
    TypicalJob("70B on 64", "llama-3.1-70b", 64, 4096, 512, (1, 2, 4, 8)),
    TypicalJob(
        "Mixtral-8x22B, EP 8, on 64", "mixtral-8x22b", 64, 4096, 512, (1, 2, 4, 8), experts=(8,)
    ),
    TypicalJob("405B on 512", "llama-3.1-405b", 512, 8192, 512, (4, 8, 9, 14, 16)),
)


def tensor_table(question: NetworksQuestion, models: Sequence[str | Model]) -> pd.DataFrame:
    """Return the share of a training step that is exposed tensor-parallel communication.

    One tensor-parallel group, micro-batches of one sequence, whether or not it fits. Columns:
    ``model``, ``tp``, ``wiring``, ``gpu``, ``step_s``, ``tp_s``, ``share`` with ``share_low``
    and ``share_high`` (80 % interval of the collectives), ``ground`` and ``ground_reasons`` (of
    all-reduces of that size over that wiring).
    """
    q = question
    every = wirings(q.devices, q.gpus_per_node, q.pcie_sockets)
    kinds = [w for w in every if not w.name.endswith(", ring")]
    networks = [name if isinstance(name, Model) else model(name) for name in models]
    parts = [_tensor(q, network, w) for network in networks for w in kinds]
    return pd.concat(parts, ignore_index=True)


def _tensor(q: NetworksQuestion, network: Model, wiring: Wiring) -> pd.DataFrame:
    sizes = [n for n in TENSOR if 1 < n <= q.gpus_per_node]
    tp = np.array([n for n in sizes if not impossible(network, n, 1)])
    grid = pd.DataFrame({"tp": tp, "pp": 1, "dp": 1, "cp": 1, "ep": 1, "micro_batch": 1})
    grid = grid.assign(microbatches=ACCUMULATED, interleave=1, zero_stage=0, recompute="none")
    joined = (
        crowded(wiring.fabric, q.gpus_per_node) if wiring.key.startswith("pcie") else wiring.fabric
    )
    found = evaluated(q, network, wiring.gpu, joined, grid, q.seq_len)
    step, waiting = found[["step_s", "tp_s"]].to_numpy().T
    message = q.seq_len * network.hidden * 2.0
    known = [inside_ground(wiring.gpu, wiring.key, message, int(n)) for n in tp]
    of = (wiring.key, [g.code for g in known], None, tp)
    shares = _shares(step, waiting, collective_interval(waiting, message, 1, *of))
    return pd.DataFrame(
        {
            "model": network.name,
            "tp": tp,
            "wiring": wiring.name.removesuffix(", SHARP"),
            "gpu": wiring.gpu.id,
            "step_s": found["step_s"],
            "tp_s": found["tp_s"],
            **shares,
            **said_ground(known),
        }
    )


def _shares(step: np.ndarray, waiting: np.ndarray, ends: Interval) -> dict[str, np.ndarray]:
    """Return the share of a step that waits, and its interval from that of the waiting."""
    rest, (low, high) = step - waiting, ends
    shares = (waiting / step, low / (rest + low), high / (rest + high))
    return dict(zip(SHARES, shares, strict=True))


def node_layout(question: NetworksQuestion, device: Gpu) -> pd.DataFrame:
    """Return, as a grid of one row, the fastest layout of the model on one node of a GPU.

    Where nothing fits one node, the layout that is nearest to it; ``fits`` says which.
    """
    q = question
    one = q.gpus_per_node
    grid = layout_grid(q.network, one, one * q.sequences_per_gpu, q.seq_len, one)
    grid = grid[grid["zero_stage"] == 1].reset_index(drop=True)
    found = evaluated(q, q.network, device, fabric(device, 0.0), grid, q.seq_len)
    fits = bool(found["fits"].any())
    rank = found["step_s"].where(found["fits"], np.inf) if fits else found["memory_bytes"]
    place = int(rank.to_numpy().argmin())
    return grid.iloc[[place]].assign(fits=fits).reset_index(drop=True)


def network_table(question: NetworksQuestion, device: Gpu) -> pd.DataFrame:
    """Return how one node's speed carries over to several, for each of `NETWORKS` between them.

    Data parallelism between nodes (ZeRO-1), the same work for each GPU at every size. Columns:
    ``network``, ``node_gb_s``, ``nodes``, ``gpus``, ``step_s``, ``efficiency`` (step of one
    node over step of N) with ``efficiency_low`` and ``efficiency_high`` (80 % interval of the
    network's seconds), ``speed`` (in nodes), ``days`` of the run of `tokens`, ``days_lost`` of
    them to the network, ``fits``, ``ground`` and ``ground_reasons`` (of what joins the GPUs).
    """
    q = question
    grid = node_layout(q, device).loc[[0] * (1 + len(q.nodes))].reset_index(drop=True)
    grid["dp"] = grid["dp"] * np.array((1, *q.nodes))
    return pd.concat([_network(q, device, grid, one) for one in NETWORKS], ignore_index=True)


def _network(
    q: NetworksQuestion, device: Gpu, grid: pd.DataFrame, network: tuple[str, float, str]
) -> pd.DataFrame:
    name, rate, kind = network
    counts = np.array((1, *q.nodes))
    joined = fabric(device, rate, kind, q.gpus_per_node)
    step = evaluated(q, q.network, device, joined, grid, q.seq_len)["step_s"].to_numpy()
    one, more = step[0], np.maximum(step - step[0], 0.0)
    gpus = counts * q.gpus_per_node
    known = [joined_ground(device, int(n), kind, rate) for n in gpus]
    codes = [g.code for g in known]
    of = (link_key(device), codes, kind, q.gpus_per_node)
    quick, slow = collective_interval(more, LARGE, counts, *of)
    efficiency = one / (one + more)
    days = q.tokens / (gpus * q.sequences_per_gpu * q.seq_len) * step / SECONDS_A_DAY
    return pd.DataFrame(
        {
            "network": name,
            "node_gb_s": rate,
            "nodes": counts,
            "gpus": gpus,
            "step_s": step,
            "efficiency": efficiency,
            "efficiency_low": one / (one + slow),
            "efficiency_high": one / (one + quick),
            "speed": counts * efficiency,
            "days": days,
            "days_lost": days * (1 - efficiency),
            "fits": grid["fits"].to_numpy(),
            **said_ground(known),
        }
    )


def waiting_table(question: NetworksQuestion) -> pd.DataFrame:
    """Return what share of a step each parallelism waits, in the fastest layout of typical jobs.

    Columns: ``job``, ``gpu``, ``layout``, ``step_s``, one share for each of `WAITING`,
    ``share`` (of all of them) with ``share_low`` and ``share_high``, ``ground`` and
    ``ground_reasons`` (of what joins the GPUs), and ``reason`` (why a job does not run; its
    shares are then 0).
    """
    q = question
    return pd.DataFrame([_waiting(q, device, job) for job in JOBS for device in q.devices])


def _waiting(q: NetworksQuestion, device: Gpu, job: TypicalJob) -> dict[str, object]:
    network = model(job.model)
    spread = (job.stages, job.contexts, job.experts)
    grid = layout_grid(network, job.gpus, job.sequences, job.seq_len, NODE_GPUS, *spread)
    rate = q.network_gb_s(device)
    joined = fabric(device, rate, q.network_kind)
    known = joined_ground(device, job.gpus, q.network_kind, rate)
    best = fastest(evaluated(q, network, device, joined, grid, job.seq_len))
    row: dict[str, object] = {"job": job.name, "gpu": device.id, "layout": "", "step_s": np.inf}
    row |= {name: said[0] for name, said in said_ground([known]).items()}
    if best is None:
        shares: dict[str, object] = dict.fromkeys((*WAITING, *SHARES), 0.0)
        return {**row, **shares, "reason": f"no layout fits {job.gpus} x {device.id}"}
    step = float(best["step_s"])
    waits = best[[f"{name}_s" for name in WAITING]].to_numpy(float)
    across = 2 if job.gpus > NODE_GPUS else 1
    of = (link_key(device), known.code, q.network_kind, min(job.gpus, NODE_GPUS))
    every = _shares(
        np.array(step), waits.sum(), collective_interval(waits.sum(), LARGE, across, *of)
    )
    return {
        **row,
        "layout": _layout_words(best),
        "step_s": step,
        **dict(zip(WAITING, waits / step, strict=True)),
        **{name: float(share) for name, share in every.items()},
        "reason": "",
    }


def _layout_words(best: pd.Series) -> str:
    sizes = parallel_sizes(best)
    sizes += ["ZeRO-3"] if best["zero_stage"] == 3 else []
    sizes += ["recomputed"] if best["recompute"] == "full" else []
    return ", ".join(sizes) or "one GPU"


def form_table(question: NetworksQuestion, models: Sequence[str] = FORM_MODELS) -> pd.DataFrame:
    """Return the training speed of eight PCIe cards over that of eight SXM modules.

    Each side in its fastest layout. Columns: ``pair``, ``path`` (how the cards reach each
    other), ``tuning`` (``all weights`` or ``LoRA``), ``model``, ``params`` (in 1e9), ``ratio``
    with ``ratio_low`` and ``ratio_high`` (80 % interval), ``card`` (the ratio if NVLink joined
    the cards: what the chip alone loses), ``kept`` (`ratio` over `card`: what PCIe leaves),
    ``pcie_layout``, ``sxm_layout``, ``ground`` and ``ground_reasons`` (of both links), ``reason``
    (why not; its figures are then 0).
    """
    q = question
    rows: list[dict[str, object]] = []
    for (pcie, sxm), tuning, name in product(FORMS, ("all weights", "LoRA"), models):
        rows += _forms(q, gpu(pcie), gpu(sxm), tuning, model(name))
    return pd.DataFrame(rows)


def _forms(
    q: NetworksQuestion, card: Gpu, module: Gpu, tuning: str, network: Model
) -> list[dict[str, object]]:
    """Return the rows of one model: SXM once, PCIe by each path."""
    adapter = adapters() if tuning == "LoRA" else None
    seq_len = min(q.seq_len, network.max_context or q.seq_len)
    grid = layout_grid(network, NODE_GPUS, NODE_GPUS * q.sequences_per_gpu, seq_len)

    def best(device: Gpu, joined: Fabric) -> pd.Series | None:
        return fastest(evaluated(q, network, device, joined, grid, seq_len, adapter))

    nvlink = fabric(module, 0.0)
    whole, ideal = best(module, nvlink), best(card, nvlink)
    about = {"pair": f"{card.id} / {module.id}", "tuning": tuning, "model": network.name}
    rows = []
    for path in PATHS:
        by = joined_ground(card, NODE_GPUS, q.network_kind, 0.0, path, q.pcie_sockets)
        known = joined_all([by, joined_ground(module, NODE_GPUS, q.network_kind, 0.0)])
        about |= {name: said[0] for name, said in said_ground([known]).items()}
        by_path = fabric(card, 0.0, pcie_path=path, pcie_sockets=q.pcie_sockets)
        cards = best(card, crowded(by_path, NODE_GPUS))
        row: dict[str, object] = {**about, "params": network.params / GB, "path": path}
        if whole is None or ideal is None or cards is None:
            row |= {**dict.fromkeys(FORM_FIGURES, 0.0), "pcie_layout": "", "sxm_layout": ""}
            row["reason"] = f"no layout fits {NODE_GPUS} x {(module if whole is None else card).id}"
        else:
            ratio = float(whole["step_s"] / cards["step_s"])
            chip, links = whole["step_s"] / ideal["step_s"], ideal["step_s"] / cards["step_s"]
            link = link_key(card, path, q.pcie_sockets)
            waits = collective_interval(_waiting_share(cards), LARGE, 1, link, by.code)
            ends = _form_interval(ratio, _waiting_share(cards), waits, card, module)
            row |= dict(zip(FORM_FIGURES, (ratio, *ends, float(chip), float(links)), strict=True))
            row |= {"pcie_layout": _layout_words(cards), "sxm_layout": _layout_words(whole)}
            row["reason"] = ""
        rows.append(row)
    return rows


def _waiting_share(cards: pd.Series) -> float:
    """Return the share of a step that waits for others."""
    return sum(float(cards[f"{name}_s"]) for name in WAITING) / float(cards["step_s"])


def _form_interval(
    ratio: float, waiting: float, links: Interval, card: Gpu, module: Gpu
) -> tuple[float, float]:
    """Join, as independent log errors, the interval of a ratio of GPUs with that of the links."""
    ends = training_ratio_interval(1.0, card.id, module.id)
    slower = [1 / (1 - waiting + float(seconds)) for seconds in reversed(links)]
    widths = [np.hypot(np.log(float(a)), np.log(b)) for a, b in zip(ends, slower, strict=True)]
    return ratio * float(np.exp(-widths[0])), ratio * float(np.exp(widths[1]))
