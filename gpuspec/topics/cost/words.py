"""Sentences about cost."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.catalog.api_prices import YOURS
from gpuspec.catalog.regions import region_title
from gpuspec.topics.cost import CostQuestion
from gpuspec.topics.cost.hours import MODE_NAMES
from gpuspec.topics.cost.prices import age_warnings, priced_elsewhere
from gpuspec.topics.cost.prices.age import LATER
from gpuspec.views.amounts import money
from gpuspec.views.columns import amount
from gpuspec.views.language import say
from gpuspec.views.words import count_words, listed, rows

WAY_WORDS = {
    "on-demand": "on demand",
    "reserved-1yr": "for 1 year",
    "reserved-3yr": "for 3 years",
    "spot": "on spot",
    "own": "to buy",
}


def ways_finding(question: CostQuestion, ways: pd.DataFrame) -> str:
    """Say rent on demand and the owned hour of each GPU, at the use asked."""
    said = []
    for name in question.gpus:
        group = ways[ways["gpu"] == name]
        listed_once = group[group["tier"] != "hyperscaler"].drop_duplicates("mode")
        plain = listed_once.set_index("mode")["central"]
        both = [
            say(text, usd=plain[mode])
            for mode, text in (("on-demand", "{usd:,.2f} rented"), ("own", "{usd:,.2f} owned"))
            if mode in plain
        ]
        said.append(
            f"{name} {say(', ').join(both)}" if both else say("{name} has no such price", name=name)
        )
    used = say("{used_hours_share:.0%} use", used_hours_share=question.used_hours_share)
    return say(
        "{currency} a GPU-hour at {used}: {said}",
        currency=question.currency,
        used=used,
        said=say("; ").join(said),
    )


def parts_finding(parts: pd.DataFrame) -> str:
    """Say which share of an owned hour is capital with its cost, and which is energy."""
    if parts.empty:
        return say("None of these GPUs has a purchase price")
    total = parts.sum(axis=1)
    capital = parts[["server", "network", "finance"]].sum(axis=1) / total
    energy = parts["energy"] / total
    return say(
        "Capital and its cost are {capital} of an owned hour, electricity {energy}",
        capital=_span(capital),
        energy=_span(energy),
    )


def break_even_finding(question: CostQuestion, table: pd.DataFrame) -> str:
    """Say from which use and month owning each GPU beats renting on demand."""
    plain = table[(table["mode"] == "on-demand") & (table["tier"] != "hyperscaler")]
    if plain.empty:
        return say("Nothing to compare: a GPU needs both a rent and a purchase price")
    said = []
    for r in rows(plain):
        if not np.isfinite(r.used_hours_share):
            said.append(say("{gpu} never", gpu=r.gpu))
            continue
        month = (
            say("month {month:.0f}", month=np.ceil(r.month))
            if np.isfinite(r.month)
            else say("never paid back")
        )
        said.append(
            say(
                "{gpu} above {used_hours_share:.0%} use ({month} at {used_hours_share_2:.0%})",
                gpu=r.gpu,
                used_hours_share=r.used_hours_share,
                month=month,
                used_hours_share_2=question.used_hours_share,
            )
        )
    return say("Owning beats renting on demand: {said}", said=listed(said))


def break_even_sentences(question: CostQuestion, table: pd.DataFrame) -> str:
    """Say what a reservation means for a break-even, and which comparator decides."""
    q = question
    kept = table[table["mode"].str.startswith("reserved") & (table["tier"] != "hyperscaler")]
    cheaper = kept[kept["used_hours_share"] == 0]
    text = say(
        "A reservation is paid whether it is used or not, as an owned GPU is: utilisation "
        "does not decide between them, the {horizon_months:g} months do.",
        horizon_months=q.horizon_months,
    )
    if len(cheaper):
        names = listed(list(dict.fromkeys(cheaper["gpu"])))
        text += say(" Over them owning is cheaper than a reservation for {names}.", names=names)
    paid = table[table["within"]].groupby("gpu", sort=False)["month"]
    if len(paid):
        widest = str((paid.max() - paid.min()).idxmax())
        low, high = np.ceil(paid.min()[widest]), np.ceil(paid.max()[widest])
        text += say(
            " The comparator decides: {widest} is paid back after {low:,.0f} months against the "
            "dearest way to rent, after {high:,.0f} against the cheapest that it beats in time.",
            widest=widest,
            low=low,
            high=high,
        )
    never = table[~table["within"]]
    if len(never):
        said = [
            say("{value} for {gpu}", value=r.way.replace("rent, ", ""), gpu=r.gpu)
            for r in rows(never)
        ]
        text += say(" Not paid back in time: {said}.", said=listed(said))
    return text


def drift_finding(table: pd.DataFrame) -> str:
    """Say which way is the cheapest without interruptions if rents fall, stay, or rise."""
    steady = table[table["mode"] != "spot"]
    same: dict[tuple[str, ...], list[str]] = {}
    for name, group in steady.groupby("gpu", sort=False):
        cheapest = group.sort_values("hour", kind="stable").drop_duplicates("drift")
        best = cheapest.set_index("drift")["way"]
        words = tuple(str(best[drift]).replace("rent, ", "") for drift in ("down", "flat", "up"))
        same.setdefault(words, []).append(str(name))
    said = []
    for (down, flat, up), names in same.items():
        who = "" if len(same) == 1 else f"{listed(names)}: "
        if down == flat == up:
            said.append(say("{who}{flat} in all three", who=who, flat=flat))
        elif flat == up:
            said.append(
                say(
                    "{who}{down} if rents fall, {flat} if they stay or rise",
                    who=who,
                    down=down,
                    flat=flat,
                )
            )
        else:
            said.append(
                say(
                    "{who}{down} if rents fall, {flat} if they stay, {up} if they rise",
                    who=who,
                    down=down,
                    flat=flat,
                    up=up,
                )
            )
    return say("Cheapest: {said}", said=say("; ").join(said))


def trend_finding(change: pd.DataFrame) -> str:
    """Say how many of the series have risen since a day, and by how much at most."""
    if change.empty:
        return say("No series has two points in this time")
    risen = change[change["change"] > 0]
    since = change["first_date"].min()
    head = say(
        "{risen} of {change} series have risen since {since:%B %Y}",
        risen=len(risen),
        change=len(change),
        since=since,
    )
    if risen.empty:
        return head
    top = risen.sort_values("change", kind="stable").to_dict("records")[-1]
    return say(
        "{head}, {value} by {change:.0%}",
        head=head,
        value=str(top["series"]).replace(" survey index", ""),
        change=top["change"],
    )


def spot_finding(table: pd.DataFrame) -> str:
    """Say what interruptions add to a large job's spot price, and what stays of the saving."""
    if table.empty:
        return say("No spot price for these GPUs")
    most = table["gpus"].max()
    last = table[table["gpus"] == most]
    lost = 1 - last["useful"]
    text = say(
        "A job of {most:,} GPUs loses {lost} of its spot hours to interruptions",
        most=most,
        lost=_span(lost),
    )
    known = last.dropna(subset=["on_demand"])
    if known.empty:
        return text
    saved = 1 - known["effective"] / known["on_demand"]
    if saved.max() <= 0:
        return say("{what}, and nothing is left of the saving", what=text)
    dearer = [str(name) for name in known.loc[saved <= 0, "gpu"]]
    kept = say(
        "{what}; {saved} of the rent on demand is still saved",
        what=text,
        saved=_span(saved[saved > 0]),
    )
    return say("{kept}, on {dearer} nothing", kept=kept, dearer=listed(dearer)) if dearer else kept


