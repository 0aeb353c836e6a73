"""Columns of tables, each declared once: heading, unit and format of what a page shows.

A column has one meaning wherever it is shown; what means something else has another name.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuspec.base.units import GIB, MICRO

if TYPE_CHECKING:
    import pandas as pd

Format = str | Callable[[Any], str]


class Column(NamedTuple):
    """How a column is shown: its heading, and its numbers over `unit` in `format`."""

    heading: str
    format: Format = ""
    unit: float = 1.0


def amount(value: float) -> str:
    """Write an amount so that it can be read: whole thousands, else three digits.

    >>> amount(95836.6), amount(0.2053)
    ('95,837', '0.205')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


MS = 1e3 * MICRO
WHAT_RUNS = {
    "gpu": Column("GPU"),
    "gpu_id": Column("GPU"),
    "gpus": Column("GPUs", ",.0f"),
    "fleet": Column("GPUs"),
    "gpu_count": Column("GPUs"),
    "nodes": Column("Nodes", ",.0f"),
    "model": Column("Model"),
    "engine": Column("Engine"),
    "framework": Column("Framework"),
    "precision": Column("Precision"),
    "weight": Column("Format"),
    "split": Column("Split"),
    "run_as": Column("Run as"),
    "layout": Column("Fastest layout"),
    "layouts": Column("Layouts"),
    "tp": Column("TP"),
    "pp": Column("PP"),
    "unit_gpus": Column("GPUs of a replica", ",.0f"),
    "replicas": Column("Replicas", ",.0f"),
    "pair": Column("Pair"),
    "job": Column("Job"),
    "workload": Column("Workload"),
    "hpc_class": Column("Class"),
    "algorithm": Column("Recurrence"),
    "tenant": Column("Tenant"),
    "count": Column("Copies"),
    "place": Column("Place"),
    "needs": Column("Needs there"),
    "input": Column("Input"),
    "what": Column("What"),
    "amount": Column("How much"),
    "note": Column("Note"),
    "meaning": Column("Meaning"),
    "verdict": Column("Verdict"),
    "reason": Column("Why not"),
    "bound": Column("Bound by"),
    "option": Column("Option"),
    "parameter": Column("Parameter"),
    "type": Column("Type"),
    "default": Column("Default"),
    "title": Column("Title"),
    "question": Column("Question"),
}
SPEED = {
    "most": Column("Requests in memory", ",.0f"),
    "within": Column("Requests within limits", ",.0f"),
    "requests_s": Column("Requests/s", ".1f"),
    "ttft_s": Column("TTFT, s", ".2f"),
    "tpot_s": Column("TPOT, ms", ".1f", MS),
    "ttft_p50_s": Column("TTFT p50", ".3f"),
    "ttft_p95_s": Column("p95", ".3f"),
    "ttft_p99_s": Column("p99", ".3f"),
    "tpot_p50_s": Column("TPOT p50", ".3f"),
    "tpot_p95_s": Column("TPOT p95", ".3f"),
    "tpot_p99_s": Column("TPOT p99", ".3f"),
    "output_tokens_s": Column("Tokens/s", ",.0f"),
    "pcie_tokens_s": Column("PCIe tokens/s", ",.0f"),
    "sxm_tokens_s": Column("SXM tokens/s", ",.0f"),
    "bf16_tokens_s": Column("BF16, tokens/s a GPU", ",.0f"),
    "fp8_tokens_s": Column("FP8, tokens/s a GPU", ",.0f"),
    "fp8_over_bf16": Column("FP8 / BF16", ".2f"),
    "ratio": Column("Ratio", ".2f"),
    "times": Column("Times", ".1f"),
    "image_s": Column("Seconds an image", ".2f"),
    "images_s": Column("Images/s", ".2f"),
    "days": Column("Days", ",.1f"),
    "days_lost": Column("lost", ".1f"),
    "mfu": Column("MFU", ".0%"),
    "gpu_hours": Column("GPU-hours", ",.0f"),
    "storage_gb_s": Column("Storage, GB/s"),
    "write_s": Column("Write, s", ",.0f"),
    "interval_minutes": Column("Interval, minutes", ",.0f"),
    "goodput": Column("Useful time", ".1%"),
    "compute": Column("Units alone", unit=MS),
    "memory": Column("Memory alone", unit=MS),
    "cache": Column("L2 alone", unit=MS),
    "transfer": Column("Host link alone", unit=MS),
    "host_s": Column("Host", unit=MS),
    "step_s": Column("Step", unit=MS),
    "network": Column("Network"),
    "link": Column("Link"),
    "node_gb_s": Column("GB/s a node", "g"),
    "efficiency": Column("Efficiency", ".0%"),
    "speed": Column("Speed (nodes)", ".2f"),
    "waits": Column("Waits", ".0%"),
    "load": Column("Load", ".0%"),
    "estimated": Column("Estimate"),
}
MEMORY = {
    "weights": Column("Weights", unit=GIB),
    "kv_cache": Column("KV cache", unit=GIB),
    "gradients": Column("Gradients", unit=GIB),
    "optimizer": Column("Optimizer", unit=GIB),
    "activations": Column("Activations", unit=GIB),
    "logits": Column("Logits", unit=GIB),
    "workspace": Column("Workspace", unit=GIB),
    "runtime": Column("Runtime", unit=GIB),
    "free": Column("Free", ".1f", GIB),
    "total": Column("Estimate", ",.0f", GIB),
    "max_sequences": Column("Requests that fit", ",.0f"),
    "max_context": Column("Longest context", ",.0f"),
    "utilization": Column("Share of memory", ".0%"),
    "memory_free": Column("Memory free", ".0%"),
    "policy": Column("Way to train"),
    "needs {}": Column("GPUs: {}", ",.0f"),
    "of {}": Column("of {}", ".0%"),
    "weight_bits": Column("Bits a weight", ".2f"),
    "weights_gb": Column("GB"),
    "weights_gib": Column("GiB"),
    "hunger_gb": Column("Memory, GB", ",.0f"),
}
HARDWARE = {
    "feature": Column("Feature"),
    "dense_tflops": Column("Dense", ",.1f"),
    "sparse_tflops": Column("With 2:4 sparsity", ",.1f"),
    "like_for_like": Column("Like for like", "{:.2f} x"),
    "sparse_over_dense": Column("Sparse over dense", "{:.2f} x"),
    "gpu_confidence": Column("Confidence"),
    "unverified": Column("Cells without a source"),
    "first_source": Column("First source"),
    "server": Column("Server"),
    "name": Column("Name"),
    "kind": Column("Kind"),
    "year": Column("Year"),
    "memory_reported_mib": Column("Memory MiB"),
    "memory_bandwidth_gb_s": Column("Bandwidth GB/s"),
    "bf16_dense_tflops": Column("BF16 TFLOP/s"),
    "fp8_dense_tflops": Column("FP8 TFLOP/s"),
    "fp64_tflops": Column("FP64 TFLOP/s"),
    "nvlink_gb_s": Column("NVLink GB/s"),
    "tdp_w": Column("Power W"),
    "params_total": Column("Parameters"),
    "layers": Column("Layers"),
    "hidden": Column("Width"),
    "heads": Column("Heads"),
    "kv_heads": Column("KV heads"),
    "experts": Column("Experts"),
    "topology": Column("Topology"),
    "nvlink_gb_s_per_gpu": Column("NVLink GB/s"),
    "node_network_gb_s": Column("Network GB/s"),
    "max_system_kw": Column("Power kW"),
    "gb_s_per_gpu": Column("GB/s per GPU"),
    "latency_us_low": Column("Latency µs, low"),
}
MIG = {
    "profile": Column("Profile"),
    "profile_id": Column("ID", ".0f"),
    "slices": Column("Slices"),
    "memory_gib": Column("GiB", ".1f"),
    "sm": Column("SM"),
    "memory_gb_s": Column("GB/s", ",.0f"),
    "copy_engines": Column("Copy", ".0f"),
    "nvdec": Column("NVDEC", ".0f"),
    "nvjpeg": Column("JPEG", ".0f"),
    "max_instances": Column("Most"),
    "placement_starts": Column("Starts at"),
    "figure": Column("As the guide draws"),
    "full": Column("Full, all profiles"),
    "positions": Column("All, with positions"),
    "mixes": Column("Without positions"),
    "useful": Column("Useful for packing"),
    "mig_max_instances": Column("Most instances", ".0f"),
    "smallest": Column("Smallest"),
    "its_gib": Column("its GiB", ".1f"),
    "its_bf16_tflops": Column("its BF16 TFLOP/s", ".0f"),
    "its_gb_s": Column("its GB/s", ".0f"),
    "its_nvdec": Column("its NVDEC", ".0f"),
    "sm_in_7": Column("SM in 7 of them"),
    "sm_in_2_3g": Column("SM in 2 x 3g"),
    "confidential": Column("Confidential"),
    "sharing_name": Column("Way"),
    "sharing_memory": Column("Memory"),
    "sharing_faults": Column("Faults"),
    "sharing_compute": Column("Compute"),
    "sharing_limits": Column("Limits"),
    "sharing_choose": Column("Choose it when"),
}
MONEY = {
    "way": Column("Way"),
    "mode": Column("Paid for"),
    "label": Column("Paid for"),
    "rent": Column("Rent, paid hour", ",.2f"),
    "own": Column("Own, at full use", ",.2f"),
    "used_hours_share": Column("Own pays above"),
    "month": Column("Paid back in month"),
    "usd": Column("USD", ",.0f"),
    "price_usd": Column("USD", amount),
    "price_cny": Column("CNY", amount),
    "unit": Column("For"),
    "usd_per_hour": Column("USD an hour", ".2f"),
    "hour_usd": Column("USD a GPU-hour", ",.2f"),
    "capital_usd_gpu": Column("USD a GPU", ",.0f"),
    "usd_tokens": Column("M tokens", ",.3f"),
    "usd_run": Column("Run", ",.0f"),
    "usd_bandwidth": Column("Simulation, bandwidth", ",.0f"),
    "usd_fp64": Column("Simulation, FP64", ",.0f"),
    "kwh": Column("kWh", ",.0f"),
    "mwh": Column("MWh", amount),
    "tonnes_co2": Column("t CO2e", amount),
    "watts": Column("W of a node", ",.0f"),
    "joules": Column("J a step"),
    "energy": Column("Energy", ".2f"),
    "power_kw": Column("kW", ",.0f"),
    "as_of": Column("As of"),
    "age_days": Column("Days old", ".0f"),
    "limit_days": Column("Limit", ".0f"),
    "stale": Column("Stale"),
    "age": Column("Age"),
    "confidence": Column("Grade"),
    "derived": Column("Scaled by us"),
    "central": Column("Central"),
    "series": Column("Series"),
    "price_gpu_hour": Column("May or June", ",.2f"),
    "price_gpu_hour_later": Column("October or November", ",.2f"),
    "error": Column("Error", ".0%"),
}
DECISION = {
    "asked": Column("Asked"),
    "value": Column("Value"),
    "limit": Column("Limit"),
    "needed": Column("Needed"),
    "with_option": Column("With"),
    "policies": Column("What it is"),
    "expected": Column("Cost"),
    "upfront": Column("Capital"),
    "probability": Column("Best"),
    "near": Column("Within 5 %"),
    "month_cost": Column("A month"),
    "month_cost_usd": Column("USD a month"),
    "pace": Column("Speed"),
    "now": Column("Now"),
    "flips_at": Column("The runner-up is as good at"),
    "quarter": Column("Quarter"),
    "first": Column("First quarter"),
    "last": Column("Last quarter"),
    "does": Column("A unit does"),
    "effort_usd": Column("Effort, USD", ",.0f"),
    "move_usd": Column("Effort, USD", ",.0f"),
    "strategy": Column("Strategy"),
    "cost_usd": Column("Cost, USD", ",.0f"),
    "capital_usd": Column("Capital, USD", ",.0f"),
    "month_usd": Column("Month, USD", ",.0f"),
    "unmet": Column("Undone", ".0%"),
    "gap": Column("Gap", ".0%"),
}
EVIDENCE = {
    "quantity": Column("Quantity"),
    "rows": Column("Rows", ",.0f"),
    "sources": Column("Sources", ".0f"),
    "median_error": Column("Median error", ".3f"),
    "p90_error": Column("90th percentile", ".3f"),
    "low": Column("Low", ".2f"),
    "high": Column("High", ".2f"),
    "coverage": Column("Coverage", ".0%"),
    "error_of": Column("Error of"),
    "median_absolute_error": Column("Median error", ".1%"),
    "p90_absolute_error": Column("90 % below", ".1%"),
    "interval_coverage": Column("Inside", ".0%"),
    "predicted_over_measured": Column("Predicted over measured", ".2f"),
    "case_id": Column("Case"),
    "case": Column("Input"),
    "lengths": Column("ISL / OSL"),
    "metric": Column("Metric"),
    "operation": Column("Operation"),
    "message_bytes": Column("Bytes"),
    "era": Column("Era"),
    "size": Column("Size"),
    "reach": Column("Reach"),
    "how": Column("How"),
    "id": Column("No."),
    "statement": Column("The guide says"),
    "when": Column("When, or what fails"),
    "estimate": Column("We estimate"),
    "published": Column("Published"),
    "tested": Column("What is compared"),
    "range": Column("True in"),
    "share": Column("In range"),
    "prices_give": Column("Prices and speeds give"),
    "holds": Column("It holds"),
}
COLUMNS: Mapping[str, Column] = (
    WHAT_RUNS | SPEED | MEMORY | HARDWARE | MIG | MONEY | DECISION | EVIDENCE
)
"""By name, as tables of the topics call them; ``{}`` in a name stands for a GPU.

``x_low`` and ``x_high`` are the ends of the interval of ``x``, and need no entry of their own.
"""


