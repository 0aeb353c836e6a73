"""Fit the constants of links and networks to published collectives."""

import json
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.files import write_atomically
from gpuspec.base.paths import DATA
from gpuspec.constants.fabrics import NETWORKS, STORED, stored
from gpuspec.constants.links import LinkTerms, NetworkTerms
from gpuspec.constants.terms import Terms
from gpuspec.evidence.fits.errors import summary
from gpuspec.evidence.measurements.collectives import (
    LINKS,
    Collectives,
    collective_measurements,
    measured_seconds,
    predicted_collectives,
    prepared_collectives,
)

LARGE = 2**20
"""Message from which a row counts as large."""
PRIOR = 0.5
"""How far, in log space, a network's constants may leave those of all networks."""


def collective_errors() -> pd.DataFrame:
    """Return the held-out error of each kind of collective: `gpuspec.evidence.fits.errors`."""
    return pd.DataFrame(stored()["errors"]).T.rename_axis("quantity")


def collective_interval(value: Any, message_bytes: Any, nodes: Any = 1) -> tuple[Any, Any]:
    """Return the 80 % interval of the seconds of a collective; arguments broadcast.

    Parameters
    ----------
    value : array_like
        Estimated seconds.
    message_bytes, nodes : array_like
        Size of the message and nodes of the group: the error differs by both.

    References
    ----------
    Lei et al. 2018, arXiv:1604.04173 (split-conformal prediction), on log errors and with
    whole sources held out.
    """
    errors = stored()["errors"]
    large, across = np.asarray(message_bytes) >= LARGE, np.asarray(nodes) > 1

    def end(name: str) -> Any:
        inside, outside = (
            np.where(large, errors[f"{r}, from 1 MiB"][name], errors[f"{r}, below 1 MiB"][name])
            for r in ("in a node", "between nodes")
        )
        return np.asarray(value) * np.where(across, outside, inside)

    return end("low"), end("high")


def _weights(rows: pd.DataFrame) -> Any:
    """Weigh sources as the square root of their rows."""
    return rows.groupby("source_id")["case_id"].transform("size").to_numpy(float) ** -0.25


def _fit(terms: type[Terms], residuals: Any, start: Any = None, centre: Any = None) -> Any:
    """Return the constants that minimise `residuals`, drawn to `centre` in log space."""
    from scipy.optimize import least_squares

    limits = terms.bounds()
    first, low, high = (np.array(c) for c in zip(*limits.values(), strict=True))
    floor = np.maximum(low, high * 1e-4)

    def record(x: Any) -> Any:
        values = np.clip(np.exp(x), low, high)
        return terms(**dict(zip(limits, map(float, values), strict=True)))

    def cost(x: Any) -> Any:
        pulled = [] if centre is None else [(x - centre) / PRIOR]
        return np.concatenate([residuals(record(x)), *pulled])

    begin = np.log(np.clip(first if start is None else start, floor * 1.0001, high * 0.9999))
    found = least_squares(
        cost,
        begin,
        bounds=(np.log(floor) - 1e-9, np.log(high) + 1e-9),
        loss="soft_l1",
        f_scale=0.1,
        max_nfev=60,
    )
    return record(found.x)


def fit_link(rows: pd.DataFrame, link: str) -> LinkTerms:
    """Fit a link's constants to the single-node rows among `rows`."""
    part = rows[(rows["fitted_link"] == link) & (rows["nodes"] == 1)].reset_index(drop=True)
    if part.empty:
        return LinkTerms()
    measured, weight, calls = np.log(measured_seconds(part)), _weights(part), Collectives(part)

    def residuals(terms: LinkTerms) -> Any:
        return weight * (np.log(calls.seconds({link: terms}, {})) - measured)

    found: LinkTerms = _fit(LinkTerms, residuals)
    return found


