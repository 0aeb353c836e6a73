"""Sentences about serving."""

from __future__ import annotations

from typing import Any

from gpuspec.base.lazy import pd
from gpuspec.catalog.models.formats import STORED, format_title
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving.ask import Replicas
from gpuspec.views.words import counted, grounds_sentence, listed, rows


def option_finding(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say how many of each GPU serve the asked load within its limits."""
    q = question
    good = [f"{r.gpus} x {r.gpu}" for r in rows(best) if r.works]
    bad = [f"{r.gpu}" for r in rows(best) if not r.works]
    asked = f"{q.request_rate:g} requests/s" if q.request_rate else f"{q.concurrency:,} requests"
    lengths = f"{q.isl:,}" if q.network.kind == "encoder" else f"{q.isl:,} + {q.osl:,}"
    images = f" and {q.images_per_request:,} images each" if q.images_per_request else ""
    load = f"{q.network.name}, {asked} of {lengths} tokens{images}"
    if not good:
        return f"{load}: none of {listed(bad)} serves it within the limits"
    text = f"{load}: {listed(good)}"
    return f"{text}; {listed(bad)} cannot" if bad else text


def option_sentences(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say for each GPU how the load is run, how fast with its interval, or why it is not."""
    said = []
    for r in rows(best):
        if not r.works:
            said.append(f"{r.gpu}: {r.reason} ({_split(r)}).")
            continue
        split = _split(r)
        copies = f"{r.replicas} replicas of {split}" if r.replicas > 1 else f"one replica, {split}"
        speed = f"{r.output_tokens_s:,.0f} tokens/s"
        span = f"{r.output_tokens_s_low:,.0f} to {r.output_tokens_s_high:,.0f}"
        time = f"TPOT {r.tpot_s * 1e3:.0f} ms, TTFT {r.ttft_s:.2f} s"
        if question.network.kind == "encoder":
            sequences = r.output_tokens_s / question.prompt_tokens
            time = f"{sequences:,.1f} sequences/s, each answered after {r.ttft_s:.2f} s"
        time += " for 95 % of the requests" if question.request_rate else ""
        stored = f"{'' if r.weight == STORED else 'in '}{format_title(r.weight)}"
        said.append(
            f"{r.gpu} {stored}: {copies}; {speed} ({span}), {time}; "
            f"bound by {r.bound}." + (f" {r.note}." if r.note else "")
        )
    return " ".join(filter(None, [formats_sentence(question), *said, options_ground(best)]))


def options_ground(best: pd.DataFrame) -> str:
    """Say what is known of settings like those of the options that work."""
    working = [r for r in rows(best) if r.works]
    return grounds_sentence({r.gpu: (r.ground, [r.ground_reasons]) for r in working})


def _split(row: Any) -> str:
    return Split(row.tp, row.pp, row.ep, row.attention_dp).words


def formats_sentence(question: Replicas) -> str:
    """Say in what formats weights and cache are, and who says so."""
    weights = "; ".join(form.words for form in question.formats)
    said = f"Weights in {weights}."
    if question.network.kind != "encoder":
        said += f" Cache in {question.kv_format.upper()}."
    return f"{said} {question.network.doubts}".rstrip()


def arrivals_finding(seen: pd.DataFrame) -> str:
    """Say how far below its largest rate a fleet must stay for a short wait."""
    said = []
    for name, group in seen.groupby("gpu", sort=False):
        calm = group["ttft_p95_s"] <= 2 * group["ttft_p95_s"].iloc[0]
        share = float(group["utilisation"][calm].max())
        said.append(f"{name} up to {share:.0%}")
    return f"95 % wait at most twice as long as when idle: {listed(said)} of full load"


def undrawn(question: ServingQuestion) -> str:
    """Say why there is nothing to draw of tokens in turn, or of requests that come at random."""
    if question.network.kind != "encoder":
        return "No fleet serves the load, so there is nothing to draw."
    return (
        f"{question.network.name} is an encoder: it answers with no token after the other, "
        "so there is no time between tokens, and its arrivals at random are not modelled."
    )


def context_finding(table: pd.DataFrame, gpus: int) -> str:
    """Say where each GPU runs out of memory as prompts grow."""
    lost = []
    for name in table:
        gone = table.index[table[name] <= 0]
        if len(gone):
            lost.append(f"{name} at {gone[0]:,} tokens")
    if not lost:
        return (
            f"{gpus} of each GPU can hold a request of every length to {table.index[-1]:,} tokens"
        )
    return f"With {counted(gpus, 'GPU')} memory runs out on {listed(lost)}"
