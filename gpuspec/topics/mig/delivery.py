"""What slices give of their whole GPU: simulations and a language model side by side."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu
from gpuspec.formulas.mig import compute_share, geometry, memory_share, slice_gpu
from gpuspec.formulas.serving import Deployment, decode_seconds, prefill_seconds
from gpuspec.topics.hpc import class_seconds
from gpuspec.topics.mig.ask import MigQuestion
from gpuspec.topics.mig.options import slice_engine
from gpuspec.topics.serving import ServingQuestion

CLASSES = ("stream", "lbm", "md", "dgemm")
"""Classes of computations that are shown: from memory alone to units alone."""
MODEL_WORK = ("decode", "prefill")
PREFILL_TOKENS = 2048
DECODE_SEQUENCES = 16
DECODE_CONTEXT = 1024


def delivery_table(question: MigQuestion, model_name: str) -> pd.DataFrame:
    """Return what each slice gives of its whole GPU without MIG.

    The models of scientific computing and of inference run on the slice as on a small GPU, with
    the constants of the whole one. A simulation's speed over that of the whole GPU does not
    depend on its size; what no GPU changes (its host's part) takes as long beside a slice.

    Columns: ``gpu``, ``profile``, ``sms`` and ``memory`` (shares of SMs and of memory slices), the
    speed of each of `CLASSES`, and ``decode`` and ``prefill`` of the model, all over the whole GPU;
    NaN where the model does not fit, or the table of GPUs lacks what a class needs.
    """
    load = {"model": model_name, "weights": "bf16", "isl": 1024, "osl": 128}
    asked = ServingQuestion.ask(gpus=question.devices[0].id, engine=question.engine, **load)
    on_slice = asked.on(asked.devices, slice_engine(asked.runtime), max_gpus=1)
    tables = []
    for whole in question.devices:
        profiles = [p for p in geometry(whole.id).profiles.values() if not p.media_engine]
        devices = [slice_gpu(whole.id, p.profile) for p in profiles]
        of_whole = _speeds(asked.replica(whole, asked.formats[0], 1))
        of_slices = [
            _speeds(on_slice.replica(device, asked.formats[0], 1))
            if asked.network.params * 2 < 0.9 * device.memory_bytes
            else (np.nan, np.nan)
            for device in devices
        ]
        prefill, decode = (np.array(of_slices) / of_whole).T
        seconds = {name: _simulated([whole, *devices], name) for name in CLASSES}
        shares = {
            "gpu": whole.id,
            "profile": [p.profile for p in profiles],
            "sms": [compute_share(whole, p) for p in profiles],
            "memory": [memory_share(p) for p in profiles],
            **{name: np.asarray(s[0] / s[1:]) for name, s in seconds.items()},
            "decode": decode,
            "prefill": prefill,
        }
        tables.append(pd.DataFrame(shares))
    return pd.concat(tables, ignore_index=True)


def _simulated(devices: list[Gpu], name: str) -> np.ndarray:
    """Return the seconds of a class of work; NaN where the table lacks what it needs."""
    try:
        return np.asarray(class_seconds(devices, name))
    except InputError:
        return np.full(len(devices), np.nan)


def _speeds(replica: Deployment) -> tuple[float, float]:
    """Return prompts and token steps a second of a replica."""
    prompt = sum(prefill_seconds(replica, 1, PREFILL_TOKENS).values())
    step = sum(decode_seconds(replica, DECODE_SEQUENCES, DECODE_CONTEXT).values())
    return 1 / float(prompt), 1 / float(step)
