"""How a training job is started: the arguments of its trainer, filled from the layout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpuspec.base.lazy import pd
from gpuspec.catalog.arguments import filled
from gpuspec.catalog.frameworks import framework_record
from gpuspec.catalog.models import Model
from gpuspec.formulas.recompute import MODULES
from gpuspec.formulas.training import parallel_sizes
from gpuspec.topics.commands import (
    MEASURED,
    RANK,
    Command,
    Run,
    Shell,
    checkpoint,
    file_command,
    links_command,
    row_text,
    shell,
    yaml_text,
)
from gpuspec.topics.training.ask import TrainingQuestion
from gpuspec.topics.ways import records

CONFIG = "train.yaml"
MEGATRON, TITAN, AXOLOTL = "Megatron-LM", "torchtitan", "axolotl"
TRAINERS = {"megatron": MEGATRON, "fsdp": TITAN, "deepspeed": AXOLOTL, "axolotl": AXOLOTL}
"""Whose commands stand for a family of frameworks."""
OWN = {MEGATRON: ("megatron-core",), TITAN: ("torchtitan",), AXOLOTL: ("axolotl",)}
"""Frameworks that the commands are really of."""
PLAIN: tuple[str, ...] = (
    "mixer",
    "cache",
    "values_are_keys",
    "cached_once",
    "compress",
    "parallel_block",
)
PLAIN += ("attention_sinks", "attention_gate", "index_heads", "kv_lora_rank", "sliding_window")
PLAIN += ("shared_expert_gate", "expert_latent", "other_params")
"""Columns of a model that must be as they are in a plain decoder for its dimensions to say all."""
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
STEP = "STEP_S"


def training_run(q: TrainingQuestion, row: Mapping[str, Any]) -> Run:
    """Return how a job is started in a layout: a working row of `layout_table` or `runs_table`."""
    device = next(g for g in q.devices if g.id == row["gpu"])
    count, has = int(row["gpus"]), framework_record(q.framework)
    of = f"{q.network.name} on {count:,} x {device.name}: "
    of += ", ".join(parallel_sizes(row)) or "one GPU"
    commands, said = list(links_command(count, q.gpus_per_node, device.vendor)), []
    settings = _settings(q, row, q.computes_in(device))
    called = _trainer(q, row)
    if called is None:
        said.append(f"No commands are written here for {has.name}: this layout goes into its file.")
    else:
        found, cannot = _STARTS[called](q, settings)
        commands += found
        said += cannot
        if found and settings["nodes"] != 1:
            said.append(f"The job spans {settings['nodes']} nodes: start it on each; {RANK}.")
        if found and has.id not in OWN.get(called, ()):
            said.append(f"The answer is of {has.name}; the commands are those of {called}.")
        if found:
            said.append(
                "DATA stands for your data; what changes no speed, such as the learning rate, is "
                "left to the trainer."
            )
    return Run(of, (*commands, _measured(q, row)), tuple(said))


def training_runs(q: TrainingQuestion, answer: pd.DataFrame) -> list[Run]:
    """Return how the rows of `deadline_table` that work are started."""
    return [training_run(q, row) for row in records(answer[answer["works"]])]


def _trainer(q: TrainingQuestion, row: Mapping[str, Any]) -> str | None:
    """Return whose commands start the job; adapters on unsplit models are axolotl's."""
    called = TRAINERS.get(framework_record(q.framework).family)
    whole = all(row[name] == 1 for name in ("tp", "pp", "ep"))
    return AXOLOTL if called and q.tuning != "full" and whole else called


