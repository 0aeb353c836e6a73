"""What machines and servers print: links, Linpack, logs of a start, MLPerf, nvidia-smi."""

import re
from contextlib import suppress

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.constants.fabrics import link_key
from gpuspec.evidence.importing.found import SOME, Cells, Found, first, number
from gpuspec.evidence.importing.serving import kv_format, weight_format

RANK = re.compile(rf"# +Rank +\d+ {SOME}? on +(\S+) +device +\d+ " + r"\[[^\]\n]{0,40}\] (.+)")
NCCL = re.compile(
    r"^(?:\[[^\]\n]*\]<stdout>:)?[ \t]*(\d+)\s+(\d+)\s+(\w+)\s+(\w+)\s+(-?\d+)\s+([\d.]+)"
    r"\s+([\d.]+)\s+([\d.]+)\s",
    re.MULTILINE,
)
"""Size, count, type, operation of a reduction, root, then µs, algorithm and bus bandwidth."""
HPL = re.compile(
    r"^(W[RC]\w+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+([\d.]+(?:e[+-]?\d+)?)", re.MULTILINE
)
SIDES = ("Scheduled", "Completed")
"""Rates of a server run: requests were sent at the first."""
GIB_A_TOKEN = "kv_per_token is the memory of the cache over the tokens that it holds"


def nccl(text: str) -> Found:
    """Read what nccl-tests print, out of place; the ranks say GPUs and nodes."""
    ranks, assumed = RANK.findall(text), ["seconds are those out of place"]
    hosts = list(dict.fromkeys(host for host, _ in ranks))
    names = {name.strip() for _, name in ranks}
    lines = [(*m[:5], *map(float, m[5:])) for m in NCCL.findall(text)]
    if not lines:
        raise InputError("file", "nccl-tests", "it is of nccl-tests, and holds no result")
    operation = first(text, r"Collective test starting: (\w+)_perf") or first(
        text, r"(\w+)_perf +-", r"/(\w+)_perf"
    )
    count = len(ranks)
    if operation is None:
        operation = _operation(lines, count)
        assumed += [f"operation {operation} follows from bus over algorithm bandwidth"] * bool(
            operation
        )
    device, link = names.pop() if len(names) == 1 else "", ""
    with suppress(InputError):
        link = link_key(gpu(device)) if device else ""
    if link:
        assumed.append(f"link {link} is what joins all such GPUs in the vendor's boards")
    rows = tuple(
        {
            "gpu": device,
            "link": link,
            "operation": {"alltoall": "all_to_all", "sendrecv": "send_recv"}.get(
                operation or "", operation
            ),
            "message_bytes": float(size),
            "nodes": float(len(hosts)) or np.nan,
            "gpus_per_node": count / len(hosts) if hosts else np.nan,
            "seconds": us / 1e6,
        }
        for size, _, _, _, _, us, _, _ in lines
        if float(size) > 0 and us > 0
    )
    return Found("nccl-tests", "collectives", rows, assumed=tuple(assumed))


def _operation(lines: list[tuple[object, ...]], count: int) -> str | None:
    """Return the operation by its columns; None where several print the same."""
    _, _, _, reduction, root, _, algorithm, bus = lines[-1]
    if root != "-1":
        return "reduce" if reduction != "none" else "broadcast"
    if reduction == "none" or not float(str(algorithm)) > 0:
        return None
    ratio = float(str(bus)) / float(str(algorithm))
    return "all_reduce" if count > 1 and ratio >= 1 else "reduce_scatter"


def hpl(text: str) -> Found:
    """Read a result of HPL; each process of its grid has one GPU, as NVIDIA's has."""
    rows: list[Cells] = [
        {
            "workload": "hpl",
            "metric": "gflops",
            "value": float(gflops),
            "n_gpus": float(p) * float(q),
            "precision": "FP64",
            "case": f"N {n}, NB {nb}",
        }
        for _, n, nb, p, q, _, gflops in HPL.findall(text)
    ]
    failed = re.search(r"(\d+) tests completed and failed", text)
    if failed and int(failed[1]) > 0:
        valid = f"{failed[1]} of its results failed the check of residuals: solve that first"
        raise InputError("file", "HPL", valid)
    return Found("HPL", "hpc", tuple(rows), assumed=("n_gpus is P x Q: one GPU a process",))


def vllm_log(text: str) -> Found:
    """Read how a server of vLLM starts: settings, weights and cache of a GPU."""
    says: Cells = {
        "model": first(text, r"with config: model='([^']+)'", r"model_tag='([^']+)'"),
        "engine": "vllm",
        "engine_version": first(text, r"engine \(v([\w.]+)\)", r"version ([\d.]+\w*)"),
        "tp": number(first(text, r"tensor_parallel_size'?[=:] ?(\d+)")),
        "pp": number(first(text, r"pipeline_parallel_size'?[=:] ?(\d+)")),
        "kv_precision": kv_format(first(text, r"kv_cache_dtype'?[=:] ?'?(\w+)")),
        "weight_precision": weight_format(first(text, r"[ ,]quantization=(\w+)")),
    }
    weights = first(
        text,
        r"[Mm]odel loading took ([\d.]+) ?Gi?B",
        r"Loading model weights took ([\d.]+) ?GB",
        r"model weights take ([\d.]+)GiB",
    )
    cache = first(text, r"Available KV cache memory: ([\d.]+) GiB", r"KV Cache is ([\d.]+)GiB")
    tokens = number(first(text, r"GPU KV cache size: ([\d,]+) tokens"))
    blocks = number(first(text, r"# (?:GPU|cuda) blocks: (\d+)"))
    size = number(first(text, r"block_size=(\d+)"))
    if not tokens > 0:
        tokens = blocks * (size if size > 0 else 16)
    return _start("start of a vLLM server", says, number(weights), number(cache), tokens)


