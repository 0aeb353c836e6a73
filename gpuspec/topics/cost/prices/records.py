"""Operating values as one checked record: defaults, a region's, and the user's own over them."""

import math
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import Gpu, kept, load_table, servers
from gpuspec.formulas.power import node_power_w, node_rated_w

BANDS = ("low", "central", "high")
CHINA = "China"


class Operating(BaseModel):
    """What owning costs besides the purchase, USD; made by `operating`."""

    model_config = ConfigDict(frozen=True)

    usd_kwh: float
    pue: float
    usd_kw_month: float
    idle_share: float
    maintenance_share_year: float
    staff_nodes_fte: float
    staff_usd_year: float
    network_share: float
    cost_of_capital: float
    life_years: float
    residuals: tuple[float, ...]
    """Residual share when new, after one year, after two..."""
    spot_interruptions: float
    """Of an instance of eight GPUs in an hour."""
    carbon_kg_kwh: float
    licence_usd_gpu_year: float
    """Software, for a GPU and year."""
    licence_usd_gpu_hour: float
    """The same of a GPU rented by the hour; 0: the year's, spread over its hours."""
    support_share: float
    """A provider's support plan over the rent."""
    network_usd_gpu_month: float
    """Line and traffic out, for a GPU and month."""
    contract_shares: tuple[float, float]
    """Move of a 1-year and of a 3-year contract over that of rents on demand."""
    node_kw: float | None = None
    """Draw of eight GPUs in training where the user states it; else by GPU."""

    def left(self, years: float | np.ndarray) -> np.ndarray:
        """Return which share of its price a server is worth after some years."""
        return np.asarray(np.interp(years, range(len(self.residuals)), self.residuals))

    @property
    def services(self) -> dict[str, float]:
        """What is left out of all costs unless it is set; 0 of what is not."""
        return {
            "software licences": max(self.licence_usd_gpu_year, self.licence_usd_gpu_hour),
            "a support plan on rents": self.support_share,
            "line and traffic": self.network_usd_gpu_month,
        }


KEYS = {
    "usd_kwh": "electricity_usd_kwh",
    "usd_kw_month": "colocation_usd_kw_month",
}
"""Keys of ``data/prices_operating.csv``, where the name of a field is another."""

MOST = {
    "network_share": 0.9,
    "support_share": 1.0,
    "contract_share_1yr": 2.0,
    "contract_share_3yr": 2.0,
}
"""Most that a value may be, where it is a share of something."""
VALID = "give a number, at least 0"


def operating(
    own: Mapping[str, float] | str | None = None,
    regions: tuple[str, ...] = (),
    cny_per_usd: float = 7.1,
    band: str = "central",
) -> Operating:
    """Return operating values: the table's, with the user's own over them.

    Parameters
    ----------
    own : mapping or str, optional
        Values by key of ``data/prices_operating.csv``: ``{"electricity_usd_kwh": 0.07}`` or
        ``"electricity_usd_kwh=0.07,pue=1.2"``.
    regions : tuple of str
        With ``China`` alone, electricity and carbon are those of China.

    Raises
    ------
    InputError, UnknownNameError
        For a key or a value that cannot be used.
    """
    bands, place = operating_bands(), BANDS.index(band)
    given = _own(own, sorted(bands))

    def value(key: str) -> float:
        return given.get(key, bands[key].get("", (math.nan,) * 3)[place])

    names = Operating.model_fields.keys() - {"residuals", "contract_shares", "node_kw"}
    values = {name: value(KEYS.get(name, name)) for name in names}
    china = bool(regions) and all(region == CHINA for region in regions)
    if china and "electricity_usd_kwh" not in given:
        values["usd_kwh"] = value("electricity_cny_kwh") / cny_per_usd
    if china and "carbon_kg_kwh" not in given:
        values["carbon_kg_kwh"] = value("carbon_kg_kwh_china")
    residuals = tuple(value(f"residual_{year}y") for year in range(7))
    shares = value("contract_share_1yr"), value("contract_share_3yr")
    return Operating(
        **values, residuals=residuals, contract_shares=shares, node_kw=given.get("node_kw")
    )


@kept
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


def power_w_gpu(device: Gpu, values: Operating) -> float:
    """Return what a GPU draws in training with its share of the server, W."""
    stated = values.node_kw or operating_value("node_kw", device.id)
    if stated:
        return stated * 1e3 / NODE_GPUS
    return float(node_power_w(device.tdp_w, 1, rated_w_gpu(device)))


def rated_w_gpu(device: Gpu) -> float:
    """Return the rating of a server for one of its GPUs, W; from the TDP where none is known."""
    table = servers()
    known = table[(table["gpu_id"] == device.id) & table["max_system_kw"].notna()]
    if not known.empty:
        return float((known["max_system_kw"] * 1e3 / known["gpu_count"]).max())
    return float(node_rated_w(device.tdp_w, 1))


def _own(own: Mapping[str, float] | str | None, known: list[str]) -> dict[str, float]:
    given: Mapping[str, float | str] = {}
    if isinstance(own, str):
        pairs = [part.partition("=") for part in own.split(",") if part.strip()]
        given = {key.strip(): text.strip() for key, _, text in pairs}
    elif own:
        given = own
    found = {}
    for key, text in given.items():
        if key not in known:
            raise UnknownNameError("operating", key, known)
        try:
            number = float(text)
        except (TypeError, ValueError):
            number = math.nan
        most = MOST.get(key, 1e9)
        if not 0 <= number <= most:
            valid = f"give a number from 0 to {most:g}" if key in MOST else VALID
            raise InputError(f"operating {key}", text, valid)
        found[key] = number
    return found
