"""Inference engines and their eras; columns as in ``data/engines.csv``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from gpuspec.catalog import table_rows
from gpuspec.catalog.columns import Figure, Flag, Matching, Named, Texts, column

Month = Annotated[str, Matching(r"20\d\d-\d\d|")]


class EngineLimits(BaseModel):
    """Settings that bound a batch: not fitted, but what the engine documents.

    vLLM: ``max_num_seqs``, ``max_num_batched_tokens``; TensorRT-LLM: max batch size,
    ``max_num_tokens``; SGLang: ``scheduler-recv-interval`` is `receive_every`.
    """

    model_config = ConfigDict(frozen=True)

    max_sequences: Annotated[float, Figure(1, 1_000_000)] = column(
        "Most sequences of one iteration unless set", 2048, stated=True
    )
    max_tokens: Annotated[float, Figure(1, 10_000_000)] = column(
        "Most tokens of one iteration unless set", 8192, stated=True
    )
    memory_share: Annotated[float, Figure(0, 1, above=True)] = column(
        "Share of memory: of the total (vLLM), or of what is free after loading (TensorRT-LLM)",
        0.9,
        stated=True,
    )
    works_ahead: Flag = column(
        "Whether the host prepares the next iteration while the GPU works", False, stated=True
    )
    compiled: Flag = column(
        "Whether a compiled program launches the kernels, not Python", False, stated=True
    )
    launch_layer_us: Annotated[float, Figure(0, 10_000)] = column(
        "Host time to launch a layer's kernels one by one while decoding; 0 with CUDA graphs",
        0.0,
        stated=True,
    )
    server_apart: Flag = column(
        "Whether the server that sends tokens over HTTP is a process of its own", True, stated=True
    )
    mixed: Flag = column(
        "Whether an iteration reads prompts beside the others' tokens; else prompts go first",
        True,
        stated=True,
    )
    receive_every: Annotated[float, Figure(1, 1000)] = column(
        "Iterations after which the scheduler looks for new requests again", 1, stated=True
    )


class Era(Named, EngineLimits):
    """An engine in a span of its versions."""

    engine: str = column("Engine")
    family: str = column("Eras whose constants are drawn to each other: the engine, or a rewrite")
    version_from: str = column("First version of the era")
    version_to: str = column("Last version of the era")
    released_from: Month = column("Month in which its first version came out", "")
    released_to: Month = column("Month in which the next era began; empty: goes on", "")
    other_versions: Texts = column(
        "How else its versions begin where somebody numbers them anew, separated by |", ()
    )
    library: Literal["tensorrt-llm", "vllm", "sglang"] = column("Kernel timings that stand for it")
    vendors: Texts = column("Makers of the GPUs that it runs on, separated by |", ("NVIDIA",))


def runs_on(engine: str, vendor: str) -> bool:
    """Return whether an engine, or an era of it, runs on the GPUs of a maker.

    >>> runs_on("tensorrt-llm", "AMD"), runs_on("vllm", "AMD")
    (False, True)
    """
    rows = [row for row in table_rows("engines") if engine in (row["id"], row["engine"])]
    return any(vendor in row["vendors"].split("|") for row in rows)


def engine_for(vendor: str, first: str) -> str:
    """Return `first` where it runs on the GPUs of a maker, else an engine that does.

    >>> engine_for("NVIDIA", "tensorrt-llm"), engine_for("AMD", "tensorrt-llm")
    ('tensorrt-llm', 'vllm')
    """
    names = [first, *(str(row["engine"]) for row in table_rows("engines"))]
    return next((name for name in names if runs_on(name, vendor)), first)
