"""Latency and throughput of language-model inference, from kernels to a replica under load."""

from gpuspec.inference.deployment import PARTS, Deployment, Layout
from gpuspec.inference.engine import Engine, EngineLimits, EngineTerms, engine, engines
from gpuspec.inference.queueing import arrivals, sustainable_requests_s
from gpuspec.inference.serving import (
    cache_bytes,
    decode_seconds,
    finite_run,
    kv_capacity_tokens,
    max_concurrency,
    maximum_load,
    per_output_token,
    prefill_seconds,
    static_batch,
    steady_state,
)

__all__ = [
    "PARTS",
    "Deployment",
    "Engine",
    "EngineLimits",
    "EngineTerms",
    "Layout",
    "arrivals",
    "cache_bytes",
    "decode_seconds",
    "engine",
    "engines",
    "finite_run",
    "kv_capacity_tokens",
    "max_concurrency",
    "maximum_load",
    "per_output_token",
    "prefill_seconds",
    "static_batch",
    "steady_state",
    "sustainable_requests_s",
]
