"""Commands that run an answer: accepted by the programs' own arguments, safe, and measured back."""

import csv
import importlib.util
import json
import math
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from gpuspec.catalog.arguments import filled
from gpuspec.catalog.tables import table_rows
from gpuspec.decision.decide import decide
from gpuspec.decision.plan.words_running import running_page
from gpuspec.decision.running import plan_runs
from gpuspec.decision.scenario import scenario
from gpuspec.topics.commands import Run, Shell, shell
from gpuspec.topics.serving import ServingQuestion, best_options, estimates, options_table
from gpuspec.topics.serving.ask import EstimateQuestion
from gpuspec.topics.serving.running import best_run, estimate_runs, longest
from gpuspec.topics.serving.words import run_sentence
from gpuspec.topics.training import runs_table
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.training.running import training_run
from gpuspec.topics.words_running import run_page

Command = Callable[..., subprocess.CompletedProcess[str]]
LIST = Path(__file__).with_name("run_arguments.csv")
TOOL = Path(__file__).parents[1] / "tools/check_run_arguments.py"
FILES = {"train.yaml": "axolotl train", "options.yaml": "trtllm-serve options"}


def accepted() -> dict[str, dict[str, tuple[str, tuple[str, ...]]]]:
    found: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {}
    with LIST.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            choices = tuple(filter(None, row["choices"].split("|")))
            found.setdefault(row["program"], {})[row["argument"]] = row["takes"], choices
    return found


ACCEPTED = accepted()
SERVED = [
    {"model": "Llama-3.1-70B", "gpus": "H200", "weights": "fp8", "request_rate": 4},
    {"model": "Qwen3-32B", "gpus": "H100", "tp": 2, "max_num_seqs": 64, "memory_share": 0.8},
    {"model": "DeepSeek-R1", "gpus": "H200", "tp": 16, "attention_dp": 16, "concurrency": 256},
    {"model": "DeepSeek-R1", "gpus": "H200", "tp": 8, "pp": 2, "concurrency": 64},
    {"model": "Llama-3.1-8B", "gpus": "A100", "chunked_prefill": False, "concurrency": 8},
    {"model": "gpt-oss-120b", "gpus": "H100,H200", "concurrency": 32},
]
TRAINED = [
    {"model": "Llama-3.1-70B", "gpus": "H100", "counts": "64"},
    {"model": "Llama-3.1-8B", "gpus": "H100,A100", "counts": "8,16", "tuning": "qlora"},
    {"model": "Qwen3-30B-A3B", "gpus": "H100", "counts": "32", "precision": "fp8"},
    {"model": "Qwen3-14B", "gpus": "H200", "counts": "16", "recompute": "full"},
]


def served(engine: str, **asked: object) -> list[Run]:
    q = EstimateQuestion.ask(engine=engine, **asked)
    return estimate_runs(q, estimates(q))


def trained(framework: str, **asked: object) -> list[Run]:
    q = TrainingQuestion.ask(framework=framework, tokens=1e9, **asked)
    rows = runs_table(q)
    return [training_run(q, row) for row in rows[rows["works"]].to_dict("records")]


def words_of(line: str) -> list[str]:
    for name in ("NODE_RANK", "MASTER_ADDR", "DATA", "CHECKPOINT"):
        line = line.replace(f"${name}", "7")
    return shlex.split(re.sub(r"\$\(\((.*?)\)\)", "7", line))


def given(line: str) -> list[tuple[str, str, str | None]]:
    """Return (program, argument, value) of a line, each held against what the program accepts."""
    words, found = words_of(line.removeprefix("mpirun -np ")), []
    words = words[3:] if "mpirun" in line else words
    for program in sorted(ACCEPTED, key=len, reverse=True):
        start = shlex.split(program)
        if words[: len(start)] != start:
            continue
        rest = words[len(start) :]
        while rest:
            name = rest.pop(0)
            if program == "torchrun" and name in ("pretrain_gpt.py", "torchtitan.train"):
                return found + given(shlex.join([name, *rest]))
            if f"{program} {name}" in ACCEPTED:  # a command of a command
                return found + given(f"{program} {shlex.join([name, *rest])}")
            if program == "axolotl train" and name == "--":
                return found + given(shlex.join(["torchrun", *rest]))
            if not name.startswith("-"):
                known = ACCEPTED[program]
                assert name in known or (":" not in name and not found) or name == "train.yaml", (
                    name
                )
                continue
            if program == "axolotl train" and name == "--launcher":
                rest.pop(0)
                continue
            takes, choices = ACCEPTED[program][name]  # a name that is not there fails here
            value = rest.pop(0) if takes == "value" else None
            assert value is None or not choices or value in choices, (name, value, choices)
            found.append((program, name, value))
        return found
    return found


