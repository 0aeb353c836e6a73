"""Requests for quotes: what to ask whom before signing, as a table that is read back when filled.

A row is an offer that the recommendation or a near rival takes, or a GPU that may be chosen and has
no price. Its columns are those of a quote (`gpuspec.topics.cost.prices.Quote`) with the price left
open, and beside them what to ask and what the answer rests on today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.base.units import HOURS_MONTH
from gpuspec.catalog import load_table
from gpuspec.catalog.regions import elsewhere
from gpuspec.decision.decide import Decision
from gpuspec.decision.errors import market_factors
from gpuspec.decision.options import JOBS
from gpuspec.decision.plan.words import PAID, Voice, voice_of
from gpuspec.decision.plans import Plan
from gpuspec.decision.worth import QUOTE, variants
from gpuspec.topics.cost.prices.offers import TERM_MONTHS
from gpuspec.topics.cost.prices.quotes import ASKED, COLUMNS
from gpuspec.topics.cost.prices.records import Operating
from gpuspec.views.columns import headings
from gpuspec.views.words import gpu_name

MOST_NAMES = 4
FAR = 10.0
"""Times the price of today beyond which a price at which the answer changes is not told."""
ORDER = ("gpu", "mode", "price", "currency", "unit", "ask", "number", "term_months", "region")
REQUEST = (*ORDER, *(name for name in (*COLUMNS, *ASKED) if name not in ORDER))
"""Columns of a request: what is asked first."""
ALL_IN = "all-in"
"""Tier of a quote for a GPU with all that belongs to it."""
MODES = {"own": "own-server"}
"""How an offer of the tables is quoted, where that is called otherwise."""
HEADS = headings(
    *("gpu", "paid_as", "asked_for", "whom", "price_today", "as_of", "grade"),
    *("flips_below", "flips_above", "worth"),
)
"""Headings of the request on a page."""
PAID_AS = {"own-server": "own", "own-gpu": "own"}
"""How an offer is paid that is quoted under another name."""


def request(decision: Decision, table: pd.DataFrame, language: str | None = None) -> pd.DataFrame:
    """Return what to ask for, one row an offer: those of the recommendation first, then by worth.

    `table` is that of `gpuspec.decision.worth.worth`. Quotes that the scenario states itself stand
    in it with their prices, so that the file may take their place.
    """
    voice = voice_of(decision, language)
    rows = []
    if decision.feasible:
        rows = [_row(decision, place, table, voice) for place in _asked(decision, table)]
    rows += [_unpriced(decision, gpu, mode, voice) for gpu, mode in _without(decision)]
    return pd.DataFrame(rows, columns=list(REQUEST))


def _asked(decision: Decision, table: pd.DataFrame) -> list[int]:
    """Return the rows of the offers to ask for."""
    quotes = table[table["kind"] == QUOTE]
    worth = {int(row["offers"][0]): float(row["usd"]) for row in quotes.to_dict("records")}
    best, *others = [plan.offers_used for plan in decision.plans[:2]]
    offers = decision.offers
    near = {o for taken in others for o in taken} | {o for o, usd in worth.items() if usd > 0}
    order = sorted(near - set(best), key=lambda o: (-worth.get(o, 0.0), o))
    found = [*sorted(best, key=lambda o: -worth.get(o, 0.0)), *order]
    found = [o for o in found if offers["mode"].iloc[o] != "owned"]
    prices = decision.scenario.prices.model_copy(update={"file": ""})
    stated = {(quote.gpu, quote.paid) for quote in prices.own}
    names = offers[["gpu", "mode"]].itertuples(index=False, name=None)
    return list(dict.fromkeys([*found, *(o for o, name in enumerate(names) if name in stated)]))


def _without(decision: Decision) -> Iterator[tuple[str, str]]:
    """Yield GPUs that may be chosen and have no price, with the ways to pay to ask for."""
    allow, priced = decision.scenario.allow, set(decision.offers["gpu"])
    for gpu in allow.gpus:
        for mode in ("on-demand", "reserved-3yr", "own") if gpu not in priced else ():
            if mode in allow.modes:
                yield gpu, mode


def _row(decision: Decision, place: int, table: pd.DataFrame, voice: Voice) -> dict[str, Any]:
    offer: dict[str, Any] = {str(k): v for k, v in decision.offers.iloc[place].items()}
    mode, gpu = str(offer["mode"]), str(offer["gpu"])
    by_cost = decision.scenario.objective == "cost"
    below, above = flips(decision, place) if by_cost else (np.nan, np.nan)
    mine = table[(table["kind"] == QUOTE) & table["offers"].map(lambda o: o == (place,))]
    node = int(offer["gpus_per_node"])
    now = quoted_price(offer, 1.0, decision.scenario.operating)
    own = {"mode": "own-gpu", "unit": voice.say("USD for a GPU with its share of the network")}
    found = _common(decision, gpu, mode, node, voice)
    found |= own if offer["tier"] == ALL_IN else {}
    return found | {
        "price": f"{now:.10g}" if offer["quoted"] else "",
        "ask": _whom(offer, decision.scenario.allow.regions, voice),
        "number": _number(decision, place),
        "region": offer["region"] or found["region"],
        "provider": offer["provider"] if offer["quoted"] else "",
        "as_of": offer["as_of"] if offer["quoted"] else "",
        "minimum": int(offer["minimum"]),
        "lead_months": float(offer["lead_months"]),
        "after_term": offer["after_term"],
        "used_price": _priced(now, mode),
        "used_as_of": offer["as_of"],
        "grade": offer["grade"],
        "flips_below": _priced(below, mode),
        "flips_above": _priced(above, mode),
        "worth_usd": f"{mine['usd'].iloc[0]:.0f}" if len(mine) else "",
    }


def _unpriced(decision: Decision, gpu: str, mode: str, voice: Voice) -> dict[str, Any]:
    found = _common(decision, gpu, mode, 8, voice)
    whom = "server vendors and resellers" if mode == "own" else "specialist clouds"
    return found | {"ask": voice.say(whom), "grade": voice.say("no price is known")}


def _common(decision: Decision, gpu: str, mode: str, node: int, voice: Voice) -> dict[str, Any]:
    regions, own = decision.scenario.allow.regions, mode == "own"
    by_hour = mode not in (*TERM_MONTHS, "own")
    unit = "USD for a server of {count} GPUs" if own else "USD for an hour of a GPU"
    return dict.fromkeys(REQUEST, "") | {
        "gpu": gpu,
        "mode": MODES.get(mode, mode),
        "currency": "USD",
        "unit": voice.say(unit, count=node),
        "term_months": TERM_MONTHS.get(mode, ""),
        "region": regions[0] if len(regions) == 1 else "",
        "network": _network(decision, gpu, voice),
        "support": voice.say(
            "failed GPUs work again within {count} days", count=f"{_repair_days():g}"
        ),
        "gpus_per_node": "" if by_hour else node,
    }


def _priced(value: float, mode: str) -> str:
    if not np.isfinite(value):
        return ""
    return f"{value:.0f}" if mode == "own" else f"{value:.2f}"


def _repair_days() -> float:
    """Return the days until failed hardware is replaced on which the reserve rests."""
    table = load_table("reliability")
    return float(table.loc[table["quantity"] == "hardware_repair_time", "value"].iloc[0])


def _network(decision: Decision, gpu: str, voice: Voice) -> str:
    """Say what must join the nodes: what the speed of works over several nodes rests on."""
    servers = load_table("servers")
    mine = servers[(servers["gpu_id"] == gpu) & servers["node_network_gb_s"].notna()]
    node = int(mine["gpu_count"].iloc[0]) if len(mine) else 8
    works = decision.scenario.workloads
    across = [
        run
        for plan in decision.plans
        for run in plan.runs.to_dict("records")
        if run["gpu"] == gpu and works[run["place"]].kind in JOBS and run["gpus"] > node
    ]
    if not across or mine.empty:
        return voice.say("none between nodes is needed")
    rate = float(mine["node_network_gb_s"].iloc[0])
    return voice.say("InfiniBand or RoCE, {rate} GB/s a node", rate=f"{rate:g}")


def _whom(offer: Mapping[str, Any], regions: Sequence[str], voice: Voice) -> str:
    """Say who sells it there: those who printed a rent of the GPU, the newest first."""
    if offer["mode"] == "own":
        return voice.say("server vendors and resellers")
    if offer["tier"] not in ("specialist", "hyperscaler"):
        return str(offer["provider"])
    table = load_table("prices-rental")
    mine = table[table["used"] & (table["gpu_id"] == offer["gpu"])]
    mine = mine[~mine["region"].isin(elsewhere(regions))]
    mine = mine[mine["tier"] == offer["tier"]].sort_values("as_of", ascending=False, kind="stable")
    names = list(dict.fromkeys(mine["provider"]))[:MOST_NAMES]
    kind = voice.say("specialist clouds" if offer["tier"] == "specialist" else "hyperscalers")
    if not names:
        return kind
    return voice.say("{kind}, such as {names}", kind=kind, names=voice.listed(names))


def _number(decision: Decision, place: int) -> str:
    """Return the GPUs of the cheapest plan that takes an offer, at most."""
    for plan in (*decision.plans, *variants(decision)):
        con, count = plan.problem.contracts, 0.0
        count = float(plan.chosen.signed[con.offer == place].sum())
        offer = decision.offers.iloc[place]
        rows = plan.rented[(plan.rented["gpu"] == offer["gpu"])]
        rows = rows[rows["mode"] == offer["mode"]]
        count += float(rows["gpus_high"].sum())
        if count > 0:
            return f"{np.ceil(count - 1e-6):.0f}"
    return ""


def request_table(
    rows: pd.DataFrame, decision: Decision, language: str | None = None
) -> pd.DataFrame:
    """Return a request as a table of a page: what to ask whom, and what depends on it."""
    voice = voice_of(decision, language)
    shown = [
        (
            gpu_name(row["gpu"]),
            voice.say(PAID[PAID_AS.get(row["mode"], row["mode"])]),
            row["number"],
            row["ask"],
            _with_unit(row, "used_price", voice),
            row["used_as_of"],
            voice.say(row["grade"]),
            _with_unit(row, "flips_below", voice),
            _with_unit(row, "flips_above", voice),
            voice.money(float(row["worth_usd"])) if float(row["worth_usd"] or 0) > 0 else "",
        )
        for row in rows.to_dict("records")
    ]
    return pd.DataFrame(shown, columns=[voice.say(head) for head in HEADS])


def _with_unit(row: Mapping[Any, Any], name: str, voice: Voice) -> str:
    if not row[name]:
        return ""
    if row["mode"] == MODES["own"]:
        return voice.say("{amount} a server", amount=voice.money(float(row[name])))
    return voice.price(float(row[name]), PAID_AS.get(row["mode"], row["mode"]))


def request_notes(rows: pd.DataFrame, decision: Decision, language: str | None = None) -> str:
    """Return what every seller is asked besides the price, in sentences."""
    voice = voice_of(decision, language)
    found = []
    for name in ("network", "support"):
        for text, mine in rows.groupby(name, sort=False):
            gpus = voice.listed(dict.fromkeys(gpu_name(gpu) for gpu in mine["gpu"]))
            head = voice.say(name.capitalize())
            found.append(f"{head} ({gpus}){voice.say(': ')}{text}{voice.say('.')}")
    return voice.joined(found)


# --- prices ---------------------------------------------------------------------------------------


def quoted_price(offer: Mapping[str, Any], times: float, values: Operating) -> float:
    """Return what a seller would quote for so many times the price of an offer, USD: of an hour of
    a GPU, or of a server; without what the tables of operation add to it.
    """
    if offer["mode"] == "own":
        whole = (1 - values.network_share) * offer["gpus_per_node"]
        return float(offer["capital_usd_gpu"] * times * (1 if offer["tier"] == ALL_IN else whole))
    beside = offer["beside_month_usd_gpu"] / HOURS_MONTH
    return float((offer["hour_usd"] * times - beside) / (1 + values.support_share))


def flips(decision: Decision, place: int) -> list[float]:
    """Return the prices of an offer below and above which another plan is the cheapest, as quoted.

    What is signed and rented stays as it is in each plan; NaN where no price within `FAR` does it.
    A quote takes away the range that a price had, so that its mean is left, too.
    """
    plans = variants(decision)
    best = plans[0]
    draws, offers = best.problem.draws, decision.offers
    mode = [str(offers["mode"].iloc[place])]
    market = market_factors(mode, draws.samples, draws.seed)[0]
    seen = float((draws.price(place) / market).mean())
    spent = np.array([spent_usd(plan, place) for plan in plans])
    firm = spent[:, 0] / seen + spent[:, 1]
    mean = np.array([plan.expected_usd for plan in plans]) - spent.sum(axis=1)
    at = flip_times(firm, mean, 1e-6 * max(abs(best.expected_usd), 1.0))
    offer = {str(k): v for k, v in offers.iloc[place].items()}
    values = decision.scenario.operating
    return [quoted_price(offer, one, values) if np.isfinite(one) else np.nan for one in at]


def flip_times(paid: np.ndarray, rest: np.ndarray, least: float) -> tuple[float, float]:
    """Return the times a price below and above which the first plan is not the cheapest any more;
    infinite where none within `FAR` does it.

    Parameters
    ----------
    paid, rest : array (P,)
        What plans pay at that price, and what they pay whatever it is, USD.
    least : float
        Difference of what is paid below which two plans pay the same, USD.

    >>> flip_times(np.array([10.0, 30.0, 5.0]), np.array([20.0, 10.0, 30.0]), 1e-6)
    (0.5, 2.0)
    """
    more, gap = paid - paid[0], rest - rest[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -gap / more
    able = (at > 0) & (at < FAR) & (np.abs(more) > least)
    below = at[able & (more > 0)].max(initial=-np.inf)
    above = at[able & (more < 0)].min(initial=np.inf)
    return float(below), float(above)


def spent_usd(plan: Plan, place: int) -> tuple[float, float]:
    """Return what a plan pays through an offer on average, and upkeep that follows its price."""
    con = plan.problem.contracts
    care = plan.problem.scenario.operating.maintenance_share_year / 12
    kept = (plan.chosen.signed * con.upfront_usd * con.paid_months * con.housed)[con.offer == place]
    return float(plan.paid["usd"].iloc[place]), float(kept.sum()) * care
