"""Why an option is out, and what limits one that is in: in words, with the amount."""

import numpy as np
import pandas as pd

from gpuspec.constants.ground import Reason
from gpuspec.decision.plan.limits import CONSTRAINTS, NOTHING_OVER, limits_of
from gpuspec.decision.plan.options import Options
from gpuspec.decision.scenario import Scenario

NO_LIMIT = Reason.of("none")


def binding(row: pd.Series) -> Reason:
    """Return the constraint that is used most, with its share; memory or speed where none is."""
    uses = {n: float(row[f"use_{n}"]) for n in CONSTRAINTS if np.isfinite(row[f"use_{n}"])}
    name = max(uses, key=lambda n: uses[n])
    if uses[name] < 0.5:
        return Reason.of("speed ({part})", part=row["bound"]) if row.get("bound") else NO_LIMIT
    return Reason.of("{limit} ({share})", limit=CONSTRAINTS[name].name, share=f"{uses[name]:.0%}")


def reason(scenario: Scenario, options: Options, row: pd.Series) -> str:
    """Return the first constraint that an option breaks, and by how much."""
    name = next((n for n in CONSTRAINTS if row[f"use_{n}"] > NOTHING_OVER), "")
    if not name or name == "spot":
        return CONSTRAINTS[name].reason if name else ""
    limits = limits_of(scenario, scenario.workloads[options.place])
    limits["available"] = float(options.offers["available"].iloc[int(row["offer"])])
    if name == "gpus" and (text := _missing_cache(scenario, options, row)):
        return text
    broken = CONSTRAINTS[name]
    value, limit = row[broken.column] * broken.scale, limits[name] * broken.scale
    over = value - limit
    return broken.reason.format(
        value=value, limit=limit, over=over, value_usd=_usd(value), over_usd=_usd(over)
    )


def _missing_cache(s: Scenario, options: Options, row: pd.Series) -> str:
    """Say by how much the KV cache is too large for the GPUs that are allowed, where it is."""
    w, tech = s.workloads[options.place], options.ways.table.iloc[int(row["tech"])]
    replicas = (s.limits.gpus or 0) // int(tech["unit_gpus"])
    if not (w.kind == "inference" and not w.arriving and replicas and tech["kv_gib"] > 0):
        return ""
    short = (w.in_flight / replicas - float(tech["most"])) * float(tech["kv_gib"])
    size = f"{w.isl + w.osl:,} tokens x {w.in_flight:,}"
    return f"KV cache does not fit at {size}: {short:,.0f} GiB short" if short > 0 else ""


def _usd(value: float) -> str:
    return f"{value / 1e6:,.2f} M USD" if value >= 1e6 else f"{value:,.0f} USD"


def rejected(options: Options) -> list[dict[str, str]]:
    """Return each GPU and split that cannot run at all, with the reason."""
    table = options.ways.table
    rows = [
        {"gpu": r.gpu, "precision": r.precision, "split": r.split, "reason": r.reason}
        for r in table[~table["works"]].itertuples()
    ]
    why = "no price for it in the tables: give a quote of your own"
    unpriced = table["gpu"][~table["gpu"].isin(options.offers["gpu"])].unique()
    return rows + [{"gpu": g, "precision": "", "split": "", "reason": why} for g in unpriced]