def file_keys(line: str) -> tuple[str, dict[str, object]]:
    name = shlex.split(line.split("<<")[0])[2]
    return FILES[name], yaml.safe_load(line.split("\n", 1)[1].rsplit("\n", 1)[0])


def held(run: Run) -> dict[str, str | None]:
    """Hold every command of a run against what its program accepts; return what it is given."""
    said: dict[str, str | None] = {}
    for one in run.commands:
        if one.command.startswith("cat >"):
            program, keys = file_keys(one.command)
            for key, value in keys.items():
                deep = isinstance(value, dict) and program != "axolotl train"
                names = [f"{key}.{k}" for k in value] if deep else [key]
                assert all(ACCEPTED[program][name][0] == "key" for name in names)
            said |= {key: str(value) for key, value in keys.items()}
        elif one.version:
            found = given(one.command)
            assert found, one.command
            said |= {name: value for _, name, value in found}
    return said


def test_every_argument_of_the_table_is_one_of_its_program() -> None:
    links = {"nccl-tests": "./build/all_reduce_perf"}
    for row in table_rows("engine-arguments"):
        program = links.get(row["command"], row["command"])
        words = [pair.split("=", 1)[1] for pair in row["values"].split("|") if pair]
        if not row["kind"]:
            assert row["cannot"], row["id"]
            continue
        if not row["argument"]:
            assert all(w in ACCEPTED[program] for w in words), row["id"]
            continue
        takes, choices = ACCEPTED[program][row["argument"]]
        if takes != "key":
            assert (row["kind"] == "flag") == (takes == "flag"), row["id"]
        assert not choices or set(filter(None, words)) <= set(choices), row["id"]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize("place", range(len(SERVED)))
def test_a_service_is_started_with_the_layout_of_the_answer(engine: str, place: int) -> None:
    asked = SERVED[place]
    q = EstimateQuestion.ask(engine=engine, **asked)
    for row, run in zip(estimates(q), served(engine, **asked), strict=True):
        said = held(run)

        def size(*names: str, said: dict[str, str | None] = said) -> int:
            return int(next((said[n] for n in names if n in said), None) or 1)

        tensor = size("--tensor-parallel-size", "--tp-size", "--tp_size")
        stages = size("--pipeline-parallel-size", "--pp-size", "--pp_size")
        groups = size("--data-parallel-size") if engine == "vllm" else 1
        assert tensor * stages * groups == row["tp"] * row["pp"]
        spread = row["ep"] > 1
        if engine == "vllm":
            assert groups == row["attention_dp"]
            assert ("--enable-expert-parallel" in said) == spread
        else:
            assert size("--ep-size", "--ep_size") == row["ep"]
        if engine == "sglang":
            assert size("--attn-dp-size") == row["attention_dp"]
        if engine == "tensorrt-llm":
            assert (said.get("enable_attention_dp") == "True") == (row["attention_dp"] > 1)
            assert ("--report_json" in said) == (not q.arriving and row["tp"] * row["pp"] <= 8)
            if "--report_json" in said:  # the benchmark without a server runs the same layout
                sizes = [size(f"--{name}") for name in ("tp", "pp", "ep")]
                assert sizes == [row["tp"], row["pp"], row["ep"]]
                assert said["--concurrency"] == said["--max-concurrency"]
                assert said["--dataset"] == said["--output"]
        loaded = said.get("--request-rate") or said.get("--max-concurrency") or "0"
        total = float(loaded) * row["replicas"]
        assert total == pytest.approx(q.arriving or q.in_flight, rel=0.02)
        context = int(next(v for n, v in said.items() if n in CONTEXTS) or 0)
        assert q.context <= context <= (q.network.max_context or math.inf)


CONTEXTS = ("--max-model-len", "--context-length", "--max_seq_len")


