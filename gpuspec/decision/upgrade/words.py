"""Sentences about adding to a fleet."""

import numpy as np
import pandas as pd

from gpuspec.constants.ground import Ground, joined
from gpuspec.decision import upgrade
from gpuspec.decision.ground import warning
from gpuspec.decision.upgrade.derived import POOL, SPOT
from gpuspec.decision.upgrade.problem import SITES
from gpuspec.views.language import ENGLISH
from gpuspec.views.words import listed, rows


def upgrade_finding(question: upgrade.UpgradeQuestion, plans: dict[str, upgrade.Plan]) -> str:
    """Say what the cheapest plan orders and sells, and when."""
    names, best = upgrade.quarter_names(question.horizon), plans[upgrade.OPTIMUM.name]
    orders = []
    for r in rows(upgrade.orders_table(question.problem, best)):
        verb, _, term = str(r.what).partition(" ")
        noun = " ".join(filter(None, ("node" if r.nodes == 1 else "nodes", term)))
        orders.append(f"{verb} {r.nodes:.0f} {upgrade.short(r.gpu)} {noun} in {names[r.quarter]}")
    text = listed(orders)
    if not best.complete:
        short_of = "No plan that was found does all the work within the limits"
        return f"{short_of}; the one that leaves least undone: {text or 'order nothing'}"
    if not orders:
        return "Order nothing: what is owned and rent by the hour is cheapest"
    return text[0].upper() + text[1:]


def hourly_sentence(question: upgrade.UpgradeQuestion, plans: dict[str, upgrade.Plan]) -> str:
    """Say what the cheapest plan rents by the hour or on spot for which work; '' if nothing."""
    runs = upgrade.runs_table(question, plans[upgrade.OPTIMUM.name])
    runs = runs[runs["site"] != SITES[POOL]].replace({"site": {SITES[SPOT]: "on spot"}})
    most = runs.groupby(["workload", "gpu", "site"], sort=False)["gpus"].max().reset_index()
    rented = [
        f"up to {r.gpus:,.0f} {upgrade.short(r.gpu)} {r.site} for {r.workload}" for r in rows(most)
    ]
    return f"Rented while needed: {listed(rented)}." if rented else ""


def plan_sentence(
    question: upgrade.UpgradeQuestion,
    plans: dict[str, upgrade.Plan],
    spans: pd.DataFrame,
    sure: float,
) -> str:
    """Say what the best plan costs, what the runner-up does, and how sure that is."""
    best, other = plans[upgrade.OPTIMUM.name], upgrade.runner_up(plans)
    low, high = spans.loc[spans["strategy"] == upgrade.OPTIMUM.name].to_numpy()[0, 1:].astype(float)
    months = 3 * question.horizon
    it = "It" if best.complete else "What it does"
    text = (
        f"{it} costs {_millions(best.cost_usd)} over {months} months, discounted "
        f"({_millions(low)} to {_millions(high)} over prices and errors): what is owned enters at "
        f"its worth of today, what is left at the end is taken off."
    )
    text += " " + ground_warning(question, best)
    if not best.complete:
        return text + " " + unmet_sentence(question, {upgrade.OPTIMUM.name: best})
    if not other:
        return text + " No other strategy does all the work with another plan."
    text += (
        f" The runner-up, {other}, costs {_more(plans[other], best)}; with prices and errors drawn "
        f"together, the first is the cheaper one in {sure:.0%} of the cases"
    )
    return text + (": no decision between them." if 0.25 < sure < 0.75 else ".")


def ground_warning(question: upgrade.UpgradeQuestion, plan: upgrade.Plan) -> str:
    """Say what is known of settings like those of a plan; a warning where nothing is."""
    return warning(plan_grounds(question, plan), None, ENGLISH)


def plan_grounds(question: upgrade.UpgradeQuestion, plan: upgrade.Plan) -> dict[str, Ground]:
    """Return the ground of what a plan runs, by workload and GPU."""
    work = question.problem.work
    used = np.flatnonzero(plan.units.sum((1, 2)) > 0)
    found: dict[str, list[Ground]] = {}
    for o in used:
        way, name = question.ways[o], work.names[int(work.workload[o])]
        found.setdefault(f"{name}, {upgrade.short(way.gpu)}", []).append(way.ground)
    return {place: joined(grounds) for place, grounds in found.items()}


def advice_sentence(plans: dict[str, upgrade.Plan]) -> str:
    """Say how the article's advice (C23) fares: keep all, add newer kinds, move the hungriest.

    '' where nothing is owned.
    """
    best, grow = plans[upgrade.OPTIMUM.name], plans[upgrade.GROW.name]
    if not best.parts["owned today"]:
        return ""
    if not grow.complete:
        return "The article's advice (C23: grow) leaves work undone within the limits."
    if grow.cost_usd - best.cost_usd < 5e-4 * abs(best.cost_usd):
        return "That is the article's advice (C23): keep what is owned, add newer kinds."
    more = _more(grow, best)
    return f"The article's advice (C23: grow) does the work too and costs {more}."


def strategies_finding(plans: dict[str, upgrade.Plan]) -> str:
    """Say which strategies come near the best, and which do not."""
    best = plans[upgrade.OPTIMUM.name]
    others = {n: _more(p, best) for n, p in plans.items() if n != upgrade.OPTIMUM.name}
    done = {n: more for n, more in others.items() if plans[n].complete}
    undone = [n for n in others if n not in done]
    text = f"The best plan costs {_millions(best.cost_usd)}"
    text += "" if best.complete else " and leaves work undone"
    if done:
        text += "; " + listed([f"{n} {more}" for n, more in done.items()])
    verb = "leave" if len(undone) > 1 else "leaves"
    return text + (f"; {listed(undone)} {verb} work undone" if undone else "")


