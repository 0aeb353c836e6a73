"""Accuracy and time of training estimates beside a peer and beside a hand rule.

python benchmarks/accuracy_training.py [FOLDER]   (needs pip's index; about two minutes)

Cases: published step times of full training in BF16 or FP16 of dense models on A100 and H100
SXM of 80 GB, without offload; at most ten a source, evenly spaced, and without the one sweep
(nanotron) that alone outweighs all others. Compared on the absolute log error of the step time:

gpuspec          constants that were fitted without the case's source
constant MFU     the median MFU of all other sources on the same GPU (causal FLOP, BF16 peak)
llm-analysis     from PyPI, in an environment of its own under FOLDER (.benchmarks unless given):
                 at its default FLOP efficiency of 1, which it calls a lower bound, and at the
                 0.5 that its documentation gives for training
mlsysim          the same: at its default efficiency of 0.5, with communication in the open as
                 is its default, and with gradients overlapped as frameworks do

The lower rows of the table repeat the comparison on the cases that every tool answered. The
time is that of one case asked alone (median, in a warm process).

Looked at and left out: calculon, paleo and galvatron are other projects under these names on
PyPI, SimAI is not there; vidur and genz-llm estimate inference; hetu-galvatron needs profiles
of the machine; train-in-silence plans fine-tuning from a fixed MFU; llm-flops splits a model
over one group of GPUs only, without micro-batches or schedules.
"""

import sys
import time
from pathlib import Path

import numpy as np
from accuracy_inference import PEERS, ROOT, peer
from tabulate import tabulate

from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.constants.stored import held_out
from gpuspec.constants.training import framework
from gpuspec.evidence.measurements.training import (
    measured_step_seconds,
    predicted_step_seconds,
    prepared_rows,
    step_tokens,
)
from gpuspec.formulas.training import model_flops_per_token

GPUS = ("a100-sxm-80", "h100-sxm-80")
A_SOURCE = 10
SIZES = (
    *("n_gpus", "seq_len", "global_batch", "micro_batch", "zero_stage"),
    *("tp", "pp", "dp", "cp", "interleave"),
)
WORDS = ("case_id", "gpu", "recompute", "attention")
SHAPE = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "gated_mlp")
ASKED = (
    ("llm_analysis", {"efficiency": None}, "default efficiency 1"),
    ("llm_analysis", {"efficiency": 0.5}, "efficiency 0.5"),
    ("mlsysim", {"overlap": False}, "defaults"),
    ("mlsysim", {"overlap": True}, "gradients overlapped"),
)
"""Peers, their settings that are no default, and what to call them."""


def eligible():
    """Return every row that the comparison is about."""
    rows = prepared_rows()
    kept = rows["precision"].isin(("bf16", "fp16")) & (rows["tuning"] == "full")
    kept &= rows["gpu"].isin(GPUS) & (rows["ep"] == 1) & (rows["offload"] == "")
    kept &= rows["source_id"] != "nanotron-sweep"
    rows = rows[kept]
    dense = [model(name).experts == 0 for name in rows["model"]]
    return rows[dense].reset_index(drop=True)


def chosen(rows):
    """Return the places of at most `A_SOURCE` rows of each source, evenly spaced."""
    found = []
    for places in rows.groupby("source_id").indices.values():
        spaced = np.linspace(0, len(places) - 1, min(A_SOURCE, len(places)))
        found.extend(places[spaced.round().astype(int)])
    return np.sort(found)


def by_hand(rows):
    """Return step times by the median MFU of the other sources on the same GPU, and seconds."""
    start = time.perf_counter()
    flops = [
        float(model_flops_per_token(model(m), s))
        for m, s in zip(rows["model"], rows["seq_len"], strict=True)
    ]
    peak = np.array([gpu(name).peak_flops("bf16") for name in rows["gpu"]], float)
    ideal = step_tokens(rows) * flops / (peak * rows["n_gpus"].to_numpy(float))
    mfu = ideal / measured_step_seconds(rows)
    device, source = rows["gpu"].to_numpy(str), rows["source_id"].to_numpy(str)
    pairs = zip(device, source, strict=True)
    usual = [np.median(mfu[(device == d) & (source != s)]) for d, s in pairs]
    return ideal / usual, (time.perf_counter() - start) / len(rows)


def own(rows):
    """Return held-out step times of gpuspec, and the seconds that one answer takes."""
    terms = {name: framework(name)[1] for name in rows["framework"].unique()}
    spent = []
    for place in range(len(rows)):
        start = time.perf_counter()
        predicted_step_seconds(rows.iloc[[place]], terms)
        spent.append(time.perf_counter() - start)
    held = held_out("training")
    return np.array([held[case] for case in rows["case_id"]]), float(np.median(spent))


def asked(rows, settings):
    """Return the cases as the peers read them, with a peer's own settings."""
    found = []
    for row in rows.to_dict("records"):
        case = {c: row[c] for c in WORDS} | {c: int(row[c]) for c in SIZES}
        network = model(row["model"])
        shape = network.model_dump(include=set(SHAPE)) | {"params": network.params}
        parallel = bool(row["sequence_parallel"])
        found.append(case | shape | {"sequence_parallel": parallel, **settings})
    return found


def told(name, predicted, measured, seconds):
    known = np.isfinite(predicted)
    error = np.abs(np.log(predicted[known] / measured[known]))
    shares = [f"{figure:.1%}" for figure in (np.median(error), np.quantile(error, 0.9))]
    return [name, f"{known.sum()} of {len(known)}", *shares, f"{seconds * 1e3:.2g}"]


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".benchmarks")
    pool = eligible()
    places = chosen(pool)
    rows = pool.iloc[places].reset_index(drop=True)
    measured = measured_step_seconds(rows)
    hand, seconds = by_hand(pool)
    answers = {"gpuspec, held out": own(rows), "constant MFU": (hand[places], seconds)}
    for name, settings, label in ASKED:
        title = f"{PEERS[name].replace('==', ' ')}, {label}"
        answers[title] = peer(name, asked(rows, settings), folder)
    common = np.all([np.isfinite(values) for values, _ in answers.values()], axis=0)
    table = [told(name, values, measured, spent) for name, (values, spent) in answers.items()]
    table += [
        told(f"{name} (all answered)", values[common], measured[common], spent)
        for name, (values, spent) in answers.items()
    ]
    print(f"{len(rows)} cases of {rows['source_id'].nunique()} sources")
    heads = ["Tool", "Cases", "Median error", "90th percentile", "ms an answer"]
    print(tabulate(table, heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
