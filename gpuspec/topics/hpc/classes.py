"""Tables of all classes of computations: speed-ups, what was published, the roofline."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu, gpu
from gpuspec.catalog.workloads import REFERENCE, Workload, workload
from gpuspec.constants.hpc import hpc_terms
from gpuspec.evidence.measurements.hpc import prepared_rows
from gpuspec.evidence.measurements.pairs import matched_speeds
from gpuspec.formulas.hpc import (
    bound,
    fixed_seconds,
    gpu_parts,
    gpu_seconds,
    joined,
    serial_seconds,
)
from gpuspec.formulas.hpc.devices import machine
from gpuspec.topics.hpc.answer import BOUND, speeds

SHOWN: tuple[str, ...] = ("dgemm", "hpl", "hpl-mxp", "hpcg", "stream", "spmv", "fft3d")
SHOWN += ("stencil7", "stencil25")
SHOWN += ("lbm", "nbody", "md", "sph", "weather", "cfd", "dft", "monte-carlo", "genomics")
"""Classes of the pictures: kernels, then applications."""


def class_table(gpus: Sequence[Gpu], names: Sequence[str] = SHOWN) -> pd.DataFrame:
    """Return the speed of each GPU over the first, for each class at its typical size.

    Columns: ``workload``, ``name``, ``kind``, ``gpu``, ``speed`` with ``speed_low`` and
    ``speed_high`` (80 % interval), ``ground``, ``bound``.
    """
    rows = [_class(gpus, workload(name)) for name in names]
    return pd.concat(rows, ignore_index=True)


def _class(gpus: Sequence[Gpu], found: Workload) -> pd.DataFrame:
    parts, serial = _parts(gpus, found)
    return pd.DataFrame(
        {
            "workload": found.id,
            "name": found.name,
            "kind": found.kind,
            "gpu": [g.id for g in gpus],
            **speeds(joined(parts) + serial, found.kind, gpus, found.id),
            "bound": [BOUND[str(n)] for n in bound({**parts, "host": serial})],
        }
    )


def class_seconds(gpus: Sequence[Gpu], name: str) -> np.ndarray:
    """Return the seconds of a class at its typical size on each GPU, or slice of one."""
    parts, serial = _parts(gpus, workload(name))
    return np.asarray(joined(parts) + serial)


def _parts(gpus: Sequence[Gpu], found: Workload) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return what each resource alone would take, and what more SMs do not shorten.

    The latter is a fitted share of the time on one A100.
    """
    terms, usual, every = hpc_terms(found.id), machine(gpu(REFERENCE)), machine(gpus)
    alone = gpu_seconds(found.typical_units, found.work, usual, terms)
    fixed = terms.host_factor * fixed_seconds(alone, found.cpu_share)
    serial = serial_seconds(fixed, found.chain_share, every.clock_hz / usual.clock_hz)
    return gpu_parts(found.typical_units, found.work, every, terms), serial


def published_ratios(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return what was published of each class: speed of each GPU over the first.

    The median of the matched pairs of each source: same program, version, case, precision and
    number of GPUs. Columns: ``workload``, ``new``, ``old``, ``ratio``, ``source_id``, ``pairs``.
    """
    rows, ids = prepared_rows(), [g.id for g in gpus]
    pairs = matched_speeds(rows)
    old, new = pairs["old"].to_numpy(int), pairs["new"].to_numpy(int)
    speed, name = rows["speed"].to_numpy(float), rows["gpu"].to_numpy(str)
    table = pd.DataFrame(
        {
            "workload": rows["workload"].to_numpy(str)[new],
            "source_id": rows["source_id"].to_numpy(str)[new],
            "new": name[new],
            "old": name[old],
            "ratio": speed[new] / speed[old],
        }
    )
    back = table.assign(new=table["old"], old=table["new"], ratio=1 / table["ratio"])
    every = pd.concat([table, back], ignore_index=True)
    every = every[every["new"].isin(ids[1:]) & (every["old"] == ids[0])]
    keys = ["workload", "new", "old", "source_id"]
    groups = every.groupby(keys, sort=False)["ratio"]
    return groups.agg(ratio="median", pairs="size").reset_index()


def roofline_table(gpus: Sequence[Gpu]) -> pd.DataFrame:
    """Return where each class lies on the roofline of each GPU.

    Only classes of `SHOWN` whose work is mostly FP64. Columns: ``workload``, ``name``, ``gpu``,
    ``intensity`` (operations for each byte of device memory), ``rate`` (operations/s that the
    fitted model gives), ``peak``.
    """
    every = machine(gpus)
    rows = []
    for name in SHOWN:
        found = workload(name)
        if found.share_fp64 + found.share_fp64_tensor < 0.5:
            continue
        seconds = joined(gpu_parts(1.0, found.work, every, hpc_terms(found.id)))
        part = pd.DataFrame({"workload": name, "name": found.name, "gpu": [g.id for g in gpus]})
        rate, peak = found.flops_per_unit / seconds, 1 / np.sum(found.shares / every.rates, axis=-1)
        rows.append(part.assign(intensity=found.intensity, rate=rate, peak=peak))
    return pd.concat(rows, ignore_index=True)
