"""The ground of compared rows: whether settings like theirs were measured, are near, or far."""

from importlib import import_module
from importlib.util import find_spec

import pandas as pd

from gpuspec.constants.stored import stored

GROUND = "gpuspec.constants.ground"
DESCRIBED = "gpuspec.evidence.measurements.described"
KNOWN = "gpuspec.evidence.measurements.known"


def with_ground(kind: str, rows: pd.DataFrame, own_left_out: bool = False) -> pd.DataFrame:
    """Return compared rows with ``ground``: measured, near or far.

    Beside everything that the calibration knows, or, of rows that are in it, beside what the other
    publishers measured. Without the column where the calibration says nothing of its ground.
    """
    known = find_spec(GROUND) and find_spec(DESCRIBED) and find_spec(KNOWN)
    if not known or rows.empty:
        return rows
    ground, said = import_module(GROUND), import_module(DESCRIBED).described(kind, rows)
    if own_left_out:
        publishers = rows["publisher"].to_numpy()
        codes = import_module(KNOWN).left_out_codes(kind, said, publishers)
    elif "ground" in stored(ground.STORED_IN.get(kind, kind)):
        columns = {name: said[name].to_numpy() for name in said}
        codes = ground.ground_codes(kind, **columns)
    else:
        return rows
    return rows.assign(ground=pd.Series(ground.LEVELS)[codes].to_numpy())
