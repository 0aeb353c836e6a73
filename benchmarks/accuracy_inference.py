"""Accuracy and time beside peers on the same published cases.

python benchmarks/accuracy_inference.py [FOLDER]   (needs pip's index; a few minutes)

Cases: Llama 3 of 8B, 70B and 405B at maximum load in FP8, TensorRT-LLM 1.0 and 1.1, on H100 and
H200. gpuspec answers with constants that were fitted without the case's source. Each peer is
installed into an environment of its own under FOLDER (.benchmarks unless given). The table is
written into docs/serving.md.
"""

import json
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np

from gpuspec.constants.stored import held_out
from gpuspec.evidence.measurements.inference import (
    layout,
    predicted_inference,
    prepared,
)
from gpuspec.evidence.measurements.rows import measurements

ROOT = Path(__file__).parents[1]
SOURCES = ("trtllm-1.0", "trtllm-1.1")
PUBLISHED = {  # names under which the peers know the same dimensions
    "llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B",
    "llama-3.3-70b": "meta-llama/Meta-Llama-3.1-70B",
    "llama-3.1-405b": "meta-llama/Meta-Llama-3.1-405B",
}
PEERS = {
    "aiconfigurator": "aiconfigurator==0.12.0",
    "genz": "genz-llm==0.0.16",
    "llm_analysis": "llm-analysis==0.2.2",
    "mlsysim": "mlsysim==0.3.0",
}


def cases():
    rows = prepared(measurements("inference"))
    kept = rows["source_id"].isin(SOURCES) & rows["model"].isin(PUBLISHED)
    return rows[kept].reset_index(drop=True)


def asked(rows):
    """Return the cases as the peers read them."""
    from gpuspec.constants.memory import memory_terms
    from gpuspec.formulas.serving import Deployment, engine, max_concurrency

    found, memory = [], memory_terms()
    for row in rows.to_dict("records"):
        era = engine(row["engine"], row["engine_version"])
        about = (row[c] for c in ("model", "gpu", "weight_precision", "kv_precision"))
        shape = layout(*about, row["tp"], row["pp"], 1)
        replica = Deployment(layout=shape, engine=era.terms, limits=era.limits, memory=memory)
        batch = max(float(max_concurrency(replica, row["isl"], row["osl"])), 1.0)
        plain = {c: row[c] for c in ("case_id", "gpu", "weight_precision")}
        sizes = {c: int(row[c]) for c in ("tp", "isl", "osl")}
        found.append(plain | sizes | {"hf_id": PUBLISHED[row["model"]], "batch": batch})
    return found


def peer(name, questions, folder):
    place = folder / name
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PEERS[name]], check=True)
    script = ROOT / "benchmarks" / "peers" / f"run_{name}.py"
    told = subprocess.run(
        [python, script], input=json.dumps(questions), capture_output=True, text=True, check=True
    )
    print(told.stderr, file=sys.stderr)
    answers = json.loads(told.stdout[told.stdout.rindex("[[") :])
    values = np.array([np.nan if value is None else value for value, _ in answers])
    return values, float(np.median([seconds for _, seconds in answers]))


def told(name, predicted, measured, seconds, note):
    known = np.isfinite(predicted)
    error = np.abs(np.log(predicted[known] / measured[known]))
    figures = (np.median(error), error.mean(), np.quantile(error, 0.9))
    shares = " | ".join(f"{figure:.1%}" for figure in figures)
    return f"| {name} | {known.sum()} of {len(known)} | {shares} | {seconds:.2g} | {note} |"


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".benchmarks")
    rows = cases()
    measured = rows["value"].to_numpy(float)
    total = measured * np.where(rows["metric"].str.endswith("per_gpu"), rows["n_gpus"], 1)
    questions = asked(rows)
    lines = [
        "| Tool | Answers | Median error | Mean | 90th percentile | Seconds an answer | Notes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, note in (
        ("aiconfigurator", "kernel timings of TensorRT-LLM 1.3; batch searched up to 4,096"),
        ("genz", "efficiency 1; batch given: as many as memory holds"),
    ):
        values, seconds = peer(name, questions, folder)
        lines.append(told(PEERS[name].replace("==", " "), values, total, seconds, note))
    held = held_out("inference")
    start = time.perf_counter()
    predicted_inference(rows)
    seconds = (time.perf_counter() - start) / len(rows)
    own = np.array([held[case] for case in rows["case_id"]])
    note = "fitted without the case's source"
    lines.append(told("gpuspec, held out", own, measured, seconds, note))
    fitted = predicted_inference(rows)
    note = "as it answers now: the cases are in the fit"
    lines.append(told("gpuspec", fitted, measured, seconds, note))
    print("\n".join(lines))
    page = ROOT / "docs" / "serving.md"
    text = page.read_text("utf-8")
    begin, end = "<!-- peers -->", "<!-- /peers -->"
    head, rest = text.split(begin)
    page.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
