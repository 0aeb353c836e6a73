"""Tables of measurements as people write them: every shipped one, and every strange cell."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from gpuspec import InputError
from gpuspec.catalog.models import models
from gpuspec.catalog.models.formats import weight_format
from gpuspec.cli import main
from gpuspec.evidence import validation
from gpuspec.evidence.measurements.rows import known_model
from gpuspec.evidence.validation import reading
from gpuspec.evidence.validation.reading import opened, understood
from gpuspec.formulas.memory.loaded import stage_weights_bytes
from gpuspec.topics.validation.pictures import scatter

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "data" / "measurements"
KINDS = ("inference", "training", "posttraining", "memory", "mig", "images", "collectives", "hpc")
TABLES = {**dict(zip(KINDS, KINDS, strict=True)), "inference_disaggregated": "inference"}
"""Shipped tables, and the kind that each is of."""
NO_KIND = {"dpx": "workload", "speedups": "gpu"}
"""Shipped tables of ratios and instructions, and a column of `hpc` that they lack."""
MOST_ERROR = {"inference": 0.3, "inference_disaggregated": 0.6, "posttraining": 0.2}
"""Largest median error that a table may show; a tenth where it is not here."""
UNPREDICTED = {"inference": 400, "hpc": 160, "mig": 80}
"""Used rows of which the model says nothing: too new, without a partner, a whole GPU."""
ABOUT = ["used", "not_used_because", "sources", "source_seen", "confidence", "notes", "publisher"]
NEEDED = {
    "inference": {"gpu", "tp", "model", "engine", "isl", "osl", "metric", "value", "concurrency"},
    "training": {"gpu", "n_gpus", "model", "seq_len", "metric", "value"},
    "posttraining": {
        *("algorithm", "gpu", "n_gpus", "model", "prompts", "generations", "prompt_tokens"),
        *("answer_tokens", "metric", "value"),
    },
    "memory": {"model_id", "seq_len", "value_bytes"},
    "mig": {"gpu", "profile", "rate"},
    "images": {"gpu", "model", "steps", "seconds_per_image"},
    "collectives": {
        "gpu",
        "link",
        "operation",
        "message_bytes",
        "nodes",
        "gpus_per_node",
        "seconds",
    },
    "hpc": {"gpu", "n_gpus", "workload", "metric", "value"},
}
"""Columns that the rows of `plain` need; all others may be blank."""
PLAIN = dict.fromkeys(KINDS, 2)
"""Rows of `plain` that can be compared."""


def plain(kind):
    """A few used rows of a shipped table whose settings are common ones."""
    rows = pd.read_csv(
        ROOT / "data" / "measurements" / f"{kind}.csv", dtype=str, keep_default_na=False
    )
    rows = rows[rows["used"] == "true"].drop(columns=ABOUT, errors="ignore")
    if kind == "training":
        rows = rows[(rows["tp"] == "1") & (rows["pp"] == "1") & (rows["global_batch"] != "")]
        return rows[rows["micro_batch"] != ""].iloc[:2]
    if kind == "memory":
        one = (rows["part"] == "peak") & (rows[["tp", "pp", "cp"]] == "1").all(axis=1)
        return rows[one].iloc[:2]
    if kind == "inference":
        return rows[(rows["scenario"] == "serving") & (rows["concurrency"] != "")].iloc[:2]
    if kind == "mig":
        series = rows.groupby("series").filter(lambda group: (group["profile"] == "").any())
        return series[series["series"] == series["series"].iloc[0]].iloc[::-1].iloc[:3]
    if kind == "hpc":
        return rows[rows["workload"] == "gemm-tensor"].iloc[:2]
    return rows[rows.get("nodes", pd.Series("1", rows.index)) == "1"].iloc[:2]


def written(path, rows):
    rows.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_shipped_table_passes_the_command(table):
    kind, path = TABLES[table], SHIPPED / f"{table}.csv"
    run = CliRunner().invoke(main, ["validate", str(path), "--kind", kind, "--json"])
    assert run.exit_code == 0, run.output
    figures = json.loads(run.output)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert figures["rows"] + len(figures["skipped"]) == len(rows)
    used = sum(row["used"] == "true" for row in rows)
    assert figures["rows"] >= used - UNPREDICTED.get(table, 0)
    unused = [row for row in figures["skipped"] if row["reason"].startswith("used is false; ")]
    assert len(unused) == len(rows) - used
    assert sum(one["rows"] for one in figures["skipped_by_reason"]) == len(figures["skipped"])
    assert figures["median_absolute_error"] < MOST_ERROR.get(table, 0.1)
    assert set(figures["by_publisher"]) <= {row["publisher"] for row in rows}
    assert sum(one["rows"] for one in figures["by_publisher"].values()) == figures["rows"]


def test_a_shipped_table_that_is_no_kind_is_refused_with_what_it_lacks():
    assert {path.stem for path in SHIPPED.glob("*.csv")} == {*TABLES, *NO_KIND}
    for name, lacks in NO_KIND.items():
        for kind in KINDS:
            run = CliRunner().invoke(
                main, ["validate", str(SHIPPED / f"{name}.csv"), "--kind", kind]
            )
            assert run.exit_code == 2
            assert "its first line lacks" in run.output
        assert lacks in run.output


@pytest.mark.parametrize("kind", ["training", "memory", "images"])
def test_what_is_read_is_predicted_as_the_fit_reads_it(kind):
    found = validation.validate(ROOT / "data" / "measurements" / f"{kind}.csv", kind).rows
    stored = pd.read_csv(ROOT / "tests" / "predictions" / f"{kind}.csv", index_col="case")
    expected = stored["predicted"].reindex(found["case_id"]).to_numpy()
    assert np.median(np.abs(found["predicted"].to_numpy() / expected - 1)) < 1e-5


def documented(kind):
    """The columns of a shipped table, and those that only the tables of others have."""
    columns = validation._KINDS[kind].columns
    shipped = (SHIPPED / f"{kind}.csv").read_text("utf-8").partition("\n")[0].split(",")
    named = {*columns.numbers, *columns.lowered, *columns.truths, *columns.names}
    other_names = {"value_gb", "value_gib", "model"} if kind == "memory" else set()
    return sorted({*shipped, *named} - other_names)


@pytest.mark.parametrize(
    ("kind", "column"), [(kind, column) for kind in KINDS for column in documented(kind)]
)
def test_every_documented_column_may_be_blank_where_it_is_not_needed(kind, column, tmp_path):
    rows = plain(kind)
    found = validation.validate(written(tmp_path / "blank.csv", rows.assign(**{column: ""})), kind)
    assert len(found.rows) + len(found.skipped) == len(rows)
    if column in NEEDED[kind]:
        named = column.removesuffix("_id")
        assert named in found.skipped["reason"].iloc[0] or column == "profile"
    else:
        assert len(found.rows) == PLAIN[kind], found.skipped["reason"].tolist()


STRANGE = (
    "",
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "1e400",
    "x" * 9000,
    "[8]",
    "\\1",
    "٣",
    "/etc/passwd",
)


@pytest.mark.parametrize("kind", KINDS)
def test_no_cell_stops_a_table(kind, tmp_path):
    rows = plain(kind)
    for column in rows:
        bad = rows.iloc[[0]].loc[lambda one: one.index.repeat(len(STRANGE))]
        path = written(tmp_path / "bad.csv", pd.concat([bad.assign(**{column: STRANGE}), rows]))
        found = validation.validate(path, kind)
        assert len(found.rows) + len(found.skipped) == len(STRANGE) + len(rows), column
        assert all(len(reason) < 700 for reason in found.skipped["reason"])
        json.dumps(found.figures())


SHAPE = {"layers": "16", "hidden": "2048", "vocab": "131072"}
SEVEN = {"params_b": "7", "recipe": "adamw-bf16"}
OURS = {"layers": "26", "hidden": "3840"}
PROXY = {"layers": "4", "hidden": "6144"}


def trained(tmp_path, **cells):
    """Compare one run of a table in everyday words."""
    row = {
        "gpu": "H100", "n_gpus": "8", "model": "Llama-3.1-8B", "seq_len": "8,192",
        "global_batch": "64", "micro_batch": "1 (per GPU)", "framework": "NeMo", "metric": "mfu",
        "value": "0.4", **cells,
    }  # fmt: skip
    return validation.validate(written(tmp_path / "one.csv", pd.DataFrame([row])), "training")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"zero_stage": "fsdp"}, {"zero_stage": 3}),
        ({"zero_stage": "fsdp-full_shard(zero3)"}, {"zero_stage": 3}),
        ({"zero_stage": "fsdp(zero2-like)"}, {"zero_stage": 2}),
        ({"zero_stage": "SHARD_GRAD_OP"}, {"zero_stage": 2}),
        ({"zero_stage": "zero3"}, {"zero_stage": 3}),
        ({"zero_stage": "gemini(zero3)"}, {"zero_stage": 3}),
        ({"zero_stage": "zero3 + CPU optimizer offload"}, {"offload": "optimizer"}),
        ({"zero_stage": "dist-optimizer(zero1) (memory, unverified)"}, {"zero_stage": 1}),
        ({"zero_stage": "distributed optimizer"}, {"zero_stage": 1}),
        ({"zero_stage": "zero1 over 8 ranks"}, {"zero_stage": 1, "shard_gpus": 8}),
        ({"zero_stage": "none"}, {"zero_stage": 0}),
        ({"zero_stage": "none(ddp)"}, {"zero_stage": 0}),
        ({"zero_stage": "ddp"}, {"zero_stage": 0}),
        ({"zero_stage": "hsdp"}, {"zero_stage": 3, "shard_gpus": 8}),
        ({"zero_stage": "see notes"}, {"zero_stage": 0}),
        ({"zero_stage": "2 (states and gradients)"}, {"zero_stage": 2}),
        ({"precision": "bfloat16"}, {"precision": "bf16"}),
        ({"precision": "float16"}, {"precision": "fp16"}),
        ({"precision": "fp8-hybrid"}, {"precision": "fp8"}),
        ({"precision": "nf4"}, {"precision": "bf16", "tuning": "qlora"}),
        ({"precision": ""}, {"precision": "bf16"}),
        ({"sp": "y", "tp": "2"}, {"sequence_parallel": True, "tp": 2}),
        ({"sp": "n", "tp": "2"}, {"sequence_parallel": False}),
        ({"vpp": "4", "pp": "2"}, {"interleave": 4}),
        ({"recompute": "-"}, {"recompute": "none"}),
        ({"recompute": "selective(layernorm, moe_act)"}, {"recompute": "layernorm, moe_act"}),
        ({"notes": "no CPU offload"}, {"offload": ""}),
        ({"notes": "offload: see below", "offload": "none"}, {"offload": "none"}),
        ({"recompute": "yes"}, {"recompute": "full"}),
        ({"recompute": "Unknown"}, {"recompute": "none"}),
        ({"model": "Llama-like 70B"}, {"model": "llama-3.1-70b"}),
        ({"model": "30B-class GPT (ours)"}, {"model": "qwen2.5-32b"}),
        ({"recompute": "off"}, {"recompute": "none"}),
        ({"framework": "llm-foundry (Composer, PyTorch FSDP)"}, {"framework": "llm-foundry"}),
        ({"framework": "NVIDIA NeMo Framework Release 24.04"}, {"framework": "megatron-core"}),
        ({"framework": "Megatron-Bridge"}, {"framework": "megatron-bridge"}),
        ({"framework": "Megatron-LM / Megatron-DeepSpeed"}, {"framework": "megatron-2021"}),
        ({"framework": "torchtitan 0.2"}, {"framework": "torchtitan"}),
        ({"framework": "our loop + torch.compile"}, {"framework": "fsdp-compiled"}),
        ({"framework": "torchtune v0.6"}, {"framework": "torchtune"}),
        ({"framework": "DeepSpeed ZeRO-3 (2021)"}, {"framework": "deepspeed-2022"}),
        ({"framework": "DeepSpeed 0.6.2 + Megatron"}, {"framework": "deepspeed-2022"}),
        ({"framework": "DeepSpeed 0.19.2 + HF transformers"}, {"framework": "deepspeed"}),
        ({"framework": "llm.c (CUDA)"}, {"framework": "llm.c"}),
        ({"framework": "flash-attention README"}, {"framework": "flash-attention"}),
        ({"framework": "Meta internal"}, {"framework": "meta"}),
        ({"framework": "metaseq (FSDP)"}, {"framework": "fsdp"}),
        ({"framework": "my own loop"}, {"framework": "other"}),
        ({"framework": ""}, {"framework": "other"}),
        ({"gpu": "a100-unspecified-80", "micro_batch": "1"}, {"gpu": "a100-sxm-80"}),
        ({"model": "Llama-3.1-8B LoRA"}, {"model": "llama-3.1-8b", "tuning": "lora"}),
        ({"model": "Llama 2 7 B QLoRA"}, {"model": "llama-2-7b", "tuning": "qlora"}),
        ({"model": "phi-1.5 1.3 B LoRA"}, {"model": "phi-1.5", "tuning": "lora"}),
        ({"model": "GPT-22B-K22", "layers": "48", "hidden": "6144"}, {"model": "megatron-gpt-22b"}),
        ({"model": "ours", **SHAPE}, {"model": "nanotron-1b"}),
        ({"model": "Grok1-314B proxy", **PROXY}, {"model": "grok-1-proxy-4"}),
        ({"model": "ours", **OURS, "params_b": "4.7"}, {"model": "layers=26,hidden=3840"}),
        ({"model": "phi-1.5 LoRA", "precision": "nf4"}, {"tuning": "qlora"}),
        ({"recompute": "full every 2"}, {"recompute": "full every 2"}),
        ({"recompute": "n/a", "micro_batch": "-"}, {"recompute": "none"}),
        ({"framework": "Megatron Bridge 0.2"}, {"framework": "megatron-bridge"}),
        ({"metric": "tokens/s/GPU", "value": "8,900"}, {"value": 8900}),
        ({"metric": "tokens/gpu/s", "value": "8900"}, {"metric": "tokens_per_s_per_gpu"}),
        ({"metric": "step time", "value": "8"}, {"metric": "step_time_s"}),
        ({"metric": "TFLOPS/GPU", "value": "400"}, {"metric": "model_tflops_per_gpu"}),
        ({"mfu_denom_tflops": "1979", "precision": "fp8"}, {"mfu_peak_tflops": 1979}),
    ],
)  # fmt: skip
def test_everyday_words_of_training_are_understood(tmp_path, cells, expected):
    found = trained(tmp_path, **cells)
    assert found.skipped.empty, found.skipped["reason"].tolist()
    row = found.rows.iloc[0]
    assert {name: row[name] for name in expected} == expected
    assert row["seq_len"] == 8192


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"value": "45"}, "likely it is in percent: divide it by 100"),
        ({"metric": "hfu", "value": "52"}, "in percent"),
        ({"metric": "tokens_per_s_per_gpu", "value": "72,000"}, "that of all 8 GPUs together"),
        ({"metric": "model_tflops_per_gpu", "value": "3,200"}, "that of all 8 GPUs together"),
        ({"metric": "samples_per_s", "value": "70,000"}, "in tokens/s"),
        (
            {"metric": "step_time_s", "value": "0.9"},
            "of one micro-batch: multiply it by 8 or in minutes: multiply it by 60",
        ),
        ({"metric": "step_time_s", "value": "1e-6"}, "check its unit"),
        ({"metric": "time_to_train_min", "value": "90"}, "give step_time_s"),
        ({"metric": "matmul_tflops", "value": "90"}, "mfu"),
        ({"precision": "mixed-unstated"}, "known: bf16, fp16, fp8"),
        ({"model": "3D U-Net", "seq_len": "", "precision": "mixed"}, "model: '3D U-Net'"),
        ({"metric": "oom", "value": "1"}, "a run that did not fit"),
        ({"metric": "speedup_ratio", "value": "2"}, "a row of its own"),
        ({"recompute": "sometimes"}, "full every 2"),
        ({"recompute": "selective (norm, mla)"}, "norm+act"),
        ({"notes": "with full CPU offload"}, "give none or optimizer"),
        ({"model": "GPT-97B"}, "model: 'GPT-97B'"),
        ({"model": "Llama-like 70B or 65B"}, "model: 'Llama-like 70B or 65B'"),
        ({"model": "ours-moe-30B"}, "model: 'ours-moe-30B'"),
        ({"model": "Llama-like 7B", "params_b": "30"}, "model: 'Llama-like 7B'"),
        ({"model": "ours-30B-A3B"}, "model: 'ours-30B-A3B'"),
        ({"notes": "optimizer fused into the backward"}, "updates within the backward pass"),
        ({"model": "ours", **OURS, "params_b": "30"}, "model: 'ours' is not valid"),
        ({"gpu": "unspecified-80gb"}, "name the GPU and its memory"),
        ({"model": "Llama-2-7B Adapter v2"}, "other than LoRA"),
        ({"model": "Llama-3.1-8B", "layers": "3", "hidden": "4096"}, "this model has 32 of 4096"),
        ({"model": ""}, "config.json"),
        ({"seq_len": "8,19"}, "whole number"),
        ({"value": "0,4"}, "a number above 0"),
        ({"used": "false", "not_used_because": "a first try"}, "used is false; a first try"),
        ({"used": "n"}, "used is false"),
        ({"interleave": "1000000000"}, "stages can hold"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_fix(tmp_path, cells, said):
    found = trained(tmp_path, **cells)
    assert found.rows.empty
    assert said in found.skipped["reason"].iloc[0]


def test_memory_in_a_table_of_training_goes_to_memory(tmp_path):
    rows = pd.DataFrame(
        {
            "gpu": "H100", "n_gpus": "8", "model": "Llama-3.1-8B", "seq_len": "8192",
            "global_batch": "64", "micro_batch": "1", "framework": "NeMo", "zero_stage": "zero3",
            "metric": ["mfu", "peak_memory_gb", "Peak_Memory_GiB"], "value": ["0.4", "60", "50"],
        }
    )  # fmt: skip
    path = written(tmp_path / "both.csv", rows)
    found = validation.validate(path, "training")
    assert (found.rows["line"].tolist(), found.memory.rows["line"].tolist()) == ([2], [3, 4])
    assert found.memory.rows["value_bytes"].tolist() == [60e9, 50 * 2**30]
    row = found.memory.rows.iloc[0]
    assert (row["kind"], row["zero_stage"], row["recipe"]) == ("full", 3, "adamw-megatron")
    assert row["microbatches"] == 8
    figures = found.figures()
    assert (figures["rows"], figures["memory"]["rows"]) == (1, 2)
    said = CliRunner().invoke(main, ["validate", str(path), "--kind", "training"]).output
    assert "Rows of memory" in said


def test_what_is_assumed_is_told_once_for_each_thing(tmp_path):
    unsaid = {"recompute": "not stated", "precision": "bf16"}
    found = trained(tmp_path, **unsaid, model="Llama-like 70B", zero_stage="fsdp")
    told = found.notes["note"].tolist()
    assert [note.partition(" ")[0] for note in told] == ["recompute", "zero_stage", "model"]
    assert "taken as 'none'" in told[0]
    none, full = (trained(tmp_path, recompute=said).rows for said in ("none", "full"))
    unsaid = trained(tmp_path, recompute="unknown").rows["predicted"].iloc[0]
    assert unsaid == none["predicted"].iloc[0] < full["predicted"].iloc[0]


def test_memory_whose_recomputation_is_not_said_is_held_between_full_and_none(tmp_path):
    row = {
        "gpu": "H100", "n_gpus": "8", "model": "Llama-3.1-8B", "seq_len": "8192",
        "global_batch": "64", "micro_batch": "1", "zero_stage": "zero3",
        "metric": "peak_memory_gb", "recompute": "unknown",
    }  # fmt: skip
    rows = [row | {"value": value} for value in ("1", "40", "400")]
    rows += [row | {"value": "40", "recompute": said} for said in ("full", "none")]
    path = written(tmp_path / "memory.csv", pd.DataFrame(rows))
    found = validation.validate(path, "training")
    between, said = found.memory.between, found.memory.rows
    assert between["line"].tolist() == [2, 3, 4]
    assert said["line"].tolist() == [5, 6]
    assert (between["low"] == said["low"].iloc[0]).all()
    assert (between["high"] == said["high"].iloc[1]).all()
    told = found.figures()["memory"]["between"]
    assert [told[name] for name in ("rows", "inside", "below", "above")] == [3, 1, 1, 1]
    text = CliRunner().invoke(main, ["validate", str(path), "--kind", "training"]).output
    assert "3 rows (lines 2, 3, 4): recompute decides" in " ".join(text.split())
    json.dumps(found.figures())


def test_activations_in_a_table_of_training_are_compared_as_such(tmp_path):
    found = trained(tmp_path, metric="activation_memory_gb_per_gpu", value="60").memory
    assert found.rows[["part", "measure", "value_bytes"]].to_numpy().tolist() == [
        ["activations", "analytic", 60e9]
    ]


def test_a_column_for_each_metric_gives_a_row_for_each_figure(tmp_path):
    wide = pd.DataFrame(
        {
            "model": "Llama-like 1B", **SHAPE, "seq_len": "4096", "gpu": "h100-sxm-80",
            "n_gpus": "8", "global_batch": "256", "micro_batch": ["8", "4", "2"],
            "mfu": ["0.30", "", ""], "peak_memory_gb": ["30", "", ""],
            "tokens_per_s_per_gpu": ["30,000", "31000", ""],
        }
    )  # fmt: skip
    found = validation.validate(written(tmp_path / "wide.csv", wide), "training")
    assert found.rows["metric"].tolist() == ["tokens_per_s_per_gpu", "mfu", "tokens_per_s_per_gpu"]
    assert found.rows["line"].tolist() == [2, 2, 3]
    assert len(found.memory.rows) == 1
    assert found.skipped["line"].tolist() == [4]
    assert "mfu" in found.skipped["reason"].iloc[0]


def test_columns_of_another_tool_are_renamed_and_separate_stages_named(tmp_path):
    row = {
        "id": "a", "system": "h100_sxm", "backend": "vllm", "backend_version": "0.8",
        "model": "Llama-3.1-8B", "precision": "fp8", "isl": "1024", "osl": "128", "tp_size": "1",
        "pp_size": "1", "concurrency": "4",
        "silicon_ttft_ms": "60", "silicon_tpot_ms": "6",
    }  # fmt: skip
    table = pd.DataFrame([row | {"mode": "agg"}, row | {"mode": "disagg"}])
    found = validation.validate(written(tmp_path / "runs.csv", table))
    assert found.rows["metric"].tolist() == ["ttft_ms", "tpot_ms"]
    assert found.rows["case_id"].tolist() == ["a ttft_ms", "a tpot_ms"]
    assert (found.rows["weight_precision"] == "fp8").all()
    assert (found.rows["n_gpus"] == 1).all()
    assert found.skipped["reason"].str.contains("scenario disaggregated").all()


def test_inference_fills_what_the_model_knows_and_says_what_does_not_fit(tmp_path):
    row = {
        "gpu": "H100", "tp": "1", "model": "Llama-3.1-8B", "weight_precision": "", "engine": "vllm",
        "isl": "1,024", "osl": "128", "concurrency": "4", "metric": "tpot_ms", "value": "9",
    }  # fmt: skip
    rows = [row, row | {"model": "Llama-3.1-70B"}, row | {"concurrency": ""}]
    found = validation.validate(written(tmp_path / "a.csv", pd.DataFrame(rows)))
    assert found.rows["weight_precision"].tolist() == ["bf16"]
    unfit, idle = found.skipped["reason"]
    lacking = float(unfit.partition("each lacks ")[2].removesuffix(" GiB"))
    assert 50 < lacking < 80  # 131 GiB of weights on a GPU that holds 80
    assert "serving needs a load" in idle


def test_a_config_that_no_table_holds_is_compared(tmp_path):
    config = json.loads((ROOT / "tests/fixtures/configs/llama-3.2-1b.json").read_text("utf-8"))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config | {"num_hidden_layers": 12, "_name_or_path": "llama-2-7b"}))
    sizes = {}
    for name in ("Llama-3.2-1B", "Llama-2-7B", str(path)):
        found = trained(tmp_path, model=name)
        assert len(found.rows) == 1, found.skipped["reason"].tolist()
        sizes[name] = float(found.rows["predicted"].iloc[0])
    assert sizes[str(path)] < sizes["Llama-3.2-1B"] < sizes["Llama-2-7B"]


@pytest.mark.parametrize(
    ("kind", "cells", "expected"),
    [
        ("memory", {"memory_kind": "max_memory_reserved, worst rank"}, {"measure": "reserved"}),
        ("memory", {"memory_kind": "peak active / per GPU"}, {"measure": "allocated"}),
        ("memory", {"memory_kind": "not stated"}, {"measure": "device"}),
        ("memory", {"memory_kind": "activations only (analytic)"}, {"kind": "activations"}),
        ("memory", {"memory_kind": "activations only (analytic)"}, {"attention": "eager"}),
        ("memory", {"memory_kind": "activations only (analytic)"}, {"dropout": True}),
        ("memory", {"memory_kind": "max_memory_reserved"}, {"attention": "flash"}),
        ("memory", {"memory_kind": "engine log"}, {"measure": "engine log"}),
        ("memory", {"unit": "GiB (MiB/1024)"}, {"value_bytes": 2**30 * 60}),
        ("memory", {"notes": "memory GiB (~); ours"}, {"value_bytes": 2**30 * 60}),
        ("memory", {"notes": "peak is max_memory_reserved"}, {"measure": "reserved"}),
        ("memory", {"notes": "memory GiB active"}, {"measure": "allocated"}),
        ("memory", {"tuning": "qlora"}, {"base_precision": "nf4", "lora_rank": 16}),
        ("memory", {"precision": "nf4"}, {"kind": "qlora"}),
        ("memory", {"model_id": "Llama-3.1-8B LoRA"}, {"kind": "lora", "base_precision": "bf16"}),
        ("memory", {"framework": "torchtune"}, {"recipe": "adamw-bf16"}),
        ("memory", {"framework": "Megatron-LM"}, {"recipe": "adamw-megatron"}),
        ("memory", {"zero_stage": "zero3 + CPU optimizer offload"}, {"recipe": "adamw-offload"}),
        ("memory", {"zero_stage": "fsdp"}, {"zero_stage": 3}),
        ("memory", {"framework": "DeepSpeed 0.19 + Liger"}, {"bytes_per_logit": 0}),
        ("memory", {"framework": "litgpt", "precision": "nf4"}, {"base_precision": "nf4"}),
        ("memory", {"recompute": "full 8 layers"}, {"recompute": "full 8 layers"}),
        ("memory", {"zero_stage": "unknown"}, {"zero_stage": 0}),
        ("memory", {"notes": "optimizer on CPU, no offload of the rest"}, {"offload": ""}),
        ("memory", {"offload": "Both"}, {"offload": "both"}),
        ("memory", {"part": "kv_per_token", "recompute": "unknown"}, {"part": "kv_per_token"}),
        ("memory", {"gpu": "unspecified-80gb"}, {"kind": "full"}),
        ("memory", {"n_gpus": "8", "global_batch": "64"}, {"dp": 8, "microbatches": 8}),
        ("memory", {"memory_kind": "total over all GPUs", **SEVEN}, {"part": "states"}),
        ("memory", {"memory_kind": "total over all GPUs", **SEVEN}, {"measure": "all gpus"}),
        ("images", {"group": "16-bit"}, {"stack": "compiled", "passes_a_step": 2, "width": 1024}),
        ("images", {"precision": "float16"}, {"precision": "bf16"}),
        ("images", {"group": "8-bit"}, {"precision": "fp8"}),
        ("images", {"gpu": "A100", "precision": "W8A8"}, {"precision": "int8"}),
        ("images", {"precision": "e4m3"}, {"precision": "fp8"}),
    ],
)  # fmt: skip
def test_everyday_words_of_memory_and_images_are_understood(tmp_path, kind, cells, expected):
    row = {
        "memory": {"gpu": "H100", "model_id": "Llama-3.1-8B", "seq_len": "2,048", "value_gb": "60"},
        "images": {"gpu": "H100", "model": "SDXL", "steps": "30", "seconds_per_image": "1.5"},
    }[kind]
    path = written(tmp_path / "one.csv", pd.DataFrame([row | cells]))
    found = validation.validate(path, kind)
    assert found.skipped.empty, found.skipped["reason"].tolist()
    assert {name: found.rows.iloc[0][name] for name in expected} == expected


def test_every_alias_reads_some_cell_of_these_examples():
    """Without any one row of the table of aliases, a cell above would mean something else."""
    tests = (
        test_everyday_words_of_training_are_understood,
        test_what_cannot_be_used_is_named_with_its_fix,
        test_everyday_words_of_memory_and_images_are_understood,
    )
    cases = [case for test in tests for mark in test.pytestmark for case in mark.args[1]]
    dicts = [part for case in cases for part in case if isinstance(part, dict)]
    texts = {text for part in dicts for text in part.values() if isinstance(text, str)}
    texts |= {"disagg", "8-bit", "16-bit"}
    unread = []
    for kind in KINDS:
        columns = validation._KINDS[kind].columns
        for column, rules in reading.aliases(kind).items():
            for rule in rules if column else ():
                others = [one for one in rules if one is not rule]
                if not any(
                    reading._meaning(text, column, rules, columns)
                    != reading._meaning(text, column, others, columns)
                    for text in texts
                ):
                    unread.append((kind, column, rule.said.pattern))
    assert not unread


def test_reasons_are_told_once_with_their_lines(tmp_path):
    rows = pd.DataFrame(
        {
            "gpu": ["H1000", "H2000", "H100"], "model": "SDXL", "steps": "30",
            "seconds_per_image": "1.5", "precision": ["", "", "4-bit"],
        }
    )  # fmt: skip
    path = written(tmp_path / "one.csv", rows)
    reasons = validation.validate(path, "images").figures()["skipped_by_reason"]
    assert [(one["rows"], one["lines"]) for one in reasons] == [(2, [2, 3]), (1, [4])]
    assert reasons[0]["reason"].startswith("gpu: 'H1000', 'H2000' is not valid; no table has it")
    said = CliRunner().invoke(main, ["validate", str(path), "--kind", "images"]).output
    assert "skipped 2 rows (lines 2, 3): gpu: 'H1000', 'H2000'" in said
    assert "skipped line 4: precision: '4-bit' is not valid; give one of bf16, fp8" in said


@pytest.mark.parametrize("kind", ["memory", "mig", "images"])
def test_the_further_kinds_have_pictures_and_need_a_file(kind, tmp_path):
    picture = tmp_path / "errors.svg"
    path = written(tmp_path / "some.csv", plain(kind))
    command = ["validate", str(path), "--kind", kind, "--picture", str(picture)]
    run = CliRunner().invoke(main, command)
    assert run.exit_code == 0, run.output
    assert picture.stat().st_size > 1000
    found = validation.validation_of(path, kind)
    assert len(validation.worst(found.rows, 2)) <= len(found.rows)
    for column in validation.SPLITS[kind]:
        assert validation.error_table(found, column)["rows"].sum() == len(found.rows)
    assert len(validation.stated_errors(kind))
    with pytest.raises(InputError, match="a file is needed"):
        validation.validation_of("", kind)


def test_a_picture_takes_any_number_of_gpus():
    rows = validation.validate(ROOT / "data" / "measurements" / "memory.csv", "memory")
    assert rows.rows["gpu"].nunique() > 12
    drawn = scatter(rows, "Predicted against measured")
    assert len(drawn.legends[0].get_texts()) == rows.rows["gpu"].nunique()


def test_a_slice_needs_its_whole_gpu(tmp_path):
    rows = plain("mig")
    alone = rows[rows["profile"] != ""]
    found = validation.validate(written(tmp_path / "alone.csv", alone), "mig")
    assert found.rows.empty
    assert found.skipped["reason"].str.contains("no row of the whole GPU").all()


def test_opened_rows_keep_their_lines(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("gpu,model,steps,seconds_per_image\n\nH100,SDXL,30,1.5\n\nH100,SDXL,50,2\n")
    columns = validation._KINDS["images"].columns
    table = understood(opened(path, columns), columns)
    assert table.rows["line"].tolist() == [3, 5]
    assert table.rows["case_id"].tolist() == ["line 3", "line 5"]


def test_blank_weights_of_every_shipped_model_are_those_that_are_stored(tmp_path):
    names = list(models().query("kind == 'llm'").index)
    about = {"gpu": "H200", "engine": "vllm", "engine_version": "0.12.0", "scenario": "serving"}
    load = {"isl": 64, "osl": 8, "concurrency": 1, "metric": "tpot_ms", "value": 10}
    rows = pd.DataFrame({"model": names}).assign(**about, **load, tp=1, pp=16, weight_precision="")
    found = validation.validate(written(tmp_path / "served.csv", rows), "inference")
    assert not found.skipped["reason"].str.contains("weight_precision").any()
    assert len(found.rows) > 0.9 * len(names)
    part = rows[["model"]].assign(part="weights", weight_precision="", value_gib=10)
    held = validation.validate(written(tmp_path / "held.csv", part), "memory")
    assert held.skipped.empty
    mixed = held.rows.set_index("model_id")["predicted"]["deepseek-v4-flash"]
    network = known_model("deepseek-v4-flash")
    assert mixed == pytest.approx(float(stage_weights_bytes(network, weight_format(network))))