def column(name: object) -> Column | None:
    """Return how a column is shown; None where it is named after data, such as a GPU.

    >>> column("days_low")
    Column(heading='low', format=',.1f', unit=1.0)
    """
    text = str(name)
    if text in COLUMNS:
        return COLUMNS[text]
    base, _, end = text.rpartition("_")
    if end in ("low", "high"):
        return COLUMNS.get(base, Column(end))._replace(heading=end)
    first, _, rest = text.partition(" ")
    family = COLUMNS.get(f"{first} {{}}")
    return family and family._replace(heading=family.heading.format(rest))


def headings(*names: str) -> list[str]:
    """Return the headings of columns by their names."""
    return [shown.heading if (shown := column(name)) else name for name in names]


def readable(frame: "pd.DataFrame", formats: Mapping[str, Format] | None = None) -> "pd.DataFrame":
    """Return a table for a page: numbers in the units of their headings, columns under these.

    `gpuspec.views.display.table` writes them in the formats that are declared here, or in
    `formats`, by the columns' names, where these depend on what was asked. An index with a name
    becomes the first columns.

    >>> import pandas as pd
    >>> readable(pd.DataFrame({"gpu": ["H100"], "tpot_s": [0.02]})).to_dict("records")
    [{'GPU': 'H100', 'TPOT, ms': 20.0}]
    """
    named = any(name is not None for name in frame.index.names)
    shown = frame.reset_index() if named else frame
    known = {name: about for name in shown.columns if (about := column(name))}
    numeric = shown.select_dtypes("number").columns
    scaled = {n: shown[n] / c.unit for n, c in known.items() if c.unit != 1.0 and n in numeric}
    written = {n: c.format for n, c in known.items() if c.format and n in numeric}
    written |= formats or {}
    shown = shown.assign(**scaled).rename(columns={n: c.heading for n, c in known.items()})
    shown.attrs["formats"] = {known[n].heading: form for n, form in written.items()}
    return shown
