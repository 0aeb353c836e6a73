"""Sentences about what fits where."""

import pandas as pd

from gpuspec.base.units import GB, GIB, format_bytes
from gpuspec.catalog import Gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.models.formats import stored_bytes
from gpuspec.topics.memory import MemoryQuestion, request_kv_bytes, state_bytes
from gpuspec.views.columns import amount
from gpuspec.views.words import count_words, ground_sentence, listed, rows


def weights_sentence(question: MemoryQuestion) -> str:
    """Say what the model weighs in decimal and in driver's units."""
    q = question
    size, model = stored_bytes(q.network, q.weight), q.network
    towers = model.tower_params
    beside = f", {count_words(towers)} of them in its towers for images and sound" if towers else ""
    return (
        f"{model.name} has {count_words(model.params + towers)} parameters{beside}: "
        f"{amount(size / GB)} GB in {q.weight.words}, which a driver counts as "
        f"{amount(size / GIB)} GiB. "
        + listed([f"{g.name} has {g.memory_bytes / GIB:,.1f} GiB" for g in q.devices])
        + f". {model.doubts}"
    ).rstrip()


def formats_sentence(question: MemoryQuestion) -> str:
    """Say in what formats weights and cache are, and who says so."""
    said = f"Weights in {question.weight.words}."
    if question.network.kind != "encoder":
        said += f" Cache in {question.kv_format.upper()}."
    return f"{said} {question.network.doubts}".rstrip()


def answer_sentences(question: MemoryQuestion, table: pd.DataFrame, smallest: pd.DataFrame) -> str:
    """Say what holds the asked load, then what one GPU of each kind holds."""
    found = serving_finding(question, smallest)
    return f"{found}. {single_gpu_sentences(question, table)}"


def serving_finding(question: MemoryQuestion, smallest: pd.DataFrame) -> str:
    """Say how many of each GPU hold the asked load."""
    q = question
    load = f"{q.concurrency:,} requests of {q.context:,} tokens"
    enough = [f"{r.gpus} x {r.gpu}" for r in rows(smallest) if r.fits]
    short = [f"{r.gpu}" for r in rows(smallest) if not r.fits]
    text = f"{q.network.name} with {load} fits on {listed(enough)}" if enough else ""
    if short:
        most = f"even {smallest['gpus'].max()} of {listed(short)} do not hold it"
        text = f"{text}; {most}" if text else f"{q.network.name} with {load}: {most}"
    return text


def single_gpu_sentences(question: MemoryQuestion, table: pd.DataFrame) -> str:
    """Say for each GPU on its own whether the model runs, and how long a context remains."""
    said, beyond = [], question.network.max_context
    for row in rows(table[table["gpus"] == 1]):
        if row.max_context < 1:
            said.append(f"One {row.gpu}: {row.verdict}.")
        else:
            most = min(row.max_context, beyond or row.max_context)
            alone = f"one request of up to {most:,.0f} tokens fits"
            alone += ", as many as the model reads" if most == beyond else ""
            said.append(f"One {row.gpu}: {row.verdict}; {alone}.")
    if beyond and question.context > beyond:
        said.append(f"Mind that the model itself ends at {beyond:,} tokens.")
    said += [ground_sentence(**told) for told in table.loc[table["gpus"] == 1, "ground"].head(1)]
    return " ".join(said)


def kv_sentence(question: MemoryQuestion) -> str:
    """Say what one token and one request take of the cache."""
    q = question
    if q.network.kind == "encoder":
        return f"{q.network.name} is an encoder: it reads a sequence once and keeps no cache."
    kept = state_bytes(q)
    token = (float(request_kv_bytes(q, 16)) - kept) / 16
    request = float(request_kv_bytes(q, q.context))
    always = f" ({format_bytes(kept)} of it whatever its length)" if kept else ""
    spans = sorted(
        {b.sliding_window for b in q.network.blocks if b.sliding_window and b.cache == "own"}
    )
    seen = listed([f"{span:,}" for span in spans])
    capped = f" (layers with a window keep the last {seen} tokens only)" if spans else ""
    return (
        f"With {_attention(q.network)} a token takes {format_bytes(token)} of cache "
        f"in {q.kv_format.upper()}{capped}, so a request of {q.context:,} tokens takes "
        f"{format_bytes(request)}{always} and {q.concurrency:,} of them "
        f"{format_bytes(request * q.concurrency)}, over all GPUs that share the model."
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
        kinds[b.attention] + (" to chosen tokens" if b.index_topk else "")
        for b in network.blocks
        if b.attention != "none" and b.cache == "own"
    ]
    if any(block.mixer in ("linear", "both") for block in network.blocks):
        found.append("recurrent states")
    return listed(list(dict.fromkeys(found)))


def kv_finding(question: MemoryQuestion, context: int) -> str:
    """Say what the cache of one request of `context` tokens comes to."""
    size = float(request_kv_bytes(question, context))
    if not size:
        return f"{question.network.name} keeps no cache"
    return f"At {context:,} tokens one request takes {format_bytes(size)} of cache"


def sequences_finding(table: pd.DataFrame) -> str:
    """Say how the options compare at the shortest and at the longest context they reach."""
    best = table.iloc[0].idxmax()
    worst = table.iloc[0].idxmin()
    short, ratio = table.index[0], table.iloc[0].max() / max(table.iloc[0].min(), 1)
    if best == worst or table.iloc[0].max() < 1:
        return "Requests that fit at once, against their length"
    return f"At {short:,} tokens {best} holds {ratio:.1f} times the requests of {worst}"


def training_finding(question: MemoryQuestion, table: pd.DataFrame) -> str:
    """Say which ways to train fit the GPUs asked for."""
    largest: Gpu = max(question.devices, key=lambda g: g.memory_bytes)
    fitting = table.loc[table[f"fits {largest.id}"], "policy"].tolist()
    job = f"{question.training_gpus} x {largest.id} hold"
    job += "s" if question.training_gpus == 1 else ""
    if not fitting:
        return f"{job} {question.network.name} in none of these ways to train"
    return f"{job} {question.network.name} in training with: {'; '.join(fitting)}"
