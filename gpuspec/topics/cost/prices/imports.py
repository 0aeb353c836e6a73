"""Rents out of the CSV files of two public collectors, SkyPilot's catalogue and gpuhunt.

Both have a row an instance and place, and its price an hour; neither names its provider in the
file, and both call cards of several forms by one name.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gpuspec.base.errors import InputError
from gpuspec.base.files import MOST_TABLE_BYTES, check_text, read_text, refusing
from gpuspec.base.rows import Row, csv_rows, csv_text, plain_cell
from gpuspec.catalog import kept, resolve, table_rows
from gpuspec.topics.cost.prices.quotes import COLUMNS as QUOTED

MOST_PRICES = 500_000
SKYPILOT, GPUHUNT = "SkyPilot", "gpuhunt"
NEEDED = {
    SKYPILOT: ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "SpotPrice"),
    GPUHUNT: ("instance_name", "location", "price", "gpu_count", "gpu_name", "gpu_memory", "spot"),
}
"""Columns by which a collector's file is known."""
IMPORTED = ("on-demand", "spot")
"""Ways to pay that they have."""
FORMS = ("SXM", "PCIe", "NVL")
_FORM = re.compile("|".join(FORMS), re.IGNORECASE)
_MEMORY = re.compile(r"-(\d+)GB", re.IGNORECASE)
_MIB_FROM = 1000
"""A size of memory from which it is in MiB; below, some files write GB."""


Key = tuple[str, str, str, str]
"""GPU, mode, provider, region."""


class Rent(NamedTuple):
    """What a GPU of an instance costs an hour."""

    gpu: str
    mode: str
    provider: str
    region: str
    gpus_per_node: int
    usd: float
    product: str

    @property
    def key(self) -> Key:
        """What tells it from another."""
        return self.gpu, self.mode, self.provider, self.region


class Imported(NamedTuple):
    """The rents of a file, the least of each GPU, mode and region; and the rows left out."""

    rents: list[Rent]
    left_out: dict[str, int]
    """Rows by the reason why they are no price of a GPU of the tables."""
    collector: str


class Change(NamedTuple):
    """A price before and after; None where there is none."""

    gpu: str
    mode: str
    provider: str
    region: str
    before: float | None
    after: float | None


class _Left(Exception):
    """Why a row is left out."""


def read_prices(file: str | Path, provider: str = "", form: str = "") -> Imported:
    """Read the file of a collector.

    Parameters
    ----------
    provider : str
        Who sells; by the file's name (``aws.csv``) or its folder's (``aws/vms.csv``) unless given.
    form : str
        Form of the cards (`FORMS`) whose row does not say it; unless given, such rows are left out
        where the tables know several forms.

    Raises
    ------
    InputError
        Where the file is of neither collector, or holds no price of a GPU of the tables.
    """
    path = Path(file)
    text = read_text("prices", file, MOST_TABLE_BYTES)
    columns, rows = csv_rows("prices", text, str(path), most=MOST_PRICES)
    collector = next((n for n, needed in NEEDED.items() if {*needed} <= {*columns}), "")
    if not collector:
        heads = "; ".join(f"{n}: {', '.join(needed)}" for n, needed in NEEDED.items())
        raise InputError("prices", str(path), f"its first line must be that of {heads}")
    if form and form.lower() not in map(str.lower, FORMS):
        raise InputError("form", form, f"give {', '.join(FORMS)}")
    stem = path.parent.name if path.stem == "vms" else path.stem
    seller = _seller(check_text("provider", provider or stem, lines=False).strip())
    if not seller:
        raise InputError("provider", provider, "name who sells")
    read = {SKYPILOT: _skypilot, GPUHUNT: _gpuhunt}[collector]
    least: dict[Key, Rent] = {}
    left: Counter[str] = Counter()
    for row in rows:
        try:
            found = read(_checked(row), seller, form)
        except _Left as reason:
            left[str(reason)] += 1
            continue
        for rent in found:
            if rent.key not in least or rent.usd < least[rent.key].usd:
                least[rent.key] = rent
    if not least:
        said = (
            "; ".join(f"{count:,} rows: {reason}" for reason, count in left.most_common(3))
            or "no row"
        )
        raise InputError("prices", str(path), f"it holds no price that can be used: {said}")
    return Imported(sorted(least.values()), dict(left.most_common()), collector)


def _checked(row: Row) -> dict[str, str]:
    if row.problem:
        raise _Left(row.problem.partition(":")[0])
    return row.cells


def _seller(name: str) -> str:
    """Return a provider as the table of rents calls it, where it knows it."""
    known = {_plain(row["provider"]): row["provider"] for row in table_rows("prices-rental")}
    plain = _plain(name)
    starts = sorted(p for p in known if p.startswith(plain) or plain.startswith(p))
    return known[starts[0]] if plain and starts else name


