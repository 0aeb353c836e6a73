"""``gpuspec import``: files of tools become rows that ``validate`` reads; nothing else gets in."""

import csv
import gzip
import io
import json
import math
import re
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from gpuspec.base.errors import InputError
from gpuspec.evidence.importing import found_in, imported, written

TOOLS = Path(__file__).parent / "fixtures" / "tools"
READ = {
    "vllm-concurrency.json": (
        "inference",
        {"model": "meta-llama/Llama-3.1-8B-Instruct", "concurrency": 4, "requests": 16},
    ),
    "vllm-rate.json": ("inference", {"request_rate": 8.0, "requests": 16}),
    "vllm-published.json": (
        "inference",
        {"engine": "vllm", "isl": 999, "osl": 81050 / 300, "tpot_ms": 13.577995860227945},
    ),
    "guidellm-concurrent.json": ("inference", {"concurrency": 4, "osl": 32, "lengths": "fixed"}),
    "guidellm-poisson.json": ("inference", {"request_rate": 10.0, "requests": 20}),
    "aiperf-concurrency.json": ("inference", {"concurrency": 4, "isl": 64, "lengths": "fixed"}),
    "genai-perf-concurrency.json": (
        "inference",
        {"concurrency": 4, "requests": 24, "isl": 64, "osl": 160, "ttft_ms": 91.5866935833},
    ),
    "aiperf-rate.json": ("inference", {"request_rate": 8.0, "lengths": "varied"}),
    "sglang.jsonl": (
        "inference",
        {"engine": "sglang", "engine_version": "0.5.3", "tp": 2, "isl": 1024, "ttft_ms": 88.4},
    ),
    "trtllm-bench.json": (
        "inference",
        {"gpu": "NVIDIA H100 80GB HBM3", "weight_precision": "fp8", "concurrency": 63},
    ),
    "mlperf-server.txt": (
        "inference",
        {"request_rate": 21.4, "tpot_ms": 61.403731, "output_tokens_per_s_total": 6254.11},
    ),
    "nccl-two-nodes.txt": (
        "collectives",
        {"operation": "all_reduce", "link": "nvlink-4", "nodes": 2, "gpus_per_node": 2},
    ),
    "nccl-one-node.txt": ("collectives", {"link": "nvlink-3", "seconds": 0.05113}),
    "megatron.log": (
        "training",
        {"step_time_s": 5.5338, "global_batch": 128, "ep": 8, "pp": 4, "kv_heads": 8},
    ),
    "nemo.log": ("training", {"step_time_s": 12.215, "global_batch": 128}),
    "torchtitan.log": ("training", {"tokens_per_s_per_gpu": 5868, "peak_memory_gib": 49.66}),
    "axolotl.log": ("training", {"samples_per_s": 5.155, "tuning": "qlora", "global_batch": 32}),
    "vllm-start.log": ("memory", {"part": "weights", "value_gib": 30.5891, "tp": 2}),
    "sglang-start.log": ("memory", {"part": "weights", "value_gib": 15.54, "tp": 4}),
    "hpl.txt": ("hpc", {"metric": "gflops", "value": 340100, "n_gpus": 8}),
}


@pytest.mark.parametrize("name", READ)
def test_each_tool_is_known_by_its_content_and_read(name):
    kind, cells = READ[name]
    found = found_in(TOOLS / name)
    assert found.kind == kind
    row = found.rows[0]
    for column, value in cells.items():
        expected = pytest.approx(value) if isinstance(value, int | float) else value
        assert row[column] == expected, column


def test_rates_and_times_of_a_run_agree_with_each_other():
    """Tokens a second, requests in flight and times of a closed loop obey Little's law."""
    for name in ("vllm-concurrency.json", "guidellm-concurrent.json", "aiperf-concurrency.json"):
        row = found_in(TOOLS / name).rows[0]
        seconds = (row["ttft_ms"] + row["tpot_ms"] * (row["osl"] - 1)) / 1e3
        rate = row["output_tokens_per_s_total"] / row["osl"]
        assert rate * seconds == pytest.approx(row["concurrency"], rel=0.35), name


