"""Fit the constants of links and networks to published collectives."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd

from gpuspec.constants.fabrics import NETWORKS
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
PRIOR = 0.5
"""How far, in log space, a network's constants may leave those of all networks."""


def _fit(
    terms: type[T],
    residuals: Callable[[T], np.ndarray],
    start: np.ndarray | None = None,
    centre: np.ndarray | None = None,
) -> T:
    """Return the constants that minimise `residuals`, drawn to `centre` in log space."""
    from scipy.optimize import least_squares

    limits = terms.bounds()
    first, low, high = (np.array(c) for c in zip(*limits.values(), strict=True))
    floor = np.maximum(low, high * 1e-4)

    def record(x: np.ndarray) -> T:
        values = np.clip(np.exp(x), low, high)
        return terms(**dict(zip(limits, map(float, values), strict=True)))

    def cost(x: np.ndarray) -> np.ndarray:
        pulled: list[np.ndarray] = [] if centre is None else [(x - centre) / PRIOR]
        return np.concatenate([residuals(record(x)), *pulled])

    begin = np.log(np.clip(first if start is None else start, floor * 1.0001, high * 0.9999))
    solution = least_squares(
        cost,
        begin,
        bounds=(np.log(floor) - 1e-9, np.log(high) + 1e-9),
        loss="soft_l1",
        f_scale=0.1,
        max_nfev=60,
    )
    return record(solution.x)


def _residuals(
    rows: pd.DataFrame, constants: Callable[[T], tuple[Links, Networks]]
) -> Callable[[T], np.ndarray]:
    """Return the weighted log errors of prepared rows as a function of some constants."""
    weight, calls = row_weights(rows["publisher"], 0.25), Collectives(rows)
    measured = np.log(measured_seconds(rows))
    return lambda terms: weight * (np.log(calls.seconds(*constants(terms))) - measured)


def fit_link(rows: pd.DataFrame, link: str) -> LinkTerms:
    """Fit a link's constants to the single-node rows among `rows`."""
    part = rows[(rows["fitted_link"] == link) & (rows["nodes"] == 1)].reset_index(drop=True)
    if part.empty:
        return LinkTerms()
    return _fit(LinkTerms, _residuals(part, lambda terms: ({link: terms}, {})))


def fit_networks(rows: pd.DataFrame, links: Links) -> dict[str, NetworkTerms]:
    """Fit networks: all rows of several nodes together, then each kind near them."""
    across = rows[rows["nodes"] > 1]

    def everywhere(terms: NetworkTerms) -> tuple[Links, Networks]:
        return links, dict.fromkeys(NETWORKS, terms)

    def fit(
        part: pd.DataFrame, start: np.ndarray | None = None, centre: np.ndarray | None = None
    ) -> NetworkTerms:
        return _fit(NetworkTerms, _residuals(part, everywhere), start, centre)

    everybody = fit(across)
    start = np.maximum(list(everybody.model_dump().values()), 1e-6)
    networks = {}
    for kind in NETWORKS:
        own = across[across["network_kind"] == kind]
        networks[kind] = fit(own, start, np.log(start)) if len(own) else everybody
    return networks


def held_out_collectives(rows: pd.DataFrame) -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its publisher."""
    everything = {link: fit_link(rows, link) for link in LINKS}
    all_networks = fit_networks(rows, everything)
    groups, predicted = rows["publisher"].to_numpy(), np.zeros(len(rows))
    for group in sorted(set(groups)):
        own = groups == group
        rest, part = rows[~own], rows[own]
        touched = set(part.loc[part["nodes"] == 1, "fitted_link"])
        links = {k: fit_link(rest, k) if k in touched else v for k, v in everything.items()}
        across = (part["nodes"] > 1).any()
        networks = fit_networks(rest, links) if across else all_networks
        predicted[own] = predicted_collectives(part, links, networks)
    return predicted


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_collectives(measurements("collectives"))
    links = {link: rounded(fit_link(rows, link)) for link in LINKS}
    networks = {k: rounded(t) for k, t in fit_networks(rows, links).items()}
    predicted = held_out_collectives(rows)
    said = described("collectives", rows)
    error = np.log(measured_seconds(rows) / predicted)
    of = Errors(error, rows, said[FACTORS["collectives"]], "collectives", said)
    labels = [rows["size"], rows["reach"] + ", " + rows["size"], rows["link"]]
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
        "intervals": {"seconds": of.interval},
        "ground": {"collectives": ground_record_of("collectives", said, of.publishers)},
        "held_out": case_values(rows, predicted),
        "provenance": provenance(
            "collectives",
            rows,
            "least squares in log space, soft L1 loss, publishers weighed by the square root of "
            "their rows; errors with the whole publisher held out",
        ),
    }
