"""Accuracy and time beside peers on the same published cases.

python benchmarks/accuracy_inference.py [--reuse] [--folder FOLDER]

Two sets of cases: those of publishers that no peer fits or tests against, and those of the two
publishers whose runs aiconfigurator is tested against. gpuspec answers with constants that were
fitted without the case's publisher. Peers answer at fixed versions, each in an environment of its
own under FOLDER (.benchmarks unless given; needs pip's index, about ten minutes); what they said is
kept in benchmarks/peers/answers.csv, and --reuse takes it from there. The tables are written into
docs/serving.md.
"""

import argparse
import json
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pandas as pd

from gpuspec.catalog.models import model
from gpuspec.constants.memory import memory_terms
from gpuspec.constants.stored import held_out
from gpuspec.evidence.measurements.inference import (
    METRICS,
    layout,
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.serving import Deployment, engine, max_concurrency

ROOT = Path(__file__).parents[1]
ANSWERS = ROOT / "benchmarks" / "peers" / "answers.csv"
PEERS = {
    "aiconfigurator": "aiconfigurator==0.12.0",
    "vllm_sr_sim": "vllm-sr-sim==0.1.0.dev20260713123629",
    "genz": "genz-llm==0.0.16",
    "infersim": "InferSim f2293dab",
}
INFERSIM = "https://github.com/alibaba/InferSim"
TESTED = ("nvidia-aic", "inferencex")
"""Publishers whose runs aiconfigurator ships as what it is tested against."""
MOST_SETTINGS = {"nvidia": 80, "nvidia-aic": 80, "inferencex": 60}
"""Settings of a publisher that are asked, evenly over its rows; 40 of any other."""
SETTING = [
    "gpu", "n_gpus", "model", "weight_precision", "kv_precision", "engine", "engine_version",
    "tp", "pp", "ep", "attention_dp", "isl", "osl", "scenario", "batch_size", "concurrency",
    "requests", "max_sequences", "max_tokens", "receive_every", "mixed",
]  # fmt: skip
QUANTITIES = {"throughput": "Throughput", "tpot": "TPOT", "ttft": "TTFT"}
SETS = {
    "Publishers in nobody's fit": False,
    "Runs that aiconfigurator is tested against": True,
}
KINDS = {"static_batch": "together", "first_token": "together", "inflight_max": "largest"}
"""What a scenario asks of a peer; any other is a closed loop."""


def cases():
    """Return the rows that have a setting that a peer can be told, with ``setting``."""
    rows = prepared(measurements("inference")).reset_index(drop=True)
    rows["attention_dp"] = pd.to_numeric(rows["attention_dp"]).fillna(1)
    rows["requests"] = rows["requests"].where(rows["concurrency"].isna())
    usable = rows["request_rate"].isna() & (skip_reasons(rows) == "")
    rows = rows[usable].reset_index(drop=True)
    return rows.assign(setting=rows.groupby(SETTING, dropna=False, sort=False).ngroup())


def sampled(rows):
    """Return the rows of some settings of each publisher, evenly over its table."""
    kept = []
    for publisher, own in rows.groupby("publisher"):
        settings = own["setting"].unique()
        most = min(MOST_SETTINGS.get(str(publisher), 40), len(settings))
        chosen = settings[np.linspace(0, len(settings) - 1, most).round().astype(int)]
        kept.append(own[own["setting"].isin(chosen)])
    return pd.concat(kept).reset_index(drop=True)


def asked(rows):
    """Return one question for each setting, as the peers read them."""
    memory, questions = memory_terms(), []
    for row in rows.drop_duplicates("setting").to_dict("records"):
        era = engine(row["engine"], row["engine_version"])
        about = (row[c] for c in ("model", "gpu", "weight_precision", "kv_precision"))
        shape = layout(*about, *(row[c] for c in ("tp", "pp", "ep", "attention_dp")))
        replica = Deployment(layout=shape, engine=era.terms, limits=era.limits, memory=memory)
        most = max(float(max_concurrency(replica, row["isl"], row["osl"])), 1.0)
        kind = KINDS.get(row["scenario"], "loop")
        replicas = max(row["n_gpus"] / (row["tp"] * row["pp"]), 1)
        load = row["concurrency"] if row["concurrency"] > 0 else row["requests"]
        load = min(load / replicas, most) if kind == "loop" else most
        questions.append(
            {
                "case_id": int(row["setting"]),
                "model": model(row["model"]).id,
                "weights": row["weight_precision"],
                "kv": row["kv_precision"],
                "kind": kind,
                "batch": row["batch_size"] if kind == "together" else max(load, 1.0),
                "ep": max(int(row["ep"]), 1),
                "sizes": sizes(row["model"]),
                **{c: row[c] for c in ("gpu", "engine")},
                **{c: int(row[c]) for c in ("tp", "pp", "attention_dp", "isl", "osl")},
            }
        )
    return questions


def sizes(name):
    """Return the dimensions of a model as the peers take them."""
    one = model(name)
    names = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "experts")
    names += ("active_experts", "expert_ffn", "shared_experts", "shared_expert_ffn")
    names += ("kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    plain = not (one.groups or one.sliding_window or one.kv_lora_rank or one.dense_layers)
    return {name: getattr(one, name) for name in names} | {"plain": plain}


def environment(name, folder):
    """Return the Python of a peer's own environment, made where there is none."""
    place = folder / name
    python = place / "bin" / "python"
    if python.exists():
        return python
    venv.create(place, with_pip=True)
    if name == "infersim":
        subprocess.run(["git", "clone", "-q", INFERSIM, place / "InferSim"], check=True)
        commit = PEERS[name].split()[1]
        subprocess.run(["git", "-C", place / "InferSim", "checkout", "-q", commit], check=True)
    else:
        subprocess.run([python, "-m", "pip", "install", "-q", PEERS[name]], check=True)
    return python


def ask(name, rows, questions, folder):
    """Return what a peer says of each row, in the row's unit, and its seconds."""
    place = (folder / name).resolve()
    script = ROOT / "benchmarks" / "peers" / f"run_{name}.py"
    python = environment(name, folder).absolute()
    cwd = place / "InferSim" if name == "infersim" else place
    told = subprocess.run(
        [python, script], input=json.dumps(questions), capture_output=True, text=True, cwd=cwd
    )
    reasons = (folder / f"{name}.log").absolute()
    reasons.write_text(told.stderr, "utf-8")
    told.check_returncode()
    answers = dict(zip((q["case_id"] for q in questions), json.loads(told.stdout), strict=True))
    found = []
    for row in rows.to_dict("records"):
        speed, seconds = answers[row["setting"]]
        if speed and METRICS[row["metric"]] in QUANTITIES:
            value = figure(row, speed)
            if np.isfinite(value) and value > 0:
                tool, version = PEERS[name].replace("==", " ").split()
                found.append((row["case_id"], tool, version, f"{value:.5g}", f"{seconds:.3g}"))
    return found


def keep(found):
    """Write the answers of a tool in place of those that it gave before."""
    found = pd.DataFrame(found, columns=["case_id", "tool", "version", "value", "seconds"])
    if ANSWERS.exists():
        before = pd.read_csv(ANSWERS, dtype=str)
        found = pd.concat([before[~before["tool"].isin(found["tool"])], found])
    found.to_csv(ANSWERS, index=False)


def figure(row, speed):
    """Return what the metric of a row names, for all of its replicas."""
    output = speed["output_tokens_s"] * max(row["n_gpus"] / (row["tp"] * row["pp"]), 1)
    return {
        "output_tokens_per_s_total": output,
        "output_tokens_per_s_per_gpu": output / row["n_gpus"],
        "total_tokens_per_s": output * (row["isl"] + row["osl"]) / row["osl"],
        "requests_per_s": output / row["osl"],
        "ttft_ms": speed["ttft_s"] * 1e3,
        "ttft_p50_ms": speed["ttft_s"] * 1e3,
        "tpot_ms": speed["tpot_s"] * 1e3,
        "tpot_p50_ms": speed["tpot_s"] * 1e3,
    }[row["metric"]]


def own_answers(rows):
    """Return what gpuspec says of each row without its publisher, and seconds an answer.

    Rows that the last calibration did not know are predicted as they stand: no constant saw them.
    """
    stored = held_out("inference")
    start = time.perf_counter()
    now = predicted_inference(rows, memory=memory_terms())
    seconds = (time.perf_counter() - start) / len(rows)
    kept = [stored.get(case, value) for case, value in zip(rows["case_id"], now, strict=True)]
    return np.array(kept, float), seconds


def errors(predicted, measured):
    off = np.abs(predicted / measured - 1)
    return f"{np.median(off):.1%} / {np.quantile(off, 0.9):.1%}"


def compared(rows, answers, own_seconds):
    """Return the lines of a table: each peer and gpuspec on the rows that both answer."""
    lines = [
        "| Tool | Quantity | Rows that both answer | Its error | gpuspec | Seconds (gpuspec) |",
        "|---|---|---|---|---|---|",
    ]
    measured, own = rows["value"].to_numpy(float), rows["own"].to_numpy(float)
    quantity = rows["metric"].map(METRICS)
    for (tool, version), said in answers.groupby(["tool", "version"], sort=False):
        values = rows["case_id"].map(said.set_index("case_id")["value"]).to_numpy(float)
        seconds = said["seconds"].median()
        for name, shown in QUANTITIES.items():
            both = (values > 0) & (own > 0) & (quantity == name).to_numpy()
            if not both.any():
                continue
            theirs, ours = (errors(v[both], measured[both]) for v in (values, own))
            times = f"{seconds:.2g} ({own_seconds:.2g})"
            lines.append(
                f"| {tool} {version} | {shown} | {both.sum()} | {theirs} | {ours} | {times} |"
            )
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reuse", action="store_true", help="take the peers' stored answers")
    parser.add_argument("--folder", type=Path, default=ROOT / ".benchmarks")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    options = parser.parse_args()
    rows = cases()
    if not options.reuse:
        asking = sampled(rows)
        questions = asked(asking)
        print(f"{len(questions)} settings, {len(asking)} rows", file=sys.stderr)
        for name in options.peers:
            keep(ask(name, asking, questions, options.folder))
    answers = pd.read_csv(ANSWERS)
    rows = rows[rows["case_id"].isin(answers["case_id"])].reset_index(drop=True)
    rows["own"], seconds = own_answers(rows)
    lines = []
    for title, tested in SETS.items():
        part = rows[rows["publisher"].isin(TESTED) == tested].reset_index(drop=True)
        lines += [f"**{title}** (median / 90th percentile of |predicted / measured - 1|)", ""]
        lines += [*compared(part, answers, seconds), ""]
    print("\n".join(lines))
    page = ROOT / "docs" / "serving.md"
    head, rest = page.read_text("utf-8").split("<!-- peers -->")
    tail = rest.split("<!-- /peers -->")[1]
    written = "\n".join([head + "<!-- peers -->", *lines[:-1], "<!-- /peers -->" + tail])
    page.write_text(written, "utf-8")


if __name__ == "__main__":
    main()
