"""Accuracy and time of training estimates beside two peers and beside a hand rule.

python benchmarks/accuracy_training.py [--reuse] [--folder FOLDER]

Cases: published step times of full training in BF16 or FP16 of dense models on A100 and H100
SXM of 80 GB, without offload; at most ten a publisher, evenly spaced. Compared on |predicted /
measured - 1|:

gpuspec          constants that were fitted without the case's publisher
constant MFU     the median MFU of all other publishers on the same GPU (causal FLOP, BF16 peak)
llm-analysis     from PyPI, in an environment of its own under FOLDER (.benchmarks unless given):
                 at its default FLOP efficiency of 1, which it calls a lower bound, and at the
                 0.5 that its documentation gives for training
mlsysim          the same: at its default efficiency of 0.5, with communication in the open as
                 is its default, and with gradients overlapped as frameworks do

What the peers said is kept in benchmarks/peers/training.csv, and --reuse takes it from there; the
table is written into docs/training.md. Its lower rows repeat the comparison on the cases that every
tool answered. The time is that of one case asked alone (median, in a warm process).

Looked at and left out: calculon, paleo and galvatron are other projects under these names on
PyPI, SimAI is not there; vidur and genz-llm estimate inference; hetu-galvatron needs profiles
of the machine; train-in-silence plans fine-tuning from a fixed MFU; llm-flops splits a model
over one group of GPUs only, without micro-batches or schedules.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy_inference import ROOT, environment
from tabulate import tabulate

from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.constants.stored import held_out
from gpuspec.constants.training import framework
from gpuspec.evidence.measurements.rows import publisher_of
from gpuspec.evidence.measurements.training import (
    measured_step_seconds,
    predicted_step_seconds,
    prepared_rows,
    step_tokens,
)
from gpuspec.formulas.training import model_flops_per_token

ANSWERS = ROOT / "benchmarks" / "peers" / "training.csv"
PEERS = {"llm_analysis": "llm-analysis==0.2.2", "mlsysim": "mlsysim==0.3.0"}
GPUS = ("a100-sxm-80", "h100-sxm-80")
A_PUBLISHER = 10
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
    rows = rows[kept]
    dense = [model(name).experts == 0 for name in rows["model"]]
    return rows[dense].reset_index(drop=True)


def chosen(rows):
    """Return the places of at most `A_PUBLISHER` rows of each publisher, evenly spaced."""
    found = []
    for places in rows.groupby(publisher_of(rows)).indices.values():
        spaced = np.linspace(0, len(places) - 1, min(A_PUBLISHER, len(places)))
        found.extend(places[spaced.round().astype(int)])
    return np.sort(found)


def by_hand(rows):
    """Return step times by the median MFU of the other publishers on the same GPU, and seconds."""
    start = time.perf_counter()
    flops = [
        float(model_flops_per_token(model(m), s))
        for m, s in zip(rows["model"], rows["seq_len"], strict=True)
    ]
    peak = np.array([gpu(name).peak_flops("bf16") for name in rows["gpu"]], float)
    ideal = step_tokens(rows) * flops / (peak * rows["n_gpus"].to_numpy(float))
    mfu = ideal / measured_step_seconds(rows)
    device, source = rows["gpu"].to_numpy(str), publisher_of(rows).to_numpy(str)
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
    now = predicted_step_seconds(rows, terms)
    kept = [held.get(case, value) for case, value in zip(rows["case_id"], now, strict=True)]
    return np.array(kept, float), float(np.median(spent))


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


def ask(name, cases, folder):
    """Return what a peer says of each case, in seconds, and the seconds that it took."""
    python = environment(name, folder, PEERS[name]).absolute()
    script = ROOT / "benchmarks" / "peers" / f"run_{name}.py"
    said = subprocess.run(
        [python, script], input=json.dumps(cases), capture_output=True, text=True, cwd=folder
    )
    (folder / f"{name}.log").write_text(said.stderr, "utf-8")
    said.check_returncode()
    return json.loads(said.stdout)


def kept(rows, folder):
    """Ask every peer about the rows and keep what it says."""
    found = []
    for name, settings, label in ASKED:
        tool, version = PEERS[name].split("==")
        answers = zip(rows["case_id"], ask(name, asked(rows, settings), folder), strict=True)
        for case, (value, seconds) in answers:
            if value:
                title = f"{tool} {version}, {label}"
                found.append((case, title, f"{value:.5g}", f"{seconds:.3g}"))
    columns = ["case_id", "tool", "value", "seconds"]
    pd.DataFrame(found, columns=columns).to_csv(ANSWERS, index=False)


def told(name, predicted, measured, seconds):
    known = np.isfinite(predicted)
    error = np.abs(predicted[known] / measured[known] - 1)
    shares = [f"{figure:.1%}" for figure in (np.median(error), np.quantile(error, 0.9))]
    return [name, f"{known.sum()} of {len(known)}", *shares, f"{seconds * 1e3:.2g}"]


def written(lines):
    """Put the table into its place on the page."""
    page = ROOT / "docs" / "training.md"
    head, rest = page.read_text("utf-8").split("<!-- peers -->")
    tail = rest.split("<!-- /peers -->")[1]
    page.write_text(f"{head}<!-- peers -->\n{lines}\n<!-- /peers -->{tail}", "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reuse", action="store_true", help="take the peers' stored answers")
    parser.add_argument("--folder", type=Path, default=ROOT / ".benchmarks")
    options = parser.parse_args()
    pool = eligible()
    places = chosen(pool)
    rows = pool.iloc[places].reset_index(drop=True)
    if not options.reuse:
        kept(rows, options.folder)
    stored = pd.read_csv(ANSWERS)
    measured = measured_step_seconds(rows)
    hand, seconds = by_hand(pool)
    answers = {"gpuspec, publisher left out": own(rows), "constant MFU": (hand[places], seconds)}
    for title, said in stored.groupby("tool", sort=False):
        values = rows["case_id"].map(said.set_index("case_id")["value"]).to_numpy(float)
        answers[title] = (values, said["seconds"].median())
    common = np.all([np.isfinite(values) for values, _ in answers.values()], axis=0)
    table = [told(name, values, measured, spent) for name, (values, spent) in answers.items()]
    table += [
        told(f"{name} (all answered)", values[common], measured[common], spent)
        for name, (values, spent) in answers.items()
    ]
    heads = ["Tool", "Cases", "Median error", "90th percentile", "ms an answer"]
    lines = tabulate(table, heads, tablefmt="github", disable_numparse=True)
    print(f"{len(rows)} cases of {publisher_of(rows).nunique()} publishers\n{lines}")
    written(lines)


if __name__ == "__main__":
    main()