def work_finding(table: pd.DataFrame, what: str, currency: str, mode: str = "on-demand") -> str:
    """Say on which GPU a unit of work is the cheapest, rented on demand and owned."""
    said = []
    for way, words in ((mode, "rented on demand"), ("own", "owned")):
        known = table[(table["mode"] == way) & table["usd"].notna()]
        if known.empty:
            continue
        best = known.sort_values("usd", kind="stable").to_dict("records")[0]
        usd = amount(best["usd"])
        said.append(
            say(
                "{gpu} {way} ({usd} {currency})",
                gpu=best["gpu"],
                way=words,
                usd=usd,
                currency=currency,
            )
        )
    text = (
        say("{what}, cheapest: {said}", what=what, said=listed(said))
        if said
        else say("{what}: none of these GPUs does it", what=what)
    )
    bare = list(table.loc[table["mode"] == "", "gpu"].unique())
    return say("{what}; no price of {bare}", what=text, bare=listed(bare)) if bare else text


def driver_finding(table: pd.DataFrame, gpu: str) -> str:
    """Say which inputs move the cost of an owned hour most, and which least."""
    if table.empty:
        return say("{gpu} has no purchase price", gpu=gpu)
    first, second = table["driver"].iloc[0], table["driver"].iloc[1]
    return say(
        "{gpu}: {first} decides what an owned hour costs, then {second}",
        gpu=gpu,
        first=first,
        second=second,
    )


def age_sentences(question: CostQuestion) -> str:
    """Say which prices are missing and which are old; one sentence a way to get GPUs."""
    found = question.offers(providers=())
    said = [*unpriced_sentences(question), *age_warnings(found)]
    later = found.loc[found["carried_why"] == LATER, "as_of"]
    if len(later):
        said.append(
            say(
                "{later} of {found} prices are younger than the run, up to {max}: they were not "
                "known on its day.",
                later=len(later),
                found=len(found),
                max=later.max(),
            )
        )
    elif len(found) and not found["stale"].any():
        said.append(
            say("No price that is used here is older than its limit on {day}.", day=question.day)
        )
    return " ".join(said)


