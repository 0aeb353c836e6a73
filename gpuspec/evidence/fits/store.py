"""What every fit shares: entries of the stored files, and writing them."""

import json
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel

from gpuspec.base.files import write_atomically
from gpuspec.constants.stored import Stored, stored, stored_errors, stored_path

T = TypeVar("T", bound=BaseModel)


def write(topic: str, content: Stored) -> None:
    """Store what a calibration found, and print its errors."""
    write_atomically(stored_path(topic), (json.dumps(content, indent=1) + "\n").encode())
    stored.cache_clear()
    print(stored_errors(topic).to_string())


def rounded(terms: T) -> T:
    """Return constants with three significant digits."""
    return type(terms)(**{n: float(f"{v:.3g}") for n, v in terms.model_dump().items()})


def fitted_entry(terms: BaseModel, rows: pd.DataFrame) -> Stored:
    """Return how fitted constants are stored: with the rows and sources that they come from."""
    return {
        "terms": terms.model_dump(),
        "rows": len(rows),
        "publishers": sorted(rows["publisher"].unique()),
        "sources": sorted(rows["source_id"].unique()),
    }


def fitted_entries(
    constants: Mapping[str, BaseModel], rows: pd.DataFrame, names: "pd.Series[str]"
) -> Stored:
    """Return the entry of each name's constants, with the rows of that name."""
    return {name: fitted_entry(terms, rows[names == name]) for name, terms in constants.items()}


def provenance(topic: str, rows: pd.DataFrame, method: str) -> Stored:
    """Return where what is stored of a topic comes from."""
    return {
        "table": f"measurements/{topic}.csv",
        "rows": len(rows),
        "publishers": sorted(rows["publisher"].unique()),
        "sources": sorted(rows["source_id"].unique()),
        "method": method,
    }


def case_values(rows: pd.DataFrame, predicted: np.ndarray) -> dict[str, float]:
    """Return how held-out predictions are stored: four digits for each case."""
    cases = zip(rows["case_id"], predicted, strict=True)
    return {case: float(f"{value:.4g}") for case, value in cases}
