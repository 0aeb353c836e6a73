"""From a Hugging Face config.json to a `Model`, without any code of the model."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpuspec.base.errors import InputError, brief
from gpuspec.base.files import check_text, path_of
from gpuspec.catalog.models.decoder import decoder
from gpuspec.catalog.models.families import (
    CLASSIFIERS,
    HEADLESS,
    Family,
    accepts,
    family,
    known,
    stem,
    stems,
    table,
)
from gpuspec.catalog.models.reading import Config, read_config
from gpuspec.catalog.models.record import Model
from gpuspec.catalog.models.stored import stored_format
from gpuspec.catalog.models.towers import TOWERS, WITH_SOUND

_TOWER = re.compile(r"vision|visual|image|img|video|audio|speech")


def model_from_config(source: str | Path | dict[str, object], name: str | None = None) -> Model:
    """Read the dimensions of a model from its config.json.

    Only numbers, flags and texts are read; nothing in the file is run. A key that says something
    about dimensions and is not understood is refused, or named in ``warnings``.

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
    fields, said = _fields(config)
    fields |= {
        "id": "-".join(re.findall(r"[a-z0-9]+(?:\.[a-z0-9]+)*", called.lower())) or "config",
        "name": called,
        "sources": (label if isinstance(source, dict) else str(source),),
        "warnings": (*fields.get("warnings", ()), *said),
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


def _fields(config: Config) -> tuple[dict[str, Any], list[str]]:
    found, said = _family(config)
    if not found.text:
        text = Config(config.values, config.label, found.names, found.defaults)
        fields, more = decoder(text, found)
        fields |= {"family": found.name}
        return fields | _head(config, fields), [*said, *more, *_beside(config)]
    part, named = _text_part(config, found)
    defaults = {**named.sizes, **named.defaults}
    text = Config(part.values, part.label, named.names, defaults)
    fields, more = decoder(text, named)
    tower, doubt = _tower(config, found, fields["hidden"])
    own = [found.warning] if found.warning and found.name in known() else []
    return fields | {"family": named.name} | tower, [*said, *own, *more, *doubt]


def _tower(config: Config, found: Family, hidden: int) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of the towers beside the language model, and what is not counted."""
    holder = config
    for key in found.text.split(".")[:-1]:
        holder = holder.section(key)
    sections = {"vision": "vision_config", "audio": "audio_config"}
    kinds = [kind for kind, key in sections.items() if holder.section(key).values]
    if not kinds:
        return {}, []
    columns: dict[str, Any] = {"tower": ", ".join(kinds)}
    counted = found.tower if "vision" in kinds else ""
    if counted in TOWERS:
        total, tokens = TOWERS[counted](holder, holder.section("vision_config"), hidden)
        columns |= {"tower_params": total, "image_tokens": tokens}
        kinds = [] if counted in WITH_SOUND else [kind for kind in kinds if kind != "vision"]
    missing = " and ".join(kinds)
    doubt = f"parameters of the {missing} tower are not counted: add their memory"
    return columns, [doubt] if kinds else []


def _beside(config: Config) -> list[str]:
    """Name the towers that stand in a file whose family is known for its language model alone."""
    stated = ("mm_vision_tower", "vision_tower")
    return [
        f"parameters of what {key} describes are not counted: add their memory"
        for key, value in config.values.items()
        if value and ((isinstance(value, dict) and _TOWER.search(key)) or key in stated)
    ][:5]


def _head(config: Config, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the architecture changes: a decoder for embeddings or classes has no output
    projection, and a prompt is all that it reads.
    """
    name = next(iter(config.items("architectures", str)), "")
    kept = config.section("auto_map").values.get("AutoModelForCausalLM")
    suffix = stem(name)[1]
    if fields["kind"] != "llm" or kept or suffix not in (*HEADLESS, *CLASSIFIERS):
        return {}
    changed: dict[str, Any] = {"kind": "encoder", "tied_embeddings": True}
    if suffix in CLASSIFIERS:
        labels = len(config.section("id2label").values) or config.count("num_labels", default=2)
        changed["extra_params"] = fields.get("extra_params", 0) + labels * fields["hidden"]
    return changed


def _text_part(config: Config, found: Family) -> tuple[Config, Family]:
    """Return the section that describes the language model, and its family."""
    part = config
    for key in found.text.split("."):
        part = part.section(key)
    if not part.values:
        return config, family(found.like[0])
    if "tie_word_embeddings" in config:
        part.values = part.values | {"tie_word_embeddings": config.flag("tie_word_embeddings")}
    kind = part.text("model_type", found.like[0])
    if kind not in known():
        raise _unsupported(part, kind)
    return part, family(kind)


def _family(config: Config) -> tuple[Family, list[str]]:
    kind = config.text("model_type")
    classes = [name for name in config.items("architectures", str) if len(name) < 200]
    mapped = config.section("auto_map").values.get("AutoModelForCausalLM")
    named = [mapped[-200:].rsplit(".", 1)[-1]] if isinstance(mapped, str) else []
    if kind in known():
        for name in [*classes, *named]:
            if not accepts(kind, name):
                valid = f"the file's model_type is {kind}, which is another architecture"
                raise config.error("architectures", name, valid)
        return family(kind), []
    wrapped = _wrapped(config, kind)
    if wrapped:
        return wrapped, [wrapped.warning]
    for name in classes[:1]:
        meant = stems().get(stem(name)[0])
        if meant:
            said = (
                f"model_type {brief(kind)} is not known: read as {meant}, as its architectures say"
            )
            return family(meant), [said]
    raise _unsupported(config, kind)


def _wrapped(config: Config, kind: str) -> Family | None:
    """Return how to read a file of an unknown kind around a language model of a known one."""
    for key in ("text_config", "llm_config", "language_config", "thinker_config.text_config"):
        part: object = config.values
        for step in key.split("."):
            part = part.get(step) if isinstance(part, dict) else None
        inner = part.get("model_type") if isinstance(part, dict) else None
        if isinstance(inner, str) and inner in known():
            said = (
                f"{kind[:60]} is not known: only its language model, {inner} under {key}, is read"
            )
            return replace(family(inner), name=kind, like=(inner,), text=key, warning=said)
    return None


def _unsupported(config: Config, kind: str) -> InputError:
    reason = table()["refused"].get(kind)
    if reason:
        return config.error("model_type", kind, reason)
    classes = [name for name in config.items("architectures", str) if len(name) < 200]
    close = [
        name
        for name in known()
        if _one_slip(kind, name) and all(accepts(name, written) for written in classes)
    ]
    meant = f"did you mean {', '.join(close)}? " if close else ""
    return config.error(
        "model_type", kind, f"{meant}this architecture is not read; {len(known())} are"
    )


def _one_slip(typed: str, name: str) -> bool:
    """Tell whether one letter added, left out or replaced turns one name into the other."""
    if abs(len(typed) - len(name)) > 1 or _digits(typed) != _digits(name):
        return False
    short, long = sorted((typed, name), key=len)
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), None)
    if start is None:
        return True
    same = len(short) == len(long)
    return short[start + same :] == long[start + 1 :]


def _digits(name: str) -> str:
    return "".join(c for c in name if c.isdigit())


def _name(config: Config, source: str | Path | dict[str, object]) -> str:
    stated = config.text("_name_or_path", "").rstrip("/").rsplit("/", 1)[-1]
    if stated or isinstance(source, dict):
        return stated[:200] or "config"
    path = path_of("config", source)
    return (path.stem if path.stem != "config" else path.absolute().parent.name) or "config"
