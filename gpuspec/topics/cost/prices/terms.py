"""What an offer binds its buyer to: GPUs taken together, least quantity, start, what follows."""

import numpy as np
import pandas as pd

from gpuspec.base.units import Floats
from gpuspec.catalog import load_table
from gpuspec.topics.cost.prices.market import HYPERSCALER

HOURLY = ("on-demand", "spot")
"""Modes that are paid by the hour, without a term."""
STATED = ["minimum", "lead_months", "after_term"]
"""What ``data/prices_terms.csv`` says, and a quote may."""


def with_terms(frame: pd.DataFrame) -> pd.DataFrame:
    """Return offers with `STATED` filled in: a quote's own, else of the GPU, else of the mode.

    ``minimum`` is a whole number of steps, at least one.
    """
    table = load_table("prices-terms")
    places = zip(table["mode"], table["gpu_id"], strict=True)
    known = dict(zip(places, table[STATED].to_dict("records"), strict=True))
    blank = {"minimum": np.nan, "lead_months": 0.0, "after_term": ""}
    keys = zip(frame["mode"], frame["gpu"], strict=True)
    said = [known.get((mode, gpu), known.get((mode, ""), blank)) for mode, gpu in keys]
    terms = pd.DataFrame(said, columns=STATED, index=frame.index)
    step = frame["step"].to_numpy(float)
    least = frame["minimum"].astype(float).fillna(terms["minimum"].astype(float)).to_numpy()
    return frame.assign(
        minimum=np.maximum(np.ceil(np.nan_to_num(least) / step), 1) * step,
        lead_months=frame["lead_months"].astype(float).fillna(terms["lead_months"]),
        after_term=frame["after_term"].astype(object).fillna(terms["after_term"]),
    )


def node_steps(table: pd.DataFrame) -> Floats:
    """Return how many GPUs the rows of the defaults sell together.

    By the hour one, where some rental row of the GPU, the mode and the kind of seller offers
    single GPUs; else, and for contracts and purchases, the node of the row.
    """
    rows = load_table("prices-rental")
    rows = rows[rows["used"] & (rows["gpus_per_node"] == 1) & rows["mode"].isin(HOURLY)]
    single = set(zip(rows["gpu_id"], rows["mode"], rows["tier"] == HYPERSCALER, strict=True))
    mine = zip(table["gpu_id"], table["mode"], table["tier"] == HYPERSCALER, strict=True)
    alone = np.array([key in single for key in mine], bool)
    return np.asarray(np.where(alone, 1.0, table["gpus"].to_numpy(float)))
