"""Pictures: every function returns a `Figure`, and none shows it."""

from gpuspec.plots.catalogue import (
    dense_against_sparse,
    rates_by_precision,
    roofline,
)
from gpuspec.plots.claims import (
    holding_map,
    said_and_found,
)
from gpuspec.plots.common import (
    gpu_colors,
    save,
)
from gpuspec.plots.cost import (
    cost_by_utilisation,
    cost_ranges,
    drift_bars,
    owned_parts,
    paid_by_month,
    price_trend,
    spot_prices,
    tornado,
)
from gpuspec.plots.decision import (
    option_front,
    plan_costs,
    probability_bars,
    tornado_bars,
)
from gpuspec.plots.hpc import (
    amdahl_lines,
    class_speeds,
    dynamic_bars,
    hpc_roofline,
    hpc_scaling,
    speed_bars,
)
from gpuspec.plots.inference import (
    grouped_bars,
    latency_by_rate,
    latency_throughput,
    throughput_by_context,
    validation_scatter,
)
from gpuspec.plots.interconnect import (
    bandwidth_by_gpus,
    bus_bandwidth,
    form_ratios,
    network_scaling,
    tensor_shares,
    waiting_bars,
)
from gpuspec.plots.memory import (
    kv_against_context,
    sequences_against_context,
    serving_memory,
    training_memory,
)
from gpuspec.plots.mig import (
    fleet_bars,
    fleet_costs,
    layout_bars,
    published_slices,
    slice_delivery,
)
from gpuspec.plots.training import (
    days_by_gpus,
    mfu_by_layout,
    ratio_by_size,
    scaling_efficiency,
    step_shares,
)
from gpuspec.plots.upgrade import (
    effort_lines,
    fleet_timeline,
    runs_matrix,
    strategy_costs,
    wait_or_buy,
)

__all__ = [
    "amdahl_lines",
    "bandwidth_by_gpus",
    "bus_bandwidth",
    "class_speeds",
    "cost_by_utilisation",
    "cost_ranges",
    "days_by_gpus",
    "dense_against_sparse",
    "drift_bars",
    "dynamic_bars",
    "effort_lines",
    "fleet_bars",
    "fleet_costs",
    "fleet_timeline",
    "form_ratios",
    "gpu_colors",
    "grouped_bars",
    "holding_map",
    "hpc_roofline",
    "hpc_scaling",
    "kv_against_context",
    "latency_by_rate",
    "latency_throughput",
    "layout_bars",
    "mfu_by_layout",
    "network_scaling",
    "option_front",
    "owned_parts",
    "paid_by_month",
    "plan_costs",
    "price_trend",
    "probability_bars",
    "published_slices",
    "rates_by_precision",
    "ratio_by_size",
    "roofline",
    "runs_matrix",
    "said_and_found",
    "save",
    "scaling_efficiency",
    "sequences_against_context",
    "serving_memory",
    "slice_delivery",
    "speed_bars",
    "spot_prices",
    "step_shares",
    "strategy_costs",
    "tensor_shares",
    "throughput_by_context",
    "tornado",
    "tornado_bars",
    "training_memory",
    "validation_scatter",
    "wait_or_buy",
    "waiting_bars",
]
