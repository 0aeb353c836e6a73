"""Fit the constants of links and networks to published collectives."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, cast

import numpy as np
import pandas as pd

from gpuspec.constants.fabrics import NETWORKS
from gpuspec.constants.ground import FAR, TOPICS, ground_codes
from gpuspec.constants.links import LinkTerms, NetworkTerms
from gpuspec.constants.stored import Stored
from gpuspec.constants.terms import Terms
from gpuspec.evidence.fits.errors import Errors, row_weights
from gpuspec.evidence.fits.store import case_values, fitted_entry, provenance, rounded
from gpuspec.evidence.measurements.collectives import (
    LINKS,
    Collectives,
    measured_seconds,
    predicted_collectives,
    prepared_collectives,
)
from gpuspec.evidence.measurements.described import FACTORS, described
from gpuspec.evidence.measurements.known import ground_record_of
from gpuspec.evidence.measurements.rows import measurements

T = TypeVar("T", bound=Terms)
Links = Mapping[str, LinkTerms]
Networks = Mapping[str, NetworkTerms]
LOOSE = 2.0
"""How far, in log space, constants may leave where a fit starts: what NCCL's tuner says."""
LINK_SPREAD = {"start_us": 0.2, "share": 0.3, "exchange_share": 0.3}
"""The same of constants of a link that are known better: a collective that does nothing takes the
start of a kernel, whatever the link; large messages come near the line rate."""
PCIE_SPREAD = LINK_SPREAD | {"share": 0.1, "exchange_share": 0.1}
"""Cards differ by what they share (`crowd_loss`), not by what two of them reach."""
PCIE = LinkTerms(crowd_loss=0.3, few_loss=0.1, one_way_loss=0.1)
"""Where the fit of PCIe starts: cards share a path, and copy locally much faster than over it."""
NETWORK_SPREAD = {"start_us": 0.2, "small_gb_s": 0.5, "middle_gb_s": 0.5}
NETWORK_SPREAD |= {"tree_share": 0.1, "exchange_share": 0.1}
"""Of a network: protocols, and how trees and all-to-all fare beside rings, are NCCL's, not the
transport's."""
PLUG_IN = NetworkTerms(bulk_hop_us=89.0)
"""Where the fit of a network starts that a plug-in of NCCL drives: 75 us that aws-ofi-nccl tells
NCCL of EFA (src/platform-aws.c), on top of the 14 us of NCCL's tuner."""
FAMILIES: tuple[tuple[tuple[str, ...], tuple[str, ...], NetworkTerms, float], ...] = (
    (("infiniband", "roce"), (), NetworkTerms(), 0.1),
    (("efa", "slingshot"), ("tcp",), PLUG_IN, 0.3),
)
"""Networks with common constants, around which their own lie; others that start there, but tell
nothing of them; where the common ones start, and the spread of their share of the line rate: RDMA
leaves what headers do not take, a plug-in may leave less, and copying through the host half."""
SITES = {"efa-shared": "efa"}
"""Networks of one site, with the kind of network whose protocols they share."""
SITE = 4.0
"""How much further a site may leave them: its own rows say what it is."""
SITE_SHARE = 0.1 / SITE
"""But for its share of the line rate, which starts at NCCL's, since adapters of another year reach
another: what headers leave is no matter of the site, and waiting for others shows in its hops."""
KIN = 0.5
"""How much less a network may leave its family than its family may leave where fits start."""
STEP = 0.01
HELD_BACK, EQUAL = 0.25, 0.5
"""Powers of `row_weights`: publishers weighed as the square root of their rows, and all alike."""


