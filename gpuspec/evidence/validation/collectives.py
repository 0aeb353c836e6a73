"""Hold the model of collectives against anybody's measurements."""

import numpy as np
import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.constants.collectives import collective_interval
from gpuspec.constants.fabrics import NETWORKS
from gpuspec.constants.links import LinkTerms, NetworkTerms
from gpuspec.constants.stored import stored
from gpuspec.evidence.measurements.collectives import (
    KIND,
    LINKS,
    MESH,
    measured_seconds,
    predicted_collectives,
    prepared_collectives,
)
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.rows import Row
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged
from gpuspec.evidence.validation.reading import Columns, known_gpu
from gpuspec.formulas.networks.collectives import OPERATIONS

COLUMNS = Columns(
    kind="collectives",
    needed=("gpu", "link", "operation", "message_bytes", "nodes", "gpus_per_node"),
    numbers={
        **dict.fromkeys(("message_bytes", "nodes", "gpus_per_node"), True),
        **dict.fromkeys(("seconds", "algbw_gb_s", "busbw_gb_s"), False),
        **dict.fromkeys(("node_network_gb_s", "adapters"), False),
    },
    least=dict.fromkeys(("message_bytes", "nodes", "gpus_per_node", "adapters"), 1),
    one_of=("seconds", "algbw_gb_s", "busbw_gb_s"),
    blank_zero=("algbw_gb_s", "busbw_gb_s"),
    lowered=("operation", "link", "network_kind", "algorithm"),
    names={"gpu": known_gpu},
)
KNOWN_LINKS = tuple(link for link in (*LINKS, *KIND) if link not in KIND.values() or "pcie" in link)
"""Links that the model knows."""


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    device = known_gpu(row["gpu"])
    if row["operation"] not in OPERATIONS:
        raise UnknownNameError("operation", row["operation"], OPERATIONS)
    if row["link"] not in KNOWN_LINKS:
        raise UnknownNameError("link", row["link"], KNOWN_LINKS)
    own = f"nvlink-{device.nvlink_generation}"
    if row["link"].startswith("nvlink") and row["link"].removesuffix(MESH) != own:
        has = f"has {own}" if device.nvlink_generation else "has no NVLink"
        raise InputError("link", row["link"], f"{device.id} {has}")
    if row["nodes"] * row["gpus_per_node"] < 2:
        raise InputError("gpus_per_node", 1, "a collective needs two GPUs")
    if row["nodes"] > 1:
        kind, rate = row.get("network_kind", ""), row.get("node_network_gb_s", np.nan)
        if kind not in NETWORKS:
            raise UnknownNameError("network_kind", kind, NETWORKS)
        if not rate > 0:
            valid = "between nodes it needs the GB/s of a node in one direction"
            raise InputError("node_network_gb_s", "", valid)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(gpu=[known_gpu(name).id for name in rows["gpu"]])


def _predicted(rows: pd.DataFrame) -> np.ndarray:
    fitted = stored("collectives")
    links = {k: LinkTerms(**entry["terms"]) for k, entry in fitted["links"].items()}
    networks = {k: NetworkTerms(**entry["terms"]) for k, entry in fitted["networks"].items()}
    return predicted_collectives(rows, links, networks)


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    said = ["predicted", "message_bytes", "nodes", "link", "ground", "network_kind"]
    value, size, nodes, link, ground, network = (rows[name] for name in said)
    of = (link, ground, network, rows["gpus_per_node"], row_levels("collectives", rows))
    low, high = collective_interval(value, size, nodes, *of)
    return judged(rows.assign(measured=measured_seconds(rows), low=low, high=high))


COLLECTIVES = Kind(
    columns=COLUMNS,
    check=_check,
    named=_named,
    prepared=prepared_collectives,
    predicted=_predicted,
    compared=_compared,
    ratios=lambda rows: NO_RATIOS,
)
