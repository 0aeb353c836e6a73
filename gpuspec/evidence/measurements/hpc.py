"""Published results of scientific computing, and what the formulas predict for them."""

import re
from collections.abc import Callable, Container, Mapping
from functools import cache

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu, load_table
from gpuspec.catalog.workloads import REFERENCE, Work, Workload, workload, workloads
from gpuspec.constants.hpc import DynamicTerms, HpcTerms
from gpuspec.constants.terms import Terms
from gpuspec.evidence.measurements.rows import (
    Row,
    completed,
    groups,
    measurements,
    publisher_of,
)
from gpuspec.formulas.hpc import (
    Machine,
    cell_updates_s,
    fixed_seconds,
    gpu_seconds,
    serial_seconds,
    waiting,
)
from gpuspec.formulas.hpc.devices import chip, machine, work_at

FLOPS = {"gflops": 1e9, "tflops": 1e12, "pflops": 1e15, "eflops": 1e18}
BYTES = {"gb_s": 1e9, "tb_s": 1e12}
UPDATES = {"mlups": 1e6, "glups": 1e9}
COUNT = r"([\d,.]+)\s*(k|m|million|g|billion)?\s*"
SIZED = {  # unit of a class -> how a case says its number
    "atom": re.compile(COUNT + "atoms", re.IGNORECASE),
    "nonzero": re.compile(COUNT + "(?:nonzeros|nnz)", re.IGNORECASE),
    "site": re.compile(COUNT + "sites", re.IGNORECASE),
}
COUNTED = {
    **dict.fromkeys(("dgemm", "sgemm", "gemm-tensor", "hpl", "hpl-mxp", "hpcg"), FLOPS),
    "stream": BYTES,
    "lbm": UPDATES,
}
"""Classes and metrics that mean the same work everywhere: predicted without a partner."""
BENCHMARKS = ("hpl", "hpl-mxp", "hpcg", "stream")
"""Of them, those whose way of exchanging is fixed: on several GPUs too."""
LISTS = ("hpcg-lists", "hpl-mxp-list", "top500", "green500")
"""Sources that collect what others measured, each on a system of its own."""
_gpu = cache(gpu)
CUBE = re.compile(r"(\d+)\^([234])")
"""Points of a GPU's own part, as in 128^3 cells a GPU."""
EACH_GPU = re.compile(r"\ba GPU\b")
"""How a case says that its size is that of one GPU."""
MANY = {"k": 1e3, "m": 1e6, "million": 1e6, "g": 1e9, "billion": 1e9}
PROGRAMS = {"smith-waterman": "smith-waterman", "pairwise-alignment": "smith-waterman-linear"}
"""Recurrence of a program's algorithm."""


def unusable(row: Row, known: Container[str]) -> str:
    """Return why a row cannot be predicted; empty where it can."""
    if row["workload"] not in known:
        return f"{row['workload']} is no class of data/workloads.csv"
    return _unusable_gpu(row["gpu"])


@cache
def _unusable_gpu(name: str) -> str:
    if not name:
        return "the catalogue has no such GPU"
    try:
        machine(gpu(name))
    except InputError as error:
        return str(error)
    return ""


