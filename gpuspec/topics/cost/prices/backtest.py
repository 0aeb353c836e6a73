"""How wrong an earlier price is about a later one: unchanged, and carried by the market."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.base.units import Floats
from gpuspec.catalog import load_table
from gpuspec.topics.cost.prices.market import CARRIED, CONTRACT, market, series_points
from gpuspec.topics.cost.prices.records import operating

FROM, TO = ("2026-05-01", "2026-06-30"), ("2026-10-01", "2026-11-30")
"""Rows that predict, and rows that are predicted."""
YEAR_DAYS = 365.0
MOST_DAYS = 730
"""Longest time between two points that are held against each other."""
OLDEST_DAYS = 3650
"""Age after which a range grows no more."""
INSIDE = 0.8
"""Share of the later prices that lie within the error stated."""
PAIR = ["kind", "seller", "days", "log", "move"]


def back_test(until: date) -> pd.DataFrame:
    """Predict the last row of each series within `TO` by its last row within `FROM`.

    Points after the day `until` are not used.
    One row a series that has both: ``series``, ``gpu_id``, ``mode``, dates, prices, ``error`` of
    the price unchanged (predicted over actual, less 1: below 0 where prices have risen) and
    ``error_carried`` of the price carried by the market without this seller.
    """
    points = series_points()
    points = points[points["day"] <= until.toordinal()]
    first, last = (_last_within(points, span) for span in (FROM, TO))
    both = first.merge(last, on="series", suffixes=("", "_later"))
    moved = [_left_out_move(row) for _, row in both.iterrows()]
    ratio = both["price_gpu_hour"] / both["price_gpu_hour_later"]
    both = both.assign(error=ratio - 1, error_carried=ratio * np.exp(np.array(moved, float)) - 1)
    columns = ["series", "gpu_id", "mode", "as_of", "price_gpu_hour"]
    columns += ["as_of_later", "price_gpu_hour_later", "error", "error_carried"]
    return both[columns].sort_values("error", ignore_index=True, kind="stable")


def error_summary(errors: pd.DataFrame) -> dict[str, float]:
    """Return number of series, median, 90th percentile and worst of absolute errors, and bias.

    The same of the prices carried have names that end in ``_carried``; they lack the number.
    """
    if errors.empty:
        return {"series": 0}
    found: dict[str, float] = {"series": len(errors)}
    for end in ("", "_carried"):
        error = errors[f"error{end}"].to_numpy(float)
        size = np.abs(error)
        found |= {
            f"median{end}": float(np.median(size)),
            f"p90{end}": float(np.quantile(size, 0.9)),
            f"worst{end}": float(size.max()),
            f"bias{end}": float(error.mean()),
        }
    return found


@lru_cache
def age_errors() -> pd.DataFrame:
    """Return how wrong prices become with age, by kind, and whether they were carried.

    Columns: ``kind`` (on-demand, reserved, spot, own), ``carried``, ``pairs``, ``sellers``,
    ``rms`` (of the logarithm of later over predicted price, each seller counted once), and
    ``spread_year``: 80 % of the pairs differ by less than its exponential after a year, by the
    square root of time before and after, as a sum of independent moves would.
    """
    table = pd.concat([_rents(), _purchases()], ignore_index=True)
    years = table["days"] / YEAR_DAYS
    rows: list[tuple[str, bool, int, int, float, float]] = []
    for kind, group in table.groupby("kind", sort=False):
        weight = (1 / group.groupby("seller")["log"].transform("size")).to_numpy(float)
        for carried in (False, True):
            if carried and kind == "own":  # there is no series of purchases
                continue
            error = (group["log"] - (group["move"] if carried else 0.0)).abs().to_numpy(float)
            rms = float(np.sqrt(np.average(error**2, weights=weight)))
            grown = error / np.sqrt(years[group.index].to_numpy(float))
            row = (len(group), group["seller"].nunique(), rms, _quantile(grown, weight, INSIDE))
            rows.append((str(kind), carried, *row))
    columns = ["kind", "carried", "pairs", "sellers", "rms", "spread_year"]
    return pd.DataFrame(rows, columns=columns)


def kind_of(mode: str) -> str:
    """Return the kind of a mode in `age_errors`."""
    return "reserved" if mode.startswith("reserved") else mode


def age_spread(mode: str, known_days: float, unknown_days: float) -> float:
    """Return by how much the logarithm of a price is wrong after days carried and days not."""
    spreads, kind = _spreads(), kind_of(mode)
    plain, carried = spreads[kind, False], spreads[kind, mode in CARRIED]
    old = min(unknown_days, OLDEST_DAYS)  # what is known ends with the tables
    spread = carried**2 * known_days + plain**2 * old
    return float(np.sqrt(spread / YEAR_DAYS))


@lru_cache
def _spreads() -> dict[tuple[str, bool], float]:
    table = age_errors()
    keys = zip(table["kind"], table["carried"], strict=True)
    return dict(zip(keys, table["spread_year"], strict=True))


def _rents() -> pd.DataFrame:
    """Return all pairs of points of a series, with the move of the market without its seller."""
    points = series_points()
    both = points.merge(points, on=["series", "mode"], suffixes=("", "_later"))
    days = both["day_later"] - both["day"]
    both = both[(days > 0) & (days <= MOST_DAYS)].reset_index(drop=True)
    moves = np.array([_left_out_move(row) for _, row in both.iterrows()], float)
    log = np.log(both["price_gpu_hour_later"] / both["price_gpu_hour"])
    kinds = both["mode"].map(kind_of)
    table = both.assign(kind=kinds, seller=both["provider"], log=log, move=moves)
    return table.assign(days=both["day_later"] - both["day"])[PAIR]


def _purchases() -> pd.DataFrame:
    """Return pairs of prices of the same new item; who sold it is not in the sources."""
    table = load_table("prices-purchase")
    keep = table["used"] & (table["condition"] == "new") & (table["confidence"] != "C")
    table = table[keep & (table["currency"] == "USD") & table["price"].notna()]
    item = table["gpu_id"] + " " + table["form"]
    table = table.assign(seller=item, day=pd.to_datetime(table["as_of"]))[item.str.len() > 6]
    both = table[["seller", "day", "price"]].merge(
        table[["seller", "day", "price"]], on="seller", suffixes=("", "_later")
    )
    days = (both["day_later"] - both["day"]).dt.days
    both = both.assign(days=days)[(days > 0) & (days <= MOST_DAYS)]
    log = np.log(both["price_later"] / both["price"])
    return both.assign(kind="own", log=log, move=0.0)[PAIR]


def _left_out_move(row: pd.Series) -> float:
    until = date.fromordinal(int(row["day_later"]))
    mode = str(row["mode"])
    asked = CONTRACT if mode.startswith("reserved") else mode
    found = market(
        asked, str(row["tier"]), until, operating().contract_shares, str(row["provider"])
    )
    return float(found.move(row["day"], row["day_later"])[0])


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(np.cumsum(weights[order]), share * weights.sum() * (1 - 1e-12))
    return float(values[order][min(int(place), len(values) - 1)])


def _last_within(points: pd.DataFrame, span: tuple[str, str]) -> pd.DataFrame:
    inside = points[(points["as_of"] >= span[0]) & (points["as_of"] <= span[1])]
    return inside.drop_duplicates("series", keep="last")
