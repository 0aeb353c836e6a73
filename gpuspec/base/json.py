"""The one writer of JSON: strict, the same keys in the same order, null for what is no number."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

SCHEMA_VERSION = 1
"""Counts up when a key is renamed or dropped or changes its meaning; new keys do not count."""


def answer_json(answer: Mapping[str, Any]) -> bytes:
    """Return the JSON text of a command's answer, in UTF-8 and with ``schema_version`` first.

    A number that is not finite is null: not known, or without bound. The paths of the latter
    stand under ``unbounded``, so that a program can tell them apart.

    >>> print(answer_json({"gpus": np.int64(2), "far": float("inf")}).decode())
    {
      "schema_version": 1,
      "gpus": 2,
      "far": null,
      "unbounded": [
        "far"
      ]
    }
    """
    unbounded: list[str] = []
    told = {"schema_version": SCHEMA_VERSION} | _plain(answer, "", unbounded)
    if unbounded:
        told["unbounded"] = unbounded
    text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")  # of a lone surrogate, which is JSON's escape


def _plain(value: Any, path: str, unbounded: list[str]) -> Any:
    """Return `value` as what JSON has: texts, numbers, booleans, null, lists and objects."""
    if isinstance(value, pd.DataFrame):
        value = value.to_dict("records")
    elif isinstance(value, (pd.Series, pd.Index, np.ndarray, np.generic)):
        value = value.tolist()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        start = f"{path}." if path else ""
        return {str(k): _plain(v, f"{start}{k}", unbounded) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [_plain(v, f"{path}[{i}]", unbounded) for i, v in enumerate(items)]
    if isinstance(value, Enum):
        return _plain(value.value, path, unbounded)
    if isinstance(value, float) and np.isinf(value):
        unbounded.append(path)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, PurePath)):
        return str(value)
    raise TypeError(f"no JSON is known for {type(value).__name__} at {path or 'the top'}")
