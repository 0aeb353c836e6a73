"""One prediction for every measured case, with the stored constants."""

import csv

import numpy as np
import pandas as pd

from gpuspec.constants.hpc import hpc_terms
from gpuspec.constants.links import LinkTerms, NetworkTerms
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import stored
from gpuspec.constants.training import framework
from gpuspec.evidence.fits.hpc import dynamic_programs
from gpuspec.evidence.fits.hpc import prepared_rows as hpc_rows
from gpuspec.evidence.fits.training import prepared_rows as training_rows
from gpuspec.evidence.measurements.collectives import (
    predicted_collectives,
    prepared_collectives,
)
from gpuspec.evidence.measurements.hpc import Rows
from gpuspec.evidence.measurements.images import predicted_images
from gpuspec.evidence.measurements.inference import (
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.memory import predicted_memory
from gpuspec.evidence.measurements.mig import published_slices
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.evidence.measurements.training import predicted_step_seconds
from gpuspec.topics.hpc.dynamic import published_dynamic

TOLERANCE = 1e-3
WORST = 5


def memory():
    rows = measurements("memory")
    return rows["case_id"], predicted_memory(rows, memory_terms())


def inference():
    rows = prepared(measurements("inference"))
    rows = rows[skip_reasons(rows) == ""].reset_index(drop=True)
    return rows["case_id"], predicted_inference(rows, memory=memory_terms())


def training():
    rows = training_rows()
    terms = {name: framework(name)[1] for name in rows["framework"].unique()}
    return rows["case_id"], predicted_step_seconds(rows, terms)


def collectives():
    rows, found = prepared_collectives(measurements("collectives")), stored("collectives")
    links = {name: LinkTerms(**entry["terms"]) for name, entry in found["links"].items()}
    networks = {name: NetworkTerms(**entry["terms"]) for name, entry in found["networks"].items()}
    return rows["case_id"], predicted_collectives(rows, links, networks)


def hpc():
    rows = hpc_rows()
    terms = {name: hpc_terms(name) for name in rows["workload"].unique()}
    return rows["case_id"], Rows(rows).everything(terms)


def images():
    rows = measurements("images")
    return rows["case_id"], predicted_images(rows)


def mig():
    pairs = published_slices()
    names = pairs["series"] + " " + pairs["profile"] + " " + pairs["batch"].map("{:g}".format)
    return names, pairs["predicted"].to_numpy(float)


def dpx():
    return dynamic_programs()["case_id"], published_dynamic()["predicted"].to_numpy(float)


EVERY = (memory, inference, training, collectives, hpc, images, mig, dpx)
KINDS = {made.__name__: made for made in EVERY}


def predicted(kind):
    """Return the prediction of every case of a kind, by its key, in the order of the data."""
    keys, values = KINDS[kind]()
    return pd.Series(np.asarray(values, float), pd.Index(keys.to_numpy(str), name="case"))


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        with (folder / f"{kind}.csv").open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(["case", "predicted"])
            rows.writerows([key, f"{value:.6g}"] for key, value in predicted(kind).items())


def read(folder, kind):
    return pd.read_csv(folder / f"{kind}.csv", index_col="case")["predicted"]


def moved(kind, stored, now):
    """Return what differs between two columns of predictions, in words; empty where nothing."""
    if list(stored.index) != list(now.index):
        gone, new = stored.index.difference(now.index), now.index.difference(stored.index)
        return (
            f"{kind}: other cases than stored: {len(new)} new {list(new[:WORST])}, "
            f"{len(gone)} gone {list(gone[:WORST])}"
        )
    before, after = stored.to_numpy(float), now.to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(before == after, 0.0, np.abs(after / before - 1))
    change = np.where(np.isnan(change), np.inf, change)
    places = np.flatnonzero(change > TOLERANCE)
    if not len(places):
        return ""
    worst = places[np.argsort(-change[places], kind="stable")][:WORST]
    cases = "".join(
        f"\n  {stored.index[i]}: {before[i]:.6g} -> {after[i]:.6g} ({change[i]:.2%})" for i in worst
    )
    return (
        f"{kind}: {len(places):,} of {len(now):,} predictions moved by more than {TOLERANCE:.1%}, "
        f"median {np.median(change[places]):.2%}, largest {change[places].max():.2%}; worst:{cases}"
    )