def fit_networks(rows: pd.DataFrame, links: dict[str, LinkTerms]) -> dict[str, NetworkTerms]:
    """Fit networks: all rows of several nodes together, then each kind near them."""
    across = rows[rows["nodes"] > 1]

    def fit(part: pd.DataFrame, start: Any = None, centre: Any = None) -> NetworkTerms:
        measured, weight, calls = np.log(measured_seconds(part)), _weights(part), Collectives(part)

        def residuals(terms: NetworkTerms) -> Any:
            found = calls.seconds(links, dict.fromkeys(NETWORKS, terms))
            return weight * (np.log(found) - measured)

        found: NetworkTerms = _fit(NetworkTerms, residuals, start, centre)
        return found

    everybody = fit(across)
    start = np.maximum(list(everybody.model_dump().values()), 1e-6)
    found = {}
    for kind in NETWORKS:
        own = across[across["network_kind"] == kind]
        found[kind] = fit(own, start, np.log(start)) if len(own) else everybody
    return found


def held_out_collectives(rows: pd.DataFrame, by: str = "source_id") -> np.ndarray:
    """Return the prediction of each row by a fit that saw no row of its source."""
    everything = {link: fit_link(rows, link) for link in LINKS}
    all_networks = fit_networks(rows, everything)
    groups, predicted = rows[by].to_numpy(), np.zeros(len(rows))
    for group in sorted(set(groups)):
        own = groups == group
        rest, part = rows[~own], rows[own]
        touched = set(part.loc[part["nodes"] == 1, "fitted_link"])
        links = {k: fit_link(rest, k) if k in touched else v for k, v in everything.items()}
        across = (part["nodes"] > 1).any()
        networks = fit_networks(rest, links) if across else all_networks
        predicted[own] = predicted_collectives(part, links, networks)
    return predicted


def held_out_seconds() -> dict[str, float]:
    """Return the seconds of each case of the shipped table by a fit without its source."""
    found: dict[str, float] = stored()["held_out"]
    return found


def error_names(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return how each row's error is listed: by reach and size of the message."""
    reach = np.where(rows["nodes"] > 1, "between nodes", "in a node")
    size = np.where(rows["message_bytes"] >= LARGE, "from 1 MiB", "below 1 MiB")
    return pd.Series([f"{r}, {s}" for r, s in zip(reach, size, strict=True)], rows.index)


def calibrate() -> dict[str, Any]:
    """Fit, hold out, and return everything that is stored."""
    rows = prepared_collectives(collective_measurements())
    links = {link: _rounded(fit_link(rows, link)) for link in LINKS}
    networks = {k: _rounded(t) for k, t in fit_networks(rows, links).items()}
    predicted = held_out_collectives(rows)
    error = np.log(measured_seconds(rows) / predicted)
    errors, names = {}, error_names(rows)
    sizes = pd.Series(np.where(rows["message_bytes"] >= LARGE, "from 1 MiB", "below 1 MiB"))
    for label in (sizes, names):
        for name in sorted(label.unique()):
            own = (label == name).to_numpy()
            errors[str(name)] = summary(error[own], rows.loc[own, "source_id"])

    def entry(terms: Terms, chosen: Any) -> dict[str, Any]:
        part = rows[chosen]
        return {
            "terms": terms.model_dump(),
            "rows": len(part),
            "sources": sorted(part["source_id"].unique()),
        }

    inside = rows["nodes"] == 1
    return {
        "links": {k: entry(t, inside & (rows["fitted_link"] == k)) for k, t in links.items()},
        "networks": {
            k: entry(t, ~inside & (rows["network_kind"] == k)) for k, t in networks.items()
        },
        "errors": errors,
        "held_out": {
            case: float(f"{value:.4g}")
            for case, value in zip(rows["case_id"], predicted, strict=True)
        },
        "provenance": {
            "table": "measurements/collectives.csv",
            "rows": len(rows),
            "method": "least squares in log space, soft L1 loss, sources weighed by the square "
            "root of their rows; errors with the whole source held out",
        },
    }


def _rounded(terms: Any) -> Any:
    return type(terms)(**{n: float(f"{v:.3g}") for n, v in terms.model_dump().items()})


def main() -> None:
    """Fit, hold out, and store."""
    found = calibrate()
    write_atomically(DATA / STORED, (json.dumps(found, indent=1) + "\n").encode())
    stored.cache_clear()
    print(pd.DataFrame(found["errors"]).T.to_string())
