"""Published times of collectives, and what the formulas predict for them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gpuspec.base.units import GB, Floats
from gpuspec.catalog import gpu
from gpuspec.constants.collectives import LARGE
from gpuspec.constants.links import Fabric, LinkTerms, NetworkTerms
from gpuspec.evidence.measurements.rows import Row, completed, groups, numbers
from gpuspec.formulas.networks import collective_seconds
from gpuspec.formulas.networks.collectives import wire_factor

LINKS = ("nvlink-3", "nvlink-4", "nvlink-5", "pcie-4")
"""Links whose constants are fitted; PCIe 5 takes those of PCIe 4 on twice the rate."""
KIND = {"pcie-5": "pcie-4"}
_ONE_CALL = ["operation", "link", "gpu", "network_kind", "node_network_gb_s"]
_ONE_CALL += ["adapters", "adds"]


def prepared_collectives(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the columns that a prediction reads.

    A blank network means one node; a blank ``algorithm`` is NCCL's own choice, which uses the
    switch's adders where the generation has them, and a named ring or tree does not.
    """
    blank = dict.fromkeys(("seconds", "algbw_gb_s", "busbw_gb_s"), np.nan)
    blank |= {"node_network_gb_s": 0.0, "adapters": 8}
    rows = completed(rows, blank, {"network_kind": "", "algorithm": ""})
    rows["fitted_link"] = rows["link"].replace(KIND)
    newer = rows["link"].isin(("nvlink-4", "nvlink-5"))
    rows["adds"] = newer & ~rows["algorithm"].isin(("ring", "tree"))
    rows["size"] = np.where(rows["message_bytes"] >= LARGE, "from 1 MiB", "below 1 MiB")
    rows["reach"] = np.where(rows["nodes"] > 1, "between nodes", "in a node")
    return rows


def measured_seconds(rows: pd.DataFrame) -> np.ndarray:
    """Return the seconds of each row: as printed, else from algorithm or bus bandwidth."""
    size = rows["message_bytes"].to_numpy(float)
    gpus = (rows["nodes"] * rows["gpus_per_node"]).to_numpy(float)
    factor = np.ones(len(rows))
    for operation, index in rows.groupby("operation").indices.items():
        factor[index] = wire_factor(str(operation), gpus[index])
    with np.errstate(divide="ignore"):
        by_bus = size * factor / (rows["busbw_gb_s"].to_numpy(float) * GB)
        by_algorithm = size / (rows["algbw_gb_s"].to_numpy(float) * GB)
    printed = rows["seconds"].to_numpy(float)
    return np.where(printed > 0, printed, np.where(by_algorithm > 0, by_algorithm, by_bus))


def link_rate(gpu_id: str, link: str) -> float:
    """Return the bytes/s of a GPU's link in one direction."""
    device = gpu(gpu_id)
    if link.startswith("nvlink"):
        return device.nvlink_bytes_s
    return device.pcie_bytes_s or 32e9


class Collectives:
    """Prepared rows, ready to be predicted again and again with other constants."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.size = len(rows)
        self.calls: list[tuple[np.ndarray, Row, list[Floats]]] = []
        for about, index in groups(rows, _ONE_CALL):
            rate = link_rate(about["gpu"], about["link"])
            columns = numbers(rows.iloc[index], "message_bytes", "gpus_per_node", "nodes")
            self.calls.append((index, {**about, "rate": rate}, columns))

    def seconds(
        self, links: Mapping[str, LinkTerms], networks: Mapping[str, NetworkTerms]
    ) -> np.ndarray:
        """Return the predicted seconds of each row."""
        result = np.zeros(self.size)
        for index, about, (size, inside, nodes) in self.calls:
            fabric = Fabric.model_construct(
                link_bytes_s=about["rate"],
                island=8,
                node_bytes_s=about["node_network_gb_s"] * GB,
                adapters=int(about["adapters"]),
                switch_adds=bool(about["adds"]),
                link=links[KIND.get(about["link"]) or about["link"]],
                network=networks.get(about["network_kind"], NetworkTerms()),
            )
            result[index] = collective_seconds(about["operation"], size, fabric, inside, nodes)
        return result


def predicted_collectives(
    rows: pd.DataFrame,
    links: Mapping[str, LinkTerms],
    networks: Mapping[str, NetworkTerms],
) -> np.ndarray:
    """Return the predicted seconds of each prepared row."""
    return Collectives(rows).seconds(links, networks)