def test_settings_reach_the_engine() -> None:
    said = held(served("vllm", **SERVED[1], kv="fp8")[0])
    assert said["--max-num-seqs"] == "64"
    assert said["--gpu-memory-utilization"] == "0.8"
    assert said["--kv-cache-dtype"] == "fp8"
    assert "--disable-chunked-prefill" in held(served("vllm", **SERVED[4])[0])
    assert held(served("sglang", **SERVED[4])[0])["--chunked-prefill-size"] == "-1"
    assert "--enable_chunked_prefill" not in held(served("tensorrt-llm", **SERVED[4])[0])
    groups = held(served("sglang", **SERVED[2], max_num_seqs=32)[0])
    assert groups["--max-running-requests"] == str(32 * 16)  # it divides them by the groups


def test_a_replica_over_nodes_has_its_groups_shared_among_them() -> None:
    run = served("vllm", **SERVED[2])[0]  # 16 groups of one GPU over two nodes
    assert held(run)["--data-parallel-size-local"] == "8"
    assert "$((NODE_RANK * 8))" in run.text


def test_the_longest_request_holds_a_long_prompt_and_a_long_answer() -> None:
    asked = {"model": "Llama-3.1-8B", "gpus": "H100", "isl": 2000, "osl": 400, "concurrency": 8}
    q = EstimateQuestion.ask(**asked, isl_cv=0.5, osl_cv=1)
    spread = [math.sqrt(math.log(1 + cv**2)) for cv in (0.5, 1)]
    rare = [
        mean * math.exp(3.09 * s - s**2 / 2) for mean, s in zip((2000, 400), spread, strict=True)
    ]
    assert longest(q) == math.ceil(rare[0]) + math.ceil(rare[1])  # 99.9 % of either
    assert longest(EstimateQuestion.ask(**asked, isl_cv=0, osl_cv=0)) == 2400


@pytest.mark.parametrize(
    ("load", "requests"),
    [({"concurrency": 30}, 300), ({"concurrency": 2}, 50), ({"request_rate": 2}, 1200)],
)
def test_a_benchmark_sends_ten_waves_or_ten_minutes(load: dict, requests: int) -> None:
    run = served("vllm", model="Llama-3.1-8B", gpus="H100", tp=1, **load)[0]
    assert held(run)["--num-prompts"] == str(requests)


def test_services_on_amd_run_with_an_engine_that_runs_there(command) -> None:
    line = ("--model", "70B", "--users", "20000", "--gpus", "MI300X")
    told = command("plan", *line, "--run").stdout
    assert "vllm serve" in told
    assert "trtllm" not in told
    page = command("plan", *line).stdout
    assert "On MI300X vLLM runs service, since TensorRT-LLM does not run there." in page
    asked = ("estimate", "Llama-3.1-70B", "--gpus", "MI300X", "--tp", "2", "--concurrency", "8")
    assert "does not run on GPUs of AMD; vllm does" in command(*asked).stderr
    both = command(*asked, "--engine", "vllm", "--run").stdout
    assert "all-reduce of rccl-tests" in both
    assert "nvidia-smi" not in both


def test_what_an_engine_cannot_do_is_said_and_no_wrong_flag_written() -> None:
    run = served("tensorrt-llm", **SERVED[0])[0]
    assert any("CHECKPOINT" in note and "fp8" in note for note in run.notes)
    assert '"$CHECKPOINT"' in run.text
    assert "meta-llama" not in run.text  # the 16-bit weights are not what the answer is of
    split = served("vllm", model="Qwen3-30B-A3B", gpus="H100", tp=4, ep=2, concurrency=8)[0]
    assert "--enable-expert-parallel" not in held(split)
    assert any("EP 2" in note for note in split.notes)
    apart = served("vllm", model="Llama-3.1-70B", gpus="H100", tp=4, prefill_gpus=8, decode_gpus=16)
    assert any("8 GPUs read" in note for note in apart[0].notes)
    other = served("other", model="Llama-3.1-8B", gpus="H100", concurrency=4)[0]
    assert not other.commands
    assert "Another engine" in other.notes[0]


STARTED = [
    (framework, place)
    for framework in ("megatron-core", "torchtitan", "axolotl")
    for place, asked in enumerate(TRAINED)
    if framework != "torchtitan" or "tuning" not in asked  # it trains no adapters
]


