"""How a replica is started and measured: the commands of its engine, filled from the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpuspec.base.lazy import pd
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.arguments import filled
from gpuspec.catalog.models.formats import weight_format
from gpuspec.formulas.serving import Deployment
from gpuspec.formulas.serving.lengths import lognormal
from gpuspec.formulas.splits import Split
from gpuspec.topics.commands import (
    RANK,
    RESULT,
    Command,
    Run,
    Shell,
    checkpoint,
    compared,
    file_command,
    links_command,
    shell,
    yaml_text,
)
from gpuspec.topics.serving.ask import EstimateQuestion, ServingQuestion
from gpuspec.topics.serving.options import fewest
from gpuspec.views.words import counted

OPTIONS, DATASET, REPORT, OFFLINE = "options.yaml", "dataset.json", "report.json", "offline.csv"
RARE = 3.09
"""Standard deviations of the logarithm below which 99.9 % of lognormal lengths lie."""
WAVES = 10
"""Requests of a benchmark over those in flight."""
RATE_S = 600.0
"""Seconds for which a benchmark sends requests at a rate."""
FEWEST, MOST = 50, 20_000
"""Requests of a benchmark at least, and at most."""


class Programs(NamedTuple):
    """The commands of an engine, as the table of arguments names them."""

    serve: str
    bench: str
    called: str
    options: str = ""
    offline: tuple[str, ...] = ()
    """Its benchmark without a server, and what writes the requests of it."""


ENGINES = {
    "vllm": Programs("vllm serve", "vllm bench serve", "vLLM"),
    "sglang": Programs(
        "python -m sglang.launch_server", "python -m sglang.benchmark.serving", "SGLang"
    ),
    "tensorrt-llm": Programs(
        "trtllm-serve serve",
        "python -m tensorrt_llm.serve.scripts.benchmark_serving",
        "TensorRT-LLM",
        "trtllm-serve options",
        ("trtllm-bench", "prepare-dataset", "token-norm-dist"),
    ),
}
FIGURES = {
    "ttft_ms": "mean_ttft_ms",
    "tpot_ms": "mean_tpot_ms",
    "output_tokens_per_s_total": "output_throughput",
}
"""Columns that `validate` reads, and what all three benchmarks call them."""


def service_run(q: ServingQuestion, row: Mapping[str, Any], load: float, copies: float) -> Run:
    """Return how `copies` replicas of a way are started, and one of them measured.

    `row` has ``gpu``, the sizes of `Split` and the format of the weights as ``weights`` or
    ``precision``; `load` is what one replica carries: requests in flight, or requests a second
    where they arrive at a rate.
    """
    device = next(g for g in q.devices if g.id == row["gpu"])
    form = row.get("weights") or row["precision"]
    split = Split(*(int(row[name]) for name in Split._fields))
    of = f"{q.network.name} on {device.name}, {counted(max(round(copies), 1), 'replica')} of "
    of += split.words
    told = ENGINES.get(q.runtime.engine)
    if told is None or q.network.kind == "encoder":
        why = "a model that writes no tokens" if told else f"the engine {q.runtime.name}"
        return Run(of, (), (f"No commands are written here for {why}.",))
    replica = q.replica(device, q.format_of(form), *split)
    settings = _settings(q, replica, form)
    if row.get("prefill_gpus"):
        settings["apart"] = str(row.get("split") or f"{row['prefill_gpus']} GPUs read prompts")
    found, commands = (
        filled(told.serve, settings),
        list(links_command(split.gpus, vendor=device.vendor)),
    )
    if any("CHECKPOINT" in said for said in found.cannot):
        settings["model"] = Shell('"$CHECKPOINT"')
        found = filled(told.serve, settings)
    cannot = list(found.cannot)
    if told.options:
        options = filled(told.options, settings)
        cannot += options.cannot
        if options.keys:
            text = file_command(OPTIONS, yaml_text(options.keys))
            commands.append(Command("Options", text, f"{told.called}, {options.version}"))
            settings["options_file"] = OPTIONS
            found = filled(told.serve, settings)
    line = f"{told.serve} {shell(*found.words)}"
    version = f"{told.called} {found.version}"
    commands.append(Command("Start a replica", line, version))
    commands += _benchmark(q, told, replica, settings["model"], form, load)
    if told.offline and not q.arriving and settings["nodes"] == 1 and "apart" not in settings:
        commands += _without_server(q, told, replica, settings, form, load)
    return Run(of, tuple(commands), (*cannot, *_notes(q, replica, settings)))


def estimate_runs(q: EstimateQuestion, rows: Sequence[Mapping[str, Any]]) -> list[Run]:
    """Return how each answer of `estimates` that works is run."""
    found = []
    for row in rows:
        if not row["works"]:
            form = row["weights"]
            found.append(Run(f"{row['gpu']} in {form}", (), (f"It cannot run: {row['reason']}.",)))
            continue
        load = q.arriving / row["replicas"] if q.arriving else row["concurrency"]
        apart: dict[str, object] = {"prefill_gpus": q.prefill_gpus}
        if q.prefill_gpus:
            reads = f"{q.prefill_gpus} GPUs read in TP {q.prefill_tp or row['tp']}"
            apart["split"] = f"{reads}, {q.decode_gpus or row['tp']} write in TP {row['tp']}"
        found.append(service_run(q, {**row, **apart}, load, row["replicas"]))
    return found


def best_run(q: ServingQuestion, best: pd.DataFrame) -> Run | None:
    """Return how the fewest GPUs of `best_options` are run; None where none serves the load."""
    chosen = fewest(best)
    if chosen.empty:
        return None
    row: dict[Any, Any] = chosen.iloc[0].to_dict()
    load = (q.arriving or float(q.in_flight)) / row["replicas"]
    return service_run(q, row | {"weights": row["weight"]}, load, row["replicas"])


def _settings(q: ServingQuestion, replica: Deployment, form: str) -> dict[str, object]:
    """Return the settings of a replica by the names of the table of arguments."""
    layout, limits = replica.layout, replica.limits
    groups, moe = layout.attention_dp, any(b.moe_layers for b in q.network.blocks)
    each, nodes = layout.tp // groups, math.ceil(layout.gpus / NODE_GPUS)
    group_nodes = math.ceil(each * layout.pp / NODE_GPUS)
    settings: dict[str, object] = {
        "model": checkpoint(q.model, q.network),
        "backend": "pytorch",
        "tp": layout.tp,
        "tp_of_group": each,
        "pp": layout.pp,
        "ep": layout.ep,
        "attention_dp": groups,
        "all_attend": groups > 1,
        "all_experts": moe and layout.ep == layout.tp > 1,
        "some_experts": layout.ep if 1 < layout.ep < layout.tp else None,
        "max_num_seqs": int(limits.max_sequences),
        "max_num_seqs_all": int(limits.max_sequences) * groups,
        "max_num_batched_tokens": int(limits.max_tokens),
        "chunk_tokens_all": int(limits.max_tokens) * groups if q.chunked_prefill else None,
        "chunked": q.chunked_prefill,
        "whole_prompts": not q.chunked_prefill,
        "kv_format": q.kv_format,
        "quantize": _quantized(q, form),
        "context": longest(q),
        "memory_share": limits.memory_share,
        "nodes": nodes,
        "nodes_of_group": group_nodes,
    }
    rank, master = Shell('"$NODE_RANK"'), Shell('"$MASTER_ADDR"')
    if nodes > 1:
        settings |= {"node_rank": rank, "rendezvous": Shell('"$MASTER_ADDR:25000"')}
    if group_nodes > 1:
        settings |= {"group_rank": rank, "group_master": master}
    elif nodes > 1:  # whole groups on each node
        here = groups // nodes
        first = Shell(f'"$((NODE_RANK * {here}))"')
        settings |= {"groups_of_node": here, "group_address": master, "first_group": first}
        settings["groups_beside"] = True
    return settings


def _quantized(q: ServingQuestion, form: str) -> str | None:
    """Return the format into which 16-bit weights are to be turned; None where they are stored."""
    asked, stored = weight_format(q.network, form), weight_format(q.network)
    same = asked.main.id == stored.main.id or not asked.quantized
    return None if same else asked.main.id


def longest(q: ServingQuestion) -> int:
    """Return the tokens of the longest request that is taken: 99.9 % of prompts and of answers."""
    prompt = float(lognormal(q.prompt_tokens, q.isl_cv, RARE if q.isl_cv else 0.0))
    answer = float(lognormal(q.osl, q.osl_cv, RARE if q.osl_cv else 0.0))
    whole = max(math.ceil(prompt) + math.ceil(answer), q.context)
    return min(whole, q.network.max_context or whole)


def _benchmark(
    q: ServingQuestion, told: Programs, replica: Deployment, model: object, form: str, load: float
) -> list[Command]:
    """Return the benchmark of one replica at its share of the load, and what is made of it."""
    asked = _asked(q, load)
    own: dict[str, object] = {"model": model, "backend": "sglang", "dataset": "random"}
    own |= {"random_ids": True, "ignore_eos": True, "save": True, "file": RESULT}
    found = filled(told.bench, {**own, **asked, "range_ratio": 1})
    layout = replica.layout
    measured: dict[str, object] = {"gpu": layout.gpu.id, "n_gpus": layout.gpus}
    measured |= {"model": q.model, "engine": q.runtime.engine, "kv_precision": q.kv_format}
    measured |= {} if form == "stored" else {"weight_precision": form}
    measured |= {name: getattr(layout, name) for name in Split._fields}
    measured |= {**asked, "lengths": "fixed"}
    line = f"{told.bench} {shell(*found.words)}"
    version = f"{told.called} {found.version}"
    return [
        Command("Measure it at its share of the load, from another shell", line, version),
        compared(measured, "inference", FIGURES),
    ]


def _asked(q: ServingQuestion, load: float) -> dict[str, object]:
    """Return what a benchmark sends: lengths, and a replica's share of the load."""
    rate = bool(q.arriving)
    requests = load * (RATE_S if rate else WAVES)
    return {
        "isl": q.isl,
        "osl": q.osl,
        "requests": int(min(max(math.ceil(requests), FEWEST), MOST)),
        "request_rate" if rate else "concurrency": float(f"{load:.4g}") if rate else round(load),
    }


