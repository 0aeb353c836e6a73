"""Control panels for JupyterLab: widgets around the same calls that made the static picture."""

from collections.abc import Callable
from typing import Any

import ipywidgets as W

from gpuspec.connect import InterconnectQuestion, interconnect_question, network_table
from gpuspec.deploy import (
    InferenceQuestion,
    best_options,
    frontier_table,
    inference_question,
    options_table,
)
from gpuspec.display import figure
from gpuspec.errors import InputError
from gpuspec.fit import MemoryQuestion, memory_question, serving_table, smallest_serving
from gpuspec.jobs import TrainingQuestion, deadline_table, runs_table, training_question
from gpuspec.models import Model, models
from gpuspec.plots import days_by_gpus, latency_throughput, network_scaling, serving_memory
from gpuspec.precision import KV_PRECISIONS
from gpuspec.story import deadline_finding, network_finding, option_finding

WEIGHTS = ("bf16", "fp8", "int8", "int4-awq", "mxfp4")
POWERS_OF_TWO = [2**i for i in range(0, 21)]


class Panel:
    """Widgets above a picture that follows them.

    ``panel.controls[name]`` is the widget of a parameter, ``panel.answer`` the table behind the
    picture, ``panel.picture.value`` its SVG and ``panel.message.value`` what is wrong, if
    anything is.
    """

    def __init__(
        self, controls: dict[str, Any], answer: Callable[..., Any], draw: Callable[..., str]
    ) -> None:
        self.controls, self._answer, self._draw = controls, answer, draw
        self.picture, self.message = W.HTML(), W.HTML()
        self.answer: Any = None
        for control in controls.values():
            control.observe(self._changed, names="value")
        self._changed()
        for control in controls.values():
            control.layout = W.Layout(width="24em")
        wrapping = W.Layout(display="flex", flex_flow="row wrap")
        above = W.Box(list(controls.values()), layout=wrapping)
        self.view = W.VBox([above, self.message, self.picture])

    def _changed(self, _: Any = None) -> None:
        try:
            self.answer = self._answer(**{n: c.value for n, c in self.controls.items()})
        except InputError as error:
            self.message.value = f"<b>{error}</b>"
            return
        self.message.value = ""
        svg = self._draw(self.answer)
        self.picture.value = svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.view._repr_mimebundle_(**options)


def serving_panel(question: MemoryQuestion) -> Panel:
    """Return a panel over the question "what fits where", started at `question`."""
    names = list(models().query("kind == 'llm'").index)
    network: Model = question.network
    start = network.id if network.id in names else None
    options = [(network.name, network)] if start is None else []
    options += [(name, name) for name in names]
    ids = [g.id for g in question.gpus]
    label = {"description_width": "7em"}

    def slider(name: str, value: int) -> Any:
        values = sorted({*POWERS_OF_TWO, value})
        return W.SelectionSlider(options=values, value=value, description=name, style=label)

    controls = {
        "model_name": W.Dropdown(
            options=options, value=start or network, description="model", style=label
        ),
        "weight_precision": W.Dropdown(
            options=sorted({*WEIGHTS, question.weight.id}),
            value=question.weight.id,
            description="weights",
            style=label,
        ),
        "kv_precision": W.Dropdown(
            options=list(KV_PRECISIONS),
            value=question.kv_precision,
            description="KV cache",
            style=label,
        ),
        "isl": slider("ISL", question.isl),
        "osl": slider("OSL", question.osl),
        "concurrency": slider("concurrency", question.concurrency),
        "gpu_memory_utilization": W.FloatSlider(
            value=question.gpu_memory_utilization,
            min=0.5,
            max=1.0,
            step=0.01,
            description="utilization",
            style=label,
        ),
    }

    def answer(**values: Any) -> tuple[MemoryQuestion, Any]:
        asked = memory_question(gpus=ids, **values)
        return asked, smallest_serving(serving_table(asked))

    def draw(answered: tuple[MemoryQuestion, Any]) -> str:
        asked, table = answered
        title = f"{asked.network.name}, {asked.concurrency:,} requests of {asked.context:,} tokens"
        return figure(serving_memory(asked, table, title), title, title).svg

    return Panel(controls, answer, draw)