def _settings(q: TrainingQuestion, row: Mapping[str, Any], compute: str) -> dict[str, object]:
    """Return the settings of a job by the names of the table of arguments."""
    sizes = {name: int(row[name]) for name in ("tp", "pp", "cp", "ep", "dp", "micro_batch")}
    count, zero, kind = int(row["gpus"]), int(row["zero_stage"]), str(row["recompute"])
    nodes = math.ceil(count / q.gpus_per_node)
    offload = str(row["offload"]).split("|")
    share, stage = float(row["recompute_share"]), q.network.layers / sizes["pp"]
    parts = [MODULES[part] for part in kind.split("+") if part in MODULES]
    chunks, recipe = sizes["pp"] * int(row["interleave"]), q.recipe.id
    every = recipe.startswith("adamw") and not ("8bit" in recipe or "paged" in recipe)
    apart = nodes > 1
    return {
        **sizes,
        "gpus_per_node": min(count, q.gpus_per_node),
        "nodes": nodes,
        "node_rank": Shell('"$NODE_RANK"') if apart else None,
        "master": Shell('"$MASTER_ADDR"') if apart else None,
        "global_batch": q.global_batch,
        "seq_len": q.seq_len,
        "steps": math.ceil(q.tokens / q.tokens_per_step),
        "precision": compute,
        "bf16": True,
        "fp8": compute == "fp8",
        "fp8_recipe": q.scaled_by if compute == "fp8" else None,
        "tuning": q.tuning,
        "optimizer": "adamw" if every else recipe,
        "zero_stage": zero,
        "recompute": "selective" if parts else kind,
        "recompute_modules": Shell(" ".join(parts)) if parts else None,
        "recompute_method": ("uniform" if share == 1 else "block") if kind == "full" else None,
        "recompute_layers": max(round(share * stage) if share < 1 else 1, 1)
        if kind == "full"
        else None,
        "checkpointing": kind != "none",
        "chunks": chunks,
        "layers_of_chunk": q.network.layers // chunks if row["interleave"] > 1 else None,
        "offload_optimizer": "optimizer" in offload,
        "offload_activations": "activations" in offload,
        "tokenizer": checkpoint(q.model, q.network),
    }


def _torchrun(settings: Mapping[str, object], *words: object, module: bool = False) -> Command:
    found = filled("torchrun", {**settings, "module": module})
    line = shell("torchrun", *found.words, *words)
    return Command("Train", line, f"torchrun {found.version}")


def _megatron(
    q: TrainingQuestion, settings: dict[str, object]
) -> tuple[list[Command], tuple[str, ...]]:
    network, full = q.network, settings["zero_stage"] == 3
    unlike = _unlike(network)
    mine = {
        **settings,
        **_dimensions(network),
        "sequence_parallel": settings["tp"] != 1,
        # The host's update is a part of the distributed optimizer, on one rank too.
        "zero_1": settings["zero_stage"] != 0 or settings["offload_optimizer"],
        "precision_aware": settings["offload_optimizer"],
        "zero_3": full,
        "fsdp_fusion": full,
        "fsdp_format": "fsdp" if full else None,
        "sharding": 3 if full else None,
        "tokenizer_kind": "huggingface",
        "data": Shell('"$DATA"'),
    }
    found = filled("pretrain_gpt.py", mine)
    if q.tuning != "full":
        return [], found.cannot
    if unlike:
        why = (
            f"pretrain_gpt.py knows plain decoders by their dimensions; {network.name} has more "
            f"({unlike}): take its recipe in Megatron Bridge with this layout."
        )
        return [], (why,)
    start = _torchrun(settings, "pretrain_gpt.py", *found.words)
    return [start._replace(version=f"{MEGATRON} {found.version}")], found.cannot


def _unlike(network: Model) -> str:
    """Return which columns of a model its dimensions in Megatron-LM do not say."""
    plain = Model.model_fields
    odd = [n for n in PLAIN if getattr(network, n) != plain[n].default]
    odd += ["v_head_dim"] if network.v_head_dim not in (0, network.head_dim) else []
    odd += ["groups"] if network.groups else []
    odd += ["qk_norm"] if network.qk_norm == "full" else []
    odd += ["position"] if network.position == "alibi" else []
    biases = {("none", False), ("qkv", False), ("all", True)}
    odd += ["mlp_bias"] if (network.attention_bias, network.mlp_bias) not in biases else []
    return ", ".join(odd)


