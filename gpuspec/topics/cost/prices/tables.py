"""Tables of prices, and the operating values that are used."""

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import load_table

BANDS = ("low", "central", "high")
CHINA = "China"


def operating_bands() -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return low, central and high of each operating value: by key, then by GPU ("": any)."""
    table = load_table("prices-operating")
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in table[table["key"] != ""].to_dict("records"):
        low, central, high = (float(row[band]) for band in BANDS)
        found.setdefault(row["key"], {})[row["gpu_id"]] = (low, central, high)
    return found


def operating_value(key: str, gpu_id: str = "", band: str = "central") -> float | None:
    """Return a value that is used, of a GPU where it has its own; None where there is none."""
    bands = operating_bands()
    if key not in bands:
        raise UnknownNameError("operating", key, sorted(bands))
    values = bands[key].get(gpu_id, bands[key].get(""))
    return None if values is None else values[BANDS.index(band)]
