"""Hold the model of image generation against anybody's measurements."""

import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog.images import image_model as _any_model
from gpuspec.constants.images import EIGHT_BITS, PRECISIONS, STACKS
from gpuspec.constants.stored import stored_interval
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.images import predicted_images
from gpuspec.evidence.measurements.rows import Row, completed
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged
from gpuspec.evidence.validation.reading import Columns, known_gpu, remembered
from gpuspec.formulas.images import ImageJob, image_precision

_model = remembered(_any_model)
COLUMNS = Columns(
    kind="images",
    needed=("gpu", "model", "steps", "seconds_per_image"),
    numbers={
        **dict.fromkeys(("steps", "seconds_per_image"), True),
        **dict.fromkeys(("width", "height", "passes_a_step", "batch_size"), False),
    },
    least=dict.fromkeys(("steps", "width", "height", "passes_a_step", "batch_size"), 1),
    lowered=("stack", "precision"),
    truths=("decodes",),
    names={"gpu": known_gpu, "model": _model},
)


def _check(row: Row) -> None:
    """Raise what is wrong with a row."""
    device = known_gpu(row["gpu"])
    _model(row["model"])
    if row.get("stack", "") not in ("", *STACKS):
        raise UnknownNameError("stack", row["stack"], STACKS)
    if row.get("decodes", "") not in ("", "true", "false"):
        raise UnknownNameError("decodes", row["decodes"], ("true", "false"))
    precision = row.get("precision") or "bf16"
    if precision not in (*PRECISIONS, EIGHT_BITS):
        valid = f"give one of {', '.join((*PRECISIONS, EIGHT_BITS))}"
        raise InputError("precision", precision, valid)
    precision = image_precision(device, precision)
    if precision not in device.precisions:
        raise InputError("gpu", row["gpu"], f"it has no units for {precision} in the table")
    ImageJob(1, stack=row.get("stack") or "compiled", precision=precision)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with canonical ids, blanks filled as documented."""
    size = {"width": 1024, "height": 1024, "passes_a_step": float("nan"), "batch_size": 1}
    rows = completed(rows, size, {"stack": "compiled", "precision": "bf16", "decodes": "true"})
    passes = [_model(name).passes_a_step for name in rows["model"]]
    return rows.assign(
        gpu=[known_gpu(name).id for name in rows["gpu"]],
        model=[_model(name).id for name in rows["model"]],
        passes_a_step=rows["passes_a_step"].fillna(pd.Series(passes, rows.index, dtype=float)),
        decodes=rows["decodes"] == "true",
        precision=[
            image_precision(known_gpu(name), asked)
            for name, asked in zip(rows["gpu"], rows["precision"], strict=True)
        ],
    )


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    levels = row_levels("images", rows)
    low, high = stored_interval(
        rows["predicted"], "images", "seconds", levels, ground=rows["ground"]
    )
    return judged(rows.assign(measured=rows["seconds_per_image"], low=low, high=high))


IMAGES = Kind(
    columns=COLUMNS,
    check=_check,
    named=_named,
    prepared=lambda rows: rows,
    predicted=predicted_images,
    compared=_compared,
    ratios=lambda rows: NO_RATIOS,
)