def prepared_hpc(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with ``speed``, ``units``, ``held_with`` and ``absolute``.

    ``speed`` is in the unit of the metric, for each GPU, larger is faster; ``units`` is the
    work on one GPU (from the atoms or nonzeros that a case names, else the typical size);
    ``held_with`` names what is held out together: the publisher, or one system of a list;
    ``absolute`` says whether the figure can be predicted alone: not where a program's own way
    of exchanging counts, on several GPUs. Others are predicted up to a factor that rows of one
    ``pair`` share.
    """
    texts = ("precision", "pair", "case", "version", "program")
    rows = completed(rows, {}, dict.fromkeys(texts, ""))
    value = rows["value"].astype(float)
    better = rows["higher_is_better"].astype(bool)
    rows["speed"] = np.where(better, value, 1 / value) / np.where(better, rows["n_gpus"], 1)
    kinds = {name: workload(str(name)) for name in rows["workload"].unique()}
    rows["kind"] = [kinds[name].kind for name in rows["workload"]]
    each = rows[["workload", "metric", "precision", "case", "n_gpus"]].to_numpy(object)
    rows["metric_factor"] = [_factor(kinds[w], m, p) for w, m, p, _, _ in each]
    rows["units"] = [units_of(kinds[w], c, n) for w, _, _, c, n in each]
    counted = np.array([str(m).lower() in COUNTED.get(w, ()) for w, m, *_ in each], bool)
    lone = ~rows["precision"].str.lower().str.contains("/fp16")
    alone = rows["workload"].isin(BENCHMARKS) | (rows["n_gpus"] == 1)
    rows["absolute"] = counted & lone & better & alone
    lists = rows["source_id"].isin(LISTS)
    rows["held_with"] = np.where(lists, "system " + rows["case"], publisher_of(rows))
    own = "alone " + rows["case_id"].astype(str)
    rows["group"] = np.where(rows["pair"] != "", rows["pair"], own)
    return rows


def _factor(kind: Workload, metric: str, precision: str) -> float:
    """Return what one unit of work a second is in the metric; 0 where that is unknown."""
    name = str(metric).lower()
    if name in BYTES:
        return float(work_at(kind, precision).memory_bytes) / BYTES[name]
    if name in FLOPS:
        return kind.flops_per_unit / FLOPS[name]
    return 1 / UPDATES[name] if name in UPDATES else 0.0


def units_of(kind: Workload, case: str, gpus: int) -> float:
    """Return the units of work on one GPU."""
    said = SIZED.get(kind.unit.split(" ")[0])
    seen = said.search(case) if said else None
    cube = CUBE.search(case)
    if cube and EACH_GPU.search(case):
        return float(cube[1]) ** int(cube[2])
    if not seen:
        return kind.typical_units
    number = float(seen[1].replace(",", "").rstrip("."))
    return number * MANY.get((seen[2] or "").lower(), 1.0) / gpus


def predictable(rows: pd.DataFrame) -> np.ndarray:
    """Return which prepared rows say something: absolute ones, and those with a partner."""
    size = rows.groupby(["source_id", "group"])["gpu"].transform("nunique")
    return (rows["absolute"] | (size > 1)).to_numpy()


def _taken(every: Machine, place: np.ndarray) -> Machine:
    """Return the machines at some places."""
    return Machine(**{n: getattr(every, n)[place] for n in Machine.__dataclass_fields__})


class Rows:
    """Prepared rows, ready to be predicted again and again with other constants."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows.reset_index(drop=True)
        kinds, place = np.unique(self.rows["gpu"].to_numpy(str), return_inverse=True)
        self.every = _taken(machine([_gpu(name) for name in kinds]), place)
        self.reference = machine(gpu(REFERENCE))
        self.absolute = self.rows["absolute"].to_numpy(bool)
        self.group = pd.factorize(self.rows["source_id"] + "|" + self.rows["group"])[0]
        self.log_speed = np.log(self.rows["speed"].to_numpy(float))
        self.calls = [
            _Call(self, str(about["workload"]), str(about["precision"]), index)
            for about, index in groups(self.rows, ["workload", "precision"])
        ]

    def everything(
        self, terms: Mapping[str, HpcTerms], crossed: Mapping[str, Terms] | None = None
    ) -> np.ndarray:
        """Return the predicted speed of each row; those of a pair share the measured level."""
        return self._speeds(lambda call: terms[call.workload])

    def part(self, chosen: np.ndarray) -> Callable[[HpcTerms], np.ndarray]:
        """Return a function of one set of constants for the `chosen` rows."""
        inner = Rows(self.rows[chosen])
        return lambda terms: inner._speeds(lambda call: terms)

    def _speeds(self, terms_of: Callable[["_Call"], HpcTerms]) -> np.ndarray:
        logs = np.zeros(len(self.rows))
        for call in self.calls:
            logs[call.index] = call.log_speed(terms_of(call))
        gap = np.where(self.absolute, 0.0, self.log_speed - logs)
        count = np.bincount(self.group)
        level = np.bincount(self.group, gap) / np.maximum(count, 1)
        return np.asarray(np.exp(logs + np.where(self.absolute, 0.0, level[self.group])))


class _Call:
    """The rows of one class in one precision."""

    def __init__(self, whole: Rows, name: str, precision: str, index: np.ndarray) -> None:
        self.workload, self.index = name, index
        kind, part = workload(name), whole.rows.iloc[index]
        self.work: Work = work_at(kind, precision)
        self.machine, self.reference = _taken(whole.every, index), whole.reference
        self.units = part["units"].to_numpy(float)
        self.kind = kind
        self.gpus = part["n_gpus"].to_numpy(float)
        self.factor = np.where(part["metric_factor"] > 0, part["metric_factor"], 1.0)

    def log_speed(self, terms: HpcTerms) -> np.ndarray:
        """Return the log of the predicted speed of each row, in the unit of its metric."""
        kind, usual = self.kind, self.reference
        alone = gpu_seconds(kind.typical_units, self.work, usual, terms)
        fixed = terms.host_factor * fixed_seconds(alone, kind.cpu_share)
        faster = self.machine.clock_hz / usual.clock_hz
        seconds = gpu_seconds(self.units, self.work, self.machine, terms)
        size = self.units / kind.typical_units
        seconds = seconds + serial_seconds(fixed, kind.chain_share, faster, size)
        whole = seconds * waiting(terms.scale_loss, self.gpus)
        return np.asarray(np.log(self.units * self.factor / whole))


@cache
def prepared_rows() -> pd.DataFrame:
    """Return the shipped measurements that can be predicted; not to be changed in place."""
    raw, known = measurements("hpc"), set(workloads().index)
    good = [not unusable(row, known) for row in raw.to_dict("records")]
    rows = prepared_hpc(raw[good].reset_index(drop=True))
    return rows[predictable(rows)].reset_index(drop=True)


def dynamic_programs() -> pd.DataFrame:
    """Return published programs of one GPU with ``gcups`` and the instruction ``limit``.

    Programs without DPX use half precision; alignment whose gaps a source does not name is
    taken as linear.
    """
    rows = load_table("measurements-dpx")
    chosen = rows["used"].astype(bool) & (rows["metric"] == "gcups") & (rows["gpu"] != "")
    chosen &= (rows["kind"] == "program") & rows["dpx"].isin(["hardware", "none"])
    chosen &= rows["algorithm"].isin(list(PROGRAMS))
    rows = rows[chosen].reset_index(drop=True)
    whole, limits = DynamicTerms(issue_share=1.0, dpx_share=1.0), []
    for name, algorithm, dpx in rows[["gpu", "algorithm", "dpx"]].to_numpy():
        cell = "int16x2" if dpx == "hardware" else "half2"
        rate = cell_updates_s(PROGRAMS[algorithm], cell, chip([gpu(name)]), whole, cell != "half2")
        limits.append(float(rate[0]))
    return rows.assign(gcups=rows["value"] / rows["n_gpus"], limit=limits)
