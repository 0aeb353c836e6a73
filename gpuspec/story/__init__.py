"""Sentences that read a table for the decision, true for whatever was asked."""

from gpuspec.story.claims import (
    audit_finding,
    audit_sentences,
    claim_sentence,
    footnote_sentence,
    map_caption,
    map_finding,
    numbers_finding,
    said_rows,
)
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

__all__ = [
    "arrivals_finding",
    "audit_finding",
    "audit_sentences",
    "bandwidth_finding",
    "bandwidth_sentences",
    "claim_sentence",
    "context_finding",
    "deadline_finding",
    "deadline_sentences",
    "footnote_sentence",
    "form_finding",
    "form_sentences",
    "kv_finding",
    "kv_sentence",
    "listed",
    "map_caption",
    "map_finding",
    "mfu_finding",
    "network_finding",
    "network_sentences",
    "numbers_finding",
    "option_finding",
    "option_sentences",
    "said_rows",
    "scale_finding",
    "scaling_finding",
    "sequences_finding",
    "serving_finding",
    "single_gpu_sentences",
    "size_finding",
    "tensor_finding",
    "time_with_interval",
    "training_finding",
    "waiting_finding",
    "weights_sentence",
]