@pytest.mark.parametrize(("framework", "place"), STARTED)
def test_a_job_is_started_with_the_layout_of_the_answer(framework: str, place: int) -> None:
    q = TrainingQuestion.ask(framework=framework, tokens=1e9, **TRAINED[place])
    rows = runs_table(q)
    rows = rows[rows["works"]].to_dict("records")
    assert rows
    for row, run in zip(rows, trained(framework, **TRAINED[place]), strict=True):
        said = held(run)
        if not any(one.purpose == "Train" for one in run.commands):
            assert run.notes
            continue
        nodes = int(said.get("--nnodes") or 1)
        assert nodes * int(said["--nproc-per-node"] or 0) == row["gpus"]
        if "--tensor-model-parallel-size" in said or "--micro-batch-size" in said:
            sizes = ("tensor-model", "pipeline-model", "context", "expert-model")
            names = ("tp", "pp", "cp", "ep")
            for size, name in zip(sizes, names, strict=True):
                assert int(said.get(f"--{size}-parallel-size") or 1) == row[name]
            assert said["--micro-batch-size"] == str(row["micro_batch"])
            assert ("--use-megatron-fsdp" in said) == (row["zero_stage"] == 3)
            assert ("--sequence-parallel" in said) == (row["tp"] > 1)
            assert (said.get("--recompute-granularity") or "none") == row["recompute"]
            assert int(said["--num-layers"] or 0) == q.network.layers
            steps = int(said["--train-iters"] or 0)
            assert 0 <= steps * q.tokens_per_step - q.tokens < q.tokens_per_step
        elif "base_model" in said:
            each = int(said["micro_batch_size"] or 0) * int(
                said["gradient_accumulation_steps"] or 0
            )
            assert each * row["dp"] == q.global_batch
            assert (said.get("load_in_4bit") == "True") == (q.tuning == "qlora")
        else:
            shards = int(said["--parallelism.data-parallel-shard-degree"] or 0)
            copies = int(said["--parallelism.data-parallel-replicate-degree"] or 0)
            assert shards * copies == row["dp"]
            word = "full" if row["recompute"] == "full" else "none"
            if row["recompute"] in ("full", "none"):
                assert f" activation-checkpoint:{word}" in run.text


def test_adapters_get_no_command_that_trains_all_weights() -> None:
    asked = {"model": "Llama-3.1-405B", "gpus": "H100", "counts": "64", "tuning": "lora"}
    for run in trained("megatron-core", **asked):
        assert "pretrain_gpt.py" not in "".join(one.command for one in run.commands)
        assert run.notes


def test_a_model_that_dimensions_do_not_say_gets_no_command() -> None:
    run = trained("megatron-core", model="DeepSeek-V3", gpus="H200", counts="512")[0]
    assert "pretrain_gpt.py" not in "".join(one.command for one in run.commands)
    assert any("kv_lora_rank" in note for note in run.notes)


