"""Hold the model of image generation against anybody's measurements."""

import pandas as pd

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog.images import image_model as _any_model
from gpuspec.constants.images import STACKS
from gpuspec.constants.inference import inference_interval
from gpuspec.evidence.measurements.described import row_levels
from gpuspec.evidence.measurements.images import predicted_images
from gpuspec.evidence.measurements.rows import Row, completed
from gpuspec.evidence.validation.common import NO_RATIOS, Kind, judged
from gpuspec.evidence.validation.reading import Columns, known_gpu, remembered

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
    if row.get("precision", "") not in ("", "bf16", "fp16"):
        raise UnknownNameError("precision", row["precision"], ("bf16", "fp16"))
    if "bf16" not in device.precisions:
        raise InputError("gpu", row["gpu"], "only GPUs with BF16 are predicted")


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with canonical ids, blanks filled as documented."""
    size = {"width": 1024, "height": 1024, "passes_a_step": float("nan"), "batch_size": 1}
    rows = completed(rows, size, {"stack": "compiled", "decodes": "true"})
    passes = [_model(name).passes_a_step for name in rows["model"]]
    return rows.assign(
        gpu=[known_gpu(name).id for name in rows["gpu"]],
        model=[_model(name).id for name in rows["model"]],
        passes_a_step=rows["passes_a_step"].fillna(pd.Series(passes, rows.index, dtype=float)),
        decodes=rows["decodes"] == "true",
    )


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    low, high = inference_interval(
        rows["predicted"], "images", levels=row_levels("images", rows), ground=rows["ground"]
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