def _plain(name: str) -> str:
    return re.sub(r"\W|_", "", name).casefold()


def _skypilot(cells: Mapping[str, str], seller: str, form: str) -> list[Rent]:
    name = cells["AcceleratorName"]
    if not name:
        raise _Left("no GPU")
    instance = cells["InstanceType"]
    if not instance:
        raise _Left("the price of the GPU alone: its host comes on top")
    about = re.search(r"""['"]Name['"]: *['"]([^'"]*)""", cells.get("GpuInfo", ""))
    size = re.search(r"""['"]SizeInMiB['"]: *(\d+)""", cells.get("GpuInfo", ""))
    told = _MEMORY.search(name)
    gb = float(told[1]) if told else _gb(float(size[1])) if size else 0.0
    gpu = _card(name, f"{name} {about[1] if about else ''} {instance}", gb, instance, form)
    count = _number(cells["AcceleratorCount"])
    prices = {"on-demand": cells["Price"], "spot": cells["SpotPrice"]}
    region = cells.get("Region", "")
    found = [(mode, _number(price)) for mode, price in prices.items() if price]
    return [_rent(gpu, mode, seller, region, count, usd, instance) for mode, usd in found]


def _gb(size: float) -> float:
    return size / 1024 if size >= _MIB_FROM else size


def _gpuhunt(cells: Mapping[str, str], seller: str, form: str) -> list[Rent]:
    count = _number(cells["gpu_count"])
    if not count or not cells["gpu_name"]:
        raise _Left("no GPU")
    if cells["spot"].lower() not in ("true", "false"):
        raise _Left("spot is neither True nor False")
    memory = _number(cells["gpu_memory"]) if cells["gpu_memory"] else 0.0
    instance = cells["instance_name"]
    gpu = _card(cells["gpu_name"], f"{cells['gpu_name']} {instance}", memory, instance, form)
    mode = "spot" if cells["spot"].lower() == "true" else "on-demand"
    usd = _number(cells["price"])
    return [_rent(gpu, mode, seller, cells["location"], count, usd, instance)]


def _rent(
    gpu: str, mode: str, seller: str, region: str, count: float, usd: float, instance: str
) -> Rent:
    if count < 1 or count != int(count) or not 0 < usd / count < 1e4:
        raise _Left("the number of GPUs or the price is none")
    return Rent(gpu, mode, seller, region, int(count), round(usd / count, 6), instance)


def _number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise _Left("a number cannot be read") from None
    if not abs(found) < 1e12:
        raise _Left("a number cannot be read")
    return found


@kept
def _products() -> dict[str, str]:
    """Return the GPU of each instance that the table of rents knows, where there is but one."""
    found: dict[str, set[str]] = {}
    for row in table_rows("prices-rental"):
        if row["gpu_id"] and re.search(r"\d", row["product"]) and " " not in row["product"]:
            found.setdefault(row["product"].lower(), set()).add(row["gpu_id"])
    return {product: min(gpus) for product, gpus in found.items() if len(gpus) == 1}


@kept
def _cards() -> list[tuple[str, str, float]]:
    """Return id, plain family and memory in GB of each GPU."""
    return [
        (row["id"], row["id"].rsplit("-", 2)[0], float(row["memory_label_gb"]))
        for row in table_rows("gpus")
    ]


@cache
def _said_form(text: str) -> str:
    found = {form.lower() for form in _FORM.findall(text)}
    return found.pop() if len(found) == 1 else ""


def _card(name: str, said: str, gb: float, instance: str, form: str) -> str:
    """Return the GPU of a row: its family and memory, its form by any name in the row."""
    family = _MEMORY.sub("", name).lower()
    own = _said_form(said) or _said_form(family)
    for mark in (own, *map(str.lower, FORMS)):
        family = family.removesuffix(mark).rstrip("- ") if mark else family
    same = [c for c in _cards() if c[1] == family and (not gb or abs(c[2] - gb) <= 0.06 * gb)]
    if not same:
        raise _Left("a GPU that the tables do not have")
    known = _products().get(instance.lower())
    if known in [c[0] for c in same]:
        return str(known)
    ids = [c[0] for c in same]
    wanted = own or form.lower()
    if wanted:
        formed = [i for i in ids if f"-{wanted}-" in i]
        if len(formed) == 1:
            return formed[0]
    if len(ids) == 1:
        return ids[0]
    if not own and family == "h200":  # both collectors have a name of its own for the other form
        return resolve("gpus", "H200", "gpu")
    raise _Left("its form or memory is not said, and the tables have several (--form)")


# --- what is written ------------------------------------------------------------------------------


