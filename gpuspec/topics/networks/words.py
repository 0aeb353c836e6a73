"""Sentences about links and networks."""

import pandas as pd

from gpuspec.base.units import format_bytes
from gpuspec.topics.networks import ENOUGH, NetworksQuestion
from gpuspec.topics.networks.ground import column_ground, table_ground
from gpuspec.views.columns import amount
from gpuspec.views.front import grounds_line
from gpuspec.views.language import say
from gpuspec.views.markdown import Markdown, bulleted
from gpuspec.views.words import grounds_sentence, listed


def bandwidth_finding(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say what the largest message reaches over each way to join the GPUs."""
    said = [
        say("{rate:,.0f} GB/s over {name}", rate=rate, name=name)
        for name, rate in fastest(table).items()
    ]
    what = question.operation.replace("_", "-")
    return say(
        "Large {what} of {gpus_per_node} GPUs: {said}",
        what=what,
        gpus_per_node=question.gpus_per_node,
        said=listed(said),
    )


def fastest(table: pd.DataFrame) -> dict[str, float]:
    """Return the bus bandwidth of the largest message over the fastest of each kind of link, in
    GB/s, by its short name.
    """
    rates = table.groupby("wiring", sort=False).last()["bus_gb_s"]
    short = [str(name).split(" (")[0].split(",")[0] for name in rates.index]
    return {str(k): float(v) for k, v in rates.groupby(short, sort=False).max().items()}


def bandwidth_sentences(question: NetworksQuestion, table: pd.DataFrame) -> Markdown:
    """Say what share of its physical rate each link gives, and from which message on."""
    said = []
    for name, group in table.groupby("wiring", sort=False):
        last = group.iloc[-1]
        half = group[group["bus_gb_s"] >= last["bus_gb_s"] / 2].iloc[0]["message_bytes"]
        said.append(
            say(
                "{name} reaches {rate} GB/s ({low} to {high}), which is {share:.0%} of what its "
                "link carries; messages from {half} on reach half of that rate.",
                name=name,
                rate=amount(last["bus_gb_s"]),
                low=amount(last["bus_gb_s_low"]),
                high=amount(last["bus_gb_s_high"]),
                share=last["bus_gb_s"] / last["link_gb_s"],
                half=format_bytes(half),
            )
        )
    return Markdown("\n\n").join([bulleted(said), links_ground(question, table)])


def links_ground(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say what is known of the largest message, over the most nodes, of each way to join GPUs."""
    last = [group.iloc[-1] for _, group in table.groupby("wiring", sort=False)]
    return grounds_sentence(table_ground(last, question.operation))


def known_sentence(table: pd.DataFrame, *by: str) -> str:
    """Say what was measured of links like those of a table, which has columns of its ground."""
    return grounds_sentence(column_ground(table, by))


def known_short(table: pd.DataFrame, *by: str) -> str:
    """Say the same without the reasons."""
    return grounds_line({name: level for name, (level, _) in column_ground(table, by).items()})


def scale_finding(table: pd.DataFrame) -> str:
    """Say what the network leaves of the bandwidth inside a node."""
    said = []
    for name, group in table.groupby("wiring", sort=False):
        inside, last = group[group["nodes"] == 1].iloc[-1], group.iloc[-1]
        share = last["bus_gb_s"] / inside["bus_gb_s"]
        said.append(f"{share:{'.0%' if share >= 0.1 else '.1%'}} ({say(str(name))})")
    nodes = int(table["nodes"].max())
    return say(
        "Over {nodes} nodes a large message keeps {said} of its bandwidth in one node",
        nodes=nodes,
        said=listed(said),
    )


def tensor_finding(table: pd.DataFrame) -> str:
    """Say what the widest tensor parallelism exposes over NVLink and over PCIe."""
    wide = table[table["tp"] == table["tp"].max()]
    pcie = wide["wiring"].str.startswith("PCIe")
    said = []
    for name, part in (("NVLink", wide[~pcie]), ("PCIe", wide[pcie])):
        if len(part):
            said.append(
                say(
                    "{min:.0%} to {max:.0%} over {name}",
                    min=part["share"].min(),
                    max=part["share"].max(),
                    name=name,
                )
            )
    return say("TP {max} waits {said} of a training step", max=table["tp"].max(), said=listed(said))


def network_finding(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say how fast two nodes are over the slowest network and the largest job over the best."""
    names = list(table["network"].unique())
    worst, best = (table[table["network"] == n] for n in (names[0], names[-1]))
    two, most = worst[worst["nodes"] > 1].iloc[0], best.iloc[-1]
    return say(
        "Over {names} {nodes} nodes train {name} at {speed:.2f} times the speed of one; over "
        "{names_2} {nodes_2} nodes keep {efficiency:.0%}",
        names=names[0],
        nodes=two["nodes"],
        name=question.network.name,
        speed=two["speed"],
        names_2=names[-1],
        nodes_2=most["nodes"],
        efficiency=most["efficiency"],
    )


def network_sentences(question: NetworksQuestion, table: pd.DataFrame) -> Markdown:
    """Say what each network makes of the largest number of nodes, in speed and days."""
    said, first = [], ""
    if not table["fits"].all():
        text = "{name} does not fit one node: read it as if it did."
        first = say(text, name=question.network.name)
    for name, group in table.groupby("network", sort=False):
        last = group.iloc[-1]
        faster = group[(group["nodes"] > 1) & (group["speed"] > 1)]
        breaks = say("beats one node from {min} nodes on", min=faster["nodes"].min())
        breaks = breaks if len(faster) else say("never beats one node")
        span = say(
            "{efficiency_low:.0%} to {efficiency_high:.0%}",
            efficiency_low=last["efficiency_low"],
            efficiency_high=last["efficiency_high"],
        )
        said.append(
            say(
                "{name} {breaks}; {nodes} nodes keep {efficiency:.0%} ({span}) of their speed, and "
                "{days_lost} of {days} days are spent on waiting for the network.",
                name=name,
                breaks=breaks,
                nodes=last["nodes"],
                efficiency=last["efficiency"],
                span=span,
                days=amount(last["days"]),
                days_lost=amount(last["days_lost"]),
            )
        )
    last_said = " ".join(filter(None, [known_sentence(table, "network"), question.doubts]))
    return Markdown("\n\n").join(filter(None, [first, bulleted(said), last_said]))


def waiting_finding(table: pd.DataFrame) -> str:
    """Say between which shares typical jobs wait, and for what most."""
    ran = table[table["reason"] == ""]
    if ran.empty:
        return say("None of the typical jobs runs")
    ranked = ran.sort_values("share", kind="stable")
    least, most = ranked.iloc[0], ranked.iloc[-1]
    return say(
        "From {share:.0%} ({job}, {gpu}) to {share_2:.0%} ({job_2}, {gpu_2}) of a step is "
        "spent waiting for other GPUs",
        share=least["share"],
        job=least["job"],
        gpu=least["gpu"],
        share_2=most["share"],
        job_2=most["job"],
        gpu_2=most["gpu"],
    )


def form_finding(table: pd.DataFrame) -> str:
    """Say up to which model PCIe cards with peer access train as if NVLink joined them."""
    said = []
    for tuning, group in table[table["path"] == "peer"].groupby("tuning", sort=False):
        enough = group[group["kept"] >= ENOUGH]
        words = (
            say("for no model")
            if enough.empty
            else say("up to {max:.0f}B", max=enough["params"].max())
        )
        said.append(f"{words} ({tuning})")
    return say(
        "PCIe is enough {said}, where the cards reach each other directly", said=listed(said)
    )


def form_sentences(table: pd.DataFrame) -> str:
    """Give the verdict on PCIe and SXM: what the links cost, what the chip, and the worst path."""
    good = table[table["reason"] == ""]
    said = [
        say(
            "Enough means: at least {least:.0%} of the speed that the same cards would have if "
            "NVLink joined them.",
            least=ENOUGH,
        )
    ]
    for pair, group in good.groupby("pair", sort=False):
        peer, host = (group[group["path"] == p] for p in ("peer", "host"))
        said.append(
            say(
                "{pair}: the chip alone makes {min:.0%} to {max:.0%}; of that PCIe leaves "
                "{max_2:.0%} at best and {min_2:.0%} at worst peer to peer, {max_3:.0%} to "
                "{min_3:.0%} through the host.",
                pair=pair,
                min=group["card"].min(),
                max=group["card"].max(),
                max_2=peer["kept"].max(),
                min_2=peer["kept"].min(),
                max_3=host["kept"].max(),
                min_3=host["kept"].min(),
            )
        )
    short = table.loc[table["reason"] != "", "model"].unique()
    if len(short):
        said.append(
            say("All weights of {short} fit no eight of these GPUs.", short=listed(list(short)))
        )
    return " ".join([*said, known_sentence(table, "pair")])
