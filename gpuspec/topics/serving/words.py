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
from gpuspec.topics.serving.options import fewest
from gpuspec.topics.words_running import started
from gpuspec.views.language import say
from gpuspec.views.words import counted, grounds_sentence, listed, rows

CUT = 0.001
"""Share of prompts longer than the model from which it is told."""


def option_finding(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say how many of each GPU serve the asked load within its limits."""
    q = question
    good = [f"{r.gpus} x {r.gpu}" for r in rows(best) if r.works]
    bad = [f"{r.gpu}" for r in rows(best) if not r.works]
    asked = (
        say("{arriving:.3g} requests/s", arriving=q.arriving)
        if q.arriving
        else say("{in_flight:,} requests", in_flight=q.in_flight)
    )
    lengths = f"{q.isl:,}" if q.network.kind == "encoder" else f"{q.isl:,} + {q.osl:,}"
    images = (
        say(" and {images_per_request:,} images each", images_per_request=q.images_per_request)
        if q.images_per_request
        else ""
    )
    load = say(
        "{name}, {asked} of {lengths} tokens{images}",
        name=q.network.name,
        asked=asked,
        lengths=lengths,
        images=images,
    )
    if not good:
        return say("{load}: none of {bad} serves it within the limits", load=load, bad=listed(bad))
    text = f"{load}: {listed(good)}"
    return say("{what}; {bad} cannot", what=text, bad=listed(bad)) if bad else text


def answer_sentences(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say which GPU serves the load with the fewest, what the others need, what it rests on."""
    q, works = question, best[best["works"]]
    if works.empty:
        return f"{option_finding(q, best)}. {why_not(best)}"
    first = fewest(best).iloc[0]
    format_ = format_title(str(first["weight"]))
    copies = (
        say("one replica")
        if first["replicas"] == 1
        else say("{replicas:,} replicas", replicas=first["replicas"])
    )
    said = say(
        "The fewest GPUs that serve {name} so are {gpus:,} x {gpu} with weights in {format}: "
        "{copies} of {split}, {times}.",
        name=q.network.name,
        gpus=first["gpus"],
        gpu=first["gpu"],
        format=format_,
        copies=copies,
        split=_split(first),
        times=_times(q, first),
    )
    rest = [r for r in rows(works) if r.gpu != first["gpu"]]
    ties = [str(r.gpu) for r in rest if r.gpus == first["gpus"]]
    more = [f"{r.gpus:,} x {r.gpu}" for r in rest if r.gpus > first["gpus"]]
    said += say(" As many of {ties} do it, too.", ties=listed(ties)) if ties else ""
    said += say(" Otherwise it takes {more}.", more=listed(more)) if more else ""
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
    than = (
        say("instead of {instead:,}", instead=instead)
        if instead
        else say("where none serves it otherwise")
    )
    read = Split(row["prefill_tp"], row["pp"], 1, row["prefill_attention_dp"]).words
    write = Split(row["tp"], row["pp"], 1, row["attention_dp"]).words
    return say(
        "With prompts read on GPUs of their own {gpus:,} x {gpu} would do {than}: "
        "{prefill_gpus:,} read in workers of {read}, {decode_gpus:,} write in workers of "
        "{write}; first token after {ttft_s:.2f} s, then one each {tpot_s:.0f} ms.",
        gpus=row["gpus"],
        gpu=gpu,
        than=than,
        prefill_gpus=row["prefill_gpus"],
        read=read,
        decode_gpus=row["decode_gpus"],
        write=write,
        ttft_s=row["ttft_s"],
        tpot_s=row["tpot_s"] * 1000.0,
    )


def apart_caution() -> str:
    """Say how far such an answer can be trusted."""
    of = separate_errors()["ttft"]
    return say(
        "Separate prefill is no part of the recommendation, since too little of it was "
        "measured: first tokens came after {low:.1f} to {high:.1f} times such an estimate; "
        "gpuspec estimate with --prefill-gpus tells more.",
        low=of["low"],
        high=of["high"],
    )


def why_not(best: pd.DataFrame) -> str:
    """Say of each GPU that does not serve the load what stands against it."""
    return " ".join(
        say("{gpu} does not: {reason} ({r}).", gpu=r.gpu, reason=r.reason, r=_split(r))
        for r in rows(best)
        if not r.works
    )


def run_sentence(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say which replica the commands start; of a load that no GPU serves, why."""
    chosen = fewest(best)
    if chosen.empty:
        return why_not(best)
    row = chosen.iloc[0]
    size, copies = int(row["replica_gpus"]), round(row["replicas"])
    return started(question.network.name, size, row["gpu"], _split(row), copies)


def _times(q: ServingQuestion, row: pd.Series) -> str:
    if q.network.kind == "encoder":
        return say("each sequence answered after {ttft_s:.2f} s", ttft_s=row["ttft_s"])
    most = (
        "95 % of the requests have their first token after {ttft_s:.2f} s and then one each "
        "{tpot_ms:.0f} ms"
    )
    usual = "with the first token after {ttft_s:.2f} s and then one each {tpot_ms:.0f} ms"
    times = {"ttft_s": row["ttft_s"], "tpot_ms": row["tpot_s"] * 1e3}
    return say(most if q.arriving else usual, **times)


def option_sentences(question: ServingQuestion, best: pd.DataFrame) -> str:
    """Say for each GPU how the load is run, how fast with its interval, or why it is not."""
    said = []
    for r in rows(best):
        if not r.works:
            said.append(f"{r.gpu}: {r.reason} ({_split(r)}).")
            continue
        split = _split(r)
        copies = (
            say("{replicas} replicas of {split}", replicas=r.replicas, split=split)
            if r.replicas > 1
            else say("one replica, {split}", split=split)
        )
        speed = say("{output_tokens_s:,.0f} tokens/s", output_tokens_s=r.output_tokens_s)
        span = say(
            "{output_tokens_s_low:,.0f} to {output_tokens_s_high:,.0f}",
            output_tokens_s_low=r.output_tokens_s_low,
            output_tokens_s_high=r.output_tokens_s_high,
        )
        time = say(
            "TPOT {tpot_s:.0f} ms, TTFT {ttft_s:.2f} s", tpot_s=r.tpot_s * 1000.0, ttft_s=r.ttft_s
        )
        if question.network.kind == "encoder":
            sequences = r.output_tokens_s / question.prompt_tokens
            time = say(
                "{sequences:,.1f} sequences/s, each answered after {ttft_s:.2f} s",
                sequences=sequences,
                ttft_s=r.ttft_s,
            )
        time += say(" for 95 % of the requests") if question.arriving else ""
        stored = f"{'' if r.weight == STORED else 'in '}{format_title(r.weight)}"
        said.append(
            say(
                "{gpu} {stored}: {copies}; {speed} ({span}), {time}; bound by {bound}.",
                gpu=r.gpu,
                stored=stored,
                copies=copies,
                speed=speed,
                span=span,
                time=time,
                bound=r.bound,
            )
            + (f" {say(r.note)}{say('.')}" if r.note else "")
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
    weights = say("; ").join(say(form.words) for form in question.formats)
    said = say("Weights in {weights}.", weights=weights)
    if question.network.kind != "encoder":
        said += say(" Cache in {upper}.", upper=question.kv_format.upper())
    return f"{said} {question.network.doubts}".rstrip()


def load_sentence(question: Load) -> str:
    """Say what load was understood, where it comes from, and what the mean of the day is."""
    q = question
    each = say("{value:g} s between an answer and the next request", value=q.think_s or 0)
    each = say("{pace:g} requests an hour each", pace=q.pace) if q.pace else each
    people = say(
        "{value:,} users, {active_share:.0%} of them active, {each}: ",
        value=q.users or 0,
        active_share=q.active_share,
        each=each,
    )
    flight = say("{in_flight:,} requests in flight", in_flight=q.in_flight)
    load = (people if q.users else "") + flight
    if q.arriving:
        load = (people if q.users else "") + say(
            "{arriving:.3g} requests/s in the busiest hour", arriving=q.arriving
        )
    if q.peak_factor > 1:
        mean = q.arriving or q.in_flight
        unit = "requests/s" if q.arriving else say("in flight")
        load += say(
            ", {mean:.3g} {unit} in the mean of the day", mean=mean / q.peak_factor, unit=unit
        )
    said = say("Load: {load}; {isl} in", load=load, isl=_tokens(q.isl, q.isl_cv))
    if q.network.kind != "encoder":
        said += say(", {osl} out", osl=_tokens(q.osl, q.osl_cv))
    return f"{said}. {limits_sentence(q)} {filled_sentence(q)}".strip()


def _tokens(mean: int, spread: float) -> str:
    return say("{mean:,} tokens", mean=mean) + (
        say(" (mean; spread {spread:.2g})", spread=spread) if spread else ""
    )


def day_sentence(question: Load, day: pd.DataFrame) -> str:
    """Say what the busiest hour needs beside the mean of the day."""
    q = question
    if q.peak_factor <= 1:
        return say(
            "Every hour is taken to be the busiest one; peak_factor says how far it is above."
        )
    fleets = [
        say(
            "{gpus:,} x {gpu} (the mean: {mean_gpus:,})",
            gpus=r.gpus,
            gpu=r.gpu,
            mean_gpus=r.mean_gpus,
        )
        for r in rows(day)
    ]
    return say(
        "The busiest hour is {peak_factor:.3g} times the mean of the day. It needs {value}.",
        peak_factor=q.peak_factor,
        value=listed(fleets) or "more than any fleet that was tried",
    )


def limits_sentence(question: Load) -> str:
    """Say the limits of both times."""
    q = question
    ttft = (
        say("at most {ttft_limit_s:g} s to the first token", ttft_limit_s=q.ttft_limit_s)
        if q.ttft_limit_s
        else ""
    )
    tpot = (
        say("at most {tpot_limit_s:g} ms between tokens", tpot_limit_s=q.tpot_limit_s * 1000.0)
        if q.tpot_limit_s
        else ""
    )
    said = [text for text in (ttft, tpot) if text]
    return say("Limits: {said}.", said=listed(said)) if said else say("No limits of time.")


def filled_sentence(question: Load) -> str:
    """Say which fields nobody gave, and where their values come from."""
    q, said = question, []
    measured = set(q.measured) & q.filled
    if q.trace:
        said.append(
            say(
                "{lengths} gives {measured}: {told}.",
                lengths=q.lengths,
                measured=_fields(measured),
                told=q.trace.told,
            )
        )
    usual = set(q.filled) - measured
    usual |= {"requests_per_hour"} if q.pace and q.requests_per_hour is None else set()
    if q.use_case != "general" and usual:
        said.append(
            say("The use case {use_case} gives {usual}.", use_case=q.use_case, usual=_fields(usual))
        )
    limit = q.network.max_context
    beyond = float(share_longer(q.prompt_tokens, q.isl_cv, limit)) if limit and q.isl_cv else 0.0
    if beyond >= CUT:
        said.append(
            say(
                "{beyond:.1%} of the prompts would be longer than the {limit:,} tokens of the "
                "model.",
                beyond=beyond,
                limit=limit,
            )
        )
    return " ".join(said)


def _fields(names: set[str]) -> str:
    return listed(sorted(names)) or say("nothing that was not given")


def software_sentence(question: Replicas) -> str:
    """Say which software, of which time, the constants describe."""
    runtime = question.runtime
    era = next(row for row in table_rows("engines") if row["id"] == runtime.id)
    began, ended = era["released_from"], era["released_to"]
    span = (
        say(
            ", released {value}",
            value=say("{began} to {ended}", began=began, ended=ended)
            if ended
            else say("since {began}", began=began),
        )
        if began
        else ""
    )
    said = say("Software: {name}{span}.", name=runtime.name, span=span)
    if runtime.beyond_measured:
        said += say(
            " No measurement of {engine_version} or later is in the fit.",
            engine_version=question.engine_version,
        )
    return said


def arrivals_finding(seen: pd.DataFrame) -> str:
    """Say how far below its largest rate a fleet must stay for a short wait."""
    alike: dict[str, list[str]] = {}
    for name, group in seen.groupby("gpu", sort=False):
        calm = group["ttft_p95_s"] <= 2 * group["ttft_p95_s"].iloc[0]
        share = float(group["utilisation"][calm].max())
        alike.setdefault(f"{share:.0%}", []).append(str(name))
    said = [
        say("{names} up to {share}", names=listed(names), share=share)
        for share, names in alike.items()
    ]
    return say(
        "95 % wait at most twice as long as when idle: {said} of full load", said=listed(said)
    )


def undrawn(question: ServingQuestion) -> str:
    """Say why there is nothing to draw of tokens in turn, or of requests that come at random."""
    if question.network.kind != "encoder":
        return say("No fleet serves the load, so there is nothing to draw.")
    return say(
        "{name} is an encoder: it answers with no token after the other, so there is no time "
        "between tokens, and its arrivals at random are not modelled.",
        name=question.network.name,
    )


def context_finding(table: pd.DataFrame, gpus: int) -> str:
    """Say where each GPU runs out of memory as prompts grow."""
    lost = []
    for name in table:
        gone = table.index[table[name] <= 0]
        if len(gone):
            lost.append(say("{name} at {gone:,} tokens", name=name, gone=gone[0]))
    if not lost:
        return say(
            "{gpus} of each GPU can hold a request of every length to {index:,} tokens",
            gpus=gpus,
            index=table.index[-1],
        )
    return say(
        "With {gpus} memory runs out on {lost}", gpus=counted(gpus, "GPU"), lost=listed(lost)
    )