def _dimensions(n: Model) -> dict[str, object]:
    """Return the dimensions of a plain decoder by the names of the table of arguments."""
    moe = n.experts > 0
    pattern = str(n.moe_every)
    if n.dense_layers:
        pattern = f"[0]*{n.dense_layers}+[1]*{n.layers - n.dense_layers}"
    names = ["layers", "hidden", "heads", "head_dim", "norm", "position", "gated_mlp"]
    names += ["vocab", "experts", "active_experts", "expert_ffn"]
    return {
        **{name: getattr(n, name) for name in names},
        "ffn": n.ffn or n.expert_ffn,
        "grouped": n.kv_heads != n.heads,
        "kv_heads": n.kv_heads if n.kv_heads != n.heads else None,
        "max_context": n.max_context or None,
        "no_bias": n.attention_bias != "all",
        "qkv_bias": n.attention_bias == "qkv",
        "untied": not n.tied_embeddings,
        "qk_norm": n.qk_norm == "head",
        "shared_ffn": n.shared_experts * n.shared_expert_ffn,
        "expert_pattern": pattern if moe else None,
        "dispatch": "alltoall" if moe else None,
    }


def _titan(q: TrainingQuestion, settings: dict[str, Any]) -> tuple[list[Command], tuple[str, ...]]:
    staged, sharded = settings["pp"] > 1, settings["zero_stage"] > 0
    rounds = q.global_batch // (settings["dp"] * settings["micro_batch"])
    mine = {
        **settings,
        "module_of": q.network.id,
        "config_of": q.network.id,
        "shards": settings["dp"] if sharded else 1,
        "copies": 1 if sharded else settings["dp"],
        "reshard": {2: "2", 3: "3"}.get(settings["zero_stage"]),
        "schedule": ("interleaved" if settings["layers_of_chunk"] else "plain") if staged else None,
        "pipeline_batch": settings["micro_batch"] if staged else None,
        "local_batch": settings["micro_batch"] * (rounds if staged else 1),
        "compiled": q.framework != "fsdp",
    }
    found = filled("torchtitan.train", mine)
    if q.tuning != "full" or "--config" not in found.words:
        return [], found.cannot
    start = _torchrun(settings, "torchtitan.train", *found.words, module=True)
    return [start._replace(version=f"{TITAN} {found.version}")], found.cannot


def _axolotl(
    q: TrainingQuestion, settings: dict[str, Any]
) -> tuple[list[Command], tuple[str, ...]]:
    mine = {
        **settings,
        "model": settings["tokenizer"],
        "four_bit": q.tuning == "qlora",
        "lora_rank": q.lora_rank if q.tuning != "full" else None,
        "lora_targets": PROJECTIONS if q.tuning != "full" else None,
        "packing": True,
        "accumulation": max(q.global_batch // (settings["dp"] * settings["micro_batch"]), 1),
        "data": [{"path": "DATA", "type": "completion"}],
        "output": "out",
    }
    found, run = filled("axolotl train", mine), filled("torchrun", settings)
    line = shell("axolotl", "train", CONFIG, "--launcher", "torchrun", "--", *run.words)
    version = f"{AXOLOTL} {found.version}"
    written = Command("Configuration", file_command(CONFIG, yaml_text(found.keys)), version)
    return [written, Command("Train", line, version)], found.cannot


_STARTS = {MEGATRON: _megatron, TITAN: _titan, AXOLOTL: _axolotl}


def _measured(q: TrainingQuestion, row: Mapping[str, Any]) -> Command:
    """Return how the seconds of a step, once measured, are held against the estimate."""
    said: dict[str, object] = {"gpu": row["gpu"], "n_gpus": row["gpus"], "model": q.model}
    said |= {"seq_len": q.seq_len, "global_batch": q.global_batch, "framework": q.framework}
    device = next(g for g in q.devices if g.id == row["gpu"])
    nf4 = q.tuning == "qlora"
    said |= {"precision": "nf4" if nf4 else q.computes_in(device), "tuning": q.tuning}
    names = ["tp", "pp", "cp", "ep", "dp", "micro_batch", "interleave", "zero_stage", "recompute"]
    names += ["offload"] if row["offload"] else []
    said |= {name: row[name] for name in names}
    head, start = row_text(said, ["step_time_s"])
    line = shell("printf", r"%s\n%s,%s\n", head, start, Shell(f'"${STEP}"'))
    line += f" > {MEASURED} && gpuspec validate {MEASURED} --kind training"
    return Command(f"Hold the seconds of a step, once {STEP} has them, against the estimate", line)
