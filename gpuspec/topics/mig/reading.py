"""The table of tenants: its columns, and what each row means."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from gpuspec.base.ask import Ask, Range, typed
from gpuspec.base.errors import InputError, UnknownNameError, renamed
from gpuspec.base.files import MOST_SCENARIO_BYTES, bounded, check_text, path_of, read_text
from gpuspec.base.paths import DATA
from gpuspec.base.rows import sure_rows
from gpuspec.catalog.fields import Format, KvFormat, ModelName, Requests, Tokens, WorkloadName
from gpuspec.catalog.workloads import Workload, workload
from gpuspec.topics.serving import ServingQuestion

EXAMPLE = DATA / "examples" / "tenants.csv"
MOST_TENANTS = 2000
YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
Cells = tuple[tuple[str, str], ...]
"""A row of the table: columns and what a person wrote there."""


def _yes(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in YES:
        raise InputError("", value, "say yes or no")
    return YES[str(value).lower()]


YesNo = Annotated[bool, BeforeValidator(_yes)]
Rate = Annotated[float, Range(0, 1e6, "requests/s")]
Limit = Annotated[float, Range(0, 1e6, "s")]
Gibibytes = Annotated[float, Range(0, 1e6, "GiB")]
ReferenceShare = Annotated[float, Range(0, 8)]
"""Share of the reference GPU."""


class TenantRow(Ask):
    """A row of the table of tenants: a language model under a load, or other work by its size."""

    name: str | None = Field(None, description="Tenant; blank: tenant-1, ...")
    model: ModelName | None = Field(
        None, description="Language model of the table or a config.json; blank: other work"
    )
    weights: Format = Field("stored", description="Number format of the model's weights")
    kv: KvFormat = Field("stored", description="Number format of its key-value cache")
    isl: Tokens = Field(1000, description="Input sequence length of a request")
    osl: Tokens = Field(300, description="Output sequence length of a request")
    concurrency: Requests = Field(1, description="Requests in flight")
    request_rate: Rate = Field(
        0.0, description="Requests at random, which then count instead; 0: none"
    )
    ttft_s: Limit = Field(2.0, description="Limit of the time to first token; 0: none")
    tpot_s: Limit = Field(0.05, description="Limit of the time of an output token; 0: none")
    memory_gib: Gibibytes = Field(0.0, description="Memory of other work")
    gpu_share: ReferenceShare = Field(
        0.0, description="Compute of other work, as a share of the reference GPU's"
    )
    bandwidth_share: ReferenceShare = Field(
        0.0, description="Bandwidth of other work, as a share of the reference GPU's"
    )
    workload: WorkloadName | None = Field(
        None,
        description="Class of data/workloads.csv (md, lbm, hpcg...) of a simulation: `gpu_share` "
        "is then the share of the reference GPU's speed in it that the tenant needs, and the "
        "class says of what",
    )
    media: YesNo = Field(typed("no"), description="yes: needs hardware decoders")
    copies: Annotated[int, Range(1, MOST_TENANTS, "tenants")] = Field(
        1, description="How many such tenants"
    )

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> Self:
        if not self.model and not self.memory_gib:
            raise InputError("", "", "give a model, or memory_gib and gpu_share")
        if self.workload and (self.model or self.bandwidth_share):
            valid = "give it memory_gib and gpu_share alone: no model, no bandwidth_share"
            raise InputError("workload", self.workload, valid)
        if self.workload and not self.gpu_share:
            valid = f"say which share of the reference GPU's speed in {self.workload} it needs"
            raise InputError("gpu_share", self.gpu_share, valid)
        return self


COLUMNS = tuple(TenantRow.model_fields)


@dataclass(frozen=True)
class Tenant:
    """One tenant: a language model under a load, or anything else by its size."""

    name: str
    load: ServingQuestion | None
    """Its model, load and limits, over no GPU in particular; None: no language model."""
    workload: Workload | None
    """Class of computations; None: none, or unknown."""
    memory_gib: float
    gpu_share: float
    """Share of the reference GPU's compute that it needs; of its speed in the class, where there
    is one."""
    bandwidth_share: float
    media: bool
    """Whether it decodes video or JPEG in hardware."""


def tenant_base(tenant: str) -> str:
    """Return the name that copies of a tenant share."""
    base, dash, number = tenant.rpartition("-")
    return base if dash and number.isdigit() else tenant


def cells_of(row: object) -> Cells:
    """Return a row that was given as a mapping, or as this function returns it, as a file has it.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(row, tuple):
        row = dict(row)
    if not isinstance(row, Mapping):
        raise InputError("", row, "give each row as columns and cells")
    content = bounded("tenants", dict(row))
    return tuple((c, "" if v is None else str(v).strip()) for c, v in content.items())


