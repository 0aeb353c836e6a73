"""Memory accounting: weights, key-value cache, training states and activations.

Pure functions over arrays: scalars, columns and grids that broadcast. Functions that end in
``_parts`` return a dict of parts whose sum is the total.
"""

from gpuspec.constants.memory import MemoryTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory.activations import (
    SCAN_CHUNK,
    LayerWidths,
    collective_bytes,
    layer_activation_bytes,
    logits_bytes,
    microbatches_in_flight,
    norm_saved_bytes,
    scan_workspace_bytes,
)
from gpuspec.formulas.memory.adapters import TARGETS, Adapter, adapter_params, layer_adapters
from gpuspec.formulas.memory.kv import (
    INDEX_KEY_BYTES,
    cached_tokens,
    kv_cache_bytes_per_token,
    mla_cache_bytes_per_token,
    sequence_bytes,
    sequence_kv_bytes,
    sequence_state_bytes,
    state_split,
)
from gpuspec.formulas.memory.loaded import stage_weights_bytes
from gpuspec.formulas.memory.serving import (
    budget_bytes,
    max_context,
    max_sequences,
    serving_activation_bytes,
    serving_parts,
)
from gpuspec.formulas.memory.stages import Stages, stage_layers
from gpuspec.formulas.memory.states import StageParameters
from gpuspec.formulas.memory.training import (
    host_bytes,
    need_layer_order,
    paged_bytes,
    state_parts,
    training_parts,
    training_peak,
)
from gpuspec.formulas.memory.weights import (
    lora_params,
    training_state_bytes,
    weights_bytes,
)
from gpuspec.formulas.transformer import kv_heads_per_gpu
