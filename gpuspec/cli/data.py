"""Commands about the data: what of it is old, and rents from the files of collectors."""

import os
from datetime import date
from typing import TYPE_CHECKING

import click

from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.cli.common import echo, echo_json, main, print_table
from gpuspec.cli.options import day_given, json_option
from gpuspec.views.columns import headings
from gpuspec.views.language import say

if TYPE_CHECKING:
    from gpuspec.topics.cost.prices.imports import Change, Imported

MOST_SHOWN = 20


@main.group()
def data() -> None:
    """Say how old the data is, and take in prices."""


@data.command(dated=True)
@click.option("--all", "every", is_flag=True, help="List each thing that is old.")
@json_option
def check(every: bool, as_json: bool) -> None:
    """List what is older than its limit (data/freshness.csv).

    \b
    gpuspec data check
    gpuspec data check --all
    """
    from gpuspec.catalog.freshness import aged

    found = aged(run_date())
    old = [one for one in found if one.old]
    if as_json:
        echo_json({"things": len(found), "old": [one._asdict() for one in old]})
        return
    rows = []
    for name in dict.fromkeys(one.limit for one in found):
        mine = [one for one in found if one.limit == name]
        late = sorted((one for one in mine if one.old), key=lambda one: one.as_of)
        oldest = late[0] if late else None
        shown = [oldest.thing, oldest.as_of or say("no day")] if oldest else ["", ""]
        rows.append([mine[0].table, name, len(mine), len(late), mine[0].limit_days, *shown])
    heads = headings("table", "limit", "things", "old", "limit_days", "oldest", "as_of")
    print_table(heads, rows, kept=(0, 1, 5))
    echo("\n" + say("{old:,} of {all:,} are older than their limit", old=len(old), all=len(found)))
    if every and old:
        heads = headings("table", "thing", "as_of", "age_days", "limit_days")
        echo()
        rows = [[o.table, o.thing, o.as_of, o.age_days, o.limit_days] for o in old]
        print_table(heads, rows, kept=(0, 1))


@data.command("import-prices", dated=True)
@click.argument("file")
@click.option("--provider", default="", help="Who sells; by the name of the file unless given.")
@click.option("--form", default="", metavar="SXM|PCIe|NVL", help="Of cards whose row lacks it.")
@click.option("-o", "--output", default="", metavar="FILE", help="File of quotes to write (.csv).")
@click.option("--into", default="", metavar="FOLDER", help="Data folder; else GPUSPEC_DATA.")
@click.option("--write", is_flag=True, help="Write it; else the difference is shown alone.")
@json_option
def import_prices(
    file: str,
    provider: str,
    form: str,
    output: str,
    into: str,
    write: bool,
    as_json: bool,
) -> None:
    """Take rents from FILE: a CSV of SkyPilot's catalogue (aws/vms.csv) or of gpuhunt (aws.csv).

    \b
    gpuspec data import-prices lambda/vms.csv -o mine.csv
    gpuspec data import-prices lambda/vms.csv -o mine.csv --write
    gpuspec plan mine.yaml --quotes mine.csv

    Without --write it only says what would change. Without -o the prices become rows of
    prices_rental.csv in the data folder (docs/adding-data.md).
    """
    from gpuspec.base.files import check_writable, path_of, write_atomically
    from gpuspec.topics.cost.prices import imports

    found = imports.read_prices(file, provider, form)
    source = path_of("prices", file)
    seen = day_given() or date.fromtimestamp(source.stat().st_mtime)
    if output:
        target = path_of("output", output)
        if target.suffix.lower() != ".csv":
            raise InputError("output", output, "end the name in .csv")
        found = found._replace(rents=imports.cheapest(found.rents))
        before = imports.quoted_before(target, found.rents[0].provider)
        text = imports.quotes_text(target, found.rents, seen)
    else:
        folder = into or os.environ.get("GPUSPEC_DATA", "")
        if not folder:
            raise InputError("output", None, "name a file with -o, or a data folder with --into")
        target = path_of("into", folder) / "prices_rental.csv"
        before = imports.rental_before(target, found.rents[0].provider)
        text = imports.rental_text(target, found, seen, source.name)
    check_writable("output", target)
    moved = imports.changes(before, found.rents)
    if write and moved:
        write_atomically(target, text.encode())
    if as_json:
        told = {"collector": found.collector, "file": target, "written": bool(write and moved)}
        changes = [change._asdict() for change in moved]
        echo_json(told | {"as_of": seen, "changes": changes, "left_out": found.left_out})
        return
    _tell(found, moved, len(before))
    if not moved:
        echo(say("{file}: nothing to change", file=target))
    elif write:
        echo(say("{file}: written", file=target))
    else:
        echo(say("{file}: nothing was written: --write does", file=target))


def _tell(found: "Imported", moved: "list[Change]", before: int) -> None:
    rows = [
        [c.gpu, c.mode, c.provider, c.region, _usd(c.before), _usd(c.after), _move(c)]
        for c in moved[:MOST_SHOWN]
    ]
    if rows:
        heads = headings("gpu", "mode", "provider", "region", "before", "after", "change")
        print_table(heads, rows)
    if len(moved) > MOST_SHOWN:
        echo(say("... and {count:,} more (--json lists all)", count=len(moved) - MOST_SHOWN))
    new = sum(c.before is None for c in moved)
    gone = sum(c.after is None for c in moved)
    other = len(moved) - new - gone
    echo(
        "\n"
        + say(
            "{collector}: {count:,} prices; {new:,} new, {changed:,} changed, {gone:,} gone, "
            "{same:,} as before",
            collector=found.collector,
            count=len(found.rents),
            new=new,
            changed=other,
            gone=gone,
            same=before - other - gone,
        )
    )
    for reason, count in found.left_out.items():
        echo(say("left out {count:,} rows: {reason}", count=count, reason=reason))


def _usd(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"


def _move(change: "Change") -> str:
    if not change.before or change.after is None:
        return "gone" if change.after is None else "new"
    return f"{change.after / change.before - 1:+.0%}"
