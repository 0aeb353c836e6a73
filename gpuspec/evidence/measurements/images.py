"""Published times of image generation, and their predictions."""

import numpy as np
import pandas as pd

from gpuspec.catalog import gpu
from gpuspec.catalog.images import image_model
from gpuspec.constants.images import ImageTerms
from gpuspec.evidence.measurements.rows import Row
from gpuspec.formulas.images import ImageJob, image_seconds


def predicted_images(rows: pd.DataFrame, terms: ImageTerms | None = None) -> np.ndarray:
    """Return the seconds of an image that the model says for each row."""
    return np.array([_seconds(dict(row), terms) for row in rows.to_dict("records")])


def _seconds(row: Row, terms: ImageTerms | None) -> float:
    job = ImageJob(
        row["steps"],
        row["width"],
        row["height"],
        row["stack"],
        row["precision"],
        row["passes_a_step"],
        row["decodes"],
        row["batch_size"],
    )
    parts = image_seconds(image_model(row["model"]), gpu(row["gpu"]), job, terms)
    return float(sum(parts.values()))
