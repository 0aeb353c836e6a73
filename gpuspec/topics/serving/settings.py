"""What is asked about the settings of an engine, and what an engine cannot do."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from gpuspec.base.ask import Ask, Range, Short
from gpuspec.base.errors import InputError
from gpuspec.catalog.engines import EngineLimits, engine_for, runs_on
from gpuspec.catalog.fields import UsedShare, fold
from gpuspec.formulas.serving import Layout

Gpus = Annotated[int, Range(1, 1024, "GPUs")]
CURRENT = "current"
VERSION = re.compile(r"v?\d+(\.\d+)*([.\-+]?[a-z]+[\w.+-]*)?")
CACHES = {"vllm": ("bf16", "fp16", "fp8"), "sglang": ("bf16", "fp16", "fp8")}
"""Formats of the cache that an engine keeps; engines that are not here keep all."""


def _version(value: object) -> object:
    found = fold(value)
    if found != CURRENT and not (isinstance(found, str) and VERSION.fullmatch(found)):
        raise InputError("", value, f"give a version such as 0.11.0, or {CURRENT}")
    return found


class Settings(Ask):
    """How an engine is set; what is blank is the engine's own."""

    engine_version: Annotated[str, BeforeValidator(_version)] = Field(
        CURRENT, description="Version of the engine, such as 0.11.0; current: the newest era"
    )
    max_num_seqs: (
        Annotated[int, Range(1, 1_000_000, "requests"), Short("max_batch_size")] | None
    ) = Field(None, description="Most requests of an iteration; None: as the engine sets it")
    max_num_batched_tokens: (
        Annotated[int, Range(1, 10_000_000, "tokens"), Short("max_num_tokens")] | None
    ) = Field(None, description="Most tokens of an iteration; None: as the engine sets it")
    chunked_prefill: bool = Field(
        True,
        description="Whether prompts are read in chunks beside the others' tokens; false: a prompt "
        "runs whole and alone, and decoding waits for it",
    )
    memory_share: UsedShare | None = Field(
        None,
        description="Memory that the engine may take: of all (vLLM, SGLang), or of what is free "
        "once the model is loaded (TensorRT-LLM); None: as the engine sets it",
    )

    def set_limits(self, own: EngineLimits, prompt_tokens: int) -> EngineLimits:
        """Return an engine's limits as they are set; a prompt that is not cut needs room whole."""
        given = {
            "max_sequences": self.max_num_seqs,
            "max_tokens": self.max_num_batched_tokens,
            "memory_share": self.memory_share,
        }
        if not self.chunked_prefill and self.max_num_batched_tokens is None:
            given["max_tokens"] = max(own.max_tokens, prompt_tokens)
        changed = {name: value for name, value in given.items() if value is not None}
        return own.model_copy(update=changed) if changed else own

    def whole_prompts_fit(self, prompt_tokens: int) -> None:
        """Raise where prompts are not cut and the token budget holds none of them."""
        most = self.max_num_batched_tokens
        if most is not None and most < prompt_tokens and not self.chunked_prefill:
            valid = (
                f"without chunked_prefill give at least a whole prompt, {prompt_tokens:,} tokens"
            )
            raise InputError("max_num_batched_tokens", most, valid)


class Separate(Ask):
    """How experts and attention are split, and on which GPUs prompts are read apart."""

    ep: Gpus | None = Field(
        None,
        description="GPUs of tp over which whole experts are spread; None: all, where they divide",
    )
    attention_dp: Gpus = Field(
        1,
        description="Groups of the tp GPUs whose attention works on requests of its own; 1: all "
        "share each request, tp: every GPU has its own",
    )
    prefill_gpus: Annotated[int, Range(0, 1024, "GPUs")] = Field(
        0, description="GPUs that read prompts and write no answers; 0: the same GPUs do both"
    )
    prefill_tp: Gpus | None = Field(
        None, description="Tensor-parallel size of a worker that reads prompts; None: as tp"
    )
    prefill_attention_dp: Gpus | None = Field(
        None, description="Its groups of attention; None: as attention_dp where prefill_tp is tp"
    )
    decode_gpus: Gpus | None = Field(
        None, description="GPUs that write answers where prompts are read apart; None: one replica"
    )
    transfer_by_layer: bool = Field(
        False,
        description="Whether the cache is sent layer by layer while the prompt is read; else after",
    )


def engine_cannot(engine: str, layout: Layout) -> str:
    """Return what an engine cannot do of a layout; empty where it can all."""
    groups, dense = layout.attention_dp, not any(b.moe_layers for b in layout.network.blocks)
    if not runs_on(engine, vendor := layout.gpu.vendor):
        return f"{engine} does not run on GPUs of {vendor}; {engine_for(vendor, engine)} does"
    if engine == "tensorrt-llm" and groups not in (1, layout.tp):
        return f"{engine} attends data-parallel over all {layout.tp} GPUs of TP or over none"
    if engine == "vllm" and groups > 1 and dense:
        return f"{engine} runs data-parallel ranks of a model without experts as replicas"
    if layout.kv_precision not in CACHES.get(engine, (layout.kv_precision,)):
        return f"{engine} keeps no cache in {layout.kv_precision}"
    form = layout.weight.main
    if engine == "tensorrt-llm" and form.id == "nvfp4" and form.weight_only(layout.gpu):
        return f"{engine} multiplies NVFP4 on FP4 units only, which {layout.gpu.name} has not"
    return ""
