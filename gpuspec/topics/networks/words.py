"""Sentences about links and networks."""

import pandas as pd

from gpuspec.base.units import format_bytes
from gpuspec.topics.networks import ENOUGH, NetworksQuestion
from gpuspec.topics.networks.ground import column_ground, table_ground
from gpuspec.views.words import grounds_sentence, listed


def answer_sentences(
    question: NetworksQuestion, inside: pd.DataFrame, between: pd.DataFrame
) -> str:
    """Say what links give in a node, what is left of it between nodes, and how well it is known."""
    found = bandwidth_finding(question, inside), scale_finding(between)
    return ". ".join([*found, links_ground(question, inside)])


def bandwidth_finding(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say what the largest message reaches over each way to join the GPUs."""
    largest = table.groupby("wiring", sort=False).last()["bus_gb_s"]
    said = [f"{rate:,.0f} GB/s over {name}" for name, rate in _kinds(largest).items()]
    what = question.operation.replace("_", "-")
    return f"Large {what} of {question.gpus_per_node} GPUs: {listed(said)}"


def _kinds(rates: "pd.Series[float]") -> dict[str, float]:
    """Return the fastest of each kind of link, by its short name."""
    short = [str(name).split(" (")[0].split(",")[0] for name in rates.index]
    return {str(k): float(v) for k, v in rates.groupby(short, sort=False).max().items()}


def bandwidth_sentences(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say what share of its physical rate each link gives, and from which message on."""
    said = []
    for name, group in table.groupby("wiring", sort=False):
        last = group.iloc[-1]
        half = group[group["bus_gb_s"] >= last["bus_gb_s"] / 2].iloc[0]["message_bytes"]
        said.append(
            f"{name}: {last['bus_gb_s']:,.1f} GB/s ({last['bus_gb_s_low']:,.1f} to "
            f"{last['bus_gb_s_high']:,.1f}), {last['bus_gb_s'] / last['link_gb_s']:.0%} of the "
            f"link's {last['link_gb_s']:,.0f}; half of it from {format_bytes(half)} on."
        )
    return " ".join([*said, links_ground(question, table)])


def links_ground(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say what is known of the largest message, over the most nodes, of each way to join GPUs."""
    last = [group.iloc[-1] for _, group in table.groupby("wiring", sort=False)]
    return grounds_sentence(table_ground(last, question.operation))


def known_sentence(table: pd.DataFrame, *by: str) -> str:
    """Say what was measured of links like those of a table, which has columns of its ground."""
    return grounds_sentence(column_ground(table, by))


def scale_finding(table: pd.DataFrame) -> str:
    """Say what the network leaves of the bandwidth inside a node."""
    said = []
    for name, group in table.groupby("wiring", sort=False):
        inside, last = group[group["nodes"] == 1].iloc[-1], group.iloc[-1]
        share = last["bus_gb_s"] / inside["bus_gb_s"]
        said.append(f"{share:.0%} ({name})" if share >= 0.1 else f"{share:.1%} ({name})")
    nodes = int(table["nodes"].max())
    return f"Over {nodes} nodes a large message keeps {listed(said)} of its bandwidth in one node"


def tensor_finding(table: pd.DataFrame) -> str:
    """Say what the widest tensor parallelism exposes over NVLink and over PCIe."""
    wide = table[table["tp"] == table["tp"].max()]
    pcie = wide["wiring"].str.startswith("PCIe")
    said = []
    for name, part in (("NVLink", wide[~pcie]), ("PCIe", wide[pcie])):
        if len(part):
            said.append(f"{part['share'].min():.0%} to {part['share'].max():.0%} over {name}")
    return f"TP {table['tp'].max()} waits {listed(said)} of a training step"


def network_finding(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say how fast two nodes are over the slowest network and the largest job over the best."""
    names = list(table["network"].unique())
    worst, best = (table[table["network"] == n] for n in (names[0], names[-1]))
    two, most = worst[worst["nodes"] > 1].iloc[0], best.iloc[-1]
    return (
        f"Over {names[0]} {two['nodes']} nodes train {question.network.name} at "
        f"{two['speed']:.2f} times the speed of one; over {names[-1]} {most['nodes']} nodes keep "
        f"{most['efficiency']:.0%}"
    )


def network_sentences(question: NetworksQuestion, table: pd.DataFrame) -> str:
    """Say what each network makes of the largest number of nodes, in speed and days."""
    said = []
    if not table["fits"].all():
        said.append(f"{question.network.name} does not fit one node: read it as if it did.")
    for name, group in table.groupby("network", sort=False):
        last = group.iloc[-1]
        faster = group[(group["nodes"] > 1) & (group["speed"] > 1)]
        breaks = f"beats one node from {faster['nodes'].min()} nodes on"
        breaks = breaks if len(faster) else "never beats one node"
        span = f"{last['efficiency_low']:.0%} to {last['efficiency_high']:.0%}"
        said.append(
            f"{name}: {breaks}; {last['nodes']} nodes keep {last['efficiency']:.0%} ({span}), and "
            f"of {last['days']:,.1f} days {last['days_lost']:,.1f} go to the network."
        )
    said.append(known_sentence(table, "network"))
    return " ".join(filter(None, [*said, question.doubts]))


def waiting_finding(table: pd.DataFrame) -> str:
    """Say between which shares typical jobs wait, and for what most."""
    ran = table[table["reason"] == ""]
    if ran.empty:
        return "None of the typical jobs runs"
    ranked = ran.sort_values("share", kind="stable")
    least, most = ranked.iloc[0], ranked.iloc[-1]
    return (
        f"From {least['share']:.0%} ({least['job']}, {least['gpu']}) to {most['share']:.0%} "
        f"({most['job']}, {most['gpu']}) of a step is spent waiting for other GPUs"
    )


def form_finding(table: pd.DataFrame) -> str:
    """Say up to which model PCIe cards with peer access train as if NVLink joined them."""
    said = []
    for tuning, group in table[table["path"] == "peer"].groupby("tuning", sort=False):
        enough = group[group["kept"] >= ENOUGH]
        words = "for no model" if enough.empty else f"up to {enough['params'].max():.0f}B"
        said.append(f"{words} ({tuning})")
    return f"PCIe is enough {listed(said)}, where the cards reach each other directly"


def form_sentences(table: pd.DataFrame) -> str:
    """Give the verdict on PCIe and SXM: what the links cost, what the chip, and the worst path."""
    good = table[table["reason"] == ""]
    said = [
        f"Enough means: at least {ENOUGH:.0%} of the speed that the same cards would have if "
        "NVLink joined them."
    ]
    for pair, group in good.groupby("pair", sort=False):
        peer, host = (group[group["path"] == p] for p in ("peer", "host"))
        said.append(
            f"{pair}: the chip alone makes {group['card'].min():.0%} to "
            f"{group['card'].max():.0%}; of that PCIe leaves {peer['kept'].max():.0%} at best and "
            f"{peer['kept'].min():.0%} at worst peer to peer, {host['kept'].max():.0%} to "
            f"{host['kept'].min():.0%} through the host."
        )
    short = table.loc[table["reason"] != "", "model"].unique()
    if len(short):
        said.append(f"All weights of {listed(list(short))} fit no eight of these GPUs.")
    return " ".join([*said, known_sentence(table, "pair")])
