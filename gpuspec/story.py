"""Sentences that read a table for the decision, true for whatever was asked."""

from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.connect import ENOUGH, InterconnectQuestion
from gpuspec.deploy import InferenceQuestion
from gpuspec.fit import MemoryQuestion, request_kv_bytes
from gpuspec.jobs import TrainingQuestion
from gpuspec.units import GB, GIB, format_bytes


def _rows(table: pd.DataFrame) -> Any:
    return table.itertuples()


def listed(words: list[str]) -> str:
    """Join words as a sentence does.

    >>> listed(["A100", "H100", "H200"])
    'A100, H100 and H200'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def weights_sentence(question: MemoryQuestion) -> str:
    """Say what the model weighs in decimal and in driver's units."""
    q = question
    size = q.network.params * 2.0
    return (
        f"{q.network.name} has {q.network.params / 1e9:,.2f} billion parameters: in BF16 "
        f"{size / GB:,.1f} GB, which a driver counts as {size / GIB:,.1f} GiB. "
        + listed([f"{g.name} has {g.memory_bytes / GIB:,.1f} GiB" for g in q.gpus])
        + "."
    )


def serving_finding(question: MemoryQuestion, smallest: pd.DataFrame) -> str:
    """Say how many of each GPU hold the asked load."""
    q = question
    load = f"{q.concurrency:,} requests of {q.context:,} tokens"
    enough = [f"{r.gpus} x {r.gpu}" for r in _rows(smallest) if r.fits]
    short = [f"{r.gpu}" for r in _rows(smallest) if not r.fits]
    text = f"{q.network.name} with {load} fits on {listed(enough)}" if enough else ""
    if short:
        most = f"even {smallest['gpus'].max()} of {listed(short)} do not hold it"
        text = f"{text}; {most}" if text else f"{q.network.name} with {load}: {most}"
    return text


def single_gpu_sentences(question: MemoryQuestion, table: pd.DataFrame) -> str:
    """Say for each GPU on its own whether the model runs, and how long a context remains."""
    said = []
    for row in _rows(table[table["gpus"] == 1]):
        if row.max_context < 1:
            said.append(f"One {row.gpu}: {row.verdict}.")
        else:
            alone = f"one request of up to {row.max_context:,.0f} tokens"
            said.append(f"One {row.gpu}: {row.verdict}; {alone} fits.")
    beyond = question.network.max_context
    if beyond and question.context > beyond:
        said.append(f"Mind that the model itself ends at {beyond:,} tokens.")
    return " ".join(said)


def kv_sentence(question: MemoryQuestion) -> str:
    """Say what one token and one request take of the cache."""
    q = question
    token = float(request_kv_bytes(q, 16)) / 16
    request = float(request_kv_bytes(q, q.context))
    kind = {"mha": "multi-head", "gqa": "grouped-query", "mqa": "multi-query", "mla": "latent"}
    return (
        f"With {kind[q.network.attention]} attention a token takes {format_bytes(token)} of cache "
        f"in {q.kv_precision.upper()}, so a request of {q.context:,} tokens takes "
        f"{format_bytes(request)} and {q.concurrency:,} of them "
        f"{format_bytes(request * q.concurrency)}, over all GPUs that share the model."
    )


def kv_finding(question: MemoryQuestion, context: int) -> str:
    """Say what the cache of one request of `context` tokens comes to."""
    size = float(request_kv_bytes(question, context))
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
    """Say which ways to train fit the GPUs asked for, at the upper end of the interval."""
    largest: Gpu = max(question.gpus, key=lambda g: g.memory_bytes)
    fitting = table.loc[table["high"] <= largest.memory_bytes, "policy"].tolist()
    job = f"{question.training_gpus} x {largest.id}"
    if not fitting:
        return f"{job} hold {question.network.name} in none of these ways to train"
    return f"{job} hold {question.network.name} in training with: {'; '.join(fitting)}"


