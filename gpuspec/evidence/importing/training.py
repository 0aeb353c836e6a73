"""Logs of training: Megatron-LM and its kin, NeMo, torchtitan, axolotl and the trainer under it."""

import re

import numpy as np

from gpuspec.evidence.importing.found import SOME, Cells, Found, first, number, numbers, settled

ARGUMENT = re.compile(r"^(?:\d+:|\[[^\]\n]*\]:?)?[ \t]*(\w+) \.{3,} (\S+)", re.MULTILINE)
"""A line of the arguments that Megatron-LM prints at its start."""
ARGUMENTS = {
    "seq_len": "seq_length",
    "n_gpus": "world_size",
    "micro_batch": "micro_batch_size",
    "global_batch": "global_batch_size",
    "tp": "tensor_model_parallel_size",
    "pp": "pipeline_model_parallel_size",
    "cp": "context_parallel_size",
    "ep": "expert_model_parallel_size",
    "layers": "num_layers",
    "hidden": "hidden_size",
    "ffn": "ffn_hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_query_groups",
    "vocab": "padded_vocab_size",
}
ITERATION = re.compile(r"elapsed time per iteration \(ms\): ([\d.]+)")
NEMO = re.compile(r"train_step_timing in s: ([\d.]+)")
TITAN = re.compile(rf"step: *(\d+) +loss: {SOME}?memory: *([\d.]+)GiB{SOME}?tps: *([\d,]+)")
COLOURS = re.compile(r"\x1b\[[\d;]*m")
WORLD = "each GPU computes: n_gpus is the world size that the log names"


def _median(what: str, count: int) -> str:
    return f"{what} is the median of {count} steps after the first ones"


def megatron(text: str) -> Found:
    """Read a log of Megatron-LM or Megatron-DeepSpeed, with the arguments that it begins with."""
    step, count = settled(ms / 1e3 for ms in numbers(ITERATION, text))
    said = dict(ARGUMENT.findall(text))
    row: Cells = {name: number(said.get(of)) for name, of in ARGUMENTS.items()}
    row["global_batch"] = number(first(text, r"global batch size: +(\d+)"))
    if said.get("group_query_attention") != "True":
        row["kv_heads"] = row["heads"]
    row |= {"framework": "megatron-core", "step_time_s": step, "precision": _precision(said)}
    if said:
        sharded = "True" in (said.get("use_distributed_optimizer"), said.get("zero_stage"))
        full = said.get("use_megatron_fsdp") == "True" or said.get("use_torch_fsdp2") == "True"
        granularity = said.get("recompute_granularity", "None")
        row |= {
            "zero_stage": 3 if full else 1 if sharded else 0,
            "recompute": {"None": "none"}.get(granularity, granularity),
            "sequence_parallel": said.get("sequence_parallel", "").lower(),
            "tp_overlap": said.get("tp_comm_overlap", "").lower(),
        }
        chunk = number(said.get("num_layers_per_virtual_pipeline_stage"))
        if chunk > 0 and float(str(row["pp"])) > 1:
            row["interleave"] = float(str(row["layers"])) / float(str(row["pp"])) / chunk
    row["model"] = _dimensions(row)
    return Found("log of Megatron-LM", "training", (row,), assumed=(_median("step_time_s", count),))


def _dimensions(row: Cells) -> str:
    """Return what to call a model that the log knows by its dimensions alone."""
    return f"{row['layers']:g} layers of {row['hidden']:g}" if row["layers"] > 0 else ""  # type: ignore[operator]


def _precision(said: dict[str, str]) -> str:
    if said.get("fp8", "None") not in ("None", "False"):
        return "fp8"
    return "fp16" if said.get("fp16") == "True" else "bf16" if said.get("bf16") == "True" else ""


def nemo(text: str) -> Found:
    """Read a log of NeMo 2."""
    step, count = settled(numbers(NEMO, text))
    row: Cells = {
        "global_batch": number(first(text, r"global_batch_size: (\d+)")),
        "framework": "megatron-core",
        "step_time_s": step,
    }
    return Found("log of NeMo", "training", (row,), assumed=(_median("step_time_s", count),))


def titan(text: str) -> Found:
    """Read a log of torchtitan; tokens a second are those of one GPU there."""
    text = COLOURS.sub("", text)
    lines = TITAN.findall(text)
    seconds, count = settled(1 / number(tps) for _, _, tps in lines)
    mesh = {
        name: number(first(text, rf"""['"]?{key}['"]?[:=] ?(\d+)"""))
        for name, key in {"tp": "tp", "pp": "pp", "cp": "cp"}.items()
    }
    row: Cells = {
        **(mesh if "device mesh" in text.lower() else {}),
        "model": first(text, r"Model ([\w.-]+ [\w.-]+) size: [\d,]+ total"),
        "global_batch": number(first(text, r"global batch size (\d+)")),
        "seq_len": number(first(text, r"sequence length (\d+)")),
        "framework": "torchtitan",
        "tokens_per_s_per_gpu": 1 / seconds,
        "peak_memory_gib": max(float(memory) for _, memory, _ in lines),
    }
    return Found(
        "log of torchtitan", "training", (row,), assumed=(_median("tokens_per_s_per_gpu", count),)
    )


def trainer(text: str) -> Found:
    """Read a log of axolotl, or of the trainer of transformers: the summary of a run."""
    rate = number(first(text, r"'train_samples_per_second': '?([\d.]+)"))
    steps = number(first(text, r"'train_steps_per_second': '?([\d.]+)"))
    axolotl = "axolotl" in text.lower()
    row: Cells = {
        "samples_per_s": rate,
        "global_batch": number(first(text, r"[Tt]otal train batch size[^=\n]{0,100}= ([\d,]+)")),
        "micro_batch": number(
            first(
                text,
                r"[Ii]nstantaneous batch size per device = ([\d,]+)",
                r"micro_batch_size: (\d+)",
            )
        ),
        "seq_len": number(first(text, r"sequence_len['\"]?: (\d+)")),
        "model": first(text, r"base_model['\"]?: ['\"]?([\w./-]+)"),
        "tuning": first(text, r"^[ \t]*['\"]?adapter['\"]?: ['\"]?(lora|qlora)"),
        "framework": "axolotl" if axolotl else "",
    }
    if not row["global_batch"] > 0 and steps > 0:  # type: ignore[operator]
        row["global_batch"] = round(rate / steps)
    assumed = ["samples_per_s is that of the whole run, its first steps included"]
    tool = "log of axolotl" if axolotl else "log of the trainer of transformers"
    if not np.isfinite(float(str(row["seq_len"]))):
        assumed.append("samples are taken to be as long as seq_len: packed, or padded to it")
    return Found(tool, "training", (row,), assumed=tuple(assumed))