def sglang_log(text: str) -> Found:
    """Read how a server of SGLang starts; its GB are GiB."""
    says: Cells = {
        "model": first(text, r"model_path='([^']+)'"),
        "engine": "sglang",
        "tp": number(first(text, r"tp_size=(\d+)")),
        "pp": number(first(text, r"pp_size=(\d+)")),
        "ep": number(first(text, r"ep_size=(\d+)")),
        "kv_precision": kv_format(first(text, r"kv_cache_dtype='(\w+)'")),
        "weight_precision": weight_format(first(text, r"quantization='(\w+)'")),
    }
    ranks = {int(rank) for rank in re.findall(r" TP(\d+)\] Load weight end", text)}
    if ranks and not float(str(says["tp"])) > 0:
        says["tp"] = float(max(ranks) + 1)
    weights = first(text, rf"Load weight end\.{SOME}?mem usage=([\d.]+) GB")
    cache = re.search(
        r"KV Cache is allocated\. #tokens: (\d+), (?:K size: ([\d.]+) GB, V size: ([\d.]+)"
        r"|KV size: ([\d.]+)) GB",
        text,
    )
    size = sum(float(part) for part in (cache.groups()[1:] if cache else ()) if part)
    tokens = float(cache[1]) if cache else np.nan
    return _start("start of a SGLang server", says, number(weights), number(size), tokens)


def _start(tool: str, says: Cells, weights: float, cache: float, tokens: float) -> Found:
    """Return the weights of a GPU and the cache of a token as rows of memory."""
    sizes = {name: says[name] for name in ("model", "tp", "pp", "weight_precision", "kv_precision")}
    sizes |= {"measure": "engine log"}
    rows = []
    if weights > 0:
        rows.append({**sizes, "part": "weights", "value_gib": weights})
    if cache > 0 and tokens > 0:
        rows.append({**sizes, "part": "kv_per_token", "value_gib": cache / tokens})
    assumed = (GIB_A_TOKEN,) if len(rows) > 1 or (rows and not weights > 0) else ()
    return Found(tool, "memory" if rows else "", tuple(rows), says, assumed)


def mlperf(text: str) -> Found:
    """Read a summary of MLPerf Inference's load generator."""
    verdict = first(text, r"Result is *: *(\w+)")
    if verdict != "VALID":
        raise InputError("file", "MLPerf summary", f"its result is {verdict}: repeat the run")
    scenario = first(text, r"^Scenario *: *(\w+)")
    tokens = number(
        first(text, r"^(?:Completed )?[Tt]okens per second(?: \(inferred\))? *: *([\d.e+]+)")
    )
    rate = number(first(text, *(rf"^{side} samples per second *: *([\d.e+]+)" for side in SIDES)))
    row: Cells = {
        "scenario": "serving" if scenario == "Server" else "inflight_max",
        "client": "in process",
        "lengths": "varied",
        "output_tokens_per_s_total": tokens,
    }
    if scenario == "Server":
        row["request_rate"] = rate
        row["ttft_ms"] = number(first(text, r"Mean First Token latency \(ns\) *: *(\d+)")) / 1e6
        row["tpot_ms"] = (
            number(first(text, r"Mean Time (?:per|to) Output Token \(ns\) *: *(\d+)")) / 1e6
        )
    assumed = ("requests are sent in the process of the engine, as MLPerf's harnesses do",)
    return Found("MLPerf Inference summary", "inference", (row,), assumed=assumed)


def nvidia_smi(text: str) -> Found:
    """Read ``nvidia-smi -q -x``: which GPUs a machine has, and their power limit."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        cards = fromstring(text.encode(), forbid_dtd=False).findall("gpu")
    except (ParseError, DefusedXmlException) as error:
        raise InputError("file", "nvidia-smi", f"it is no plain XML: {error}") from None
    names = {str(card.findtext("product_name") or "").strip() for card in cards}
    if len(names) != 1 or "" in names:
        shown = ", ".join(sorted(names)) or "none"
        raise InputError("file", "nvidia-smi", f"its GPUs must be of one kind; it lists {shown}")
    limits = [
        number((card.findtext(f"{place}/{name}") or "").split(" ")[0])
        for card in cards
        for place in ("gpu_power_readings", "power_readings")
        for name in ("current_power_limit", "power_limit", "enforced_power_limit")
    ]
    name = names.pop()
    limit = min((watts for watts in limits if watts > 0), default=np.nan)
    limit = np.nan if limit >= known_power_w(name) else limit
    sliced = any((card.findtext("mig_mode/current_mig") or "") == "Enabled" for card in cards)
    assumed = ("MIG is on: what ran on a slice is no figure of the whole GPU",) if sliced else ()
    says: Cells = {"gpu": name, "n_gpus": float(len(cards)), "power_limit_w": limit}
    return Found("nvidia-smi", says=says, assumed=assumed)


def known_power_w(name: str) -> float:
    """Return the power of a GPU of the table, of which a lower limit is told; else NaN."""
    try:
        return float(gpu(name).tdp_w)
    except InputError:
        return np.nan