def option_finding(question: InferenceQuestion, best: pd.DataFrame) -> str:
    """Say how many of each GPU serve the asked load within its limits."""
    q = question
    good = [f"{r.gpus} x {r.gpu}" for r in _rows(best) if r.works]
    bad = [f"{r.gpu}" for r in _rows(best) if not r.works]
    asked = f"{q.request_rate:g} requests/s" if q.request_rate else f"{q.concurrency:,} requests"
    load = f"{q.network.name}, {asked} of {q.isl:,} + {q.osl:,} tokens"
    if not good:
        return f"{load}: none of {listed(bad)} serves it within the limits"
    text = f"{load}: {listed(good)}"
    return f"{text}; {listed(bad)} cannot" if bad else text


def option_sentences(question: InferenceQuestion, best: pd.DataFrame) -> str:
    """Say for each GPU how the load is run, how fast with its interval, or why it is not."""
    said = []
    for r in _rows(best):
        if not r.works:
            said.append(f"{r.gpu}: {r.reason} (TP {r.tp}, PP {r.pp}).")
            continue
        split = f"TP {r.tp}" + (f" x PP {r.pp}" if r.pp > 1 else "")
        copies = f"{r.replicas} replicas of {split}" if r.replicas > 1 else f"one replica, {split}"
        speed = f"{r.output_tokens_s:,.0f} tokens/s"
        span = f"{r.output_tokens_s_low:,.0f} to {r.output_tokens_s_high:,.0f}"
        time = f"TPOT {r.tpot_s * 1e3:.0f} ms, TTFT {r.ttft_s:.2f} s"
        time += " for 95 % of the requests" if question.request_rate else ""
        said.append(
            f"{r.gpu} in {r.weight.upper()}: {copies}; {speed} ({span}), {time}; "
            f"bound by {r.bound}." + (f" {r.note}." if r.note else "")
        )
    return " ".join(said)


def deadline_finding(question: TrainingQuestion, answer: pd.DataFrame) -> str:
    """Say how many of each GPU train the model in time."""
    q = question
    job = f"{q.network.name} on {q.tokens:.3g} tokens in {q.deadline_days:g} days"
    met = [f"{r.gpus:,} x {r.gpu}" for r in _rows(answer) if r.meets]
    late = [str(r.gpu) for r in _rows(answer) if not r.meets]
    if not met:
        return f"{job}: none of the numbers tried does it"
    text = f"{job}: {listed(met)}"
    return f"{text}; {listed(late)} not with the numbers tried" if late else text


def deadline_sentences(question: TrainingQuestion, answer: pd.DataFrame) -> str:
    """Say for each GPU how the job is run, how long it takes, or why it does not work."""
    said = []
    for r in _rows(answer):
        if not r.works:
            said.append(f"{r.gpu}: {r.reason}.")
            continue
        split = ", ".join(
            f"{name.upper()} {getattr(r, name)}"
            for name in ("tp", "pp", "cp", "ep", "dp")
            if getattr(r, name) > 1
        )
        again = ", full recomputation" if r.recompute == "full" else ""
        sharded = ", ZeRO-3" if r.zero_stage == 3 else ""
        said.append(
            f"{r.gpus:,} x {r.gpu} ({split or 'one GPU'}{sharded}{again}): {r.days:,.1f} days "
            f"({r.days_low:,.1f} to {r.days_high:,.1f}), MFU {r.mfu:.0%}, "
            f"{r.gpu_hours:,.0f} GPU-hours, {r.kwh / 1e3:,.0f} MWh; {r.verdict}."
        )
    return " ".join(said)


def scaling_finding(table: pd.DataFrame) -> str:
    """Say what share of its speed a GPU keeps in the largest job of the same batch."""
    strong = table[table["kind"] == "strong"]
    if strong.empty:
        return "The job fits none of these numbers of GPUs"
    last = strong.groupby("gpu", sort=False).tail(1)
    said = [f"{r.gpu} {r.efficiency:.0%}" for r in _rows(last)]
    return f"Same batch on {strong['gpus'].max():,} GPUs: a GPU keeps {listed(said)} of its speed"


def mfu_finding(table: pd.DataFrame, job: str) -> str:
    """Say which split is the best and how much the worst that works loses."""
    values = table.to_numpy(float)
    if not np.isfinite(values).any():
        return f"{job}: no split works"
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    tp, pp = list(table.index)[int(row)], list(table.columns)[int(column)]
    lost = 1 - np.nanmin(values) / np.nanmax(values)
    return f"{job}: best with TP {tp} and PP {pp}; the worst split loses {lost:.0%}"


