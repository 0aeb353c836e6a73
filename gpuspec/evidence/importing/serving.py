"""Results of the clients that measure serving: vLLM, SGLang, TensorRT-LLM, AIPerf, GuideLLM."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.evidence.importing.found import Cells, Found, at, number

BACKENDS = {"vllm": "vllm", "sglang": "sglang", "trt": "tensorrt-llm", "tensorrt": "tensorrt-llm"}
"""How names of backends begin that say which engine answered; ``openai`` does not."""
IN_MS = {"ms": 1.0, "s": 1e3, "sec": 1e3, "seconds": 1e3, "us": 1e-3, "ns": 1e-6}
FULL = 0.85
"""Mean requests in flight over the most that there may be, from which a run was at full load."""
SAME = 0.02
"""Spread of lengths over their mean up to which all requests have one length."""
LENGTHS = "lengths are taken to vary, since the file does not say (lengths=fixed, if all are alike)"
MEAN = "isl and osl are means of what was sent and answered"


def bench(documents: Sequence[Mapping[str, Any]]) -> Found:
    """Read results of the clients of vLLM, SGLang and TensorRT-LLM, one document a run."""
    rows, assumed, tools = [], [MEAN], set()
    for one in documents:
        done = number(one.get("completed"))
        asked = number(one.get("num_prompts"))
        backend, server = str(one.get("backend") or ""), one.get("server_info")
        engine = next((e for b, e in BACKENDS.items() if backend.lower().startswith(b)), "")
        tools.add("SGLang" if server or engine == "sglang" else "vLLM")
        row: Cells = {
            "model": one.get("model_id") or at(server, "model_path"),
            "engine": engine,
            "isl": number(one.get("total_input_tokens")) / done,
            "osl": number(one.get("total_output_tokens")) / done,
            "concurrency": number(one.get("max_concurrency")),
            "request_rate": number(one.get("request_rate"), endless=True),
            "requests": done,
            "lengths": _lengths(one),
            "ttft_ms": number(one.get("mean_ttft_ms")),
            "tpot_ms": number(one.get("mean_tpot_ms")),
            "output_tokens_per_s_total": number(one.get("output_throughput")),
        }
        if isinstance(server, Mapping):
            row |= _sglang_server(server)
        rows.append(row)
        assumed += [LENGTHS] * (not row["lengths"])
        if asked > done:
            assumed.append(f"{asked - done:.0f} of {asked:.0f} requests failed and do not count")
    tool = f"benchmark client of {' and '.join(sorted(tools))}"
    return Found(tool, "inference", tuple(rows), assumed=tuple(dict.fromkeys(assumed)))


def _lengths(one: Mapping[str, Any]) -> str:
    """Return whether all requests have one length; blank where a file does not say.

    SGLang draws lengths between a share of the asked ones and all of them: 1 is one length.
    """
    if one.get("random_range_ratio") == 1:
        return "fixed"
    spreads = []
    for name in ("input_lens", "output_lens"):
        each = one.get(name)
        if not isinstance(each, list) or not each:
            return ""
        each = np.array([number(n) for n in each])
        if np.isnan(each).all():
            return ""
        spreads.append(np.nanstd(each) / max(np.nanmean(each), 1))
    return "fixed" if max(spreads) <= SAME else "varied"


def _sglang_server(server: Mapping[str, Any]) -> Cells:
    """Return what a server of SGLang says of itself to its client."""
    tp, dp = number(server.get("tp_size")), number(server.get("dp_size"))
    attention = dp if server.get("enable_dp_attention") else np.nan
    copies = 1.0 if attention > 0 or not dp > 0 else dp
    return {
        "tp": tp,
        "pp": number(server.get("pp_size")),
        "ep": number(server.get("ep_size")),
        "attention_dp": attention,
        "n_gpus": tp * copies * np.nan_to_num(number(server.get("pp_size")), nan=1.0),
        "engine_version": server.get("version"),
        "kv_precision": kv_format(server.get("kv_cache_dtype")),
        "weight_precision": weight_format(server.get("quantization")),
    }


def kv_format(name: object) -> str:
    """Return our word for the format of a cache; blank where an engine takes its default.

    >>> kv_format("fp8_e4m3"), kv_format("auto"), kv_format("bfloat16")
    ('fp8', '', 'bf16')
    """
    text = str(name or "").lower()
    return "fp8" if "fp8" in text else "int8" if "int8" in text else "bf16" * ("16" in text)


def weight_format(name: object) -> str:
    """Return our word for a quantisation that an engine was told; blank: as the model is stored.

    >>> weight_format("FP8"), weight_format("NVFP4"), weight_format("awq_marlin"), weight_format("")
    ('fp8', 'nvfp4', '', '')
    """
    text = str(name or "").lower()
    return next((form for form in ("nvfp4", "mxfp4", "fp8") if form in text), "")


def trtllm(documents: Sequence[Mapping[str, Any]]) -> Found:
    """Read reports of ``trtllm-bench``: all requests there from the start, or a bound on them."""
    rows, assumed = [], []
    for one in documents:
        world, sent = at(one, "world_info") or {}, at(one, "request_info") or {}
        speed, streamed = at(one, "performance") or {}, at(one, "streaming_metrics") or {}
        lengths = at(one, "dataset") or {}
        requests = number(sent.get("num_requests"))
        together = number(sent.get("avg_num_concurrent_requests"))
        tp, pp = number(world.get("tp_size")), number(world.get("pp_size"))
        row: Cells = {
            "gpu": at(one, "machine", "name"),
            "model": at(one, "engine", "model"),
            "engine": "tensorrt-llm",
            "engine_version": at(one, "engine", "version"),
            "weight_precision": weight_format(at(one, "engine", "quantization")),
            "kv_precision": kv_format(at(one, "engine", "kv_cache_dtype")),
            "tp": tp,
            "pp": pp,
            "ep": number(world.get("ep_size") or world.get("moe_ep_size")),
            "n_gpus": number(world.get("world_size")) if world.get("world_size") else tp * pp,
            "isl": number(sent.get("avg_input_length") or lengths.get("avg_isl")),
            "osl": number(sent.get("avg_output_length") or lengths.get("avg_osl")),
            "requests": requests,
            "max_sequences": number(world.get("max_batch_size")),
            "max_tokens": number(world.get("max_num_tokens")),
            "client": "in process",
            "output_tokens_per_s_total": number(speed.get("system_output_throughput_tok_s")),
        }
        if together < FULL * min(requests, float(str(row["max_sequences"]))):
            row |= {
                "scenario": "serving",
                "concurrency": round(together),
                "ttft_ms": number(streamed.get("avg_ttft_ms")),
                "tpot_ms": number(streamed.get("avg_tpot_ms")),
            }
            assumed.append("concurrency is the mean number in flight that the report names")
        else:
            row["scenario"] = "inflight_max"
            assumed.append("all requests were there from the start: only throughput is taken")
        dataset = [number(lengths.get(n)) for n in ("avg_isl", "max_isl", "avg_osl", "max_osl")]
        known = all(value > 0 for value in dataset)
        alike = known and dataset[1] <= dataset[0] * 1.05 and dataset[3] <= dataset[2] * 1.05
        row["lengths"] = ("fixed" if alike else "varied") if known else ""
        assumed += [LENGTHS] * (not known)
        rows.append(row)
    told = tuple(dict.fromkeys(assumed))
    return Found("trtllm-bench", "inference", tuple(rows), assumed=told)


def aiperf(documents: Sequence[Mapping[str, Any]]) -> Found:
    """Read what AIPerf and genai-perf export of a profile, one document a run."""
    rows, assumed = [], [MEAN]
    for one in documents:
        config = one.get("input_config") or {}
        lengths = [one.get(f"{side}_sequence_length") for side in ("input", "output")]
        spread = [number(at(n, "std")) / number(at(n, "avg")) for n in lengths]
        engine = str(at(config, "endpoint", "type") or at(config, "backend") or "").lower()
        load = at(config, "loadgen") or at(config, "perf_analyzer", "stimulus") or {}
        phase = _profiling(at(config, "phases")) or load
        row: Cells = {
            "model": _one(at(config, "endpoint", "model_names") or at(config, "model_names")
                          or at(config, "models")),
            "engine": next((e for b, e in BACKENDS.items() if engine.startswith(b)), ""),
            "isl": number(at(lengths[0], "avg")),
            "osl": number(at(lengths[1], "avg")),
            "concurrency": number(at(phase, "concurrency")),
            "request_rate": number(at(phase, "rate") or at(phase, "request_rate")),
            "requests": number(at(one, "request_count", "avg")),
            "lengths": "fixed" if max(np.nan_to_num(spread)) <= SAME else "varied",
            "ttft_ms": milliseconds(one.get("time_to_first_token")),
            "tpot_ms": milliseconds(one.get("inter_token_latency")),
            "output_tokens_per_s_total": number(at(one, "output_token_throughput", "avg")),
        }  # fmt: skip
        rows.append(row)
        failed = number(at(one, "error_request_count", "avg"))
        if failed > 0:
            assumed.append(f"{failed:.0f} requests failed and do not count")
    told = tuple(dict.fromkeys(assumed))
    return Found("AIPerf or genai-perf", "inference", tuple(rows), assumed=told)


def _profiling(phases: Any) -> Any:
    """Return the phase of a run that was measured."""
    listed = list(phases.values()) if isinstance(phases, Mapping) else phases
    if not isinstance(listed, list) or not listed:
        return {}
    named = [p for p in listed if "profil" in str(at(p, "name") or at(p, "phase")).lower()]
    return (named or listed)[-1]


def _one(names: Any) -> object:
    """Return the one name of a list; of a mapping of items their names."""
    if isinstance(names, Mapping):
        names = names.get("items")
    if isinstance(names, list):
        names = names[0] if len(names) == 1 else None
    return at(names, "name") if isinstance(names, Mapping) else names


def milliseconds(figure: Any) -> float:
    """Return the mean of a figure with its unit in milliseconds; none is milliseconds."""
    unit = str(at(figure, "unit") or "ms").lower()
    if unit not in IN_MS:
        raise InputError("unit", unit, f"the unit {unit!r} is none of {', '.join(IN_MS)}")
    return number(at(figure, "avg")) * IN_MS[unit]


def guidellm(documents: Sequence[Mapping[str, Any]]) -> Found:
    """Read reports of GuideLLM: a row for each of their benchmarks."""
    rows = [row for one in documents for row in _guidellm(one)]
    return Found("GuideLLM", "inference", tuple(rows), assumed=(MEAN,))


def _guidellm(report: Mapping[str, Any]) -> Iterator[Cells]:
    given = report.get("args") or {}
    for one in report.get("benchmarks") or []:
        metrics = one.get("metrics") or {}
        config = one.get("config") or one.get("args") or {}
        strategy = at(config, "strategy") or at(one, "scheduler", "strategy") or {}
        kind = str(at(strategy, "type_") or at(strategy, "type") or "")
        means = {
            name: number(at(metrics, name, "successful", "mean"))
            for name in (
                *("prompt_token_count", "output_token_count", "time_to_first_token_ms"),
                "inter_token_latency_ms",
            )
        }
        spread = [
            number(at(metrics, f"{side}_token_count", "successful", "std_dev"))
            for side in ("prompt", "output")
        ]
        lengths = [means["prompt_token_count"], means["output_token_count"]]
        varies = any(np.nan_to_num(s / n) > SAME for s, n in zip(spread, lengths, strict=True))
        tokens = number(at(metrics, "output_token_count", "successful", "total_sum"))
        rate = number(at(strategy, "rate"))
        streams = number(at(strategy, "streams") or at(strategy, "max_concurrency"))
        streams = 1.0 if kind == "synchronous" else streams
        yield {
            "model": at(config, "backend", "model") or at(given, "backend_kwargs", "model")
            or at(given, "model") or at(one, "benchmarker", "backend", "model"),
            "engine": "",
            "isl": lengths[0],
            "osl": lengths[1],
            "concurrency": np.nan if rate > 0 else streams,
            "request_rate": rate,
            "requests": number(at(metrics, "request_totals", "successful")),
            "lengths": "varied" if varies else "fixed",
            "ttft_ms": means["time_to_first_token_ms"],
            "tpot_ms": means["inter_token_latency_ms"],
            "output_tokens_per_s_total": tokens / number(one.get("duration")),
        }  # fmt: skip
