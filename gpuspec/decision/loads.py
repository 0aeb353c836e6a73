"""What the load of a service asks over the month: layers of its hours, and replicas in reserve.

Sizes follow the busiest hour; what is paid by the hour follows the hours of the layers.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuspec.base.units import HOURS_MONTH, Floats
from gpuspec.catalog import kept, table_rows
from gpuspec.decision.scenario.records import Workload
from gpuspec.formulas.duration import day_and_night, hourly_levels, layer_edges, time_share
from gpuspec.formulas.reliability import kept_for, up_share
from gpuspec.topics.serving.traces import MOST_FACTOR
from gpuspec.views.language import ENGLISH, Words

ALL_MONTH_HOURS = 700.0
"""A service with more hours a month than these is up all month, but for some maintenance."""
DAY_HOURS = 24.0


class Layer(NamedTuple):
    """A horizontal slice of the load-duration curve of a service."""

    share_from: float
    """Where it begins, as a share of the load of the busiest hour."""
    share_to: float
    hours_month: float
    """Hours of a month in which it is needed."""


class Stated(NamedTuple):
    """What a workload says, or is taken to say, of reserve and load over the day."""

    field: str
    value: Any
    is_default: bool
    words: str


# --- the load over the month ---------------------------------------------------------------------


def layers(workload: Workload) -> tuple[Layer, ...]:
    """Return the load of a workload, cut into at most four layers, the one at the bottom first.

    The layer from `share_from` to `share_to` of the load of the busiest hour is needed
    `hours_month` hours a month; hours never grow from a layer to the next, and their sum over the
    widths is the load of the month, which is kept exactly:
    sum (share_to - share_from) hours_month = hours_per_month x mean / busiest hour.

    The curve is that of the profile, each of whose 24 numbers stands for a 24th of
    `hours_per_month`; without one that of the file of lengths, where its times give the peak; else
    `peak_factor` alone says it, and then a day of two levels is assumed
    (`gpuspec.formulas.duration.day_and_night`). An even load is one layer. So is a job, over the
    whole month: how many of its hours a job runs depends on the way it runs.

    >>> from gpuspec.decision.scenario import scenario
    >>> chat = {"kind": "inference", "name": "c", "model": "Llama-3.1-8B", "concurrency": 8}
    >>> def asked(**more): return scenario({"name": "s", "workloads": [chat | more]}).workloads[0]
    >>> layers(asked())
    (Layer(share_from=0.0, share_to=1.0, hours_month=730.0),)
    >>> [tuple(round(x, 2) for x in layer) for layer in layers(asked(peak_factor=2))]
    [(0.0, 0.25, 730.0), (0.25, 1.0, 243.33)]
    >>> [tuple(round(x, 2) for x in layer) for layer in layers(asked(profile="night"))]
    [(0.0, 1.0, 304.17)]
    """
    hours = getattr(workload, "hours_per_month", HOURS_MONTH)
    levels, shares = _curve(workload)
    edges, needed = _cut(tuple(levels.tolist()), tuple(shares.tolist()))
    cut = zip(edges, edges[1:], needed, strict=False)
    return tuple(Layer(low, high, hours * share) for low, high, share in cut)


def _curve(workload: Any) -> tuple[Floats, Floats]:
    """Return the levels of a load and the share of the time of each."""
    levels = getattr(workload, "day", None)
    if levels is None:
        factor = getattr(workload, "peak_factor", 1.0)
        levels = _of_file(workload, factor)
        if levels is None:
            return day_and_night(1 / factor)
    return np.asarray(levels, float), np.full(len(levels), 1 / len(levels))


def _of_file(workload: Any, factor: float) -> Floats | None:
    """Return the levels of a file of requests, where the peak is the one that its times give."""
    trace = getattr(workload, "trace", None)
    if trace is None or trace.day is None:
        return None
    if not math.isclose(factor, min(trace.day.factor, MOST_FACTOR)):
        return None
    return hourly_levels(trace.times_s, trace.day.peak_s)


@lru_cache(256)
def _cut(levels: tuple[float, ...], shares: tuple[float, ...]) -> tuple[list[float], list[float]]:
    edges = layer_edges(levels, shares)
    return edges.tolist(), np.minimum(time_share(edges, levels, shares), 1.0).tolist()


# --- replicas in reserve -------------------------------------------------------------------------


def replicas(workload: Workload, needed: NDArray[Any], unit_gpus: int) -> NDArray[Any]:
    """Return how many replicas are kept where the busiest hour needs `needed`.

    max(replicas_min, needed) and the spare ones on top; with an availability target at least the
    fewest n of which `needed` are up with that probability
    (`gpuspec.formulas.reliability.kept_for`). Jobs keep what they need: they restart. What is kept
    above `needed` is there in all of `hours_per_month`, whatever the layers say.

    Parameters
    ----------
    workload : Workload
    needed : ndarray
        Replicas that carry the load (of tenants: GPUs), of any shape; infinite where none do.
    unit_gpus : int
        GPUs of a replica.

    Returns
    -------
    ndarray
        Of the shape of `needed`; never below it, never falling in it, in `unit_gpus`, in the
        target or in the spare replicas.
    """
    asked: Any = workload
    whole = np.ceil(np.asarray(needed))
    if not hasattr(asked, "spare_replicas"):
        return whole
    kept = np.maximum(getattr(asked, "replicas_min", 1), whole) + spare_of(asked)
    if asked.availability is None:
        return np.asarray(kept)
    up = up_share(unit_gpus, *failures_and_repair())
    numbers, place = np.unique(np.where(np.isfinite(whole), whole, 0), return_inverse=True)
    enough = kept_for(numbers, up, asked.availability)[place].reshape(whole.shape)
    return np.asarray(np.maximum(kept, enough), whole.dtype)


def spare_of(workload: Any) -> int:
    """Return the spare replicas that are kept whatever the availability target asks."""
    if workload.spare_replicas is not None:
        return int(workload.spare_replicas)
    return int(workload.availability is None and workload.hours_per_month > ALL_MONTH_HOURS)


@kept
def failures_and_repair() -> tuple[float, float]:
    """Return the failures of a GPU in an hour, and the mean hours until it is replaced.

    From ``data/reliability.csv``: all unexpected interruptions of Llama 3's run over its GPU-hours,
    and the times of repair of hardware and of software by the share of each. A row of your own
    with the same `quantity` or `id` takes the place of the shipped one.

    >>> failures, repair_hours = failures_and_repair()
    >>> round(failures * 24, 6), round(repair_hours, 1)
    (0.000474, 56.8)
    """
    rows = {row["quantity"]: row for row in table_rows("reliability")}
    of = {name: float(row["value"]) for name, row in rows.items()}
    gpu_days = of["job_observed_time"] * float(rows["job_interruptions_unexpected"]["n_gpus"])
    hardware = of["failure_hardware_share"]
    repair = hardware * of["hardware_repair_time"] * DAY_HOURS
    repair += (1 - hardware) * of["software_repair_time"]
    return of["job_interruptions_unexpected"] / gpu_days / DAY_HOURS, repair


# --- in words ------------------------------------------------------------------------------------


def stated(workload: Workload, say: Words = ENGLISH) -> list[Stated]:
    """Return what a workload keeps in reserve and how its load goes, stated or assumed.

    Each is field, value, whether the value is a default, and a sentence. Empty for jobs. Ask it of
    the workload as it was read: a copy no longer knows which fields were left blank.
    """
    asked: Any = workload
    found = _reserve(asked, say) if hasattr(asked, "spare_replicas") else []
    return [*found, _shape(asked, say)] if hasattr(asked, "profile") else found


def _reserve(w: Any, say: Words) -> list[Stated]:
    found, spare, units = [], spare_of(w), "replicas" if hasattr(w, "profile") else "whole GPUs"
    if hasattr(w, "replicas_min"):
        words = say("Replicas that are kept at least: {n}.", n=f"{w.replicas_min:,}")
        found.append(Stated("replicas_min", w.replicas_min, w.replicas_min == 1, words))
    if w.availability is not None:
        words = say(
            "So many {units} are kept that those the load needs are up {share} of the time.",
            units=say(units),
            share=f"{w.availability * 100:.10g}%",
        )
        found.append(Stated("availability", w.availability, False, words))
    if w.spare_replicas is not None:
        words = say("Spare {units}: {n}.", units=say(units), n=f"{spare:,}")
        found.append(Stated("spare_replicas", spare, False, words))
    elif w.availability is None:
        text = "Spare {units}: {n}, the default of a service that is up {hours} hours a month."
        words = say(text, units=say(units), n=spare, hours=f"{w.hours_per_month:,.4g}")
        found.append(Stated("spare_replicas", spare, True, words))
    return found


def _shape(w: Any, say: Words) -> Stated:
    layers_, profile = layers(w), w.profile
    used = sum((high - low) * hours for low, high, hours in layers_) / w.hours_per_month
    values = {"mean": f"{used:.0%}", "hours": f"{w.hours_per_month:,.4g}"}
    if len(layers_) == 1 and math.isclose(used, 1):
        text = "The load is that of the busiest hour in all {hours} hours a month."
    elif profile is not None:
        values["name"] = profile if isinstance(profile, str) else say("of 24 numbers")
        text = "The load follows the profile {name}: its mean is {mean} of the busiest hour."
    elif _of_file(w, w.peak_factor) is not None:
        words = say(
            "The load follows the times in the file of lengths: its mean is {mean} of the "
            "busiest hour.",
            **values,
        )
        return Stated("lengths", w.lengths, False, words)
    else:
        text = (
            "The mean of the load is {mean} of the busiest hour; for want of a profile it is "
            "taken to be at the peak in {peak} hours of {hours} a month and at {low} of it in "
            "the others."
        )
        values |= {"peak": f"{layers_[-1].hours_month:,.4g}", "low": f"{used**2:.0%}"}
    if profile is None and hasattr(w, "peak_factor"):
        return Stated("peak_factor", w.peak_factor, "peak_factor" in w.filled, say(text, **values))
    return Stated("profile", profile or "even", profile is None, say(text, **values))