def _fit(
    rows: pd.DataFrame,
    constants: Callable[[T], tuple[Links, Networks]],
    centre: T,
    spread: Mapping[str, float],
    kin: float = 1.0,
    power: float = HELD_BACK,
) -> T:
    """Return the constants that fit prepared rows, drawn to `centre` in log space.

    `power`: how much publishers of many rows are held back (`row_weights`).
    """
    from scipy.optimize import least_squares

    terms = type(centre)
    limits = terms.bounds()
    _, low, high = (np.array(c) for c in zip(*limits.values(), strict=True))
    floor = np.maximum(low, high * 1e-4)
    width = kin * np.array([spread.get(name, LOOSE) for name in limits])
    begin = np.log(np.clip(list(centre.model_dump().values()), floor * 1.0001, high * 0.9999))
    weight, calls = _weights(rows["publisher"], power), Collectives(rows)
    measured = np.log(measured_seconds(rows))

    def errors(points: np.ndarray) -> np.ndarray:
        values = np.clip(np.exp(points), low, high)
        several = {name: values[:, [n]] for n, name in enumerate(limits)}
        predicted = calls.seconds(*constants(cast(T, terms.model_construct(**several))))
        return np.asarray(weight * (np.log(predicted) - measured))

    def slopes(x: np.ndarray) -> np.ndarray:
        found = errors(np.vstack([x, x + STEP * np.eye(len(x))]))
        return np.vstack([(found[1:] - found[0]).T / STEP, np.diag(1 / width)])

    solution = least_squares(
        lambda x: np.concatenate([errors(x[None])[0], (x - begin) / width]),
        begin,
        slopes,
        bounds=(np.log(floor) - 1e-9, np.log(high) + 1e-9),
        loss="soft_l1",
        f_scale=0.1,
        max_nfev=40,
    )
    values = np.clip(np.exp(solution.x), low, high)
    return terms(**dict(zip(limits, map(float, values), strict=True)))


def _weights(publishers: "pd.Series[str]", power: float) -> np.ndarray:
    """Return the weight of each row: publishers against each other by `power`, all as ever."""
    weight, usual = (row_weights(publishers, p) for p in (power, HELD_BACK))
    return np.asarray(weight * np.sqrt(np.sum(usual**2) / np.sum(weight**2)))


def fit_link(rows: pd.DataFrame, link: str) -> LinkTerms:
    """Fit a link's constants to the single-node rows among `rows`; where none is, the start."""
    part = rows[(rows["fitted_link"] == link) & (rows["nodes"] == 1)]
    pcie = link.startswith("pcie")
    start, spread = (PCIE, PCIE_SPREAD) if pcie else (LinkTerms(), LINK_SPREAD)
    if part.empty:
        return start
    # Servers of PCIe cards differ by a factor of ten: each counts the same, whatever its rows.
    power = EQUAL if pcie else HELD_BACK
    return _fit(part, lambda terms: ({link: terms}, {}), start, spread, power=power)


def fit_networks(rows: pd.DataFrame, links: Links, kinds: Iterable[str]) -> Networks:
    """Fit the constants of kinds of network to the rows of several nodes, near their family's."""
    across = rows[rows["nodes"] > 1]
    found: dict[str, NetworkTerms] = {}

    def everywhere(terms: NetworkTerms) -> tuple[Links, Networks]:
        return links, dict.fromkeys(NETWORKS, terms)

    def near(
        members: Iterable[str], centre: NetworkTerms, share: float, kin: float
    ) -> NetworkTerms:
        part = across[across["network_kind"].isin(list(members))]
        if part.empty:
            return centre
        return _fit(part, everywhere, centre, NETWORK_SPREAD | {"share": share}, kin)

    for family, guests, start, share in FAMILIES:
        if asked := sorted({*family, *guests} & set(kinds)):
            common = near(family, start, share, 1.0)
            for kind in asked:
                found[kind] = near([kind], common, share, KIN if kind in family else 1.0)
    for site in sorted(set(SITES) & set(kinds)):
        family, _, start, share = next(f for f in FAMILIES if SITES[site] in f[0])
        common = near(family, start, share, 1.0)
        start = common.model_copy(update={"share": NetworkTerms().share})
        found[site] = near([site], start, SITE_SHARE, SITE)
    return found