def test_cache_of_a_token_follows_from_what_the_server_says():
    rows = found_in(TOOLS / "vllm-start.log").rows
    each = rows[1]["value_gib"] * 2**30 * 2  # both GPUs
    assert each == pytest.approx(2 * 64 * 8 * 128 * 2, rel=0.01)  # 64 layers, 8 heads of 128


def test_files_fill_each_other_and_options_fill_the_rest():
    files = [str(TOOLS / name) for name in ("vllm-rate.json", "vllm-start.log", "nvidia-smi.xml")]
    of = {one.kind: one for one in imported(files, {"model": "Llama-3.1-8B", "lengths": "fixed"})}
    row = of["inference"].rows[0]
    assert row["gpu"] == "NVIDIA H100 80GB HBM3"
    assert (row["tp"], row["n_gpus"], row["engine"]) == (2, 2, "vllm")
    assert (row["model"], row["lengths"]) == ("Llama-3.1-8B", "fixed")
    assert "lengths" not in of["memory"].columns
    told = " ".join(what for what, _ in of["inference"].assumed)
    assert "model is Llama-3.1-8B, as you say; the file says meta-llama" in told


def test_a_table_is_ready_for_validate(command, tmp_path):
    done = command(
        *("import", TOOLS / "vllm-published.json", "--gpus", "L40S", "--tp", 1, "--count", 4),
        *("-o", "mine.csv", "--json"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["tables"][0]
    assert told["kind"], told["rows"] == ("inference", 1)
    assert not told["missing"]
    figures = json.loads(command("validate", "mine.csv", "--json").stdout)
    assert figures["rows"] == 3
    assert not figures["skipped"]
    assert figures["median_absolute_error"] < 0.5


def test_what_is_missing_is_said_and_nothing_is_lost(command, tmp_path):
    files = [TOOLS / "vllm-rate.json", TOOLS / "nccl-two-nodes.txt", TOOLS / "megatron.log"]
    done = command("import", *files, "-o", "mine.csv")
    assert done.returncode == 0, done.stderr
    assert "gpu, tp, engine to be filled in" in done.stdout
    assert "node_network_gb_s" in done.stdout or "network_kind" in done.stdout
    with (tmp_path / "mine-collectives.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    again = command("import", *files, "-o", "mine.csv")
    assert again.returncode == 2
    assert "it exists" in again.stderr
    more = command("import", TOOLS / "vllm-rate.json", "-o", "mine-inference.csv", "--add")
    assert "1 row of them it had already" in more.stdout
    more = command("import", TOOLS / "aiperf-rate.json", "-o", "mine-inference.csv", "--add")
    assert more.returncode == 0
    with (tmp_path / "mine-inference.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_a_row_that_is_read_again_stays_one_and_takes_what_is_filled_in(command, tmp_path):
    files = [TOOLS / "vllm-rate.json", TOOLS / "vllm-concurrency.json"]
    (tmp_path / "other").mkdir()
    later = json.loads(files[0].read_text()) | {"mean_ttft_ms": 77.5}
    (tmp_path / "other" / files[0].name).write_text(json.dumps(later))
    assert command("import", *files, "-o", "mine.csv").returncode == 0
    text = (tmp_path / "mine.csv").read_text().replace("vllm-rate,own", "vllm-rate,ours")
    (tmp_path / "mine.csv").write_text(text)
    words = ("--gpu", "H100", "--tp", 2, "-o", "mine.csv", "--add")
    told = command("import", *files, *words)
    assert "2 rows of them it had already" in told.stdout
    told = json.loads(command("import", f"other/{files[0].name}", *words, "--json").stdout)
    assert told["tables"][0]["again"] == 0
    with (tmp_path / "mine.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["ttft_ms"][:4] for row in rows].count("77.5") == 1
    assert len(rows) == 3
    assert {row["gpu"] for row in rows} == {"H100"}
    assert {row["tp"] for row in rows} == {"2"}
    assert [row["publisher"] for row in rows] == ["ours", "own", "own"]


BROKEN = {
    "empty.json": b"",
    "foreign.json": b'{"name": "a", "version": 1}',
    "cut.json": b'{"mean_ttft_ms": 12.0, "completed": 3',
    "odd.json": b'{"mean_ttft_ms": {"a": []}, "completed": [1]}',
    "deep.json": b"[" * 100_000,
    "pickle.bin": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94",
    "short.log": b" elapsed time per iteration (ms): 10.0\n",
    "notes.txt": b"hello\n",
    "bomb.xml": b'<!DOCTYPE nvidia_smi_log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n'
    b"<nvidia_smi_log><gpu><product_name>&b;</product_name></gpu></nvidia_smi_log>",
    "header.txt": b"#  size  count  type  redop\n#  (B)  busbw\n",
    "mixed.xml": b"<nvidia_smi_log><gpu><product_name>A</product_name></gpu>"
    b"<gpu><product_name>B</product_name></gpu></nvidia_smi_log>",
    "failed.txt": (TOOLS / "hpl.txt")
    .read_bytes()
    .replace(b"0 tests completed and f", b"1 tests completed and f"),
    "invalid.txt": (TOOLS / "mlperf-server.txt").read_bytes().replace(b": VALID", b": INVALID"),
}


def zipped(content):
    """Return an archive in an archive in an archive."""
    for _ in range(3):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.json", content)
        content = held.getvalue()
    return content


HOSTILE = {
    "other encoding": lambda b: b.decode().encode("utf-16"),
    "compressed": gzip.compress,
    "archives in archives": zipped,
    "not UTF-8": lambda b: b[:40] + b"\xff\xfe\xe4" + b[40:],
    "begun": lambda b: b[:30],
    "no number is one": lambda b: re.sub(rb"\d+\.\d+", b"NaN", b),
    "all below zero": lambda b: re.sub(rb"(\d+\.\d+)", rb"-\1", b),
    "decimal commas": lambda b: re.sub(rb"(\d)\.(\d)", rb"\1,\2", b),
}
READ_ANYWAY = {
    ("mlperf-server.txt", "no number is one"),  # its latencies are whole nanoseconds
    ("mlperf-server.txt", "all below zero"),
}
"""Files in which some figures are still what their tool writes."""


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize("name", sorted(p.name for p in TOOLS.glob("*.[jltx]*")))
def test_hostile_variants_are_one_sentence_and_never_half_a_number(
    tmp_path, monkeypatch, name, how
):
    monkeypatch.chdir(tmp_path)
    place = Path(name)
    place.write_bytes(HOSTILE[how]((TOOLS / name).read_bytes()))
    if (name, how) in READ_ANYWAY:
        whole, found = (imported([str(p)], {}) for p in (TOOLS / name, place))
        for cells, of in zip(found[0].rows, whole[0].rows, strict=True):
            assert {k: v for k, v in cells.items() if v == v}.items() <= of.items()
        return
    with pytest.raises(InputError) as said:
        imported([str(place)], {})
    assert "\n" not in str(said.value)
    assert name in str(said.value)


@pytest.mark.parametrize(
    "line",
    [
        "memory: 1GiB" * 8000,
        "step: 1 loss: memory: 1GiB" * 3500,
        "[x TP0] Load weight end. " * 4000,
        "'train_samples_per_second': 1 Total train batch size" * 1900,
        "#  size  count  type  busbw # Rank 1 a on h device 1 [ on h" * 1600,
    ],
)
def test_long_lines_take_no_longer_than_they_are(tmp_path, line):
    (tmp_path / "a.log").write_text(f"{line}\n" * 10)
    start = time.process_time()
    with suppress(InputError):
        found_in(tmp_path / "a.log")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", BROKEN)
def test_broken_and_foreign_files_are_one_sentence(command, tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    done = command("import", name, "-o", "mine.csv")
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.strip().splitlines()) == 1
    assert name in done.stderr
    assert not (tmp_path / "mine.csv").exists()


def test_a_file_that_is_no_table_is_kept_and_no_table_is_written_alone(command, tmp_path):
    log = (TOOLS / "megatron.log").read_text()
    (tmp_path / "my.log").write_text(log)
    done = command("import", "my.log", "-o", "my.log", "--add")
    assert done.returncode == 2
    assert "no column of the kind training" in done.stderr
    assert (tmp_path / "my.log").read_text() == log
    (tmp_path / "two-memory.csv").write_text("mine\n1\n")
    files = [TOOLS / "vllm-concurrency.json", TOOLS / "vllm-start.log"]
    assert command("import", *files, "-o", "two.csv").returncode == 2
    assert not (tmp_path / "two-inference.csv").exists()


@pytest.mark.parametrize("size", ["x", "0", "-3", "nan", "inf"])
@pytest.mark.parametrize("name", ["tp", "count"])
def test_a_size_that_is_no_number_is_one_sentence(command, size, name):
    done = command("import", TOOLS / "vllm-rate.json", f"--{name}", size, "-o", "mine.csv")
    assert done.returncode == 2, done.stderr
    assert f"'{size}' is not valid; give a whole number" in done.stderr


@pytest.mark.parametrize(("unit", "times"), [("seconds", 1e3), ("ns", 1e-6), ("weeks", None)])
def test_a_unit_is_followed_or_refused(command, tmp_path, unit, times):
    told = json.loads((TOOLS / "aiperf-concurrency.json").read_text())
    told["time_to_first_token"]["unit"] = unit
    (tmp_path / "a.json").write_text(json.dumps(told))
    done = command("import", "a.json", "-o", "mine.csv")
    if times is None:
        assert done.returncode == 2
        assert "'weeks' is none of ms" in done.stderr
    else:
        with (tmp_path / "mine.csv").open() as file:
            ttft_ms = float(next(csv.DictReader(file))["ttft_ms"])
        assert ttft_ms == pytest.approx(told["time_to_first_token"]["avg"] * times)


def test_a_file_counts_once(command):
    file = TOOLS / "vllm-rate.json"
    done = command("import", file, file.parent / "." / file.name, "-o", "mine.csv")
    assert done.returncode == 2
    assert "it was given before" in done.stderr


def test_a_column_that_nothing_reads_is_refused_and_a_bare_log_keeps_its_place(command, tmp_path):
    done = command("import", TOOLS / "vllm-rate.json", "-p", "lenghts=fixed", "-o", "mine.csv")
    assert done.returncode == 2
    assert "did you mean lengths" in done.stderr
    bare = "".join(f" elapsed time per iteration (ms): {9 + i}.0\n" for i in range(5))
    (tmp_path / "bare.log").write_text(bare)
    done = command("import", "bare.log", "-o", "mine.csv")
    assert done.returncode == 0, done.stderr
    assert "to be filled in" in done.stdout
    assert "global_batch" in (tmp_path / "mine.csv").read_text()


def test_what_only_describes_a_machine_is_no_measurement(command):
    done = command("import", TOOLS / "nvidia-smi.xml", "-o", "mine.csv")
    assert done.returncode == 2
    assert "give it beside one" in done.stderr


def test_cells_are_text_and_never_formulas(tmp_path):
    document = json.loads((TOOLS / "vllm-rate.json").read_text())
    document["model_id"] = '=cmd|" /C calc"!A0\x1b[31m\n<script>'
    (tmp_path / "one.json").write_text(json.dumps(document))
    found = imported([str(tmp_path / "one.json")], {})
    text = written(found, str(tmp_path / "out.csv"))[0].path.read_text()
    assert "'=cmd" in text
    assert "\x1b" not in text
    assert text.count("\n") == 2


def test_a_limit_below_the_rated_power_is_told():
    says = found_in(TOOLS / "nvidia-smi.xml").says
    assert (says["n_gpus"], says["power_limit_w"]) == (2, 500)
    assert math.isnan(found_in_with(says, b"700.00 W</current_power_limit>"))


def found_in_with(says, limit):
    """Return the power limit of the same machine with another one set."""
    import tempfile

    text = (TOOLS / "nvidia-smi.xml").read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(text.replace(b"500.00 W</current_power_limit>", limit))
        file.flush()
        return found_in(file.name).says["power_limit_w"]


def test_too_large_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gpuspec.evidence.importing.MOST_BYTES", 100)
    with pytest.raises(InputError, match="at most 100 bytes"):
        found_in(TOOLS / "megatron.log")
