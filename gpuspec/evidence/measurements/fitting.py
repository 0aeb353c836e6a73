"""Whether published runs fit, by the function that every answer asks.

python -m gpuspec.evidence.measurements.fitting   prints the shares
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu, load_table
from gpuspec.catalog.frameworks import framework_record
from gpuspec.constants.memory import MemoryTerms, memory_terms
from gpuspec.evidence.measurements.memory import ONE_CALL, asked_of, capacity_bytes
from gpuspec.evidence.measurements.rows import groups, measurements
from gpuspec.evidence.measurements.training import filled, peak_memory, prepared_training
from gpuspec.formulas.memory import training_peak

OUT_OF_MEMORY = "out of memory: no value"


def fitting(terms: MemoryTerms | None = None) -> pd.DataFrame:
    """Return published runs: ``table``, ``case_id``, ``publisher``, ``ran`` and ``fits``.

    Speeds and peaks of training that were measured ran; rows that ran out of memory did not. A run
    whose source leaves recomputation or ZeRO's stage open fits where it does in one of the ways
    that its framework has, as the search of a layout takes it.
    """
    terms = terms or memory_terms()
    return pd.concat([_speeds(terms), _peaks(terms)], ignore_index=True)


def _peaks(terms: MemoryTerms) -> pd.DataFrame:
    rows = load_table("measurements-memory")
    failed = rows["not_used_because"] == OUT_OF_MEMORY
    known = rows["gpu"].map(capacity_bytes) < np.inf
    rows = rows[(rows["part"] == "peak") & (rows["used"].astype(bool) | failed) & known]
    rows = rows.reset_index(drop=True)
    fits = np.zeros(len(rows), bool)
    for about, index in groups(rows, ONE_CALL):
        network, recipe, job, adapter = asked_of(about, rows.iloc[index])
        capacity = rows["gpu"].iloc[index].map(capacity_bytes).to_numpy(float)
        peak = training_peak(network, recipe, job, capacity, adapter=adapter, terms=terms)
        fits[index] = peak <= capacity
    ran = rows["not_used_because"] != OUT_OF_MEMORY
    return rows[["case_id", "publisher"]].assign(table="memory", ran=ran, fits=fits)


def _speeds(terms: MemoryTerms) -> pd.DataFrame:
    rows = measurements("training")
    room = np.array([gpu(name).memory_bytes for name in rows["gpu"]], float)
    fits = np.zeros(len(rows), bool)
    for places, ways in _left_open(rows):
        for way in ways:
            part = rows.iloc[places].assign(**way)
            peak = peak_memory(filled(prepared_training(part), terms), terms)
            fits[places] |= peak <= room[places]
    return rows[["case_id", "publisher"]].assign(table="training", ran=True, fits=fits)


def _left_open(rows: pd.DataFrame) -> list[tuple[np.ndarray, list[dict[str, Any]]]]:
    """Return places of rows, with every way to fill in what their source leaves open."""
    found = []
    for name, index in rows.groupby("framework").indices.items():
        has, part = framework_record(str(name)), rows.iloc[index]
        # Another framework's word, such as "selective" under FSDP, leaves open which layers.
        said = part["recompute"].astype(str).str.extract(r"^(\S*)")[0].str.split("+").explode()
        foreign = ~said.isin(has.recompute).groupby(level=0, sort=False).all()
        ways: dict[str, list[Any]] = {"recompute": list(has.recompute)}
        ways["zero_stage"] = [float(stage) for stage in has.zero_stages]
        opens = {
            "recompute": foreign.to_numpy(),
            "zero_stage": part["zero_stage"].isna().to_numpy(),
        }
        for chosen in itertools.product((False, True), repeat=2):
            names = [n for n, open_ in zip(ways, chosen, strict=True) if open_]
            same = np.all([opens[n] == o for n, o in zip(ways, chosen, strict=True)], axis=0)
            if same.any():
                filled_in = itertools.product(*(ways[n] for n in names))
                choices = [dict(zip(names, values, strict=True)) for values in filled_in]
                found.append((np.asarray(index)[same], choices))
    return found


def fitting_shares(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how many runs that ran are said to fit, and how many that did not are said not to.

    Indexed by table, with all of them together; columns ``ran``, ``fit``, ``failed``, ``unfit``.
    """
    both = pd.concat([runs, runs.assign(table="all")])
    return pd.DataFrame(
        {
            table: {
                "ran": part["ran"].sum(),
                "fit": part.loc[part["ran"], "fits"].mean(),
                "failed": (~part["ran"]).sum(),
                "unfit": 1 - part.loc[~part["ran"], "fits"].mean(),
            }
            for table, part in both.groupby("table", sort=False)
        }
    ).T


if __name__ == "__main__":
    print(fitting_shares(fitting()).to_string(float_format="{:.3f}".format))
