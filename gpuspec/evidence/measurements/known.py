"""What a calibration stores of the ground that its rows cover, and how far from it errors grow."""

import numpy as np
import pandas as pd

from gpuspec.constants.ground import DISPUTED, LEVELS, TOPICS, Record, ground_codes, version_number


def ground_record_of(topic: str, said: pd.DataFrame, publishers: np.ndarray) -> Record:
    """Return what rows say of their settings: see `constants.ground.Record`.

    `said` has the names and numbers of the topic as columns.
    """
    of, who = TOPICS[topic], pd.Series(publishers, said.index)
    called = dict.fromkeys([*of.names, *of.joint])
    names = {n: _publishers(said[n].astype(str), who) for n in called}
    numbers = {n: _range(said[n]) for n in of.numbers}
    shared = said[list(of.joint)].astype(str).itertuples(index=False)
    keys = pd.Series(["|".join(row) for row in shared], said.index, dtype=object)
    joint = {
        str(key): {
            "rows": len(part),
            "publishers": int(who[part.index].nunique()),
            "numbers": {n: ends for n in of.numbers if (ends := _range(part[n]))},
        }
        for key, part in said.groupby(keys)
    }
    record: Record = {"names": names, "numbers": numbers, "joint": joint}
    if "version" in said:
        record["newest"] = _newest(said)
    return record


def _publishers(values: "pd.Series[str]", who: "pd.Series[str]") -> dict[str, int]:
    counts = who.groupby(values).nunique()
    known = {str(value): int(count) for value, count in counts.items()}
    return {value: count for value, count in known.items() if value not in ("", *DISPUTED)}


def _range(values: "pd.Series[float]") -> list[float]:
    known = values.to_numpy(float)
    known = known[np.isfinite(known)]
    return [float(known.min()), float(known.max())] if len(known) else []


def _newest(said: pd.DataFrame) -> dict[str, list[str]]:
    """Return the newest version of each engine that was measured, and when."""
    found = {}
    for name, part in said.groupby("engine"):
        version = max(part["version"].astype(str).unique(), key=version_number)
        dates = part.loc[part["version"].astype(str) == version, "date"].fillna("").astype(str)
        number = ".".join(map(str, version_number(version)))
        found[str(name)] = [number, dates.max()]
    return found


def left_out_codes(topic: str, said: pd.DataFrame, publishers: np.ndarray) -> np.ndarray:
    """Return the ground of each row beside the rows of all other publishers."""
    columns = TOPICS[topic].columns
    found = np.zeros(len(said), int)
    for publisher in sorted(set(publishers)):
        own = publishers == publisher
        if own.all():
            return np.full(len(said), 2)
        record = ground_record_of(topic, said[~own], publishers[~own])
        part = said[own]
        found[own] = ground_codes(topic, {n: part[n].to_numpy() for n in columns}, record)
    return found


def ground_labels(codes: np.ndarray) -> "pd.Series[str]":
    """Return the names of codes."""
    return pd.Series(np.array(LEVELS, dtype=object)[codes])