def changes(before: Mapping[Key, float], rents: Sequence[Rent]) -> list[Change]:
    """Return how prices by `Rent.key` differ from rents, those first that moved most."""
    after = {rent.key: rent.usd for rent in rents}
    found = [
        Change(*key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
    return sorted(found, key=lambda c: -abs((c.after or 0) - (c.before or 0)))


def cheapest(rents: Sequence[Rent]) -> list[Rent]:
    """Return the least rent of each GPU and mode."""
    least: dict[tuple[str, str], Rent] = {}
    for rent in rents:
        if (pair := (rent.gpu, rent.mode)) not in least or rent.usd < least[pair].usd:
            least[pair] = rent
    return list(least.values())


def quotes_text(path: Path, rents: Sequence[Rent], day: date) -> str:
    """Return a file of quotes with the rents of a seller replaced, as ``--quotes`` takes it."""
    return _replaced(path, QUOTED[:3], _quoted(rents[0].provider), [_quote(r, day) for r in rents])


def _quote(rent: Rent, day: date) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(QUOTED, "")
    row |= {"gpu": rent.gpu, "mode": rent.mode, "price": rent.usd, "currency": "USD"}
    row |= {"provider": rent.provider, "region": rent.region, "as_of": day.isoformat()}
    return row | {"gpus_per_node": rent.gpus_per_node}


def _quoted(seller: str) -> Callable[[Mapping[str, str]], bool]:
    """Return what tells a seller's rents, which an import replaces, from other quotes."""
    return lambda row: row.get("provider") == seller and row["mode"] in IMPORTED


def quoted_before(path: Path, seller: str) -> dict[Key, float]:
    """Return the rents of a seller in a file of quotes; empty where there is none."""
    rows = filter(_quoted(seller), _rows(path, QUOTED[:3]))
    with refusing("output", str(path), "its prices are no numbers; name another file"):
        return {
            (r["gpu"], r["mode"], r["provider"], r.get("region", "")): float(r["price"])
            for r in rows
            if r["price"]
        }


def _replaced(
    path: Path,
    needed: Sequence[str],
    replaces: Callable[[Mapping[str, str]], bool],
    new: Sequence[Mapping[str, object]],
) -> str:
    """Return a table with some of its rows replaced; others stay, with all of their columns."""
    old = [row for row in _rows(path, needed) if not replaces(row)]
    columns = list(dict.fromkeys(name for row in (*old, *new) for name in row))
    return csv_text(columns, [{c: row.get(c, "") for c in columns} for row in (*old, *new)])


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    text = read_text("output", path, MOST_TABLE_BYTES)
    rows = csv_rows("output", text, str(path), needed, most=MOST_PRICES)[1]
    if problem := next((row.problem for row in rows if row.problem), None):
        raise InputError("output", str(path), problem)
    return [{n: plain_cell(c) for n, c in row.cells.items()} for row in rows]


def _rented(seller: str) -> Callable[[Mapping[str, str]], bool]:
    """Return what tells the rows of a seller that an import made."""
    return lambda row: row.get("provider") == seller and row["id"].startswith(_prefix(seller))


def rental_before(path: Path, seller: str) -> dict[Key, float]:
    """Return the rents of a seller that a table of rents has from an import before."""
    named = ("gpu_id", "mode", "provider", "region")
    rows = filter(_rented(seller), _rows(path, ("id",)))
    with refusing("output", str(path), "its prices are no numbers"):
        found = [([r.get(name, "") for name in named], r.get("price_gpu_hour", "")) for r in rows]
        return {(gpu, mode, by, place): float(usd) for (gpu, mode, by, place), usd in found}


def rental_text(path: Path, found: Imported, day: date, source: str) -> str:
    """Return the table of rents of a data folder with the rows of a seller replaced."""
    seller = found.rents[0].provider
    tiers = {row["provider"]: row["tier"] for row in table_rows("prices-rental")}
    new: list[dict[str, object]] = []
    for rent in found.rents:
        name = "-".join(_slug(part) for part in (rent.gpu, rent.mode, rent.region) if part)
        row = {"id": f"{_prefix(seller)}{name}", "provider": seller, "product": rent.product}
        row |= {"gpu_id": rent.gpu, "gpu": rent.gpu, "gpus_per_node": str(rent.gpus_per_node)}
        row |= {"currency": "USD", "price_gpu_hour": str(rent.usd), "mode": rent.mode}
        row |= {"tier": tiers.get(seller, "specialist"), "region": rent.region}
        row |= {"as_of": day.isoformat(), "as_of_precision": "day", "used": "true", "reason": ""}
        row |= {"sources": f"{found.collector}, {source}", "confidence": "B", "notes": ""}
        new.append(dict(row))
    return _replaced(path, ("id",), _rented(seller), new)


def _prefix(seller: str) -> str:
    return f"import-{_slug(seller)}-"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
