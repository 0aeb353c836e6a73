"""Sentences about what fits where."""

import pandas as pd

from gpuspec.base.units import GB, GIB, format_bytes
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.formats import stored_bytes
from gpuspec.topics.memory import MemoryQuestion, request_kv_bytes, state_bytes
from gpuspec.views.columns import amount
from gpuspec.views.language import say
from gpuspec.views.words import count_words, ground_sentence, listed, rows


def weights_sentence(question: MemoryQuestion) -> str:
    """Say what the model weighs in decimal and in driver's units."""
    q = question
    size, model = stored_bytes(q.network, q.weight), q.network
    towers = model.tower_params
    beside = (
        say(", {towers} of them in its towers for images and sound", towers=count_words(towers))
        if towers
        else ""
    )
    return (
        say(
            "{name} has {params} parameters{beside}: {size} GB in {words}, which a driver counts "
            "as {size_2} GiB. ",
            name=model.name,
            params=count_words(model.params + towers),
            beside=beside,
            size=amount(size / GB),
            words=q.weight.words,
            size_2=amount(size / GIB),
        )
        + listed(
            [
                say(
                    "{name} has {memory_bytes:,.1f} GiB",
                    name=g.name,
                    memory_bytes=g.memory_bytes / GIB,
                )
                for g in q.devices
            ]
        )
        + f". {model.doubts}"
    ).rstrip()


def formats_sentence(question: MemoryQuestion) -> str:
    """Say in what formats weights and cache are, and who says so."""
    said = say("Weights in {words}.", words=question.weight.words)
    if question.network.kind != "encoder":
        said += say(" Cache in {upper}.", upper=question.kv_format.upper())
    return f"{said} {question.network.doubts}".rstrip()


def serving_finding(question: MemoryQuestion, smallest: pd.DataFrame) -> str:
    """Say how many of each GPU hold the asked load."""
    q = question
    load = say(
        "{concurrency:,} requests of {context:,} tokens",
        concurrency=q.concurrency,
        context=q.context,
    )
    enough = [f"{r.gpus} x {r.gpu}" for r in rows(smallest) if r.fits]
    short = [f"{r.gpu}" for r in rows(smallest) if not r.fits]
    text = (
        say(
            "{name} with {load} fits on {enough}",
            name=q.network.name,
            load=load,
            enough=listed(enough),
        )
        if enough
        else ""
    )
    if short:
        most = say(
            "even {max} of {short} do not hold it", max=smallest["gpus"].max(), short=listed(short)
        )
        text = (
            f"{text}; {most}"
            if text
            else say("{name} with {load}: {most}", name=q.network.name, load=load, most=most)
        )
    return text


def single_gpu_sentences(question: MemoryQuestion, table: pd.DataFrame) -> str:
    """Say for each GPU on its own whether the model runs, and how long a context remains."""
    said, beyond = [], question.network.max_context
    for row in rows(table[table["gpus"] == 1]):
        if row.max_context < 1:
            said.append(say("One {gpu}: {verdict}.", gpu=row.gpu, verdict=row.verdict))
        else:
            most = min(row.max_context, beyond or row.max_context)
            alone = say("one request of up to {most:,.0f} tokens fits", most=most)
            alone += say(", as many as the model reads") if most == beyond else ""
            said.append(
                say("One {gpu}: {verdict}; {alone}.", gpu=row.gpu, verdict=row.verdict, alone=alone)
            )
    if beyond and question.context > beyond:
        said.append(say("Mind that the model itself ends at {beyond:,} tokens.", beyond=beyond))
    said += [ground_sentence(**told) for told in table.loc[table["gpus"] == 1, "ground"].head(1)]
    return " ".join(said)


def kv_sentence(question: MemoryQuestion) -> str:
    """Say what one token and one request take of the cache."""
    q = question
    if q.network.kind == "encoder":
        return say(
            "{name} is an encoder: it reads a sequence once and keeps no cache.",
            name=q.network.name,
        )
    kept = state_bytes(q)
    token = (float(request_kv_bytes(q, 16)) - kept) / 16
    request = float(request_kv_bytes(q, q.context))
    always = say(" ({kept} of it whatever its length)", kept=format_bytes(kept)) if kept else ""
    spans = sorted(
        {b.sliding_window for b in q.network.blocks if b.sliding_window and b.cache == "own"}
    )
    seen = listed([f"{span:,}" for span in spans])
    capped = (
        say(" (layers with a window keep the last {seen} tokens only)", seen=seen) if spans else ""
    )
    return say(
        "With {network} a token takes {token} of cache in {upper}{capped}, so a request of "
        "{context:,} tokens takes {request}{always} and {concurrency:,} of them {request_2}, "
        "over all GPUs that share the model.",
        network=_attention(q.network),
        token=format_bytes(token),
        upper=q.kv_format.upper(),
        capped=capped,
        context=q.context,
        request=format_bytes(request),
        always=always,
        concurrency=q.concurrency,
        request_2=format_bytes(request * q.concurrency),
    )


def _attention(network: Model) -> str:
    """Say what kinds of layers mix tokens."""
    kinds = {
        "mha": "multi-head attention",
        "gqa": "grouped-query attention",
        "mqa": "multi-query attention",
        "mla": "latent attention",
    }
    found = [
        kinds[b.attention] + (say(" to chosen tokens") if b.index_topk else "")
        for b in network.blocks
        if b.attention != "none" and b.cache == "own"
    ]
    if any(block.mixer in ("linear", "both") for block in network.blocks):
        found.append(say("recurrent states"))
    return listed(list(dict.fromkeys(found)))


def kv_finding(question: MemoryQuestion, context: int) -> str:
    """Say what the cache of one request of `context` tokens comes to."""
    size = float(request_kv_bytes(question, context))
    if not size:
        return say("{name} keeps no cache", name=question.network.name)
    return say(
        "At {context:,} tokens one request takes {size} of cache",
        context=context,
        size=format_bytes(size),
    )


def sequences_finding(table: pd.DataFrame) -> str:
    """Say how the options compare at the shortest and at the longest context they reach."""
    best = table.iloc[0].idxmax()
    worst = table.iloc[0].idxmin()
    short, ratio = table.index[0], table.iloc[0].max() / max(table.iloc[0].min(), 1)
    if best == worst or table.iloc[0].max() < 1:
        return say("Requests that fit at once, against their length")
    return say(
        "At {short:,} tokens {best} holds {ratio:.1f} times the requests of {worst}",
        short=short,
        best=best,
        ratio=ratio,
        worst=worst,
    )


def training_finding(question: MemoryQuestion, table: pd.DataFrame) -> str:
    """Say which ways to train fit the GPUs asked for."""
    largest: Gpu = max(question.devices, key=lambda g: g.memory_bytes)
    fitting = table.loc[table[f"fits {largest.id}"], "policy"].tolist()
    job = say("{training_gpus} x {id} hold", training_gpus=question.training_gpus, id=largest.id)
    job += "s" if question.training_gpus == 1 else ""
    if not fitting:
        return say(
            "{job} {name} in none of these ways to train", job=job, name=question.network.name
        )
    return say(
        "{job} {name} in training with: {fitting}",
        job=job,
        name=question.network.name,
        fitting=say("; ").join(say(way) for way in fitting),
    )
