"""Latency and throughput of language-model inference, from kernels to a replica under load."""

from gpuspec.constants.engine import Engine, EngineTerms, engine
from gpuspec.formulas.serving.client import OFFLINE, USERS, Client
from gpuspec.formulas.serving.deployment import PARTS, Deployment
from gpuspec.formulas.serving.layout import Layout
from gpuspec.formulas.serving.queueing import arrivals, arrivals_of, sustainable_requests_s
from gpuspec.formulas.serving.serving import (
    SteadyState,
    cache_bytes,
    decode_seconds,
    engine_memory,
    finite_run,
    longest_context,
    max_concurrency,
    maximum_load,
    per_output_token,
    prefill_seconds,
    request_bytes,
    static_batch,
    steady_state,
    total_seconds,
)
