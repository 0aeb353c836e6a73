"""Short measurements of a machine through PyTorch: products, copy, attention, all-reduce.

What can be timed stands here apart from PyTorch itself, which is given: `Bench` asks it for tensors
and the clock for seconds.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.constants.fabrics import link_key
from gpuspec.evidence.importing import Imported
from gpuspec.evidence.importing.found import Cells

BUDGET_S = 240.0
"""After so many seconds nothing new is begun."""
LEAST_S, WARM, REPEATS = 0.05, 3, 5
"""Seconds of a run of calls, calls before the first, and runs of which the median counts."""
SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192), (16384, 8192, 8192), (64, 8192, 8192))
"""(m, n, k): two cubes, the prompts and the answers of a batch."""
BULK = 1024
"""Rows of a product from which the class of large products is of it; smaller ones are only told."""
FORMATS = {"BF16": "bfloat16", "FP16": "float16"}
COPY_BYTES = 2**31
ATTENTION = (4, 32, 4096, 128)
"""Sequences, heads, tokens and width of a head."""
MESSAGES = (2**20, 2**24, 2**28, 2**30)
NO_TORCH = "PyTorch is not installed here: gpuspec measure needs it on the machine with the GPU"
NO_GPU = "PyTorch sees no NVIDIA GPU here: run gpuspec measure on the machine that has one"


class Measured(NamedTuple):
    """What one measurement gave."""

    what: str
    seconds: float
    rate: float
    unit: str
    kind: str
    """The kind of `validate` that reads it; empty where none does."""
    cells: Cells


def torch_here() -> Any:
    """Return PyTorch of this machine.

    Raises
    ------
    InputError
        Where it is not installed, or sees no GPU.
    """
    try:
        import torch
    except ImportError:
        raise InputError("measure", "PyTorch", NO_TORCH) from None
    if not torch.cuda.is_available():
        raise InputError("measure", "GPU", NO_GPU)
    return torch


def seconds_of(
    call: Callable[[], object], wait: Callable[[], object], clock: Callable[[], float]
) -> float:
    """Return the seconds of a call: the median of `REPEATS` runs of as many as take `LEAST_S`.

    `wait` returns once the device has done what was asked of it.
    """
    for _ in range(WARM):
        call()
    wait()
    start = clock()
    call()
    wait()
    calls = max(math.ceil(LEAST_S / max(clock() - start, 1e-6)), 1)
    runs = []
    for _ in range(REPEATS):
        start = clock()
        for _ in range(calls):
            call()
        wait()
        runs.append((clock() - start) / calls)
    return float(np.median(runs))


def measurements_of(
    torch: Any, clock: Callable[[], float] = time.perf_counter, budget_s: float = BUDGET_S
) -> Iterator[Measured]:
    """Yield what the GPUs of this machine do; what does not fit their memory is left out."""
    name, count, start = torch.cuda.get_device_name(0), torch.cuda.device_count(), clock()
    about: Cells = {"gpu": name, "n_gpus": 1, "publisher": "own", "source_id": "gpuspec measure"}
    for measure in (*_products(torch, about), *_moves(torch, about), *_links(torch, name, count)):
        if clock() - start > budget_s:
            return
        try:
            yield measure(clock)
        except RuntimeError as error:  # out of memory, or a format that the GPU lacks
            if "memory" not in str(error) and "not implemented" not in str(error):
                raise
        torch.cuda.empty_cache()


Timer = Callable[[Callable[[], float]], Measured]


def _products(torch: Any, about: Cells) -> Iterator[Timer]:
    for form, dtype in FORMATS.items():
        for m, n, k in SHAPES:

            def timed(
                clock: Callable[[], float],
                form: str = form,
                dtype: str = dtype,
                shape: tuple[int, int, int] = (m, n, k),
            ) -> Measured:
                rows, columns, inner = shape
                one = torch.randn(rows, inner, device="cuda", dtype=getattr(torch, dtype))
                other = torch.randn(inner, columns, device="cuda", dtype=getattr(torch, dtype))
                seconds = seconds_of(lambda: one @ other, torch.cuda.synchronize, clock)
                rate = 2.0 * rows * columns * inner / seconds / 1e12
                case = f"m n k = {rows} {columns} {inner}"
                cells = {**about, "workload": "gemm-tensor", "precision": form, "case": case}
                cells |= {"metric": "tflops", "value": rate}
                kind = "hpc" if min(shape) >= BULK else ""
                return Measured(f"{form} {case}", seconds, rate, "TFLOP/s", kind, cells)

            yield timed


def _moves(torch: Any, about: Cells) -> Iterator[Timer]:
    def copy(clock: Callable[[], float]) -> Measured:
        source = torch.empty(COPY_BYTES // 4, device="cuda", dtype=torch.float32)
        target = torch.empty_like(source)
        seconds = seconds_of(lambda: target.copy_(source), torch.cuda.synchronize, clock)
        rate = 2.0 * COPY_BYTES / seconds / 1e9
        cells = {**about, "workload": "stream", "precision": "FP32", "case": "copy"}
        cells |= {"metric": "gb_s", "value": rate}
        return Measured("copy, read and written", seconds, rate, "GB/s", "hpc", cells)

    def attention(clock: Callable[[], float]) -> Measured:
        q = torch.randn(*ATTENTION, device="cuda", dtype=torch.bfloat16)
        attend = torch.nn.functional.scaled_dot_product_attention
        seconds = seconds_of(lambda: attend(q, q, q, is_causal=True), torch.cuda.synchronize, clock)
        batch, heads, tokens, width = ATTENTION
        rate = 2.0 * batch * heads * tokens**2 * width / seconds / 1e12  # half of 4: causal
        return Measured("causal attention, BF16", seconds, rate, "TFLOP/s", "", {})

    yield copy
    yield attention


def _links(torch: Any, name: str, count: int) -> Iterator[Timer]:
    if count < 2:
        return
    link = link_key(gpu(name))
    for size in MESSAGES:

        def timed(clock: Callable[[], float], size: int = size) -> Measured:
            parts = [
                torch.ones(size // 4, device=f"cuda:{i}", dtype=torch.float32) for i in range(count)
            ]

            def wait() -> None:
                for i in range(count):
                    torch.cuda.synchronize(i)

            seconds = seconds_of(lambda: torch.cuda.nccl.all_reduce(parts), wait, clock)
            rate = size / seconds * 2 * (count - 1) / count / 1e9
            cells: Cells = {"gpu": name, "link": link, "operation": "all_reduce", "nodes": 1}
            cells |= {"gpus_per_node": count, "message_bytes": size, "seconds": seconds}
            cells |= {"publisher": "own", "source_id": "gpuspec measure"}
            what = f"all-reduce of {size / 2**20:g} MiB over {count} GPUs"
            return Measured(what, seconds, rate, "GB/s of bus bandwidth", "collectives", cells)

        yield timed


def tables_of(found: list[Measured]) -> list[Imported]:
    """Return what can be compared as tables of `validate`, one of each kind."""
    kinds = [kind for kind in ("hpc", "collectives") if any(one.kind == kind for one in found)]
    made = []
    for kind in kinds:
        own = [one for one in found if one.kind == kind]
        rows = tuple({"case_id": one.what, **one.cells} for one in own)
        made.append(Imported(kind, rows, tuple(rows[0]), (), ()))
    return made
