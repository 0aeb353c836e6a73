"""Published times of collectives, and what the formulas predict for them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gpuspec.base.units import GB, NODE_GPUS, Floats
from gpuspec.catalog import gpu
from gpuspec.constants.collectives import size_of, span_of, where
from gpuspec.constants.fabrics import BOARD_GPUS, SOCKETS, bulk_only, socket_bytes_s
from gpuspec.constants.links import Fabric, LinkTerms, NetworkTerms
from gpuspec.evidence.measurements.rows import Row, completed, groups, numbers
from gpuspec.formulas.networks import collective_seconds
from gpuspec.formulas.networks.collectives import wire_factor

LINKS = ("nvlink-3", "nvlink-4", "nvlink-5", "nvlink-mesh", "pcie-4", "pcie-4-peer")
"""Links whose constants are fitted."""
MESH = "-mesh"
KIND = {
    "pcie-5": "pcie-4",
    "pcie-5-peer": "pcie-4-peer",
    "nvlink-3-mesh": "nvlink-mesh",
    "nvlink-4-mesh": "nvlink-mesh",
}
KIND |= {f"pcie-{n}{SOCKETS}": "pcie-4" for n in (4, 5)}
KIND |= {f"pcie-{n}-peer{SOCKETS}": "pcie-4-peer" for n in (4, 5)}
"""Links that take the constants of another, on their own rate."""
_ONE_CALL = ["operation", "fitted_link", "network_kind", "adds", "algorithm", "mesh", "reach"]
_ONE_CALL += ["bulk_only", "socket_bytes_s"]


def prepared_collectives(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the columns that a prediction reads.

    A blank network means one node; a blank ``algorithm`` is NCCL's own choice, which uses the
    switch's adders where the generation has them, and a named ring or tree does not.
    """
    blank = dict.fromkeys(("seconds", "algbw_gb_s", "busbw_gb_s"), np.nan)
    blank |= {"node_network_gb_s": 0.0, "adapters": 8}
    rows = completed(rows, blank, {"network_kind": "", "algorithm": ""})
    rows["fitted_link"] = rows["link"].replace(KIND)
    rows["mesh"] = np.where(rows["link"].str.endswith(MESH), BOARD_GPUS, 0)
    rows["socket_bytes_s"] = rows["link"].map({n: socket_bytes_s(n) for n in rows["link"].unique()})
    newer = rows["link"].isin(("nvlink-4", "nvlink-5"))
    forced = rows["algorithm"].isin(("ring", "tree"))
    rows["adds"] = newer & ~forced
    pairs = zip(rows["gpu"], rows["network_kind"], strict=True)
    rows["bulk_only"] = [bulk_only(gpu(name), kind) for name, kind in pairs]
    rows["size"], rows["reach"] = size_of(rows["message_bytes"]), where(rows["nodes"])
    rows["span"] = span_of(rows["nodes"])
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
        self.calls: list[tuple[np.ndarray, Row, list[Floats]]] = []
        pairs = zip(rows["gpu"], rows["link"], strict=True)
        rows = rows.assign(rate=[link_rate(*pair) for pair in pairs])
        for about, index in groups(rows, _ONE_CALL):
            called = ("message_bytes", "gpus_per_node", "nodes", "rate")
            columns = numbers(rows.iloc[index], *called, "node_network_gb_s", "adapters")
            self.calls.append((index, about, columns))

    def seconds(
        self, links: Mapping[str, LinkTerms], networks: Mapping[str, NetworkTerms]
    ) -> np.ndarray:
        """Return the predicted seconds of each row.

        Constants of shape (k, 1) give k predictions of each row, shape (k, rows).
        """
        order, parts = [], []
        for index, about, (size, inside, nodes, rate, network, adapters) in self.calls:
            mesh = about["mesh"]
            island = mesh or NODE_GPUS
            rates: Row = {
                "link_bytes_s": rate,
                "node_bytes_s": network * GB,
                "reach_bytes_s": network * GB / np.minimum(adapters, island),
            }
            fabric = Fabric.model_construct(
                **rates,
                island=island,
                mesh=mesh,
                algorithm=about["algorithm"],
                switch_adds=bool(about["adds"]),
                bulk_only=bool(about["bulk_only"]),
                socket_bytes_s=about["socket_bytes_s"],
                link=links[about["fitted_link"]],
                network=networks.get(about["network_kind"], NetworkTerms()),
            )
            order.append(index)
            parts.append(collective_seconds(about["operation"], size, fabric, inside, nodes))
        several = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
        whole = [np.broadcast_to(part, (*several, part.shape[-1])) for part in parts]
        return np.concatenate(whole, axis=-1)[..., np.argsort(np.concatenate(order))]


def predicted_collectives(
    rows: pd.DataFrame,
    links: Mapping[str, LinkTerms],
    networks: Mapping[str, NetworkTerms],
) -> np.ndarray:
    """Return the predicted seconds of each prepared row."""
    return Collectives(rows).seconds(links, networks)
