"""Networks: the table of models, config.json files, and parameter counts."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import find, load_table
from gpuspec.catalog.models.config import model_from_config
from gpuspec.catalog.models.params import active_parameter_parts, parameter_parts
from gpuspec.catalog.models.record import NO_WINDOW, Model


def models(data: str | Path | None = None) -> pd.DataFrame:
    """Return all models, one row each, indexed by id, with the user's own rows merged in."""
    return load_table("models", data).set_index("id")


def model(name: str | Path, data: str | Path | None = None) -> Model:
    """Return the model that a person means: an id, a name, an alias, or a config.json.

    Parameters
    ----------
    name : str or Path
        As a person types it, such as ``"Llama-3.1-70B"`` or ``"meta-llama/Llama-3.1-70B"``, or
        the path of a config.json.
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
        raise


def _exists(name: str, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(Path(name))
    except (OSError, ValueError):
        return False