def unmet_sentence(question: upgrade.UpgradeQuestion, plans: dict[str, upgrade.Plan]) -> str:
    """Name the work that each strategy leaves undone under the limits; '' where none does."""
    said = []
    for name, plan in plans.items():
        shares = upgrade.unmet_shares(question.problem, plan)
        if shares:
            parts = [f"{share:.1%} of {work}" for work, share in shares.items()]
            said.append(f"{name} leaves {listed(parts)} undone")
    return "Under the limits " + "; ".join(said) + "." if said else ""


def gives_sentence(gives: pd.DataFrame) -> str:
    """Say which limit would have to give, and by how much."""
    said = [
        f"{r.limit}: at least {_amount(r.more, r.limit)} more than {_amount(r.now, r.limit)}"
        if np.isfinite(r.more)
        else f"{r.limit}: raising it alone does not help"
        for r in rows(gives)
    ]
    return "; ".join(said) or "no limit is asked"


def unplanned_sentence(question: upgrade.UpgradeQuestion) -> str:
    """Name the workloads that are not in the plan; '' where all are."""
    said = [f"{name} ({reason})" for name, reason in question.left_out.items()]
    return f"Not in this plan: {listed(said)}." if said else ""


def runs_finding(runs: pd.DataFrame, moves: pd.DataFrame) -> str:
    """Say what moves to another kind or precision, and what stays."""
    first = moves["last"] != moves["first"]
    gone = [
        f"{r.workload} moves to {r.last}" for r in rows(moves[(moves["effort_usd"] > 0) | first])
    ]
    kept = [str(r.workload) for r in rows(moves[(moves["effort_usd"] == 0) & ~first])]
    if not gone:
        return "No work moves to another kind of GPU or number format"
    stay = "stay as they are" if len(kept) > 1 else "stays as it is"
    text = listed(gone) + (f"; {listed(kept)} {stay}" if kept else "")
    return text[0].upper() + text[1:]


def wait_finding(table: pd.DataFrame) -> str:
    """Say for each drift what waiting a year before buying costs."""
    costs = []
    for drift, group in table.groupby("drift", sort=False):
        now, late = group.iloc[0], group.iloc[-1]
        if not group["complete"].all():
            cost = f"work stays undone {'if you wait' if now['complete'] else 'either way'}"
        elif not now["nodes"]:
            cost = "buy nothing"
        elif late["cost_usd"] <= now["cost_usd"] * 1.001:
            cost = "waiting costs nothing"
        else:
            cost = f"waiting costs {late['cost_usd'] / now['cost_usd'] - 1:.0%}"
        costs.append(f"prices {drift}: {cost}")
    text = "; ".join(costs)
    return text[:1].upper() + text[1:]


def effort_finding(plans: dict[str, upgrade.Plan]) -> str:
    """Say how much dearer moving may be before another strategy is as cheap."""
    multiple, name = upgrade.effort_break_even(plans)
    spent = plans[upgrade.OPTIMUM.name].parts["migration"]
    if not spent:
        return _unmoved(plans)
    if not np.isfinite(multiple):
        return f"Moving costs {_millions(spent)}; dearer moving makes no other strategy cheaper"
    return f"Moving costs {_millions(spent)}; at {multiple:.1f} times that, {name} is as cheap"


def limits_sentence(question: upgrade.UpgradeQuestion) -> str:
    """Name the limits that are asked."""
    asked = question.problem.limits.asked()
    words = {
        "capital_usd": "capital {}",
        "capital_quarter_usd": "capital of a quarter {}",
        "month_usd": "{} a month",
        "power_kw": "power {}",
        "gpus": "{}",
    }
    said = [words[name].format(_amount(value, name)) for name, value in asked.items()]
    return listed(said) if said else "none"


def _more(plan: upgrade.Plan, best: upgrade.Plan) -> str:
    """Say how much more a plan costs: a share, or USD where the best costs next to nothing."""
    more = plan.cost_usd - best.cost_usd
    if more < 5e-4 * abs(best.cost_usd):
        return "the same"
    small = best.cost_usd < 0.1 * best.parts["owned today"] or best.cost_usd <= 0
    return f"{_millions(more)} more" if small else f"{more / best.cost_usd:.0%} more"


def _amount(value: float, limit: str) -> str:
    unit = "kW" if "power" in limit else "GPUs" if "gpus" in limit.lower() else "USD"
    return f"{value:,.0f} {unit}"


def _millions(usd: float) -> str:
    """Write an amount in the unit that suits it.

    >>> _millions(637_000), _millions(1_250_000), _millions(-4000)
    ('637,000 USD', '1.25 million USD', '-4,000 USD')
    """
    return f"{usd / 1e6:,.2f} million USD" if abs(usd) >= 1e6 else f"{usd:,.0f} USD"


def _unmoved(plans: dict[str, upgrade.Plan]) -> str:
    """Say at which multiple of the effort a plan that moves work is as cheap as the best."""
    best = plans[upgrade.OPTIMUM.name]
    cheaper = {
        (best.cost_usd - plan.cost_usd) / plan.parts["migration"] + 1: name
        for name, plan in plans.items()
        if plan.complete and plan.parts["migration"] > 0
    }
    multiple = max(cheaper, default=0.0)
    if multiple <= 0:
        return "The best plan moves nothing: the effort does not matter"
    name = cheaper[multiple]
    return f"The best plan moves nothing; at {multiple:.2f} times the effort, {name} is as cheap"
