"""GPUs, servers, links and MIG profiles: tables with provenance, records, names as typed.

>>> gpu("A100 40GB").id
'a100-sxm-40'
>>> gpu_ids("A100, H100, h100")
['a100-sxm-80', 'h100-sxm-80']
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpuspec.base.errors import InputError
from gpuspec.catalog.columns import R, record_from
from gpuspec.catalog.records import PRECISIONS, Gpu, Link, MigProfile, Server
from gpuspec.catalog.tables import (
    data_as_of,
    edition,
    kept,
    load_table,
    resolve,
    resolved,
    table_row,
    table_rows,
)

if TYPE_CHECKING:
    import pandas as pd

_Folder = str | Path | None
_FORMS = {"sxm": "SXM", "pcie": "PCIe", "nvl": "NVL", "superchip": "", "oam": ""}
_TITLE = re.compile(rf"(?P<family>[\w-]+)-(?P<form>{'|'.join(_FORMS)})-(?P<memory>\d+)")


def gpus(data: _Folder = None) -> "pd.DataFrame":
    """Return all GPUs, one row each, indexed by id; columns as in ``data/gpus.csv``."""
    return load_table("gpus", data).set_index("id")


def servers(data: _Folder = None) -> "pd.DataFrame":
    """Return all servers and boards, indexed by id; columns as in ``data/servers.csv``."""
    return load_table("servers", data).set_index("id")


def links(data: _Folder = None) -> "pd.DataFrame":
    """Return all links, indexed by id; columns as in ``data/links.csv``."""
    return load_table("links", data).set_index("id")


def mig_profiles(data: _Folder = None) -> "pd.DataFrame":
    """Return all MIG profiles, indexed by gpu_id and profile."""
    return load_table("mig_profiles", data).set_index(["gpu_id", "profile"])


def gpu(name: str, data: _Folder = None) -> Gpu:
    """Find a GPU by id, product name or alias, such as ``"H100"`` or ``"a100-80gb-sxm"``.

    A bare family name means the common part: A100 is the SXM 80 GB one, H100 the SXM 80 GB one,
    H200 the SXM 141 GB one, GH200 the 96 GB one.

    Raises
    ------
    UnknownNameError
        When no GPU has that name; lists close matches.
    InputError
        When several GPUs have it; lists them.
    """
    return find("gpus", Gpu, name, data)


@kept
def gpu_titles() -> dict[str, str]:
    """Return what people call each GPU, by id; its memory is said where two differ in nothing else.

    >>> gpu_titles()["h200-sxm-141"], gpu_titles()["a100-sxm-40"], gpu_titles()["l40s-pcie-48"]
    ('H200 SXM', 'A100 SXM 40 GB', 'L40S PCIe')
    >>> gpu_titles()["ascend-910b-oam-64"], gpu_titles()["rubin-superchip-288"]
    ('Ascend 910B', 'Rubin')
    """
    names = {str(row["id"]): str(row["name"]) for row in table_rows("gpus")}
    parts = {key: _TITLE.fullmatch(key) for key in names}
    short = {
        key: " ".join(filter(None, (_family(p["family"], names[key]), _FORMS[p["form"]])))
        for key, p in parts.items()
        if p
    }
    twice = {title for title, count in Counter(short.values()).items() if count > 1}
    return {
        key: f"{title} {parts[key]['memory']} GB" if title in twice else title  # type: ignore[index]
        for key, title in short.items()
    }


def _family(family: str, name: str) -> str:
    """Return the family of an id as the full name writes it, in capitals where that has it not."""
    words = family.replace("-", " ")
    start = name.lower().find(words)
    return name[start : start + len(words)] if start >= 0 else words.upper()


def server(name: str, data: _Folder = None) -> Server:
    """Find a server by id, name or alias, such as ``"DGX H100"``; raises as `gpu` does."""
    return find("servers", Server, name, data)


def link(name: str, data: _Folder = None) -> Link:
    """Find a link by id, name or alias, such as ``"NVLink 4"`` or ``"NDR"``; raises as `gpu`."""
    return find("links", Link, name, data)


def mig_profile(gpu_name: str, profile: str, data: _Folder = None) -> MigProfile:
    """Find a MIG profile of a GPU, such as ``("H100", "3g.40gb")``.

    Raises
    ------
    InputError
        When the GPU has no such profile; lists those that it has.
    """
    gpu_id = resolve("gpus", gpu_name, "gpu", data)
    listed = {
        row["profile"]: row for row in table_rows("mig_profiles", data) if row["gpu_id"] == gpu_id
    }
    key = profile.strip().lower().removeprefix("mig ")
    if key not in listed:
        known = ", ".join(listed) or "no MIG profiles in the tables"
        raise InputError("profile", profile, f"{gpu_id} has {known}")
    return record_from(MigProfile, listed[key])


def gpu_ids(names: str | Iterable[str], data: _Folder = None) -> list[str]:
    """Turn names of GPUs into ids, each once, in the order given.

    Parameters
    ----------
    names : str or iterable of str
        Names between commas or semicolons, or a list of names.
    data : str or Path, optional
        A folder with the user's own tables.

    Raises
    ------
    InputError
        When there is no name at all, or one of them is unknown or has several meanings.
    """
    listed = re.split(r"[,;，；、]", names) if isinstance(names, str) else [str(n) for n in names]
    wanted = [name for name in map(str.strip, listed) if name]
    if not wanted:
        raise InputError("gpus", names, "name at least one GPU, such as A100, H100 or H200")
    state = edition(data)
    return list(dict.fromkeys(resolved("gpus", name, "gpus", *state) for name in wanted))


def find(table: str, kind: type[R], name: str, data: _Folder = None, field: str = "") -> R:
    """Return the row of a table that a name means, as a record; raises as `gpu` does."""
    key = resolve(table, name, field or table.removesuffix("s"), data)
    return _found(table, kind, key, *edition(data))


@lru_cache(maxsize=1024)
def _found(table: str, kind: type[R], key: str, folder: Path | None, stamp: object) -> R:
    return record_from(kind, table_row(table, key, folder))