def held_out_collectives(rows: pd.DataFrame) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its publisher."""
    everything = {link: fit_link(rows, link) for link in LINKS}
    groups, predicted = rows["publisher"].to_numpy(), np.zeros(len(rows))
    for group in sorted(set(groups)):
        own = groups == group
        rest, part = rows[~own], rows[own]
        inside = part["nodes"] == 1
        touched = set(part.loc[inside, "fitted_link"]), set(part.loc[~inside, "network_kind"])
        links = everything | {link: fit_link(rest, link) for link in touched[0]}
        networks = fit_networks(rest, links, touched[1])
        predicted[own] = predicted_collectives(part, links, networks)
    return predicted


SAME = ["link", "network_kind", "node_network_gb_s", "nodes", "gpus_per_node", "operation"]
"""What a cell of measurements shares that should be alike, beside a forced algorithm and size."""


def others_measured(rows: pd.DataFrame) -> np.ndarray:
    """Return what other publishers measured in the place of each row; NaN where nobody did.

    The geometric mean over publishers, on the same links, network, nodes, GPUs, operation and
    forced algorithm, at the nearest power of two of the size, scaled to the size of the row: as
    near as knowing the kind of machine can come.
    """
    size = rows["message_bytes"].to_numpy(float)
    table = rows[[*SAME, "publisher"]].assign(
        forced=rows["algorithm"].where(rows["algorithm"].isin(("ring", "tree")), ""),
        power=np.round(np.log2(size)),
        log=np.log(measured_seconds(rows) / size),
    )
    cell = [*SAME, "forced", "power"]
    own = table.groupby([*cell, "publisher"], as_index=False)["log"].mean()
    known = own.groupby(cell)["log"]
    others = known.transform("count") - 1
    own["rest"] = (known.transform("sum") - own["log"]) / others.where(others > 0)
    rest = table.merge(own.drop(columns="log"), how="left", on=[*cell, "publisher"])["rest"]
    return np.asarray(np.exp(rest) * size)


def _floor(rows: pd.DataFrame, predicted: np.ndarray) -> Stored:
    """Return how far publishers are from each other, and the predictions from the same rows."""
    measured, found = measured_seconds(rows), {}
    others = others_measured(rows)
    for name, index in rows.groupby(rows["reach"] + ", " + rows["size"]).indices.items():
        index = index[np.isfinite(others[index])]
        floor, own = (np.abs(p[index] / measured[index] - 1) for p in (others, predicted))
        ends = {"median": 0.5, "p90": 0.9}
        found[str(name)] = {
            "rows": len(index),
            "publishers": int(rows["publisher"].iloc[index].nunique()),
            **{f"others_{n}": round(float(np.quantile(floor, q)), 4) for n, q in ends.items()},
            **{f"model_{n}": round(float(np.quantile(own, q)), 4) for n, q in ends.items()},
        }
    return found


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_collectives(measurements("collectives"))
    links = {link: rounded(fit_link(rows, link)) for link in LINKS}
    networks = {k: rounded(t) for k, t in fit_networks(rows, links, NETWORKS).items()}
    predicted = held_out_collectives(rows)
    said = described("collectives", rows)
    error = np.log(measured_seconds(rows) / predicted)
    disputed = (said["path"] != "").to_numpy()
    factors = said[FACTORS["collectives"]]
    of = Errors(error, rows, factors, "collectives", said, far=disputed)
    record = ground_record_of("collectives", said, of.publishers)
    codes = ground_codes("collectives", {n: said[n] for n in TOPICS["collectives"].columns}, record)
    # A headline is of settings that an answer does not call far; those have a line of their own.
    known = np.where(codes == FAR, ", far ground", "")
    where = rows["reach"] + ", " + rows["size"] + known
    labels = [rows["size"], where, rows["span"], rows["link"]]
    labels += [(said["network"] + ", " + rows["size"]).where(said["network"] != "", "")]
    inside = rows["nodes"] == 1
    return {
        "links": {
            k: fitted_entry(t, rows[inside & (rows["fitted_link"] == k)]) for k, t in links.items()
        },
        "networks": {
            k: fitted_entry(t, rows[~inside & (rows["network_kind"] == k)])
            for k, t in networks.items()
        },
        "errors": {n: e for label in labels for n, e in of.by(label).items()} | of.by_ground(),
        "each_publisher": {n: of.each_publisher(where == n) for n in sorted(set(where))},
        "floor": _floor(rows, predicted),
        "intervals": {"seconds": of.interval},
        "ground": {"collectives": record},
        "held_out": case_values(rows, predicted),
        "provenance": provenance(
            "collectives",
            rows,
            "least squares in log space, soft L1 loss, publishers weighed by the square root of "
            "their rows; errors with the whole publisher held out",
        ),
    }
