"""Networks: the table of models, config.json files, and parameter counts."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import within_reach
from gpuspec.catalog import edition, find, load_table, table_rows
from gpuspec.catalog.models.config import model_from_config
from gpuspec.catalog.models.described import described
from gpuspec.catalog.models.names import checkpoint
from gpuspec.catalog.models.params import active_parameter_parts, parameter_parts
from gpuspec.catalog.models.record import NO_WINDOW, Model
from gpuspec.catalog.tables import labels_of

if TYPE_CHECKING:
    import pandas as pd


def models(data: str | Path | None = None) -> "pd.DataFrame":
    """Return all models, one row each, indexed by id, with the user's own rows merged in."""
    return load_table("models", data).set_index("id")


def model(name: str | Path, data: str | Path | None = None) -> Model:
    """Return the model that a person means: an id, a name, an alias, or a config.json.

    A fine-tune or a quantised copy of a model of the table is known by its name: it has the
    dimensions of that model, the format that the name says, and `Model.notes` tell so.

    Parameters
    ----------
    name : str or Path
        As a person types it, such as ``"Llama-3.1-70B"`` or ``"meta-llama/Llama-3.1-70B"``, the
        path of a config.json, or dimensions: ``"layers=32,hidden=4096"`` (`described`).
    data : str or Path, optional
        A folder with the user's own ``models.csv``; ``GPUSPEC_DATA`` when not given.

    >>> model("Llama 3.1 70B").params
    70553706496
    """
    if isinstance(name, Path) or str(name).lower().endswith(".json"):
        return model_from_config(name)
    try:
        return find("models", Model, str(name), data)
    except UnknownNameError:
        if _exists(name, Path.is_file):
            return model_from_config(name)
        if _exists(name, Path.is_dir):
            valid = "it is a folder; name the config.json in it"
            raise InputError("model", name, valid) from None
        copy = _copy(str(name), *edition(data)) or described(str(name))
        if copy is None:
            raise
        return copy


def doubts_of(names: Iterable[str]) -> str:
    """Say what is not surely understood of models, each once; empty for none."""
    return " ".join(filter(None, dict.fromkeys(model(name).doubts for name in names)))


@lru_cache(maxsize=1024)
def _copy(name: str, folder: Path | None, stamp: object) -> Model | None:
    """Return the checkpoint of that name, where it surely is one of a model of the table."""
    labels = labels_of(table_rows("models", folder))
    meant = checkpoint(name, labels)
    if meant is None:
        return None
    base = find("models", Model, meant.id, folder)
    by = f" (by {', '.join(meant.further)})" if meant.further else ""
    note = f"{name} is taken as a checkpoint of {base.name}{by}, with its dimensions"
    fields = {field: getattr(base, field) for field in Model.model_fields}
    fields |= {"name": name.rsplit("/", 1)[-1], "hf_id": name, "notes": note}
    # The size and the format that are known of the base are not those of its copies.
    return Model(**fields | ({"stored": meant.stored, "weights_gb": 0.0} if meant.stored else {}))


def _exists(name: str, kind: Callable[[Path], bool]) -> bool:
    try:
        return within_reach(Path(name)) and kind(Path(name))
    except (OSError, ValueError):
        return False
