"""Which rows of the tables are older than they may be, by the limits of ``data/freshness.csv``."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from gpuspec.catalog.tables import table_rows


class Aged(NamedTuple):
    """Something that a table knows, by its newest row."""

    table: str
    limit: str
    """The limit that counts: a row of ``data/freshness.csv``."""
    thing: str
    as_of: str
    """Empty: no day is known, which counts as old."""
    age_days: int | None
    limit_days: int

    @property
    def old(self) -> bool:
        """Whether it is older than its limit."""
        return self.age_days is None or self.age_days > self.limit_days


def aged(day: date) -> list[Aged]:
    """Return the age of everything that has a limit; rows that are not used do not count."""
    limits: dict[str, list[Mapping[str, Any]]] = {}
    for limit in table_rows("freshness"):
        limits.setdefault(limit["table"], []).append(limit)
    return [one for table, rows in limits.items() for one in _of_table(table, rows, day)]


def _of_table(table: str, limits: list[Mapping[str, Any]], day: date) -> list[Aged]:
    narrow_first = sorted(limits, key=lambda limit: not limit["key"])
    newest: dict[tuple[str, ...], tuple[Mapping[str, Any], str]] = {}
    for row in table_rows(table):
        if row.get("used") is False:
            continue
        limit = next(
            (one for one in narrow_first if not one["key"] or row[one["key"]] == one["value"]), None
        )
        if limit is None:
            continue
        names = limit["things"].split("|")
        thing = (limit["id"], *(str(row[name] or "") for name in names))
        seen = str(row[limit["column"]] or "")
        if thing not in newest or seen > newest[thing][1]:
            newest[thing] = limit, seen
    return [_aged(table, thing[1:], *found, day) for thing, found in newest.items()]


def _aged(
    table: str, thing: tuple[str, ...], limit: Mapping[str, Any], seen: str, day: date
) -> Aged:
    days = max((day - date.fromisoformat(seen)).days, 0) if seen else None
    said = " ".join(filter(None, thing))
    return Aged(table, limit["id"], said, seen, days, int(limit["limit_days"]))