def size_finding(table: pd.DataFrame, new: str, old: str) -> str:
    """Say between which ratios of speed, and so of price, two GPUs lie over all sizes."""
    known = table.dropna(subset=["ratio"])
    if known.empty:
        return f"No size trains on both {new} and {old}"
    low, high = known["ratio"].min(), known["ratio"].max()
    return f"{new} trains {low:.1f} to {high:.1f} times as fast as {old}, small models or large"


def arrivals_finding(seen: pd.DataFrame) -> str:
    """Say how far below its largest rate a fleet must stay for a short wait."""
    if seen.empty:
        return "No fleet serves the load"
    said = []
    for name, group in seen.groupby("gpu", sort=False):
        calm = group["ttft_p95_s"] <= 2 * group["ttft_p95_s"].iloc[0]
        share = float(group["utilisation"][calm].max())
        said.append(f"{name} up to {share:.0%}")
    return f"95 % wait at most twice as long as when idle: {listed(said)} of full load"


def context_finding(table: pd.DataFrame, gpus: int) -> str:
    """Say where each GPU runs out of memory as prompts grow."""
    lost = []
    for name in table:
        gone = table.index[table[name] <= 0]
        if len(gone):
            lost.append(f"{name} at {gone[0]:,} tokens")
    if not lost:
        return f"{gpus} of each GPU hold a request at every length up to {table.index[-1]:,} tokens"
    return f"With {gpus} GPUs memory runs out on {listed(lost)}"


def bandwidth_finding(question: InterconnectQuestion, table: pd.DataFrame) -> str:
    """Say what the largest message reaches over each way to join the GPUs."""
    largest = table.groupby("wiring", sort=False).last()["bus_gb_s"]
    said = [f"{rate:,.0f} GB/s over {name}" for name, rate in _kinds(largest).items()]
    what = question.operation.replace("_", "-")
    return f"Large {what} of {question.gpus_per_node} GPUs: {listed(said)}"


def _kinds(rates: "pd.Series[float]") -> dict[str, float]:
    """Return the fastest of each kind of link, by its short name."""
    short = [str(name).split(" (")[0].split(",")[0] for name in rates.index]
    return {str(k): float(v) for k, v in rates.groupby(short, sort=False).max().items()}


def bandwidth_sentences(question: InterconnectQuestion, table: pd.DataFrame) -> str:
    """Say what share of its physical rate each link gives, and from which message on."""
    said = []
    for name, group in table.groupby("wiring", sort=False):
        last = group.iloc[-1]
        half = group[group["bus_gb_s"] >= last["bus_gb_s"] / 2].iloc[0]["message_bytes"]
        said.append(
            f"{name}: {last['bus_gb_s']:,.1f} GB/s ({last['bus_gb_s_low']:,.1f} to "
            f"{last['bus_gb_s_high']:,.1f}), {last['bus_gb_s'] / last['link_gb_s']:.0%} of the "
            f"link's {last['link_gb_s']:,.0f}; half of it from {format_bytes(half)} on."
        )
    return " ".join(said)


def time_with_interval(seconds: float, low: float, high: float) -> str:
    """Write a time and its interval in the unit that suits it.

    >>> time_with_interval(0.00125, 0.001, 0.0015)
    '1.25 ms (1 to 1.5)'
    """
    unit, factor = next(
        (u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)) if seconds * f >= 1 or u == "µs"
    )
    value, least, most = (f"{v * factor:,.3g}" for v in (seconds, low, high))
    return f"{value} {unit} ({least} to {most})"


def scale_finding(table: pd.DataFrame) -> str:
    """Say what the network leaves of the bandwidth inside a node."""
    said = []
    for name, group in table.groupby("wiring", sort=False):
        inside, last = group[group["nodes"] == 1].iloc[-1], group.iloc[-1]
        share = last["bus_gb_s"] / inside["bus_gb_s"]
        said.append(f"{share:.0%} ({name})" if share >= 0.1 else f"{share:.1%} ({name})")
    nodes = int(table["nodes"].max())
    return f"Over {nodes} nodes a large message keeps {listed(said)} of its bandwidth in one node"