HOSTILE = 'x\'; touch pwned; $(touch pwned2) `id` "q" é -'


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_hostile_name_stays_one_word(tmp_path: Path, engine: str) -> None:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    config = {"model_type": "llama", "num_hidden_layers": 4, "hidden_size": 1024}
    config |= {"num_attention_heads": 8, "num_key_value_heads": 8, "intermediate_size": 4096}
    config |= {"vocab_size": 32000, "max_position_embeddings": 8192}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    name = str(folder / "config.json")
    run = served(engine, model=name, gpus="H100", concurrency=4)[0]
    show = "{ printf '%s\\0' \"$@\"; }"
    stubs = "".join(
        f"{n}() {show}\n" for n in ("vllm", "python", "trtllm-serve", "trtllm-bench", "gpuspec")
    )
    (tmp_path / "result.json").write_text(
        '{"mean_ttft_ms": 1, "mean_tpot_ms": 1, "output_throughput": 1}'
    )
    done = subprocess.run(
        ["bash", "-c", stubs + run.text], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(folder) in done.stdout.split("\0")
    assert not list(tmp_path.glob("pwned*"))
    with (tmp_path / "measured.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["model"] == name


def test_a_hostile_text_is_quoted_in_files_and_comments() -> None:
    found = filled("axolotl train", {"model": HOSTILE, "tp": 2})
    assert found.keys["base_model"] == HOSTILE
    evil = Run("a\nrm -rf x\r\u2028y", (), ("b\nrm -rf x",))
    assert all(line.startswith("#") or not line for line in evil.text.split("\n"))
    assert shell("a b", Shell("$X")) == "'a b' $X"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_what_is_measured_comes_back_to_the_estimate(
    tmp_path: Path, command: Command, engine: str
) -> None:
    asked = {"model": "Llama-3.1-8B", "gpus": "H100", "tp": 1, "concurrency": 16}
    q = EstimateQuestion.ask(engine=engine, weights="bf16", **asked)
    row = estimates(q)[0]
    figures = {"mean_ttft_ms": row["ttft_s"][0] * 1e3, "mean_tpot_ms": row["tpot_s"][0] * 1e3}
    figures["output_throughput"] = row["output_tokens_s"][0]
    (tmp_path / "result.json").write_text('{"an": "earlier run"}\n' + json.dumps(figures) + "\n")
    lines = [one.command for one in estimate_runs(q, [row])[0].commands]
    line = next(line for line in lines if "validate measured.csv" in line)
    subprocess.run(["bash", "-c", f"gpuspec() {{ :; }}\n{line}"], cwd=tmp_path, check=True)
    told = json.loads(command("validate", str(tmp_path / "measured.csv"), "--json").stdout)
    assert told["rows"] == 3
    assert told["skipped_by_reason"] == []
    assert told["by_metric"]["tpot_ms"]["median_absolute_error"] < 0.1
    assert told["by_metric"]["output_tokens_per_s_total"]["median_absolute_error"] < 0.1


def test_a_report_of_trtllm_bench_comes_back_to_the_estimate(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"model": "DeepSeek-R1", "gpus": "H200", "tp": 8, "attention_dp": 8, "concurrency": 64}
    q = EstimateQuestion.ask(engine="tensorrt-llm", **asked)
    row = estimates(q)[0]
    lines = [one.command for one in estimate_runs(q, [row])[0].commands]
    report = json.loads((LIST.parent / "fixtures/tools/trtllm-bench.json").read_text("utf-8"))
    report["engine"] |= {"model": "its/own-name", "kv_cache_dtype": None, "quantization": "FP8"}
    report["world_info"] |= {"tp_size": 8, "ep_size": 8, "world_size": 8}
    report["request_info"] |= {"avg_num_concurrent_requests": 64.0, "avg_input_length": q.isl}
    report["request_info"] |= {"avg_output_length": q.osl}
    figures = row["ttft_s"][0] * 1e3, row["tpot_s"][0] * 1e3
    report["streaming_metrics"] |= dict(zip(("avg_ttft_ms", "avg_tpot_ms"), figures, strict=True))
    report["performance"]["system_output_throughput_tok_s"] = row["output_tokens_s"][0]
    (tmp_path / "report.json").write_text(json.dumps(report), "utf-8")
    monkeypatch.chdir(tmp_path)
    for part in lines[-1].split(" && "):
        done = command(*shlex.split(part)[1:])
        assert done.returncode == 0, done.stderr
    told = json.loads(command("validate", "offline.csv", "--json").stdout)
    assert told["rows"] == 3
    assert told["by_metric"]["tpot_ms"]["median_absolute_error"] < 0.1
    assert told["by_metric"]["output_tokens_per_s_total"]["median_absolute_error"] < 0.1


def test_the_parser_of_a_source_that_cannot_be_imported_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("checked", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    (tmp_path / "own.py").write_text(
        "import libraries_that_are_not_here\n"
        "@click.command('go')\n@click.argument('model', type=str)\n"
        "@click.option('--tp', '--tp_size', type=int, default=BuildConfig.tp)\n"
        "@optgroup.option('--kind', type=click.Choice(['a', 'b']), required=True)\n"
        "@click.option('--on/--off', default=True)\n@click.pass_obj\n"
        "@stability_option('--cache', type=click.Choice(['fp8']), status='beta', help='')\n"
        "def go(model, tp): ...\n"
        "@click.group()\n@click.option('--level', type=click.IntRange(min=1))\n"
        "def main(level): ...\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    parser = tool.Declared("own.py", "main", tool.Declared("own.py", "go"))
    parser.parse_args(["--level", "2", "go", "m", "--tp_size", "8", "--kind", "a", "--off"])
    parser.parse_args(["go", "m", "--kind", "a", "--cache", "fp8"])
    for wrong in (
        ["go", "m", "--kind", "c"],
        ["go", "m", "--kind", "a", "--tp", "x"],
        ["go", "m"],
        ["go", "m", "--kind", "a", "--pp", "2"],
        ["go", "m", "--kind", "a", "--cache", "fp4"],
        ["--level", "0", "go", "m", "--kind", "a"],
    ):
        with pytest.raises(click.ClickException):
            parser.parse_args(wrong)
    rows = {name: kind for name, kind, _ in tool.Declared("own.py", "go").rows()}
    assert rows == dict.fromkeys(
        ("--tp", "--tp_size", "--kind", "--cache"), "value"
    ) | dict.fromkeys(("--on", "--off"), "flag")


def test_a_measured_step_comes_back_to_the_estimate(tmp_path: Path, command: Command) -> None:
    q = TrainingQuestion.ask(model="Llama-3.1-8B", gpus="H100", counts="8", tokens=1e9)
    row = runs_table(q).to_dict("records")[0]
    line = training_run(q, row).commands[-1].command
    script = f"gpuspec() {{ :; }}\nSTEP_S={row['step_s']}\n{line}"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    path = str(tmp_path / "measured.csv")
    told = json.loads(command("validate", path, "--kind", "training", "--json").stdout)
    assert told["rows"] == 1
    assert told["median_absolute_error"] < 0.05


def test_every_work_of_a_plan_is_run(command: Command) -> None:
    told = json.loads(command("plan", "article-b", "--run", "--json").stdout)
    works = told["recommendation"]["works"]
    assert [run["of"].split(":")[0].split(" from ")[0] for run in told["run"]] == [
        work["workload"] for work in works
    ]
    for run in told["run"]:
        assert run["commands"] or run["notes"]
    text = command("plan", "article-b", "--run").stdout
    assert "nvidia-smi mig" in text
    assert "trtllm-serve serve" in text


def test_run_is_asked_by_one_name(command: Command) -> None:
    told = json.loads(
        command("estimate", "Llama-3.1-8B", "--gpus", "H100", "--run", "--json").stdout
    )
    assert {"run", "estimates"} <= set(told) or "gpu" in told
    lines = command("train", "Llama-3.1-8B", "--gpus", "H100", "--counts", "8", "--run").stdout
    assert "torchrun" in lines
    assert "nvidia-smi mig" in command("mig", "example", "--gpus", "A100", "--run").stdout


def test_the_report_shows_the_commands_of_the_recommended_plan_in_both_languages():
    decision = decide(scenario("article-b"), quick=True)
    pages = [running_page(decision, language).text for language in ("en", "zh")]
    runs = plan_runs(decision.best)
    for page in pages:
        shown = page.replace(" \\\n  ", " ")
        for run in runs:
            for command in run.commands:
                assert (command.command in shown) != ("gpuspec validate" in command.command)
    assert "# Start a replica (arguments of" in pages[0]
    assert "# 启动一个副本" in pages[1]
    assert "No commands" not in pages[1]
    starts = [line for line in pages[0].splitlines() if "trtllm-serve serve" in line]
    assert starts
    assert all(len(line) < 100 and line.endswith(" \\") for line in starts)


@pytest.mark.parametrize("load", [{"concurrency": 640}, {"concurrency": 8}, {"request_rate": 20}])
def test_the_serving_notebook_shows_the_commands_of_the_smallest_fleet(load: dict) -> None:
    q = ServingQuestion.ask(model="Llama-3.1-70B", gpus="A100,H100", engine="vllm", **load)
    best = best_options(options_table(q))
    row = best.loc[best["gpus"].idxmin()]
    run = best_run(q, best)
    assert run is not None
    said = held(run)
    assert int(said.get("--tensor-parallel-size") or 1) == row["tp"]
    share = float(said.get("--request-rate") or said["--max-concurrency"] or 0)
    assert share * row["replicas"] == pytest.approx(20 if "request_rate" in load else q.in_flight)
    sentence = run_sentence(q, best)
    assert str(row["gpu"]) in sentence
    assert ("one of" in sentence) == (row["replicas"] > 1)
    assert best_run(q, best.assign(works=False)) is None
    assert "validate" not in run_page(run).text
