"""Published runs of one case on more and more GPUs, beside what the model gives."""

from functools import cache

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu
from gpuspec.catalog.workloads import REFERENCE, workload, workloads
from gpuspec.constants.fabrics import fabric
from gpuspec.evidence.measurements.hpc import EACH_GPU, units_of, unusable
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.hpc import (
    exchange_seconds,
    exposed_seconds,
    fixed_seconds,
    gpu_seconds,
    serial_seconds,
    waiting,
)
from gpuspec.formulas.hpc.devices import machine
from gpuspec.topics.hpc.ask import HpcQuestion

CURVE = ["source_id", "workload", "program", "case", "gpu"]
NETWORK = {
    ("uknss-grid", "gh200-superchip-96"): (100.0, "slingshot"),
    ("uknss-lammps", "gh200-superchip-96"): (100.0, "slingshot"),
    ("uknss-lammps", "a100-sxm-40"): (100.0, "slingshot"),
    ("idefix-docs", "v100-sxm-32"): (50.0, "infiniband"),
    ("idefix-docs", "h100-sxm-80"): (200.0, "infiniband"),
}
"""Network of a node, GB/s and kind, where a curve was measured: Isambard-AI and Perlmutter four
Slingshot adapters of 200 Gbit/s (docs.isambard.ac.uk, docs.nersc.gov), Jean Zay four Omni-Path of
100 beside V100 and four InfiniBand of 400 beside H100 (idris.fr)."""
LAST = ["program", "case", "gpu", "scaling", "measured", "predicted"]
LEAST_COUNTS = 3
"""Numbers of nodes, or of GPUs of one node, that make a curve."""


@cache
def published_scaling() -> pd.DataFrame:
    """Return published efficiencies over full nodes, or in one node, with those of the model.

    Relative to the fewest GPUs of each curve. Columns: ``source_id``, ``workload``, ``program``,
    ``case``, ``gpu``, ``scaling``, ``gpus``, ``measured``, ``predicted``.
    """
    rows = measurements("hpc")
    known = set(workloads().index)
    good = np.array([not unusable(row, known) for row in rows.to_dict("records")])
    full = rows["n_gpus"] == rows["nodes"] * rows["gpus_per_node"]
    sized = rows["case"].str.contains(r"\d")  # else nobody knows whether it grows with the GPUs
    rows = rows[good & full & sized & ~rows["source_id"].str.endswith("list")]
    parts = []
    for key, group in rows.groupby(CURVE, sort=False):
        if group["nodes"].max() > 1:
            group = group[group["gpus_per_node"] == group["gpus_per_node"].max()]
        if group["n_gpus"].nunique() >= LEAST_COUNTS and group["n_gpus"].max() > 2:
            parts.append(
                _curve(dict(zip(CURVE, map(str, key), strict=True)), group.sort_values("n_gpus"))
            )
    return pd.concat(parts, ignore_index=True)


def _curve(about: dict[str, str], rows: pd.DataFrame) -> pd.DataFrame:
    value, count = rows["value"].to_numpy(float), rows["n_gpus"].to_numpy(float)
    total = np.where(rows["higher_is_better"].astype(bool), value, 1 / value)
    total = total * np.where(rows["metric"].str.endswith("_node"), rows["nodes"], 1)
    weak = rows["case"].str.contains(EACH_GPU).to_numpy()
    found, per = workload(about["workload"]), rows["gpus_per_node"].to_numpy(float)
    whole = np.array([units_of(found, case, 1) for case in rows["case"]])
    units = np.where(weak, whole, whole / count)
    gb_s, kind = NETWORK.get((about["source_id"], about["gpu"]), (None, "infiniband"))
    asked = {"gpus": [about["gpu"]], "node_network_gb_s": gb_s, "network_kind": kind}
    q = HpcQuestion.ask(application=found.id, **asked)
    seconds = step_seconds(q, units, rows["nodes"].to_numpy(float), per)
    rate, model = total / count, units / seconds
    return pd.DataFrame(
        {
            **about,
            "scaling": np.where(weak, "weak", "strong"),
            "gpus": count.astype(int),
            "measured": rate / rate[0],
            "predicted": model / model[0],
        }
    )


def step_seconds(
    q: HpcQuestion, units: np.ndarray, nodes: np.ndarray, per: np.ndarray
) -> np.ndarray:
    """Return the seconds of a step on nodes of `per` GPUs; `units` are those of one GPU."""
    device, found = q.devices[0], q.workload
    terms, usual, own = q.terms, machine(gpu(REFERENCE)), machine(device)
    busy = gpu_seconds(units, found.work, own, terms)
    links = fabric(device, q.network_gb_s(device), q.network_kind, int(np.max(per)))
    exchange = exchange_seconds(units, found.exchange, links, per, nodes)
    alone = gpu_seconds(found.typical_units, found.work, usual, terms)
    fixed = terms.host_factor * fixed_seconds(alone, found.cpu_share)
    faster = own.clock_hz / usual.clock_hz
    serial = serial_seconds(fixed, found.chain_share, faster, units / found.typical_units)
    exposed = exposed_seconds(exchange, busy, q.overlap)
    return np.asarray(busy * waiting(terms.scale_loss, nodes) + exposed + serial)


def scaling_errors() -> pd.DataFrame:
    """Return how each published curve ends, beside the model.

    Columns: ``program``, ``case``, ``gpu``, ``scaling``, ``first_gpus``, ``last_gpus``,
    ``efficiency`` and ``efficiency_model`` (on the last), ``median_error`` (of the efficiencies,
    ``|predicted / measured - 1|``, without the first).
    """
    rows = []
    for _, curve in published_scaling().groupby(CURVE, sort=False):
        first, last, rest = curve.iloc[0], curve.iloc[-1], curve.iloc[1:]
        error = float(np.median(np.abs(rest["predicted"] / rest["measured"] - 1)))
        ends = (first["gpus"], last["gpus"])
        rows.append((*last[LAST], *ends, error))
    table = pd.DataFrame(rows, columns=[*LAST, "first_gpus", "last_gpus", "median_error"])
    return table.rename(columns={"measured": "efficiency", "predicted": "efficiency_model"})