def tensor_finding(table: pd.DataFrame) -> str:
    """Say what the widest tensor parallelism exposes over NVLink and over PCIe."""
    wide = table[table["tp"] == table["tp"].max()]
    pcie = wide["wiring"].str.startswith("PCIe")
    said = []
    for name, part in (("NVLink", wide[~pcie]), ("PCIe", wide[pcie])):
        if len(part):
            said.append(f"{part['share'].min():.0%} to {part['share'].max():.0%} over {name}")
    return f"TP {table['tp'].max()} waits {listed(said)} of a training step"


def network_finding(question: InterconnectQuestion, table: pd.DataFrame) -> str:
    """Say how fast two nodes are over the slowest network and the largest job over the best."""
    names = list(table["network"].unique())
    worst, best = (table[table["network"] == n] for n in (names[0], names[-1]))
    two, most = worst[worst["nodes"] > 1].iloc[0], best.iloc[-1]
    return (
        f"Over {names[0]} {two['nodes']} nodes train {question.network.name} at "
        f"{two['speed']:.2f} times the speed of one; over {names[-1]} {most['nodes']} nodes keep "
        f"{most['efficiency']:.0%}"
    )


def network_sentences(question: InterconnectQuestion, table: pd.DataFrame) -> str:
    """Say what each network makes of the largest number of nodes, in speed and days."""
    said = []
    if not table["fits"].all():
        said.append(f"{question.network.name} does not fit one node: read it as if it did.")
    for name, group in table.groupby("network", sort=False):
        last = group.iloc[-1]
        faster = group[(group["nodes"] > 1) & (group["speed"] > 1)]
        breaks = f"beats one node from {faster['nodes'].min()} nodes on"
        breaks = breaks if len(faster) else "never beats one node"
        span = f"{last['efficiency_low']:.0%} to {last['efficiency_high']:.0%}"
        said.append(
            f"{name}: {breaks}; {last['nodes']} nodes keep {last['efficiency']:.0%} ({span}), and "
            f"of {last['days']:,.1f} days {last['days_lost']:,.1f} go to the network."
        )
    return " ".join(said)


def waiting_finding(table: pd.DataFrame) -> str:
    """Say between which shares typical jobs wait, and for what most."""
    ran = table[table["reason"] == ""]
    if ran.empty:
        return "None of the typical jobs runs"
    ranked = ran.sort_values("share")
    least, most = ranked.iloc[0], ranked.iloc[-1]
    return (
        f"From {least['share']:.0%} ({least['job']}, {least['gpu']}) to {most['share']:.0%} "
        f"({most['job']}, {most['gpu']}) of a step is spent waiting for other GPUs"
    )


def form_finding(table: pd.DataFrame) -> str:
    """Say up to which model PCIe cards with peer access train as if NVLink joined them."""
    said = []
    for tuning, group in table[table["path"] == "peer"].groupby("tuning", sort=False):
        enough = group[group["kept"] >= ENOUGH]
        words = "for no model" if enough.empty else f"up to {enough['params'].max():.0f}B"
        said.append(f"{words} ({tuning})")
    return f"PCIe is enough {listed(said)}, where the cards reach each other directly"


def form_sentences(table: pd.DataFrame) -> str:
    """Give the verdict on PCIe and SXM: what the links cost, what the chip, and the worst path."""
    good = table[table["reason"] == ""]
    said = [
        f"Enough means: at least {ENOUGH:.0%} of the speed that the same cards would have if "
        "NVLink joined them."
    ]
    for pair, group in good.groupby("pair", sort=False):
        peer, host = (group[group["path"] == p] for p in ("peer", "host"))
        said.append(
            f"{pair}: the chip alone makes {group['card'].min():.0%} to "
            f"{group['card'].max():.0%}; of that PCIe leaves {peer['kept'].max():.0%} at best and "
            f"{peer['kept'].min():.0%} at worst peer to peer, {host['kept'].max():.0%} to "
            f"{host['kept'].min():.0%} through the host."
        )
    short = table.loc[table["reason"] != "", "model"].unique()
    if len(short):
        said.append(f"All weights of {listed(list(short))} fit no eight of these GPUs.")
    return " ".join(said)
