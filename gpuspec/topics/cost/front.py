"""Page 1 of the cost report: the answer, what it rests on, and what to do next."""

import numpy as np
import pandas as pd

from gpuspec.topics.cost import CostQuestion
from gpuspec.topics.cost.words import age_sentences
from gpuspec.views.front import QUOTES_DAYS, SIGN_DAYS, Step
from gpuspec.views.language import say
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import listed, rows


def opening(question: CostQuestion, ways: pd.DataFrame, breaks: pd.DataFrame) -> str:
    """Say what an hour costs, and from which use on owning is cheaper."""
    q, said = question, []
    for name in q.gpus:
        group = ways[(ways["gpu"] == name) & (ways["tier"] != "hyperscaler")]
        prices = group.drop_duplicates("mode").set_index("mode")["central"]
        texts = {"on-demand": "{usd:,.2f} rented", "own": "{usd:,.2f} owned"}
        both = [say(text, usd=prices[mode]) for mode, text in texts.items() if mode in prices]
        if both:
            said.append(say("{gpu} {prices}", gpu=name, prices=listed(both)))
    if not said:
        return say("None of these GPUs has a price on demand or to buy.")
    text = "At {used:.0%} use, an hour in {currency} costs: {prices}."
    found = say(text, used=q.used_hours_share, currency=q.currency, prices=say("; ").join(said))
    plain = breaks[(breaks["mode"] == "on-demand") & (breaks["tier"] != "hyperscaler")]
    pays = [r for r in rows(plain) if np.isfinite(r.used_hours_share)]
    if not pays:
        return f"{found} {say('Owning is never cheaper than renting on demand.')}"
    uses = [say("{share:.0%} ({gpu})", share=r.used_hours_share, gpu=r.gpu) for r in pays]
    return f"{found} {say('Owning is cheaper above a use of {uses}.', uses=listed(uses))}"


def rests(question: CostQuestion) -> list[str]:
    """Say what the answer rests on."""
    return [
        say("Rents are those of specialists, each carried to the day of the run."),
        age_sentences(question),
    ]


def steps() -> list[Step]:
    """Return what to do next."""
    ask = Markdown(say("ask for quotes: `gpuspec quotes` writes the list, and takes the answers."))
    own = say("put in your own interest, electricity, space and use.")
    sign = say("sign, or run this report again with the quotes.")
    return [
        Step("Purchasing", QUOTES_DAYS, ask),
        Step("Finance", QUOTES_DAYS, own),
        Step("Whoever signs", SIGN_DAYS, sign),
    ]
