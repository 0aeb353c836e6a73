"""Speeds that the buyer measured: they take the place of the estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpuspec.base.errors import InputError
from gpuspec.base.lazy import pd
from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.constants.ground import Ground
from gpuspec.decision.errors import matching, speeds_of_work
from gpuspec.decision.scenario import Images, Inference, Training
from gpuspec.decision.scenario.questions import job_question
from gpuspec.topics.training.answer import best_layout
from gpuspec.topics.ways import Ways, capacity, records

FACTORS = np.geomspace(1 / 100, 100, 401)
"""Factors on the speed among which that of a measured service is sought."""
LEAST, MOST = 1 / 20, 20.0
"""Beyond these factors on the estimate a figure is refused: its unit is another one."""
FORWARD, TRAINED = 2.0, 4.0
"""Operations a parameter and token that a pass, and training of any kind, cannot do without."""
UNITS = {
    "requests_per_s": "requests/s",
    "tokens_per_s": "tokens/s",
    "images_per_s": "images/s",
    "gpu_hours": "GPU-hours",
}


def measured_ways(workload: Any, ways: Ways, place: int) -> tuple[Any, Ways]:
    """Return a workload with those of its measured speeds that can be used, and its ways with them.

    Ways on a GPU that was measured run at the measured speed. The error that all GPUs have in
    common shows in what was measured, so that ways on other GPUs follow, by as much as that error
    is known from it (`gpuspec.decision.errors.Speeds.gains`).
    """
    rows = getattr(workload, "measured_speeds", ())
    used, factors = [], []
    for i, row in enumerate(rows):
        found = _factor(workload, ways, row, f"workloads[{place}].measured_speeds[{i}]")
        if found is not None:
            used.append(found[0])
            factors.append(found[1])
    known = workload.model_copy(update={"measured_speeds": tuple(used)}) if rows else workload
    return known, _scaled(known, ways, np.array(factors)) if used else ways


def figure(row: Any) -> tuple[str, float]:
    """Return the name and the value of what a row says."""
    name = next(name for name in UNITS if hasattr(row, name))
    return name, float(getattr(row, name))


def _factor(w: Any, ways: Ways, row: Any, at: str) -> tuple[Any, float] | None:
    """Return a row with its number format, and the measured speed over the estimate; None where
    there is no estimate of it.
    """
    table = ways.table[ways.table["works"] & (ways.table["gpu"] == row.gpu)]
    name, value = figure(row)
    _possible(w, row, f"{at}.{name}")
    if getattr(row, "precision", None):
        table = table[table["precision"] == row.precision]
    if table.empty:
        return None
    form = str(table["precision"].iloc[0])
    table = table[table["precision"] == form]
    predicted = _predicted(w, ways, table, row, form)
    if not predicted > 0:
        return None
    factor = predicted / value if name == "gpu_hours" else value / predicted
    if isinstance(w, Inference):
        factor = _service_factor(w, ways, table, row)
    if not LEAST <= factor <= MOST:
        valid = f"the estimate is {predicted:.3g} {UNITS[name]}: give a figure within {MOST:g} "
        raise InputError(f"{at}.{name}", value, f"{valid}times of it, of all GPUs that are named")
    filled = {"precision": form} if "precision" in type(row).model_fields else {}
    return row.model_copy(update=filled), factor


def _possible(w: Any, row: Any, field: str) -> None:
    """Refuse a rate that not even the peak of the GPUs allows."""
    name, value = figure(row)
    if name not in ("requests_per_s", "tokens_per_s"):
        return
    device, active = gpu(row.gpu), model(w.model).params_active
    rates = ("bf16", "fp16", "fp8", "fp4")
    peak = max(float(getattr(device, f"{r}_dense_tflops") or 0.0) for r in rates) * 1e12
    each = TRAINED * active if isinstance(w, Training) else FORWARD * active * float(w.osl)
    most = row.gpus * peak / each
    if peak and value > most:
        valid = f"{row.gpus} GPUs of {row.gpu} cannot do more than {most:.3g} {UNITS[name]} at peak"
        raise InputError(field, value, valid)


def _predicted(w: Any, ways: Ways, table: pd.DataFrame, row: Any, form: str) -> float:
    """Return the estimate of what a row says; 0 where there is none."""
    if isinstance(w, Inference):
        return max(
            (_rates(w, ways, r, row.gpus, np.ones(1))[0] for r in _fitting(table, row)), default=0.0
        )
    if isinstance(w, Images):
        return float(row.gpus) / float(table["speed_s"].iloc[0])
    if isinstance(w, Training):
        best = best_layout(job_question(w, [row.gpu], row.gpus, form), gpu(row.gpu), row.gpus)
        return float(best["tokens_s_gpu"]) * row.gpus if best["works"] else 0.0
    return float((table["days"] * 24 * table["gpus"]).iloc[0])


def _fitting(table: pd.DataFrame, row: Any) -> list[dict[str, Any]]:
    """Return the ways of which so many GPUs hold whole replicas, each once."""
    once = table.drop_duplicates("curve", keep="last")
    return [r for r in records(once) if row.gpus % int(r["unit_gpus"]) == 0]


def _rates(w: Any, ways: Ways, way: Mapping[str, Any], gpus: int, factors: np.ndarray) -> Any:
    """Return the requests a second that GPUs serve within the limits at factors on their speed.

    Little's law gives them from the requests in flight and the time of one.
    """
    curve, replicas = ways.curves[int(way["curve"])], gpus // int(way["unit_gpus"])
    batch, excess = curve["batch"], curve["excess"]
    if "whole" not in curve:
        kept = excess[0] <= 1
        return replicas * capacity(batch, excess, factors) * kept
    rows = ways.table[ways.table["curve"] == way["curve"]].sort_values("batch")
    held = np.maximum(capacity(batch, excess, factors), batch[0])
    seconds = rows["ttft_s"] + max(float(w.osl) - 1, 0.0) * rows["tpot_s"]
    known = rows["batch"].to_numpy(float)
    each = np.interp(held, known, seconds.to_numpy(float))
    # Beyond the loads of the table a request takes as much longer as the limits are further off.
    over = np.interp(np.maximum(held, known[-1]), batch, excess)
    each = each * over / max(float(np.interp(known[-1], batch, excess)), 1e-12)
    within = excess[0] / factors <= 1
    return replicas * np.floor(held + 1e-6) / (each / factors) * within


def _service_factor(w: Any, ways: Ways, table: pd.DataFrame, row: Any) -> float:
    """Return the least factor on the speed at which some way serves what was measured."""
    found = []
    for way in _fitting(table, row):
        rates = np.maximum.accumulate(_rates(w, ways, way, row.gpus, FACTORS))
        able = rates > 0
        if able.sum() > 1 and rates[-1] >= row.requests_per_s:
            logs = np.log(rates[able]) + 1e-12 * np.arange(able.sum())
            found.append(np.interp(np.log(row.requests_per_s), logs, np.log(FACTORS[able])))
    return float(np.exp(min(found))) if found else np.inf


def _scaled(w: Any, ways: Ways, factors: np.ndarray) -> Ways:
    """Return ways at the measured speeds, and on other GPUs at what follows from them."""
    speeds = speeds_of_work(w.kind)
    shift = [speeds.shift.get(row.gpu, 0.0) for row in w.measured_speeds]
    others = float(np.exp(speeds.gains(w.measured_speeds) @ (np.log(factors) - shift)))
    table = ways.table.copy()
    services = w.kind in ("inference", "images")
    scale = np.full(len(table), others)
    surely = np.zeros(len(table), bool)
    for i, way in enumerate(records(table)):
        place = matching(
            w.measured_speeds, way["gpu"], way["precision"], int(way["unit_gpus"]), services
        )
        if place is not None:
            scale[i], surely[i] = factors[place], True
    curves = list(ways.curves)
    for place in np.unique(table.loc[table["works"], "curve"]):
        if place >= 0:
            factor = float(scale[(table["curve"] == place).to_numpy()][0])
            curves[place] = curves[place] | {"excess": curves[place]["excess"] / factor}
    for name in ("days", "speed_s", "ttft_s", "tpot_s"):
        table[name] = table[name] / scale
    table.loc[surely, "ground"], table.loc[surely, "inherited"] = 0, False
    names = {row.gpu for row in w.measured_speeds}

    def ground(row: Mapping[str, Any]) -> Ground:
        return Ground("measured") if row["gpu"] in names else ways.ground(row)

    return replace(ways, table=table, curves=curves, explain=ground)
