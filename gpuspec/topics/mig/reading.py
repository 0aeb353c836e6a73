"""The table of tenants: its columns, and what each row means."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.checks import number_of
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import MOST_SCENARIO_BYTES, bounded, check_text, path_of, read_text
from gpuspec.base.paths import DATA
from gpuspec.base.rows import sure_rows
from gpuspec.catalog.workloads import Workload, workload, workloads
from gpuspec.topics.serving import ServingQuestion

EXAMPLE = DATA / "examples" / "tenants.csv"
TEXTS = ("name", "model", "weights", "kv", "workload")
MOST_TENANTS = 2000
WHOLE = {
    "isl": (1000, 10_000_000),
    "osl": (300, 10_000_000),
    "concurrency": (1, 1_000_000),
    "copies": (1, MOST_TENANTS),
}
"""Columns with whole numbers: what a blank cell means, and the most that one may say."""
NUMBERS = {
    "request_rate": (0.0, 1e6),
    "ttft_s": (2.0, 1e6),
    "tpot_s": (0.05, 1e6),
    "memory_gib": (0.0, 1e6),
    "gpu_share": (0.0, 8.0),
    "bandwidth_share": (0.0, 8.0),
}
COLUMNS = (*TEXTS, *WHOLE, *NUMBERS, "media")
Cells = dict[str, str]
YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


class Tenant(BaseModel):
    """One tenant: a language model under a load, or anything else by its size.

    Raises
    ------
    InputError
        From `asked`, where the load cannot be served by any GPU for a reason of its own.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    load: ServingQuestion | None
    """Its model, load and limits, over no GPU in particular; None: no language model."""
    workload: Workload | None = None
    """Class of computations; None: none, or unknown."""
    memory_gib: float
    gpu_share: float
    """Share of the reference GPU's compute that it needs; of its speed in the class, where there
    is one."""
    bandwidth_share: float
    media: bool
    """Whether it decodes video or JPEG in hardware."""

    @property
    def need(self) -> float:
        """Return the load that must be borne: requests a second, or in flight, or 1."""
        if self.load is None:
            return 1.0
        return self.load.request_rate or float(self.load.concurrency)

    def times(self, factor: float) -> "Tenant":
        """Return the tenant with the load of its language model times a factor."""
        if self.load is None or factor == 1:
            return self
        return self.model_copy(update={"load": _scaled(self.load, factor)})


def _scaled(load: ServingQuestion, factor: float) -> ServingQuestion:
    rate = load.request_rate and load.request_rate * factor
    return load.but(concurrency=max(round(load.concurrency * factor), 1), request_rate=rate)


def tenant_rows(tenants: str | Path | Sequence[Mapping[str, Any]]) -> list[tuple[str, Cells]]:
    """Return where each row of a table stands and its cells; a path, a text or rows are given."""
    if not isinstance(tenants, str | Path):
        rows = [(f"row {line}", _cells(row)) for line, row in enumerate(tenants, 1)]
        if not rows:
            raise InputError("tenants", tenants, "give at least one")
        for where, cells in rows:
            for column in cells.keys() - set(COLUMNS):
                raise UnknownNameError(f"tenants, {where}, column", column, COLUMNS)
        return rows
    text, shown = str(tenants).strip(), "tenants"
    if text == "example":
        text = EXAMPLE.read_text("utf-8")
    elif "\n" not in text and ";" not in text:
        if not path_of("tenants", text).exists():
            valid = "give example, a CSV file that is there, or its lines with ; between"
            raise InputError("tenants", text, valid)
        text, shown = read_text("tenants", tenants, MOST_SCENARIO_BYTES), str(tenants)
    else:
        text = text.replace(";", "\n")
    found = sure_rows("tenants", text, shown, (), COLUMNS, MOST_TENANTS)
    if not found:
        raise InputError("tenants", shown, "its first line names columns, then a row")
    return [(f"line {row.line}", row.cells) for row in found]


def _cells(row: Mapping[str, Any]) -> Cells:
    """Return cells as a file would hold them."""
    content = bounded("tenants", dict(row))
    return {c: "" if value is None else str(value).strip() for c, value in content.items()}


def read_tenants(
    where: str,
    given: Cells,
    first_gpu: str,
    engine_name: str,
    factor: float,
) -> list[Tenant]:
    """Read a row of the table; ``copies`` of it become tenants of their own."""
    cells = dict.fromkeys(COLUMNS, "") | given
    name = cells["name"] or f"tenant-{where.split()[-1]}"
    check_text(f"tenants, {where}, name", name, lines=False)
    where = f"tenant {name}"
    values: dict[str, Any] = {
        column: number_of(f"{where}: {column}", cells[column], 0, most, column in WHOLE)
        if cells[column]
        else blank
        for column, (blank, most) in (WHOLE | NUMBERS).items()
    }
    if cells["media"].lower() not in YES:
        raise InputError(f"{where}: media", cells["media"], "say yes or no")
    if not cells["model"] and not values["memory_gib"]:
        raise InputError(where, cells["model"], "give a model, or memory_gib and gpu_share")
    simulated = _workload(where, cells, values)
    if values["copies"] < 1:
        raise InputError(f"{where}: copies", values["copies"], f"give 1 to {MOST_TENANTS:,}")
    values["concurrency"] = math.ceil(values["concurrency"] * factor)
    for column in ("request_rate", "gpu_share", "bandwidth_share"):
        values[column] *= factor
    load = None
    if cells["model"]:
        load = _load(where, cells, values, first_gpu, engine_name)
    one = Tenant(
        name=name,
        load=load,
        workload=simulated,
        media=YES[cells["media"].lower()],
        **{c: values[c] for c in ("memory_gib", "gpu_share", "bandwidth_share")},
    )
    copies = values["copies"]
    names = [name] if copies == 1 else [f"{name}-{i}" for i in range(1, copies + 1)]
    return [one.model_copy(update={"name": n}) for n in names]


def _workload(where: str, cells: dict[str, str], values: dict[str, Any]) -> Workload | None:
    """Return the class of a simulation, whose model says what it needs of a bandwidth."""
    if not cells["workload"]:
        return None
    if cells["model"] or values["bandwidth_share"]:
        valid = "give it memory_gib and gpu_share alone: no model, no bandwidth_share"
        raise InputError(f"{where}: workload", cells["workload"], valid)
    try:
        found = workload(cells["workload"])
    except UnknownNameError as error:
        raise UnknownNameError(f"{where}: workload", error.value, workloads().index) from None
    if not values["gpu_share"]:
        valid = f"say which share of the reference GPU's speed in {found.id} it needs"
        raise InputError(f"{where}: gpu_share", values["gpu_share"], valid)
    return found


def _load(
    where: str,
    cells: dict[str, str],
    values: dict[str, Any],
    gpu_id: str,
    engine_name: str,
) -> ServingQuestion:
    """Check the load of a language model."""
    try:
        return ServingQuestion.ask(
            model=cells["model"],
            gpus=gpu_id,
            weights=cells["weights"] or "bf16",
            kv=cells["kv"] or "bf16",
            isl=values["isl"],
            osl=values["osl"],
            concurrency=values["concurrency"],
            ttft_limit_s=values["ttft_s"] or None,
            tpot_limit_s=values["tpot_s"] or None,
            engine=engine_name,
            request_rate=values["request_rate"] or None,
        )
    except InputError as error:
        raise InputError(f"{where}: {error.field}", error.value, error.valid) from None
