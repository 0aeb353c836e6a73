"""What page 1 says of services bought by the million tokens, and of doing nothing."""

from collections.abc import Iterator

import numpy as np

from gpuspec.decision.decide import Decision
from gpuspec.decision.plan.outside import Outside, by_api, nothing_done
from gpuspec.decision.plan.words import Voice, percent
from gpuspec.views.amounts import plain, three_digits

COSTS = (
    "{work} costs {api} a month at {provider} (a price {days} days old), {median} at the median of "
    "{count} providers, and {plan} in this plan."
)
ONE = "{work} costs {api} a month at {provider} (a price {days} days old), and {plan} in this plan."
QUOTED = "{work} costs {api} a month by API at the price that you gave, and {plan} in this plan."
CHEAPER = "The API costs less: if only the cost counts, this work needs no GPUs."
EVEN = "From {times} times its load on the plan would cost less, if its GPUs can carry that much."
FIRST = "By API {works} would cost {api} a month in place of {plan}, without any GPU."
DEARER = "The plan costs less."
LACKS = (
    "An API promises no times to tokens, changes prices and models, and the requests leave the "
    "house."
)
OWNED = "What is owned carries, as it is and each work by itself: {works}."
ENOUGH = "all of {work}"
PART = "{share} of {work}"
NONE = "nothing of {work} within its limits"
MOST_TOLD = 3


def api_sentence(decision: Decision, voice: Voice) -> str:
    """Say what each priced service costs by API beside the plan, the dearest in the plan first."""
    found = sorted(by_api(decision.best), key=lambda o: -o.plan_month_usd)
    said = [sentence for one in found[:MOST_TOLD] for sentence in _of(decision, one, voice)]
    return voice.joined([*said, voice.say(LACKS)]) if said or len(decision.best.bought) else ""


def api_first(decision: Decision, voice: Voice) -> str:
    """Say beside the plan what would take no GPUs at all: services that cost less by API."""
    found = [one for one in by_api(decision.best) if one.cheaper]
    works = voice.listed([decision.scenario.workloads[one.place].name for one in found])
    api = voice.money(sum(one.month_usd for one in found))
    plan = voice.money(sum(one.plan_month_usd for one in found))
    return voice.say(FIRST, works=works, api=api, plan=plan) if found else ""


def _of(decision: Decision, one: Outside, voice: Voice) -> Iterator[str]:
    best, count = one.offers.iloc[0], len(one.offers)
    values = {"work": decision.scenario.workloads[one.place].name, "provider": best["provider"]}
    values |= {"days": f"{best['age_days']:,.0f}", "count": f"{count}"}
    values |= {"api": voice.money(one.month_usd), "median": voice.money(one.median_usd)}
    text = QUOTED if best["grade"] == "firm" else ONE if count == 1 else COSTS
    yield voice.say(text, **values, plan=voice.money(one.plan_month_usd))
    if not one.cheaper:
        yield voice.say(DEARER)
        return
    yield voice.say(CHEAPER)
    if np.isfinite(one.even_times):
        yield voice.say(EVEN, times=plain(three_digits(one.even_times)))


def owned_sentence(decision: Decision, voice: Voice) -> str:
    """Say what the GPUs that are there do as they are; empty where none are."""
    works = [
        voice.say(
            ENOUGH if share >= 1 else PART if share else NONE, work=work, share=percent(share)
        )
        for work, share in nothing_done(decision.best).items()
    ]
    return voice.say(OWNED, works=voice.listed(works)) if works else ""
