"""Sentences that read a table for the decision, true for whatever was asked."""

from gpuspec.story.common import listed, time_with_interval
from gpuspec.story.inference import (
    arrivals_finding,
    context_finding,
    option_finding,
    option_sentences,
)
from gpuspec.story.interconnect import (
    bandwidth_finding,
    bandwidth_sentences,
    form_finding,
    form_sentences,
    network_finding,
    network_sentences,
    scale_finding,
    tensor_finding,
    waiting_finding,
)
from gpuspec.story.memory import (
    kv_finding,
    kv_sentence,
    sequences_finding,
    serving_finding,
    single_gpu_sentences,
    training_finding,
    weights_sentence,
)
from gpuspec.story.mig import (
    blocking_sentences,
    delivery_finding,
    fleets_finding,
    headroom_finding,
    layouts_finding,
    packing_finding,
    published_finding,
    published_sentences,
)
from gpuspec.story.training import (
    deadline_finding,
    deadline_sentences,
    mfu_finding,
    scaling_finding,
    size_finding,
)
from gpuspec.story.validation import left_out_sentence, validation_finding

__all__ = [
    "arrivals_finding",
    "bandwidth_finding",
    "bandwidth_sentences",
    "blocking_sentences",
    "context_finding",
    "deadline_finding",
    "deadline_sentences",
    "delivery_finding",
    "fleets_finding",
    "form_finding",
    "form_sentences",
    "headroom_finding",
    "kv_finding",
    "kv_sentence",
    "layouts_finding",
    "left_out_sentence",
    "listed",
    "mfu_finding",
    "network_finding",
    "network_sentences",
    "option_finding",
    "option_sentences",
    "packing_finding",
    "published_finding",
    "published_sentences",
    "scale_finding",
    "scaling_finding",
    "sequences_finding",
    "serving_finding",
    "single_gpu_sentences",
    "size_finding",
    "tensor_finding",
    "time_with_interval",
    "training_finding",
    "validation_finding",
    "waiting_finding",
    "weights_sentence",
]
