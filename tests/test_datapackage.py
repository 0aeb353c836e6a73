"""The data package: every table agrees with its schema, and says where it comes from."""

import json
import re
import shutil
from pathlib import Path
from typing import Annotated, Literal

import pytest
import write_datapackage
from frictionless import Report, system, validate

from gpuspec.base.errors import InputError
from gpuspec.base.files import MOST_TABLE_BYTES, read_text
from gpuspec.base.paths import DATA
from gpuspec.base.rows import MOST_ROWS, sure_rows
from gpuspec.catalog import load_table
from gpuspec.catalog.columns import Figure, Named, check_row, column, columns_of
from gpuspec.catalog.tables import record

PATH = DATA / "datapackage.json"
PACKAGE = json.loads(PATH.read_text("utf-8"))
RESOURCES = {resource["name"]: resource for resource in PACKAGE["resources"]}
MINE = ["gpus", "servers", "links", "mig_profiles"]
PRICE = "coreweave-a100-pcie-40-on-demand-1x-2026-05-24"
URL = re.compile(r"https://[^\s|]+")
DOCUMENT = re.compile(r"[A-Za-z][\w .,()/+&:'=-]{11,}")  # a document with a name, not a word


def check(package: Path) -> Report:
    with system.use_context(trusted=True):
        return validate(str(package))


def messages(report: Report) -> list[list[object]]:
    return [*report.flatten(["title", "message"]), *report.errors]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A package of the tables that refer to nothing but each other."""
    resources = [RESOURCES[name] for name in MINE]
    for resource in resources:
        shutil.copy(DATA / resource["path"], tmp_path)
    whole = PACKAGE | {"resources": resources}
    (tmp_path / "datapackage.json").write_text(json.dumps(whole), "utf-8")
    return tmp_path


def test_the_whole_package_is_valid() -> None:
    report = check(DATA / "datapackage.json")
    assert report.valid, messages(report)[:10]


@pytest.mark.parametrize(
    ("table", "old", "new", "error"),
    [
        ("gpus", ",3350,", ",fast,", "type-error"),
        ("gpus", ",reported,", ",guessed,", "constraint-error"),
        ("gpus", "h100-sxm-80,", "h100-pcie-80,", "primary-key"),
        ("servers", ",h200-sxm-141,", ",h201-sxm-141,", "foreign-key"),
        ("links", ",scale-out,", ",,", "constraint-error"),
        ("mig_profiles", ",2026-11-23,", ",yesterday,", "type-error"),
    ],
)
def test_a_broken_cell_is_seen(copy: Path, table: str, old: str, new: str, error: str) -> None:
    assert check(copy / "datapackage.json").valid
    path = copy / f"{table}.csv"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    report = check(copy / "datapackage.json")
    assert error in {kind for (kind,) in report.flatten(["type"])}


def test_every_table_is_declared() -> None:
    on_disk = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*.csv")}
    assert on_disk == {resource["path"] for resource in PACKAGE["resources"]}


@pytest.mark.parametrize("name", RESOURCES)
def test_every_resource_names_its_sources_and_explains_its_columns(name: str) -> None:
    resource = RESOURCES[name]
    assert resource["profile"] == "tabular-data-resource"
    # Without it readers guess from the first lines, and take ";" in long notes for the delimiter.
    assert resource["dialect"]["delimiter"] == ","
    assert all(source["title"] for source in resource["sources"])
    schema = resource["schema"]
    assert schema["missingValues"] == [""]
    assert schema["primaryKey"]
    for field in schema["fields"]:
        assert field["title"], field
        assert field["description"], field


@pytest.mark.parametrize("name", MINE)
def test_every_row_has_a_source_that_can_be_looked_up(name: str) -> None:
    for row in load_table(name).to_dict("records"):
        for source in row["sources"].split("|"):
            assert URL.fullmatch(source) or DOCUMENT.fullmatch(source), (row, source)
        assert "2026-01-01" <= row["source_seen"] <= "2030-01-01"


@pytest.mark.parametrize("name", MINE)
def test_files_are_plain_utf8_with_unix_line_ends(name: str) -> None:
    raw = (DATA / f"{name}.csv").read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    raw.decode("utf-8")


@pytest.mark.parametrize("name", MINE)
def test_numeric_columns_with_a_unit_end_in_it(name: str) -> None:
    suffixes = {
        "GB": "_gb",
        "GB/s": "_gb_s",
        "MHz": "_mhz",
        "MiB": "_mib",
        "GiB": "_gib",
        "TFLOP/s": "_tflops",
        "TOP/s": "_tops",
        "kW": "_kw",
        "W": "_w",
        "MB": "_mb",
    }
    for field in RESOURCES[name]["schema"]["fields"]:
        if field.get("unit") in suffixes:
            assert suffixes[field["unit"]] in f"_{field['name']}"


def test_the_schemas_are_those_of_the_records() -> None:
    """Otherwise ``python tools/write_datapackage.py`` writes them."""
    assert PATH.read_text("utf-8") == write_datapackage.package_text()


def test_a_schema_says_what_its_record_declares() -> None:
    class Toy(Named):
        rate_gb_s: Annotated[float, Figure(1, 7, "GB/s")] | None = column("Rate of all", None)
        kind: Literal["a", "b"] = column("Which of both", "a", stated=True)

    columns = columns_of(Toy)
    assert write_datapackage.field_schema("rate_gb_s", columns["rate_gb_s"], False) == {
        "name": "rate_gb_s",
        "type": "number",
        "title": "Rate",
        "description": "Rate of all",
        "unit": "GB/s",
        "constraints": {"minimum": 1, "maximum": 7},
    }
    kind = write_datapackage.field_schema("kind", columns["kind"], True)
    assert kind["constraints"] == {"required": True, "unique": True, "enum": ["a", "b"]}
    assert write_datapackage.field_schema("aliases", columns["aliases"], False)["type"] == "string"


@pytest.mark.parametrize("name", RESOURCES)
def test_every_shipped_row_is_what_its_record_says(name: str) -> None:
    path, fields = DATA / RESOURCES[name]["path"], RESOURCES[name]["schema"]["fields"]
    text = read_text("data", path, MOST_TABLE_BYTES)
    for row in sure_rows("data", text, name, [], [f["name"] for f in fields], MOST_ROWS):
        check_row(record(name), row.cells, f"{name} line {row.line}")


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        (
            "prices_rental",
            f"id,price_gpu_hour\n{PRICE},cheap\n",
            "price_gpu_hour: 'cheap' .* plain number",
        ),
        ("models", "id,heads\nllama-3.1-8b,7\n", r"kv_heads: 8 .* divide the 7 heads"),
        ("engines", "id,memory_share\nvllm-0.12,0\n", "memory_share: '0' .* above 0 to 1"),
        ("workloads", "id,kind\nstream,toy\n", "kind: 'toy' .* choose from kernel, application"),
    ],
)
def test_a_row_of_ones_own_is_checked_by_the_record(
    tmp_path: Path, table: str, row: str, message: str
) -> None:
    (tmp_path / f"{table}.csv").write_text(row, "utf-8")
    with pytest.raises(InputError, match=rf"{table}\.csv row .* {message}"):
        load_table(table.replace("_", "-"), tmp_path)
