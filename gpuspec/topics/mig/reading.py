"""The table of tenants: its columns, and what each row means."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.paths import DATA
from gpuspec.catalog.workloads import Workload, workload, workloads
from gpuspec.topics.serving import ServingQuestion

EXAMPLE = DATA / "examples" / "tenants.csv"
TEXTS = ("name", "model", "weights", "kv", "workload")
WHOLE = {"isl": 1000, "osl": 300, "concurrency": 1, "copies": 1}
"""Columns with whole numbers, and what a blank cell means."""
NUMBERS = {
    "request_rate": 0.0,
    "ttft_s": 2.0,
    "tpot_s": 0.05,
    "memory_gib": 0.0,
    "gpu_share": 0.0,
    "bandwidth_share": 0.0,
}
COLUMNS = (*TEXTS, *WHOLE, *NUMBERS, "media")
YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
MOST_TENANTS = 2000


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


def tenant_rows(tenants: str | Path | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table given as a path, a text or rows."""
    if not isinstance(tenants, str | Path):
        return [dict(row) for row in tenants]
    text = str(tenants).strip()
    if text == "example":
        text = EXAMPLE.read_text("utf-8")
    elif "\n" not in text and ";" not in text:
        try:
            text = Path(text).expanduser().read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            valid = f"give example, a CSV file or its lines with ; between: {error}"
            raise InputError("tenants", str(tenants), valid) from None
    else:
        text = text.replace(";", "\n")
    rows = list(csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True))
    if not rows:
        raise InputError("tenants", str(tenants)[:60], "its first line names columns, then a row")
    return rows


def read_tenants(
    row: dict[str, Any],
    line: int,
    first_gpu: str,
    engine_name: str,
    factor: float,
) -> list[Tenant]:
    """Read a row of the table; ``copies`` of it become tenants of their own."""
    unknown = next((c for c in row if c not in COLUMNS), None)
    if unknown is not None:
        raise UnknownNameError(f"tenants, row {line}, column", str(unknown), COLUMNS)
    cells = {c: str(row.get(c) if row.get(c) is not None else "").strip() for c in COLUMNS}
    name = cells["name"] or f"tenant-{line}"
    where = f"tenant {name}"
    values: dict[str, Any] = {c: _number(where, c, cells[c], int, d) for c, d in WHOLE.items()}
    values |= {c: _number(where, c, cells[c], float, d) for c, d in NUMBERS.items()}
    if cells["media"].lower() not in YES:
        raise InputError(f"{where}: media", cells["media"], "say yes or no")
    if not cells["model"] and not values["memory_gib"]:
        raise InputError(where, cells["model"], "give a model, or memory_gib and gpu_share")
    for column in ("gpu_share", "bandwidth_share"):
        if values[column] > 8:
            raise InputError(
                f"{where}: {column}", values[column], "give a share of one GPU, at most 8"
            )
    simulated = _workload(where, cells, values)
    if not 1 <= values["copies"] <= MOST_TENANTS:
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


def _number(where: str, column: str, text: str, kind: type, blank: float) -> Any:
    if not text:
        return blank
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        what = "whole number" if kind is int else "number"
        raise InputError(f"{where}: {column}", text, f"give a {what} of at least 0")
    return value
