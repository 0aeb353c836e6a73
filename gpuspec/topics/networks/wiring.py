"""Fabrics that a buyer chooses between, by the names that pictures give them."""

from collections.abc import Sequence
from itertools import product

from pydantic import BaseModel, ConfigDict

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu, gpu, table_rows
from gpuspec.constants.fabrics import BOARD_GPUS, SOCKETS, board_fabric, fabric, link_key
from gpuspec.constants.links import Fabric

PCIE_CARDS = {4: "a100-pcie-80", 5: "h100-pcie-80"}
"""The card that stands for each generation of PCIe."""
PATHS = {"peer": "peer to peer", "host": "through the host"}
"""How PCIe cards reach each other: directly (switches or bridges of the host that allow it), or all
over the memory of one host."""


class Wiring(BaseModel):
    """One way to join the GPUs of a node, named."""

    model_config = ConfigDict(frozen=True)

    name: str
    gpu: Gpu
    fabric: Fabric
    key: str
    """``nvlink-4``, ``pcie-5``...: as the table of measurements names links."""


def crowded(joined: Fabric, cards: int) -> Fabric:
    """Return the fabric as each of `cards` sees it that send at once, in groups of any size.

    Only a path that all share changes: there a pair has no link to itself either.
    """
    t = joined.link
    slower = 1 + t.crowd_loss * max(cards - 2, 0)
    own = t.model_copy(update={"crowd_loss": 0.0})
    return joined.model_copy(update={"link_bytes_s": joined.link_bytes_s / slower, "link": own})


def wirings(devices: Sequence[Gpu], gpus: int = NODE_GPUS, sockets: int = 1) -> list[Wiring]:
    """Return every way to join `gpus` of the given kinds, NVLink SHARP apart, then PCIe 4 and 5.

    `sockets`: processors that the PCIe cards of a group span.

    Boards of four without a switch where they hold so many. GPUs whose links are equal stand in
    one entry: H100 and H200 have the same NVLink.
    """
    kin: dict[tuple[str, float], list[Gpu]] = {}
    for device in devices:
        kin.setdefault((link_key(device), fabric(device).link_bytes_s), []).append(device)
    found: list[Wiring] = []
    for (key, _), group in kin.items():
        if key.startswith("nvlink"):
            found += _nvlink(key, group)
            found += _boards(key, group) if gpus <= BOARD_GPUS else []
    for (generation, name), (path, words) in product(PCIE_CARDS.items(), PATHS.items()):
        card, key = gpu(name), link_key(gpu(name), path, sockets)
        label = f"PCIe {generation}, {words}" + (", two sockets" if key.endswith(SOCKETS) else "")
        made = fabric(card, pcie_path=path, pcie_sockets=sockets)
        found.append(Wiring(name=label, gpu=card, fabric=made, key=key))
    return found


def _boards(key: str, group: list[Gpu]) -> list[Wiring]:
    """Return a board of four without a switch, where one of the GPUs is sold on it."""
    sold = {row["gpu_id"] for row in table_rows("servers") if row["topology"] == "point-to-point"}
    on_boards = [device for device in group if device.id in sold]
    if not on_boards:
        return []
    label = f"NVLink {key.split('-')[1]} ({family_names(on_boards)}), board without a switch"
    made = board_fabric(on_boards[0])
    return [Wiring(name=label, gpu=on_boards[0], fabric=made, key=f"{key}-mesh")]


def family_names(devices: Sequence[Gpu]) -> str:
    """Return the families of GPUs, each once: "H100, H200"."""
    return ", ".join(dict.fromkeys(device.id.split("-")[0].upper() for device in devices))


def _nvlink(key: str, group: list[Gpu]) -> list[Wiring]:
    """Return an NVLink with and, where the switch can add up, without NVLink SHARP."""
    label = f"NVLink {key.split('-')[1]} ({family_names(group)})"
    whole = fabric(group[0])
    if not whole.switch_adds:
        return [Wiring(name=label, gpu=group[0], fabric=whole, key=key)]
    ring = whole.model_copy(update={"switch_adds": False})
    return [
        Wiring(name=f"{label}, SHARP", gpu=group[0], fabric=whole, key=key),
        Wiring(name=f"{label}, ring", gpu=group[0], fabric=ring, key=key),
    ]
