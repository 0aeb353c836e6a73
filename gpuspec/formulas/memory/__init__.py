"""Memory accounting: weights, key-value cache, training states and activations.

Pure functions over arrays: scalars, columns and grids that broadcast. Functions that end in
``_parts`` return a dict of parts whose sum is the total.
"""

from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory.activations import (
    LayerWidths,
    collective_bytes,
    layer_activation_bytes,
    layers_in_flight,
    logits_bytes,
    norm_saved_bytes,
)
from gpuspec.formulas.memory.kv import (
    cached_tokens,
    kv_cache_bytes_per_token,
    mla_cache_bytes_per_token,
)
from gpuspec.formulas.memory.loaded import stage_weights_bytes
from gpuspec.formulas.memory.serving import (
    budget_bytes,
    max_context,
    max_sequences,
    sequence_kv_bytes,
    serving_activation_bytes,
    serving_parts,
)
from gpuspec.formulas.memory.training import Adapter, adapter_params, stage_layers, training_parts
from gpuspec.formulas.memory.weights import (
    lora_params,
    training_state_bytes,
    weights_bytes,
)
from gpuspec.formulas.transformer import kv_heads_per_gpu
