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
    "context_finding",
    "deadline_finding",
    "deadline_sentences",
    "form_finding",
    "form_sentences",
    "kv_finding",
    "kv_sentence",
    "left_out_sentence",
    "listed",
    "mfu_finding",
    "network_finding",
    "network_sentences",
    "option_finding",
    "option_sentences",
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