def _without_server(
    q: ServingQuestion,
    told: Programs,
    replica: Deployment,
    settings: Mapping[str, object],
    form: str,
    load: float,
) -> list[Command]:
    """Return the engine's own benchmark of the same replica and load, which needs no server."""
    name = checkpoint(q.model, q.network)
    given: dict[str, object] = {**settings, **_asked(q, load), "model": name, "file": REPORT}
    given |= {"dataset": DATASET, "spread": 0, "answer_spread": 0, "streaming": True}
    if settings["model"] != name or q.model.lower().endswith(".json"):
        given["folder"] = settings["model"]
    purposes = (
        (told.offline, "Or without a server: write the requests"),
        ((told.offline[0], "throughput"), "Stop the server, then measure them"),
    )
    commands = []
    for chain, purpose in purposes:
        words: list[object] = []
        for i, word in enumerate(chain, 1):
            found = filled(" ".join(chain[:i]), given)
            words += [word, *found.words]
        commands.append(Command(purpose, shell(*words), f"{told.called} {found.version}"))
    fills: list[object] = ["--model", q.model, "--gpus", replica.layout.gpu.id]
    fills += [] if form == "stored" else ["-p", f"weight_precision={form}"]
    groups = replica.layout.attention_dp  # which the report does not name
    fills += ["-p", f"attention_dp={groups}"] if groups > 1 else []
    line = shell("gpuspec", "import", REPORT, "-o", OFFLINE, *fills)
    line += " && " + shell("gpuspec", "validate", OFFLINE, "--kind", "inference")
    return [*commands, Command("Hold what it reported against the estimate", line)]


def _notes(q: ServingQuestion, replica: Deployment, settings: Mapping[str, object]) -> list[str]:
    said = []
    if q.isl_cv or q.osl_cv:
        said.append(
            f"Requests beyond {settings['context']:,} tokens are refused; the benchmark sends "
            "requests of equal lengths, the mean ones."
        )
    if settings["nodes"] != 1:
        said.append(f"A replica spans {settings['nodes']} nodes: start it on each; {RANK}.")
    if q.cached_share:
        said.append(
            f"The answer counts on {q.cached_share:.0%} of each prompt in the prefix cache; the "
            "benchmark's prompts share nothing."
        )
    if getattr(q, "draft_tokens", 0):
        said.append("The answer counts on speculative decoding, which these commands leave off.")
    return said
