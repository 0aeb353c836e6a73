"""Regions of buyers: what people call them, and which places of price lists lie in them."""

from collections.abc import Iterable

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import resolve, table_rows


def region(name: str) -> str:
    """Return the id of a region, or a place as the tables of prices print it.

    Raises
    ------
    UnknownNameError
        For what is neither; lists close matches.

    >>> region("中国"), region("usa"), region("us-east-1")
    ('China', 'US', 'us-east-1')
    """
    try:
        return resolve("regions", name, "region")
    except UnknownNameError:
        if any(name == row["region"] for row in table_rows("prices-rental")):
            return name
        raise


def places_of(regions: Iterable[str]) -> list[str]:
    """Return regions and the places that lie in them, as the tables of prices print them."""
    inside = {str(row["id"]): str(row["places"]).split("|") for row in table_rows("regions")}
    found = [place for name in regions for place in (name, *inside.get(name, ())) if place]
    return list(dict.fromkeys(found))


def usual(regions: Iterable[str]) -> bool:
    """Return whether prices that name no region are of one of these."""
    return any(row["usual"] for row in table_rows("regions") if row["id"] in {*regions})


def elsewhere(regions: Iterable[str]) -> set[str]:
    """Return the places that lie in other regions alone; without regions, in none of the usual.

    >>> "China" in elsewhere([]), "us-east-1" in elsewhere([]), "China" in elsewhere(["China"])
    (True, False, False)
    """
    rows = [str(row["id"]) for row in table_rows("regions")]
    here = [*regions] or [name for name in rows if usual([name])]
    return {*places_of(rows)} - {*places_of(here)}


def region_title(name: str) -> str:
    """Return how a region is called in a sentence; a place stays as it is printed.

    >>> region_title("China"), region_title("us-east-1")
    ('China', 'us-east-1')
    """
    titles = {str(row["id"]): str(row["name"]) for row in table_rows("regions")}
    return titles.get(name, name)