def tenant_rows(tenants: str | tuple[Cells, ...]) -> list[tuple[str, Cells]]:
    """Return where each row of a table stands and its cells; a path, a text or rows are given."""
    if not isinstance(tenants, str):
        rows = [(f"row {line}", cells) for line, cells in enumerate(tenants, 1)]
        if not rows:
            raise InputError("tenants", [], "give at least one")
        for where, cells in rows:
            for column, _ in cells:
                if column not in COLUMNS:
                    raise UnknownNameError(f"tenants, {where}, column", column, COLUMNS)
        return rows
    text, shown = tenants.strip(), "tenants"
    if text == "example":
        text = EXAMPLE.read_text("utf-8")
    elif "\n" not in text and ";" not in text:
        if not path_of("tenants", text).exists():
            valid = "give example, a CSV file that is there, or its lines with ; between"
            raise InputError("tenants", text, valid)
        text, shown = read_text("tenants", Path(tenants), MOST_SCENARIO_BYTES), tenants
    else:
        text = text.replace(";", "\n")
    found = sure_rows("tenants", text, shown, (), COLUMNS, MOST_TENANTS)
    if not found:
        raise InputError("tenants", shown, "its first line names columns, then a row")
    return [(f"line {row.line}", tuple(row.cells.items())) for row in found]


@contextmanager
def _of_tenant(name: str) -> Iterator[None]:
    """Let errors name the tenant that they are of."""
    try:
        yield
    except InputError as error:
        raise renamed(error, f"tenant {name}: {error.field}".removesuffix(": ")) from None


def read_tenants(
    where: str, cells: Cells, like: ServingQuestion, reserve: float, load_factor: float
) -> list[Tenant]:
    """Read a row of the table; ``copies`` of it become tenants of their own.

    `like` says on what language models are asked; their loads become `load_factor` times what
    the row says, and all that is needed, memory too, grows by the reserve.
    """
    given = {column: text for column, text in cells if text}
    name = given.get("name") or f"tenant-{where.split()[-1]}"
    check_text(f"tenants, {where}, name", name, lines=False)
    with _of_tenant(name):
        row = TenantRow.of(given)
        load = _load(row, like, 1 + reserve, load_factor) if row.model else None
    more = 1 + reserve
    sizes = row.memory_gib * more, row.gpu_share * more, row.bandwidth_share * more
    work = workload(row.workload) if row.workload else None
    one = Tenant(name, load, work, *sizes, row.media)
    if row.copies == 1:
        return [one]
    return [replace(one, name=f"{name}-{i}") for i in range(1, row.copies + 1)]


def every_tenant(
    tenants: str | tuple[Cells, ...], like: ServingQuestion, reserve: float, load_factor: float
) -> tuple[Tenant, ...]:
    """Read a table of tenants, each of whom has a name of its own."""
    found = tuple(
        tenant
        for where, cells in tenant_rows(tenants)
        for tenant in read_tenants(where, cells, like, reserve, load_factor)
    )
    repeated = [name for name, times in Counter(t.name for t in found).items() if times > 1]
    if repeated:
        raise InputError("tenants", repeated[0], "give each tenant a name of its own")
    if not 1 <= len(found) <= MOST_TENANTS:
        raise InputError("tenants", len(found), f"give 1 to {MOST_TENANTS:,} tenants")
    return found


def _load(
    row: TenantRow, like: ServingQuestion, factor: float, load_factor: float
) -> ServingQuestion:
    sequences = max(round(math.ceil(row.concurrency * factor) * load_factor), 1)
    stated = {name: getattr(row, name) for name in ("model", "weights", "kv", "isl", "osl")}
    return like.but(
        **stated,
        concurrency=None if row.request_rate else sequences,
        request_rate=row.request_rate * factor * load_factor or None,
        ttft_limit_s=row.ttft_s or 0.0,
        tpot_limit_s=row.tpot_s or 0.0,
    )