def training_panel(question: TrainingQuestion) -> Panel:
    """Return a panel over the question "trained when, on how many", started at `question`."""
    q = question
    names = list(models().query("kind == 'llm'").index)
    start: Any = q.network.id if q.network.id in names else q.network
    options = [(name, name) for name in names]
    if start is q.network:
        options = [(q.network.name, q.network), *options]
    ids, label = [g.id for g in q.gpus], {"description_width": "7em"}

    def slider(name: str, values: list[float], value: float, written: str = "{:g}") -> Any:
        shown = [(written.format(v), v) for v in sorted({*values, value})]
        return W.SelectionSlider(options=shown, value=value, description=name, style=label)

    tokens = [m * 10.0**e for e in range(8, 14) for m in (1, 2, 5)]
    controls = {
        "model_name": W.Dropdown(options=options, value=start, description="model", style=label),
        "tokens": slider("tokens", tokens, q.tokens, "{:.3g}"),
        "deadline_days": slider(
            "deadline, days", [1, 2, 3, 7, 14, 30, 60, 90, 180, 365], q.deadline_days
        ),
        "seq_len": slider("sequence", [float(2**i) for i in range(9, 18)], float(q.seq_len)),
        "global_batch": slider("batch", [float(2**i) for i in range(4, 13)], float(q.global_batch)),
        "compute": W.Dropdown(
            options=["bf16", "fp8"], value=q.precision, description="products", style=label
        ),
        "node_network_gb_s": slider(
            "network, GB/s", [0, 1.25, 3.125, 12.5, 50, 100, 200, 400], q.node_network_gb_s
        ),
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


def inference_panel(question: InferenceQuestion) -> Panel:
    """Return a panel over the question "which GPU, how many, how split", started at `question`."""
    q = question
    names = list(models().query("kind == 'llm'").index)
    start: Any = q.network.id if q.network.id in names else q.network
    options = [(name, name) for name in names]
    if start is q.network:
        options = [(q.network.name, q.network), *options]
    ids = [g.id for g in q.gpus]
    label = {"description_width": "7em"}

    def slider(name: str, value: int) -> Any:
        values = sorted({*POWERS_OF_TWO, value})
        return W.SelectionSlider(options=values, value=value, description=name, style=label)

    def choice(name: str, values: list[Any], value: Any) -> Any:
        return W.Dropdown(options=values, value=value, description=name, style=label)

    controls = {
        "model_name": choice("model", options, start),
        "weight_precision": choice("weights", sorted({*WEIGHTS, q.weights[0].id}), q.weights[0].id),
        "kv_precision": choice("KV cache", list(KV_PRECISIONS), q.kv_precision),
        "isl": slider("ISL", q.isl),
        "osl": slider("OSL", q.osl),
        "concurrency": slider("concurrency", q.concurrency),
    }
    limits: dict[str, Any] = {"ttft_limit_s": q.ttft_limit_s, "tpot_limit_s": q.tpot_limit_s}

    def answer(**values: Any) -> tuple[InferenceQuestion, Any]:
        asked = inference_question(
            gpus=ids, engine_name=q.engine.id, max_gpus=q.max_gpus, **limits, **values
        )
        return asked, best_options(options_table(asked))

    def draw(answered: tuple[InferenceQuestion, Any]) -> str:
        asked, best = answered
        title = option_finding(asked, best)
        frontier = frontier_table(asked, best)
        return figure(latency_throughput(frontier, title), title, title, tight=False).svg

    return Panel(controls, answer, draw)


def interconnect_panel(question: InterconnectQuestion) -> Panel:
    """Return a panel over the question "what does the network cost", started at `question`."""
    q = question
    names = list(models().query("kind == 'llm'").index)
    start: Any = q.network.id if q.network.id in names else q.network
    options = [(name, name) for name in names]
    if start is q.network:
        options = [(q.network.name, q.network), *options]
    label = {"description_width": "7em"}

    def slider(name: str, value: int) -> Any:
        values = sorted({*POWERS_OF_TWO, value})
        return W.SelectionSlider(options=values, value=value, description=name, style=label)

    ids = [g.id for g in q.gpus]
    controls = {
        "model_name": W.Dropdown(options=options, value=start, description="model", style=label),
        "gpus": W.Dropdown(options=ids, value=ids[0], description="GPU", style=label),
        "seq_len": slider("tokens", q.seq_len),
        "sequences_per_gpu": slider("sequences", q.sequences_per_gpu),
        "gpus_per_node": W.Dropdown(
            options=[2, 4, 8], value=q.gpus_per_node, description="GPUs a node", style=label
        ),
    }

    def answer(**values: Any) -> tuple[InterconnectQuestion, Any]:
        asked = interconnect_question(nodes=q.nodes, framework=q.framework, **values)
        return asked, network_table(asked, asked.gpus[0])

    def draw(answered: tuple[InterconnectQuestion, Any]) -> str:
        asked, table = answered
        title = network_finding(asked, table)
        return figure(network_scaling(table, title), title, title, tight=False).svg

    return Panel(controls, answer, draw)
