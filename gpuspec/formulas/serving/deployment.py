"""One replica: a `Layout` under one engine, and the time of its token steps."""

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from gpuspec.base.units import MICRO, Floats
from gpuspec.constants.engine import EngineLimits, EngineTerms
from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.serving.layout import DENSE_PARTS, Layout

SOCKET_GPUS = 4
"""GPUs of a PCIe server that share a socket; eight are spread over two."""
PARTS = (*DENSE_PARTS, "attention", "head", "engine")
"""Parts of every token step; models with recurrent layers add ``recurrence``, requests with images
``tower``."""


class Deployment(BaseModel):
    """One replica: a `Layout` under an engine with its constants and settings."""

    model_config = ConfigDict(frozen=True)

    layout: Layout
    engine: EngineTerms = EngineTerms()
    limits: EngineLimits = EngineLimits()
    memory: MemoryTerms = MemoryTerms()

    @property
    def gpus(self) -> int:
        """Return the GPUs of one replica."""
        return self.layout.gpus

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
            takes pp of them.
        """
        layout, terms, pp = self.layout, self.engine, self.layout.pp
        b, new = np.asarray(sequences, float) / pp, np.asarray(prefill_tokens, float)
        prompts, each = np.asarray(prefill_sequences, float) / pp, np.asarray(tokens_each, float)
        own = layout.own(b) * each + new * layout.own(prompts)
        parts = layout.dense_seconds(b * each + new * prompts, own)
        parts["matmul"] = parts["matmul"] * terms.matmul_factor
        small = layout.product("experts").compute != "bf16"
        parts["experts"] = parts["experts"] * (
            terms.expert_fp8_factor if small else terms.expert_factor
        )
        parts["elementwise"] = parts["elementwise"] + layout.stage_layers * terms.layer_us * MICRO
        starts = np.minimum(layout.starts_seconds, parts["communication"])
        start_factor, factor = self._collective_factors
        parts["communication"] = starts * start_factor + (parts["communication"] - starts) * factor
        decoding = np.where(b > 0, layout.decode_attention(b, context, each), 0.0)
        factor = terms.grouped_factor if layout.grouped else terms.attention_factor
        prefill = layout.prefill_attention(
            np.maximum(prompts, 1e-9), np.maximum(new, 1), past_tokens
        )
        if layout.kv_bytes == 1:
            factor = factor * terms.fp8_cache_factor
        parts["attention"] = decoding * factor + np.where(prompts > 0, prefill, 0.0)
        if layout.recurs:
            parts["recurrence"] = layout.recurrence(b, new * prompts)
        if layout.images_per_token:
            parts["tower"] = new * prompts * layout.images_per_token * layout.tower_seconds
        sampled = b * each + prompts
        logits = sampled * layout.logits * terms.logit_bytes / layout.gpu.bandwidth_bytes_s
        parts["head"] = layout.head_seconds(sampled) * terms.matmul_factor + logits
        host = terms.iteration_us / pp + terms.sequence_us * (b + prompts)
        parts["engine"] = np.asarray(host * MICRO)
        return {name: np.asarray(seconds * pp) for name, seconds in parts.items()}
