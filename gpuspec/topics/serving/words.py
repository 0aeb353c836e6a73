"""Sentences about serving."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from gpuspec.base.lazy import pd
from gpuspec.catalog import table_rows
from gpuspec.catalog.models.formats import STORED, format_title
from gpuspec.constants.disaggregated import separate_errors
from gpuspec.formulas.serving.lengths import share_longer
from gpuspec.formulas.splits import Split
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving.ask import Load, Replicas
from gpuspec.views.words import counted, grounds_sentence, listed, rows

CUT = 0.001
"""Share of prompts longer than the model from which it is told."""


def option_finding(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say how many of each GPU serve the asked load within its limits."""
    q = question
    good = [f"{r.gpus} x {r.gpu}" for r in rows(best) if r.works]
    bad = [f"{r.gpu}" for r in rows(best) if not r.works]
    asked = f"{q.arriving:.3g} requests/s" if q.arriving else f"{q.in_flight:,} requests"
    lengths = f"{q.isl:,}" if q.network.kind == "encoder" else f"{q.isl:,} + {q.osl:,}"
    images = f" and {q.images_per_request:,} images each" if q.images_per_request else ""
    load = f"{q.network.name}, {asked} of {lengths} tokens{images}"
    if not good:
        return f"{load}: none of {listed(bad)} serves it within the limits"
    text = f"{load}: {listed(good)}"
    return f"{text}; {listed(bad)} cannot" if bad else text


