"""Control panel of the training notebook."""

from typing import Any

from gpuspec.topics.training import TrainingQuestion, deadline_table, runs_table, training_question
from gpuspec.topics.training.pictures import days_by_gpus
from gpuspec.topics.training.words import deadline_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, model_choice, slider

TOKENS = [m * 10.0**e for e in range(8, 14) for m in (1, 2, 5)]
DAYS = (1, 2, 3, 7, 14, 30, 60, 90, 180, 365)
NETWORKS_GB_S = (0, 1.25, 3.125, 12.5, 50, 100, 200, 400)


def training_panel(question: TrainingQuestion) -> Panel:
    """Return a panel over the question "trained when, on how many", started at `question`."""
    q = question
    ids = [g.id for g in q.gpus]
    lengths, batches = ([float(2**i) for i in range(*ends)] for ends in ((9, 18), (4, 13)))
    controls = {
        "model_name": model_choice(q.network),
        "tokens": slider("tokens", TOKENS, q.tokens, "{:.3g}"),
        "deadline_days": slider("deadline, days", DAYS, q.deadline_days),
        "seq_len": slider("sequence", lengths, float(q.seq_len)),
        "global_batch": slider("batch", batches, float(q.global_batch)),
        "compute": choice("products", ["bf16", "fp8"], q.precision),
        "node_network_gb_s": slider("network, GB/s", NETWORKS_GB_S, q.node_network_gb_s),
    }
    fixed: dict[str, Any] = {
        "framework": q.framework,
        "tuning": q.tuning,
        "lora_rank": q.lora_rank,
        "network_kind": q.network_kind,
        "storage_gb_s": q.storage_gb_s,
        "failures_per_gpu_day": q.failures_per_gpu_day,
    }

    def answer(**values: Any) -> tuple[TrainingQuestion, Any]:
        whole: dict[str, Any] = {n: int(values.pop(n)) for n in ("seq_len", "global_batch")}
        asked = training_question(gpus=ids, counts=q.counts, **fixed, **whole, **values)
        return asked, runs_table(asked)

    def draw(answered: tuple[TrainingQuestion, Any]) -> str:
        asked, runs = answered
        title = deadline_finding(asked, deadline_table(asked, runs))
        return figure(days_by_gpus(runs, asked.deadline_days, title), title, title).svg

    return Panel(controls, answer, draw)