def unpriced_sentences(question: CostQuestion) -> list[str]:
    """Say which GPUs have no price at all, and which of the others lack one in some way."""
    missing = question.unpriced()
    nowhere = [gpu for gpu, modes in missing if len(modes) == len(MODE_NAMES)]
    said = []
    if nowhere:
        one = "{gpus} has no price at all: give a quote."
        many = "{gpus} have no price at all: give a quote."
        said.append(say(one if len(nowhere) == 1 else many, gpus=listed(nowhere)))
    for place, gpus in priced_elsewhere(nowhere, question.regions).items():
        text = "Prices of {gpus} are known in {region}: name it as the region, or give a quote."
        said.append(say(text, gpus=listed(gpus), region=listed([region_title(place)])))
    ways: dict[tuple[str, ...], list[str]] = {}
    for gpu, modes in missing:
        if gpu not in nowhere:
            ways.setdefault(tuple(WAY_WORDS[mode] for mode in modes), []).append(gpu)
    for words, gpus in ways.items():
        text = "{gpus} has no price {ways}." if len(gpus) == 1 else "{gpus} have no price {ways}."
        said.append(say(text, gpus=listed(gpus), ways=listed(words, " or ")))
    return said


def services_sentence(question: CostQuestion) -> str:
    """Say which of licence, support plan and line are in the costs, and what is left out."""
    services = question.assumptions.services
    keys = "licence_usd_gpu_year, licence_usd_gpu_hour", "support_share", "network_usd_gpu_month"
    inside = [name for name, value in services.items() if value]
    out = [name for name, value in services.items() if not value]
    unset = [key for key, value in zip(keys, services.values(), strict=True) if not value]
    said = [say("The costs hold {inside}.", inside=listed(inside))] if inside else []
    if out:
        said.append(
            say(
                "The costs leave out {out}: set {keys} in operating.",
                out=listed(out),
                keys=", ".join(unset),
            )
        )
    return " ".join(said)


def backtest_finding(summary: dict[str, float]) -> str:
    """Say how wrong prices half a year old were, unchanged and carried by the market."""
    if not summary["series"]:
        return say("No series has both rows")
    return say(
        "Unchanged, prices of May and June 2026 miss those of October and November by up to "
        "{worst:.0%}; {still:.0f} of {series:.0f} did not move. Carried by the market of the "
        "other sellers they miss by up to {worst_carried:.0%}",
        worst=summary["worst"],
        still=summary["still"],
        series=summary["series"],
        worst_carried=summary["worst_carried"],
    )


def _span(values: Any) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return (
        f"{low:.0%}"
        if round(low, 2) == round(high, 2)
        else say("{low:.0%} to {high:.0%}", low=low, high=high)
    )


API_LACKS = (
    "An API promises no time to the first token or between tokens, changes prices and models at "
    "will, and the requests leave the house."
)


def api_sentences(answer: Mapping[str, Any]) -> str:
    """Say what a load costs by API and on GPUs by the hour, and from which load the latter wins."""
    tokens = [count_words(answer[f"{name}_tokens_month"]) for name in ("input", "output")]
    said = [
        say(
            "A month has {tokens} tokens in and {tokens_2} out.",
            tokens=tokens[0],
            tokens_2=tokens[1],
        )
    ]
    if not len(answer["offers"]):
        said.append(
            say(
                "No API price of {model} is in the tables; --api-price takes your own.",
                model=answer["model"],
            )
        )
        return " ".join(said)
    best, own = answer["taken"], answer["fleets"]
    where = say(
        "at {provider} ({grade}, {age_days} days old)",
        provider=best["provider"],
        grade=best["grade"],
        age_days=best["age_days"],
    )
    where = say("by your quote") if best["provider"] == YOURS else where
    said.append(
        say(
            "By API it costs {month} a month {where}, and {median} "
            "at the median of {offers} providers.",
            month=money(best["month_usd"]),
            where=where,
            median=money(answer["median_month_usd"]),
            offers=len(answer["offers"]),
        )
    )
    priced = own[own["month_usd"].notna() & own["keeps_limits"]]
    if len(priced):
        fleet = priced.iloc[0]
        said.append(_against(fleet, best))
    return " ".join([*said, say(API_LACKS)])


def _against(fleet: pd.Series, best: Mapping[str, Any]) -> str:
    gpus = say(
        "{gpus:,} x {gpu} by the hour cost {usd}",
        gpus=fleet["gpus"],
        gpu=fleet["gpu"],
        usd=money(fleet["month_usd"]),
    )
    if fleet["month_usd"] <= best["month_usd"]:
        return say("{gpus}: less than the API.", gpus=gpus)
    even = fleet["even_requests_month"]
    if np.isfinite(even):
        return say(
            "{gpus}: more than the API; they cost less from {even:,.0f} requests a month on.",
            gpus=gpus,
            even=even,
        )
    return say("{gpus}: more than the API, and even full they cost more a request.", gpus=gpus)
