"""What knowing more before signing is worth, and the least regret, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd
from gpuspec.decision.decide import REGRET, Decision
from gpuspec.decision.plan.words import HIDDEN, Voice, paid_words, percent, plan_words, voice_of
from gpuspec.decision.plan.words_cost import LITTLE
from gpuspec.decision.plan.words_sure import more_words
from gpuspec.decision.worth import (
    ALL,
    QUESTION,
    QUOTE,
    QUOTES,
    TRIAL,
    TRIALS,
    regrets,
    worth,
)
from gpuspec.views.columns import headings
from gpuspec.views.markdown import Markdown
from gpuspec.views.words import gpu_name

SURELY = 2.0
"""Standard errors above nothing from which something is told to be worth its amount."""
SMALL = 1e-3
"""Share of the cost below which knowing something is not told to be worth anything."""
MOST_TOLD = 4
WORTH = {
    QUOTE: "a quote for {offers}",
    "api": "a price promised for {works} by API",
    TRIAL: "an hour's trial of {works} on {gpus}",
    QUOTES: "quotes for all of these offers",
    TRIALS: "all trials",
    ALL: "all speeds and prices, where rents go included",
}
"""What there is to know."""
SEVERAL = ((QUOTES, QUOTE), (TRIALS, TRIAL))
"""Several at once, and what they consist of."""
QUESTIONS = {
    "load": "whether the load of {works} is half of what was asked, as asked, or twice as much",
    "job": "whether a run of {works} is half of what was asked, as asked, or twice as much",
    "hours": "whether {works} must be up all month, or in a third of the hours",
    "spare": "whether {works} must have a spare replica",
    "limits": "whether the limits on times to tokens of {works} are needed, or twice as long do",
    "deadline": "whether the deadline of {works} is needed, or twice as long does",
    "day": "whether the load of {works} is the same all day, as taken, or that of working hours",
}


def worth_page(decision: Decision, table: pd.DataFrame, language: str | None = None) -> Markdown:
    """Return two paragraphs: what is worth knowing before signing, and the least regret.

    `table` is that of `gpuspec.decision.worth.worth`; empty where it is.
    """
    voice = voice_of(decision, language)
    if table.empty:
        return Markdown("")
    parts = {
        "Worth knowing before you sign": voice.joined(_sentences(decision, table, voice)),
        "Least regret": voice.joined(_regret(decision, voice)),
    }
    form = Markdown("**{head}**{colon}{text}")
    return Markdown("\n\n").join(
        form.format(head=voice.say(head), colon=voice.say(": "), text=text)
        for head, text in parts.items()
    )


def told(decision: Decision, table: pd.DataFrame) -> pd.DataFrame:
    """Return what is surely worth something, and more than it costs; several things at once only
    where they are worth more than the best of them.
    """
    least = np.maximum(SURELY * table["error_usd"].fillna(0.0), SMALL * decision.best.expected_usd)
    least = np.maximum(least, table["cost_usd"].fillna(0.0))
    rows = table[table["usd"] > least]
    every = rows.to_dict("records")
    more = [not any(_within(part, row) for part in every) for row in every]
    return rows.loc[np.array(more, bool)]


def _within(part: Mapping[Any, Any], row: Mapping[Any, Any]) -> bool:
    """Return whether several things at once are worth no more than one part of them."""
    same = part["kind"] in (row["kind"], dict(SEVERAL).get(row["kind"])) and _size(part) < _size(
        row
    )
    inside = same and set(part["gpus"]) <= set(row["gpus"])
    return bool(inside and part["usd"] >= row["usd"] * (1 - LITTLE))


def _size(row: Mapping[Any, Any]) -> int:
    return len(row["gpus"]) + len(row["offers"]) + len(row["works"])


def _sentences(decision: Decision, table: pd.DataFrame, voice: Voice) -> Iterator[str]:
    say, cost = voice.say, decision.best.expected_usd
    every = table[table["kind"] == ALL].iloc[0]
    rows = told(decision, table)
    single = rows[rows["kind"].isin((QUOTE, TRIAL, QUESTION))]
    values = {"usd": voice.money(every["usd"]), "share": percent(every["usd"] / cost)}
    if every["usd"] < SMALL * cost:
        yield say("Nothing: in hardly any draw another plan would have been cheaper.")
        return
    text = "Who knew all speeds and prices beforehand would sign another plan in some draws, and "
    yield say(text + "save {usd} on average, {share} of the cost.", **values)
    if single.empty:
        yield say("No single quote or trial is surely worth a part of it.")
    for row in single.head(MOST_TOLD).to_dict("records"):
        text = "Worth up to {usd} (give or take {error}): {what}."
        if row["kind"] == QUESTION:
            text = "Worth up to {usd}: {what}."
        elif row["cost_usd"] > 0:
            text = "Worth up to {usd} (give or take {error}): {what}, for about {cost}."
        yield say(text, **_amounts(row, voice), what=known_words(decision, row, voice))
    for row in rows[rows["kind"].isin((QUOTES, TRIALS))].to_dict("records"):
        text = "All together, {what}: up to {usd} (give or take {error})."
        yield say(text, **_amounts(row, voice), what=known_words(decision, row, voice))
    if (rows["kind"] == QUOTE).any():
        yield say("gpuspec quotes writes what to ask.")


def _amounts(row: Mapping[Any, Any], voice: Voice) -> dict[str, str]:
    names = {"usd": "usd", "error": "error_usd", "cost": "cost_usd"}
    return {n: voice.money(float(row[c])) for n, c in names.items() if np.isfinite(row[c])}


def known_words(decision: Decision, row: Mapping[Any, Any], voice: Voice) -> str:
    """Return what there is to know, in words."""
    say, offers = voice.say, decision.offers
    if row["kind"] == QUESTION:
        return say(QUESTIONS[row["what"]], works=voice.listed(row["works"]))
    named = [
        say("{gpu} ({mode})", gpu=gpu_name(gpu), mode=paid_words(label, say))
        for gpu, label in offers.iloc[list(row["offers"])][["gpu", "label"]].to_numpy(str)
    ]
    gpus = dict(zip(row["gpus"], row["tried"], strict=False)) if row["kind"] == TRIAL else {}
    return say(
        WORTH[row["what"] if row["kind"] == QUOTE and row["what"] else row["kind"]],
        offers=voice.listed(named),
        works=voice.listed(row["works"]),
        gpus=voice.counted(gpus) if gpus else "",
    )


def _regret(decision: Decision, voice: Voice) -> Iterator[str]:
    mine, least = regrets(decision)
    share = percent(REGRET)
    if mine.worst_usd < HIDDEN:
        yield voice.say("In no draw another plan that was compared is cheaper.")
        return
    text = (
        "In {share} of the draws the recommendation costs at most {most} more than the best plan "
    )
    text += "of that draw, and in the worst of them {worst} more."
    amounts = {"most": voice.money(mine.most_usd), "worst": voice.money(mine.worst_usd)}
    yield voice.say(text, share=share, **amounts)
    if least.most_usd >= mine.most_usd - LITTLE * decision.best.expected_usd:
        yield voice.say("No other plan loses less.")
        return
    text = "Less is lost with another plan, {most} and {worst}; it costs {usd} on average, {more}: "
    text += "{plan}"
    yield voice.say(
        text,
        most=voice.money(least.most_usd),
        worst=voice.money(least.worst_usd),
        usd=voice.money(least.plan.expected_usd),
        more=more_words(decision, least.plan, voice),
        plan=plan_words(least.plan, voice),
    )


def knowing_text(decision: Decision, table: pd.DataFrame, language: str | None = None) -> str:
    """Return the plan in a sentence, and how to read the table of what is worth knowing."""
    voice = voice_of(decision, language)
    text = "What it is worth to know more before you sign this, at most; give or take its error. "
    text += "Each case of a question to yourself is taken to be as likely."
    if table.empty:
        text = "Not the cost decides here, so that knowing more has no worth in money."
    elif not (table["usd"] > 0).any():
        text = "Nothing that could be known before you sign this is worth anything."
    return voice.joined([plan_words(decision.best, voice), voice.say(text)])


def worth_table(
    decision: Decision, table: pd.DataFrame, language: str | None = None
) -> pd.DataFrame:
    """Return everything that may be known, in words, with its worth; headings in the language."""
    voice = voice_of(decision, language)
    heads = [voice.say(h) for h in headings("known", "worth", "worth_error", "trial_cost")]
    rows = [
        (
            known_words(decision, row, voice),
            *(
                voice.money(row[name]) if row[name] > 0 else ""
                for name in ("usd", "error_usd", "cost_usd")
            ),
        )
        for row in table[table["usd"] > 0].to_dict("records")
    ]
    return pd.DataFrame(rows, columns=heads)


def request_sentence(
    rows: Sequence[Mapping[Any, Any]],
    table: pd.DataFrame,
    decision: Decision,
    language: str | None = None,
) -> str:
    """Say how many quotes a request asks for, and what they are worth together."""
    voice = voice_of(decision, language)
    count = sum(not row["price"] for row in rows)
    text = "{count} quotes to ask for. Fill in the column price, and give the file back with "
    found = [voice.say(text + "--quotes.", count=count)]
    if not count:
        found = [voice.say("There is no quote to ask for.")]
    usd = table.loc[table["kind"].isin((QUOTE, QUOTES)), "usd"].max()
    if usd > SMALL * (decision.best.expected_usd if decision.feasible else np.inf):
        found.append(voice.say("Together they are worth up to {usd}.", usd=voice.money(usd)))
    return voice.joined(found)


def worth_record(decision: Decision, table: pd.DataFrame | None = None) -> dict[str, Any]:
    """Return what is worth knowing, and the least regret, as plain values."""
    table = worth(decision) if table is None else table
    voice, offers = voice_of(decision), decision.offers
    rows = [
        {
            "kind": row["kind"],
            "what": known_words(decision, row, voice),
            "offers": [
                {name: offers[name].iat[o] for name in ("gpu", "mode", "label")}
                for o in row["offers"]
            ],
            "gpus": list(row["gpus"]),
            "works": list(row["works"]),
            **{name: row[name] for name in ("usd", "error_usd", "cost_usd")},
        }
        for row in table.to_dict("records")
    ]
    mine, least = regrets(decision)
    regret = [
        {
            "plan": plan_words(one.plan, voice),
            "expected_usd": one.plan.expected_usd,
            "most_usd": one.most_usd,
            "worst_usd": one.worst_usd,
        }
        for one in (mine, least)
    ]
    return {"worth": rows, "regret": {"recommendation": regret[0], "least": regret[1]}}
