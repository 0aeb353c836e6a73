"""What tokens, training runs and simulations cost on each GPU, rented and owned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.constants.inference import ratio_interval
from gpuspec.constants.training import training_ratio_interval
from gpuspec.formulas import cost
from gpuspec.topics.cost.ask import CostQuestion
from gpuspec.topics.cost.hours import way_names, with_unpriced
from gpuspec.topics.cost.prices.records import BANDS
from gpuspec.topics.serving import ServingQuestion, best_rows
from gpuspec.topics.training import TrainingQuestion, deadline_table
from gpuspec.topics.training import runs_table as training_runs


def _hours(question: CostQuestion) -> pd.DataFrame:
    """Return the default offers with their cost of a used hour, no hyperscalers.

    A GPU without a price has a row all the same, with mode "".
    """
    found = question.offers(providers=())
    costs = cost.gpu_hour_usd(found, question.used_hours_share)
    keep = ["gpu", "mode", "power_w_gpu", "interruptions_per_gpu_hour"]
    table = pd.concat([found[keep], costs], axis=1).assign(way=way_names(found))
    return with_unpriced(table, question)


def _costed(table: pd.DataFrame, usd: Callable[[pd.Series], Any]) -> pd.DataFrame:
    """Return a table with costs at low, central and high price of an hour."""
    ends = {
        name: usd(table[band]) for name, band in zip(("low", "usd", "high"), BANDS, strict=True)
    }
    return table.rename(columns={"central": "hour"}).assign(**ends)


def tokens_table(question: CostQuestion, service: ServingQuestion) -> pd.DataFrame:
    """Return the cost of a million output tokens of a service by GPU and way.

    Columns: ``gpu``, ``mode``, ``way``, ``weight``, ``gpus``, ``tokens_s_gpu``, ``usd``, ``low``,
    ``high`` (of the price; speed at its central estimate), ``reason`` where it does not work.
    Prompts are paid for with the output. The fleet of each GPU is its cheapest that keeps the
    latency limits.
    """
    known = ["gpu", "works", "weight", "gpus", "reason", "output_tokens_s"]
    table = best_rows(service)[known].merge(_hours(question), on="gpu")
    # Throughput is that of the whole fleet, at the concurrency asked.
    rate = (table["output_tokens_s"] / table["gpus"]).where(table["works"].astype(bool))
    table = _costed(table, lambda hour: cost.usd_per_million_tokens(hour, rate))
    table = table.assign(tokens_s_gpu=rate)
    columns = ["gpu", "mode", "way", "weight", "gpus", "reason", "hour", "tokens_s_gpu"]
    return table[[*columns, "usd", "low", "high"]]


def runs_table(question: CostQuestion, job: TrainingQuestion) -> pd.DataFrame:
    """Return the cost, energy and carbon of a training run by GPU and way.

    Columns: ``gpu``, ``mode``, ``way``, ``gpus``, ``days``, ``gpu_hours``, ``usd``, ``low``,
    ``high`` (of the price), ``mwh`` (at the meter), ``tonnes_co2``, ``meets``, ``reason``. On
    spot the hours include those that interruptions lose.
    """
    answer = deadline_table(job, training_runs(job))
    known = ["gpu", "works", "gpus", "days", "meets", "reason", "gpu_hours", "write_s"]
    table = answer[known].merge(_hours(question), on="gpu")
    lost = table["interruptions_per_gpu_hour"]
    useful = np.where(lost > 0, cost.spot_useful_share(lost, table["gpus"], table["write_s"]), 1.0)
    used: pd.Series = table["gpu_hours"].where(table["works"].astype(bool)) / useful
    kwh = cost.energy_kwh(table["power_w_gpu"], 1, used, question.assumptions.pue)
    carbon = cost.carbon_kg(kwh, question.assumptions.carbon_kg_kwh)
    table = _costed(table, lambda hour: cost.run_usd(hour, 1, used))
    table = table.assign(gpu_hours=used, mwh=kwh / 1e3, tonnes_co2=carbon / 1e3)
    columns = ["gpu", "mode", "way", "gpus", "days", "meets", "reason", "hour", "gpu_hours"]
    return table[[*columns, "usd", "low", "high", "mwh", "tonnes_co2"]]


def simulation_table(question: CostQuestion, gpu_hours: float) -> pd.DataFrame:
    """Return the cost of a simulation of `gpu_hours` on the first GPU, on every GPU.

    Two ends: a code that waits for memory runs faster by the ratio of bandwidths, one that
    computes in FP64 on vector units by the ratio of their rates.
    """
    first, table = question.devices[0], _hours(question)
    ratios = {
        d.id: {
            "usd_bandwidth": d.memory_bandwidth_gb_s / first.memory_bandwidth_gb_s,
            "usd_fp64": (d.fp64_tflops or np.nan) / (first.fp64_tflops or np.nan),
        }
        for d in question.devices
    }
    speeds = pd.DataFrame([ratios[name] for name in table["gpu"]], index=table.index)
    costs = speeds.rdiv(gpu_hours).mul(table["central"], axis=0)
    return pd.concat([table[["gpu", "mode", "way"]], costs], axis=1)


def claims_table(
    tokens: pd.DataFrame, runs: pd.DataFrame, service: str, job: str, mode: str = "on-demand"
) -> pd.DataFrame:
    """Return what the buyers' article says about value beside what prices and speeds give.

    Ratios are of cost; in brackets the 80 % interval of the ratio of speeds. A price of the
    older GPU at which both cost the same says what would flip a verdict.
    """
    rows = []
    for claim, old, new, which in (
        ("C10: on a limited budget train on H100 or H200", "a100", "h100", "run"),
        ("C10: and infer on A100", "a100", "h100", "token"),
        ("C20: up to 30B A100 is the best value", "a100", "h100", "token"),
        ("C26: H100 is still worth buying after H200, for inference", "h100", "h200", "token"),
        ("C26: the same, for training", "h100", "h200", "run"),
    ):
        found = _cost_ratio(tokens if which == "token" else runs, old, new, which, mode)
        if found:
            ratio, low, high, flip = found
            what = f"A {which} of {service if which == 'token' else job}"
            text = (
                f"{what} on {old.upper()} costs {ratio:.2f} ({low:.2f} to {high:.2f}) times that "
            )
            text += f"on {new.upper()}"
            rows.append((claim, text, _verdict(claim, old, low, high, flip)))
    return pd.DataFrame(rows, columns=["statement", "prices_give", "holds"])


def _cost_ratio(
    table: pd.DataFrame, old: str, new: str, which: str, mode: str
) -> tuple[float, float, float, float] | None:
    """Return cost on the old GPU over the new one, its interval, and the old price that is even."""
    rows = table[(table["mode"] == mode) & table["usd"].notna()]
    sides = [rows[rows["gpu"].str.startswith(name)] for name in (old, new)]
    if any(side.empty for side in sides):
        return None
    one, two = (side.iloc[0] for side in sides)
    ratio = one["usd"] / two["usd"]
    interval = ratio_interval if which == "token" else training_ratio_interval
    low, high = (float(end) for end in interval(ratio, two["gpu"], one["gpu"]))
    return ratio, low, high, one["hour"] / ratio


def _verdict(claim: str, old: str, low: float, high: float, flip: float) -> str:
    wants_old = not claim.startswith("C10: on")
    if low <= 1 <= high:
        return f"even within the error; {old.upper()} wins below {flip:.2f} an hour"
    cheaper = high < 1
    word = "true by price" if cheaper == wants_old else "not by price"
    return f"{word}; even at {flip:.2f} an hour of {old.upper()}"


def summary_table(
    question: CostQuestion, tokens: pd.DataFrame, runs: pd.DataFrame, simulations: pd.DataFrame
) -> pd.DataFrame:
    """Return what work costs on each GPU, rented on demand and owned, with energy and carbon.

    The arguments are `tokens_table`, `runs_table` and `simulation_table` of the question.
    """
    key, kept = ["gpu", "mode"], ["on-demand", "own", ""]
    of_runs = runs[[*key, "usd", "days", "mwh", "tonnes_co2"]].rename(columns={"usd": "usd_run"})
    table = tokens[[*key, "way", "usd"]].rename(columns={"usd": "usd_tokens"})
    table = table.merge(of_runs, on=key, how="outer")
    table = table.merge(simulations[[*key, "usd_bandwidth", "usd_fp64"]], on=key, how="outer")
    table = table[table["mode"].isin(kept)].drop_duplicates(key)
    order = {name: i for i, name in enumerate([*question.gpus, *kept])}
    table = table.sort_values(key, key=lambda column: column.map(order), kind="stable")
    shown = ["gpu", "way", "usd_tokens", "usd_run", "days", "mwh", "tonnes_co2"]
    return table[[*shown, "usd_bandwidth", "usd_fp64"]]