def answer_sentences(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say which GPU serves the load with the fewest, what the others need, what it rests on."""
    q, works = question, best[best["works"]]
    if works.empty:
        return f"{option_finding(q, best)}. {why_not(best)}"
    first = works.sort_values("gpus", kind="stable").iloc[0]
    format_ = format_title(str(first["weight"]))
    copies = "one replica" if first["replicas"] == 1 else f"{first['replicas']:,} replicas"
    said = (
        f"The fewest GPUs that serve {q.network.name} so are {first['gpus']:,} x {first['gpu']} "
        f"with weights in {format_}: {copies} of {_split(first)}, {_times(q, first)}."
    )
    rest = [r for r in rows(works) if r.gpu != first["gpu"]]
    ties = [str(r.gpu) for r in rest if r.gpus == first["gpus"]]
    more = [f"{r.gpus:,} x {r.gpu}" for r in rest if r.gpus > first["gpus"]]
    said += f" As many of {listed(ties)} do it, too." if ties else ""
    said += f" Otherwise it takes {listed(more)}." if more else ""
    return f"{said} {why_not(best)}".strip()


def apart_sentences(question: ServingQuestion, apart: pd.DataFrame) -> str:
    """Say where fewer GPUs would do if prompts were read on GPUs of their own."""
    if apart.empty:
        return ""
    told = [
        apart_sentence(str(row["gpu"]), int(row["instead"]), row)
        for row in apart.to_dict("records")
    ]
    return " ".join([*told, apart_caution()])


def apart_sentence(gpu: str, instead: int, row: Mapping[Hashable, Any]) -> str:
    """Say how many GPUs would do, and how they would be used."""
    than = f"instead of {instead:,}" if instead else "where none serves it otherwise"
    read = Split(row["prefill_tp"], row["pp"], 1, row["prefill_attention_dp"]).words
    write = Split(row["tp"], row["pp"], 1, row["attention_dp"]).words
    return (
        f"With prompts read on GPUs of their own {row['gpus']:,} x {gpu} would do {than}: "
        f"{row['prefill_gpus']:,} read in workers of {read}, {row['decode_gpus']:,} write in "
        f"workers of {write}; first token after {row['ttft_s']:.2f} s, then one each "
        f"{row['tpot_s'] * 1e3:.0f} ms."
    )


def apart_caution() -> str:
    """Say how far such an answer can be trusted."""
    of = separate_errors()["ttft"]
    return (
        "Separate prefill is no part of the recommendation, since too little of it was measured: "
        f"first tokens came after {of['low']:.1f} to {of['high']:.1f} times such an estimate; "
        "gpuspec estimate with --prefill-gpus tells more."
    )


def why_not(best: pd.DataFrame) -> str:
    """Say of each GPU that does not serve the load what stands against it."""
    return " ".join(
        f"{r.gpu} does not: {r.reason} ({_split(r)})." for r in rows(best) if not r.works
    )


def _times(q: ServingQuestion, row: pd.Series) -> str:
    if q.network.kind == "encoder":
        return f"each sequence answered after {row['ttft_s']:.2f} s"
    who = "95 % of the requests have their" if q.arriving else "with the"
    return (
        f"{who} first token after {row['ttft_s']:.2f} s and then one each "
        f"{row['tpot_s'] * 1e3:.0f} ms"
    )


def rests_on(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say what the answer rests on: software, formats, and the error of its numbers."""
    works = best[best["works"]]
    said = f"{software_sentence(question)} {formats_sentence(question)}"
    if works.empty:
        return said
    row = works.iloc[0]
    low, high = (row[f"output_tokens_s_{end}"] / row["output_tokens_s"] for end in ("low", "high"))
    return (
        f"{said} In four of five published measurements the throughput was {low:.2f} to "
        f"{high:.2f} times such an estimate. {options_ground(best)}"
    )


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
        time += " for 95 % of the requests" if question.arriving else ""
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
    return Split(*(int(getattr(row, name)) for name in Split._fields)).words


def formats_sentence(question: Replicas) -> str:
    """Say in what formats weights and cache are, and who says so."""
    weights = "; ".join(form.words for form in question.formats)
    said = f"Weights in {weights}."
    if question.network.kind != "encoder":
        said += f" Cache in {question.kv_format.upper()}."
    return f"{said} {question.network.doubts}".rstrip()


def load_sentence(question: Load) -> str:
    """Say what load was understood, where it comes from, and what the mean of the day is."""
    q = question
    each = f"{q.think_s or 0:g} s between an answer and the next request"
    each = f"{q.pace:g} requests an hour each" if q.pace else each
    people = f"{q.users or 0:,} users, {q.active_share:.0%} of them active, {each}: "
    flight = f"{q.in_flight:,} requests in flight"
    load = (people if q.users else "") + flight
    if q.arriving:
        load = (people if q.users else "") + f"{q.arriving:.3g} requests/s in the busiest hour"
    if q.peak_factor > 1:
        mean = q.arriving or q.in_flight
        unit = "requests/s" if q.arriving else "in flight"
        load += f", {mean / q.peak_factor:.3g} {unit} in the mean of the day"
    said = f"Load: {load}; {_tokens(q.isl, q.isl_cv)} in"
    if q.network.kind != "encoder":
        said += f", {_tokens(q.osl, q.osl_cv)} out"
    return f"{said}. {limits_sentence(q)} {filled_sentence(q)}".strip()


def _tokens(mean: int, spread: float) -> str:
    return f"{mean:,} tokens" + (f" (mean; spread {spread:.2g})" if spread else "")


def day_sentence(question: Load, day: pd.DataFrame) -> str:
    """Say what the busiest hour needs beside the mean of the day."""
    q = question
    if q.peak_factor <= 1:
        return "Every hour is taken to be the busiest one; peak_factor says how far it is above."
    fleets = [f"{r.gpus:,} x {r.gpu} (the mean: {r.mean_gpus:,})" for r in rows(day)]
    return (
        f"The busiest hour is {q.peak_factor:.3g} times the mean of the day. It needs "
        f"{listed(fleets) or 'more than any fleet that was tried'}."
    )


def limits_sentence(question: Load) -> str:
    """Say the limits of both times."""
    q = question
    ttft = f"at most {q.ttft_limit_s:g} s to the first token" if q.ttft_limit_s else ""
    tpot = f"at most {q.tpot_limit_s * 1e3:g} ms between tokens" if q.tpot_limit_s else ""
    said = [text for text in (ttft, tpot) if text]
    return f"Limits: {listed(said)}." if said else "No limits of time."


def filled_sentence(question: Load) -> str:
    """Say which fields nobody gave, and where their values come from."""
    q, said = question, []
    measured = set(q.measured) & q.filled
    if q.trace:
        said.append(f"{q.lengths} gives {_fields(measured)}: {q.trace.told}.")
    usual = set(q.filled) - measured
    usual |= {"requests_per_hour"} if q.pace and q.requests_per_hour is None else set()
    if q.use_case != "general" and usual:
        said.append(f"The use case {q.use_case} gives {_fields(usual)}.")
    limit = q.network.max_context
    beyond = float(share_longer(q.prompt_tokens, q.isl_cv, limit)) if limit and q.isl_cv else 0.0
    if beyond >= CUT:
        said.append(
            f"{beyond:.1%} of the prompts would be longer than the {limit:,} tokens of the model."
        )
    return " ".join(said)


def _fields(names: set[str]) -> str:
    return listed(sorted(names)) or "nothing that was not given"


def software_sentence(question: Replicas) -> str:
    """Say which software, of which time, the constants describe."""
    runtime = question.runtime
    era = next(row for row in table_rows("engines") if row["id"] == runtime.id)
    began, ended = era["released_from"], era["released_to"]
    span = f", released {f'{began} to {ended}' if ended else f'since {began}'}" if began else ""
    said = f"Software: {runtime.name}{span}."
    if runtime.beyond_measured:
        said += f" No measurement of {question.engine_version} or later is in the fit."
    return said


def arrivals_finding(seen: pd.DataFrame) -> str:
    """Say how far below its largest rate a fleet must stay for a short wait."""
    alike: dict[str, list[str]] = {}
    for name, group in seen.groupby("gpu", sort=False):
        calm = group["ttft_p95_s"] <= 2 * group["ttft_p95_s"].iloc[0]
        share = float(group["utilisation"][calm].max())
        alike.setdefault(f"{share:.0%}", []).append(str(name))
    said = [f"{listed(names)} up to {share}" for share, names in alike.items()]
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
