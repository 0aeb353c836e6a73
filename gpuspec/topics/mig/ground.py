"""What was measured of slices like those on which tenants run."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gpuspec.catalog import gpu
from gpuspec.constants.ground import Ground, ground_of, joined
from gpuspec.constants.mig import LANGUAGE_MODELS
from gpuspec.topics.mig.options import WHOLE_GPU
from gpuspec.topics.mig.packing import Packing


def option_ground(option: Mapping[Any, Any]) -> Ground:
    """Return the ground of a tenant's place, a row of the options: a slice, or whole GPUs.

    On a slice both count: what was measured of such slices, and of such a language model at all.
    """
    whole: Ground = option["whole_ground"]
    if option["profile"] == WHOLE_GPU:
        return whole
    device = gpu(str(option["gpu"]))
    said: dict[str, Any] = {"gpu": device.id, "generation": device.architecture}
    serves = option["output_tokens_s"] == option["output_tokens_s"]  # not NaN
    if serves or option["work_kind"]:
        said["work"] = LANGUAGE_MODELS if serves else "kernel"
    slices = profile_slices(option["profile"])
    return joined([ground_of("mig", {**said, "load": "full load", "slices": slices}), whole])


def profile_slices(profile: object) -> int:
    """Return the compute slices of a profile.

    >>> profile_slices("3g.71gb")
    3
    """
    return int(str(profile).partition("g")[0])


def packing_ground(packing: Packing, options: pd.DataFrame) -> Ground:
    """Return the worst ground of the places that tenants got."""
    held = packing.placements
    if held.empty:
        return Ground("measured")
    placed = held[held["tenant"] != ""][["tenant", "gpu", "profile"]].drop_duplicates()
    table = options.merge(placed, on=["tenant", "gpu", "profile"])
    return joined(option_ground(row) for row in table.to_dict("records"))
