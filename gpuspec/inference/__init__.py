"""Latency and throughput of language-model inference."""
