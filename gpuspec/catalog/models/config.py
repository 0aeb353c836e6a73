"""From a Hugging Face config.json to a `Model`, without any code of the model."""

import re
from pathlib import Path

from gpuspec.base.errors import InputError, close_matches
from gpuspec.base.files import check_text, path_of
from gpuspec.catalog.models.families import FAMILIES, NESTED, Fields
from gpuspec.catalog.models.reading import Config, read_config
from gpuspec.catalog.models.record import Model
from gpuspec.catalog.models.stored import stored_format


def model_from_config(source: str | Path | dict[str, object], name: str | None = None) -> Model:
    """Read the dimensions of a model from its config.json.

    Only numbers, flags and texts are read; nothing in the file is run. Keys that say nothing
    about dimensions are ignored.

    Parameters
    ----------
    source : str, Path or dict
        The file (at most 16 MiB), or its content.
    name : str, optional
        What to call the model; the file says it, or its folder does, when not given.

    Returns
    -------
    Model
        Of the language model, where the file describes text and images. ``params_total`` is 0:
        the file does not state it; ``params`` counts it.

    Raises
    ------
    InputError
        When the file cannot be used; the message names the key, its value and what is valid.
    """
    values, label = read_config(source)
    config = Config(values, label)
    called = check_text("config name", name or _name(config, source), lines=False)
    fields = _fields(config) | {
        "id": "-".join(re.findall(r"[a-z0-9]+(?:\.[a-z0-9]+)*", called.lower())) or "config",
        "name": called,
        "sources": (label if isinstance(source, dict) else str(source),),
    }
    beside = None if isinstance(source, dict) else path_of("config", source)
    stored = stored_format(config.values, beside, Model(**fields))
    fields |= {
        "stored": stored.weights,
        "stored_kv": stored.kv,
        "stored_in": stored.source or label,
        "warnings": (*fields.get("warnings", ()), *stored.notes),
    }
    return Model(**fields)


def _fields(config: Config) -> Fields:
    kind = config.text("model_type")
    if kind in NESTED:
        config = config.section("text_config")
        default = "mistral" if kind == "mistral3" else f"{kind}_text"
        kind = config.text("model_type", default)
    if kind not in FAMILIES:
        raise _unsupported(config, kind)
    return FAMILIES[kind](config) | {"family": kind}


def _unsupported(config: Config, kind: str) -> InputError:
    known = sorted({*FAMILIES, *NESTED}, key=str.lower)
    close = close_matches(kind[:100], known)
    meant = f"did you mean {', '.join(close)}? " if close else ""
    return config.error("model_type", kind, f"{meant}Supported: {', '.join(known)}")


def _name(config: Config, source: str | Path | dict[str, object]) -> str:
    stated = config.text("_name_or_path", "").rstrip("/").rsplit("/", 1)[-1]
    if stated or isinstance(source, dict):
        return stated[:200] or "config"
    path = path_of("config", source)
    return (path.stem if path.stem != "config" else path.absolute().parent.name) or "config"
