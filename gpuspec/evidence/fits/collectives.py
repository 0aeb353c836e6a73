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
PRIOR = 3.0
"""How far, in log space, constants may leave their defaults: what NCCL's tuner and the steps of its
rings say, and near the line rate."""
SURE = {"start_us": 0.2}
"""The same of constants that are known better: a collective that does nothing takes the start of a
kernel, whatever the link."""
CROWDED = LinkTerms(crowd_loss=0.1)
"""Where the fit of PCIe starts, which cards may share."""


def _fit(residuals: Callable[[T], np.ndarray], centre: T) -> T:
    """Return the constants that minimise `residuals`, drawn to `centre` in log space."""
    from scipy.optimize import least_squares

    terms = type(centre)
    limits = terms.bounds()
    _, low, high = (np.array(c) for c in zip(*limits.values(), strict=True))
    floor = np.maximum(low, high * 1e-4)
    spread = np.array([SURE.get(name, PRIOR) for name in limits])
    begin = np.log(np.clip(list(centre.model_dump().values()), floor * 1.0001, high * 0.9999))

    def record(x: np.ndarray) -> T:
        values = np.clip(np.exp(x), low, high)
        return terms(**dict(zip(limits, map(float, values), strict=True)))

    solution = least_squares(
        lambda x: np.concatenate([residuals(record(x)), (x - begin) / spread]),
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
    part = rows[(rows["fitted_link"] == link) & (rows["nodes"] == 1)]
    centre = CROWDED if link.startswith("pcie") else LinkTerms()
    return _fit(_residuals(part, lambda terms: ({link: terms}, {})), centre)


def fit_network(rows: pd.DataFrame, links: Links, kind: str) -> NetworkTerms:
    """Fit the constants of a kind of network to its rows of several nodes."""
    part = rows[(rows["network_kind"] == kind) & (rows["nodes"] > 1)]
    return _fit(_residuals(part, lambda terms: (links, {kind: terms})), NetworkTerms())


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
        networks = {kind: fit_network(rest, links, kind) for kind in touched[1]}
        predicted[own] = predicted_collectives(part, links, networks)
    return predicted


def calibrate() -> Stored:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_collectives(measurements("collectives"))
    links = {link: rounded(fit_link(rows, link)) for link in LINKS}
    networks = {kind: rounded(fit_network(rows, links, kind)) for kind in NETWORKS}
    predicted = held_out_collectives(rows)
    said = described("collectives", rows)
    error = np.log(measured_seconds(rows) / predicted)
    of = Errors(error, rows, said[FACTORS["collectives"]], "collectives", said)
    labels = [rows["size"], rows["reach"] + ", " + rows["size"], rows["span"], rows["link"]]
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
