"""The formats in which a model runs: those in which it is stored, or those that were asked for."""

from collections.abc import Sequence
from dataclasses import replace

from gpuspec.base.errors import InputError
from gpuspec.base.units import GB
from gpuspec.catalog.models.params import parameter_parts
from gpuspec.catalog.models.record import Model
from gpuspec.catalog.models.stored import UNKNOWN
from gpuspec.catalog.precision import QUANTIZABLE, WeightFormat, precision

LESS = 0.98
"""Share of the stored size below which a format counts as smaller."""
STORED = "stored"
"""Name of the format in which a model's publisher stores it."""


def weight_format(
    model: Model, name: str = STORED, weights_gb: float | None = None
) -> WeightFormat:
    """Return what each part of a model's weights takes.

    Parameters
    ----------
    name : str
        A format of ``precisions.csv``; ``"stored"``: as the model's publisher stores it.
    weights_gb : float, optional
        Size of the weights as loaded, in GB, which outranks what the format gives. Without it
        the size in the table counts, where it states one and the format is the stored one.

    Raises
    ------
    InputError
        When the stored format is not known; says what the file states and what to do.
    """
    if name != STORED:
        return _scaled(_asked(model, name), model, weights_gb, loaded=True)
    stated = model.stored or "bf16"
    if stated.startswith(UNKNOWN):
        valid = f"{stated[1:]}; state the format instead, such as --weights int4"
        raise InputError("weights", STORED, valid)
    form = WeightFormat.read(stated)
    if form.id != STORED and form.main.quantized:
        form = replace(_asked(model, form.main.id), id=form.id)
    form = replace(form, source=f"as stored ({model.stored_in or 'models.csv'})")
    if weights_gb:
        return _scaled(form, model, weights_gb, loaded=True)
    return _scaled(form, model, model.weights_gb or None, loaded=False)


def kv_format(model: Model, name: str = STORED) -> str:
    """Return the format of the key-value cache: the one asked for, or the publisher's.

    >>> from gpuspec.catalog.models import model
    >>> kv_format(model("llama-3.1-8b")), kv_format(model("llama-3.1-8b"), "fp8")
    ('bf16', 'fp8')
    """
    return name if name != STORED else model.stored_kv or "bf16"


def stored_bytes(model: Model, form: WeightFormat) -> float:
    """Return the bytes of all weights that an engine loads: towers too, MTP layers not.

    >>> from gpuspec.catalog.models import model
    >>> m = model("gpt-oss-120b")
    >>> round(stored_bytes(m, weight_format(m)) / 1e9, 1)   # published: 65.2 GB
    65.2
    """
    parts = {**parameter_parts(model), "towers": model.tower_params}
    return float(sum(count * form.bytes_each(part) for part, count in parts.items()))


def _asked(model: Model, name: str) -> WeightFormat:
    form = precision(name)
    parts = parameter_parts(model)
    if form.quantized and not any(parts.get(part) for part in form.quantizes.split("|")):
        form = form.model_copy(update={"quantizes": "|".join(QUANTIZABLE)})
    return WeightFormat.of(form)


def _scaled(
    form: WeightFormat, model: Model, weights_gb: float | None, loaded: bool
) -> WeightFormat:
    """Return the format at a stated size; a repository's size holds its MTP layers too."""
    if not weights_gb:
        return form
    beside = 0.0 if loaded else model.mtp_params * form.bytes_each("experts")
    return replace(form, scale=weights_gb * GB / (stored_bytes(model, form) + beside))


def with_stored(
    model: Model, names: Sequence[str], weights_gb: float | None = None
) -> list[WeightFormat]:
    """Return the formats to compare; a size that is stated is that of the first.

    ``"stored"`` lets in beside it only formats that take less. A list of several formats without
    it has it first where the model is stored in less than 16 bits and in none of those named.
    """
    sizes = [weights_gb, *[None] * (len(names) - 1)]
    forms = [weight_format(model, n, size) for n, size in zip(names, sizes, strict=True)]
    if STORED in names:
        stored = forms[names.index(STORED)]
        most = stored_bytes(model, stored) * LESS
        return [f for f in forms if f is stored or stored_bytes(model, f) < most]
    if len(names) > 1 and model.stored and not model.stored.startswith(UNKNOWN):
        stored = weight_format(model)
        return forms if stored.id in {form.id for form in forms} else [stored, *forms]
    return forms


def format_title(name: str) -> str:
    """Return how a format is written for a reader.

    >>> format_title("fp8"), format_title("stored")
    ('FP8', 'as stored')
    """
    return "as stored" if name == STORED else name.upper()
