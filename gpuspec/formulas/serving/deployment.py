"""One replica: a `Layout` under one engine, and the time of its token steps."""

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from gpuspec.base.units import MICRO, Floats
from gpuspec.constants.engine import COMPILED_SHARE, EngineLimits, EngineTerms
from gpuspec.constants.kernels import generation, generation_of
from gpuspec.constants.memory import MemoryTerms
from gpuspec.constants.terms import GenerationTerms
from gpuspec.formulas.serving.client import Client
from gpuspec.formulas.serving.layout import DENSE_PARTS, Layout

SOCKET_GPUS = 4
"""GPUs of a PCIe server that share a socket; eight are spread over two."""
PARTS = (*DENSE_PARTS, "attention", "head", "launches", "engine")
"""Parts of every token step; models with recurrent layers add ``recurrence``, requests with images
``tower``."""


class Deployment(BaseModel):
    """One replica: a `Layout` under an engine with its constants and settings."""

    model_config = ConfigDict(frozen=True)

    layout: Layout
    engine: EngineTerms = EngineTerms()
    limits: EngineLimits = EngineLimits()
    memory: MemoryTerms = MemoryTerms()
    silicon: GenerationTerms | None = None
    """Constants of the GPU's generation; None: those stored."""
    chunked: bool = True
    """Whether prompts are read beside the others' tokens; else in iterations of their own."""

    @cached_property
    def generation(self) -> GenerationTerms:
        """Return the constants of the GPU's generation."""
        return self.silicon or generation(generation_of(self.layout.gpu))

    @property
    def gpus(self) -> int:
        """Return the GPUs of one replica."""
        return self.layout.gpus

    def arrival_seconds(self, client: Client, isl: ArrayLike) -> Floats:
        """Seconds of a request's way to the scheduler: the client's part and the server's."""
        if not client.transport_s:
            return np.zeros(np.shape(isl))
        tokens = np.asarray(isl, float) * self.engine.prompt_us * MICRO
        return np.asarray(client.transport_s + self.engine.request_ms / 1e3 + tokens)

    def sending_seconds(self, tokens: ArrayLike, step: ArrayLike, client: Client) -> Floats:
        """Seconds that sending the `tokens` of a `step` of so many seconds over HTTP adds to it.

        One server process sends all tokens of a replica. It keeps the iteration waiting where it
        shares the scheduler's process; else the next ones where they are shorter than it.
        """
        if not client.transport_s:
            return np.zeros(())
        slow = MICRO if self.limits.compiled else self.generation.host_factor * MICRO
        sending = np.asarray(tokens, float) * self.engine.stream_us * slow
        hidden = np.asarray(step) if self.limits.server_apart else 0.0
        return np.asarray(np.maximum(sending - hidden, 0.0))

    @property
    def _collective_factors(self) -> tuple[float, float]:
        """Return the factors on the start of a collective and on its bytes' time."""
        group, terms = max(self.layout.tp, 2), self.engine
        if group > self.layout.node_gpus:  # NCCL's own, measured as they are
            return 1.0, 1.0
        if self.layout.kernels.over_nvlink(group):
            return terms.collective_start_factor, terms.collective_factor
        factor = terms.pcie_factor if group <= SOCKET_GPUS else terms.pcie_far_factor
        return factor, factor

    def iteration_parts(
        self,
        sequences: ArrayLike,
        context: ArrayLike,
        prefill_tokens: ArrayLike = 0,
        prefill_sequences: ArrayLike = 0,
        past_tokens: ArrayLike = 0,
        tokens_each: ArrayLike = 1,
    ) -> dict[str, Floats]:
        """Seconds of one token step of the whole replica, by part.

        Parameters
        ----------
        sequences, context : array_like
            Sequences that decode one token each, and their mean cached tokens.
        prefill_tokens, prefill_sequences, past_tokens : array_like
            Prompt tokens of each of some sequences in the same iteration, after `past_tokens`.
        tokens_each : array_like
            Tokens of each decoding sequence: 1, or those that speculation proposes plus one.

        Returns
        -------
        dict of arrays
            Those of `PARTS`. With pipeline stages each works on 1/pp of the batch, and a step
            takes pp of them. Where prompts are not chunked, those of an iteration that decodes and
            of one that reads.
        """
        own = sequences, context, prefill_tokens, prefill_sequences, past_tokens, tokens_each
        if self.chunked and self.limits.mixed:
            return self._iteration(*own)
        wrote = self._iteration(sequences, context, 0, 0, 0, tokens_each)
        read = self._iteration(0, 1, prefill_tokens, prefill_sequences, past_tokens)
        writes, reads = np.asarray(sequences) > 0, np.asarray(prefill_sequences) > 0
        return {
            name: np.where(writes, seconds, 0.0) + np.where(reads, read[name], 0.0)
            for name, seconds in wrote.items()
        }

    def _iteration(
        self,
        sequences: ArrayLike,
        context: ArrayLike,
        prefill_tokens: ArrayLike,
        prefill_sequences: ArrayLike,
        past_tokens: ArrayLike,
        tokens_each: ArrayLike = 1,
    ) -> dict[str, Floats]:
        """Seconds of one iteration by part; arguments as of `iteration_parts`."""
        layout, terms, pp, silicon = self.layout, self.engine, self.layout.pp, self.generation
        b, new = np.asarray(sequences, float) / pp, np.asarray(prefill_tokens, float)
        prompts, each = np.asarray(prefill_sequences, float) / pp, np.asarray(tokens_each, float)
        own = layout.own(b) * each + new * layout.own(prompts)
        parts = layout.dense_seconds(b * each + new * prompts, own)
        parts["matmul"] = parts["matmul"] * silicon.matmul_factor
        small = layout.product("experts").compute != "bf16"
        factor = terms.expert_small_factor if small else terms.expert_factor
        routed = layout.stage_expert_layers * terms.expert_layer_us * MICRO
        parts["experts"] = parts["experts"] * (factor * silicon.expert_factor) + routed
        parts["elementwise"] = parts["elementwise"] + layout.stage_layers * terms.layer_us * MICRO
        starts = np.minimum(layout.starts_seconds, parts["communication"])
        start_factor, factor = self._collective_factors
        parts["communication"] = starts * start_factor + (parts["communication"] - starts) * factor
        decoding, prefill = np.zeros(()), np.zeros(())
        if np.any(b > 0):
            decoding = np.where(b > 0, layout.decode_attention(b, context, each), 0.0)
        if np.any(prompts > 0):
            prefill = layout.prefill_attention(
                np.maximum(prompts, 1e-9), np.maximum(new, 1), past_tokens
            )
            prefill = np.where(prompts > 0, prefill, 0.0)
        factor = terms.grouped_factor if layout.grouped else terms.attention_factor
        if layout.kv_bytes == 1:
            factor = factor * terms.fp8_cache_factor
        factor = factor * silicon.attention_factor
        parts["attention"] = decoding * factor + prefill
        if layout.recurs:
            parts["recurrence"] = layout.recurrence(b, new * prompts)
        if layout.images_per_token:
            parts["tower"] = new * prompts * layout.images_per_token * layout.tower_seconds
        sampled = b * each + prompts
        logits = sampled * layout.logits * terms.logit_bytes / layout.gpu.bandwidth_bytes_s
        parts["head"] = layout.head_seconds(sampled) * silicon.matmul_factor + logits
        parts |= self._host_seconds(np.asarray(sum(parts.values())), b + prompts, prompts > 0)
        return {name: np.asarray(seconds * pp) for name, seconds in parts.items()}

    def _host_seconds(
        self, busy: Floats, sequences: Floats, reading: ArrayLike
    ) -> dict[str, Floats]:
        """Seconds in which the GPU of a stage waits for its host, beside those it is `busy`.

        An iteration that reads prompts is launched kernel by kernel, while the GPU works; what the
        launches take longer is waited for. So is every iteration of an engine without CUDA graphs
        (`EngineLimits.launch_layer_us`), and what scheduling takes longer where the engine works
        ahead; else scheduling comes after the GPU.
        """
        terms, layout = self.engine, self.layout
        each = layout.stage_layers * terms.eager_layer_us
        each = each + layout.stage_expert_layers * terms.eager_expert_us
        each = 0.0 if self.limits.compiled else each
        always = layout.stage_layers * self.limits.launch_layer_us
        launched = np.where(reading, np.maximum(each, always), always)
        slow = MICRO if self.limits.compiled else self.generation.host_factor * MICRO
        launches = np.maximum(launched * slow - busy, 0.0)
        each = terms.sequence_us * (COMPILED_SHARE if self.limits.compiled else 1.0)
        host = (terms.iteration_us / layout.pp + each * sequences) * slow
        if self.limits.works_ahead:
            host = np.maximum(host - busy - launches, 0.0)
        return {"launches": launches, "engine": host}
