"""The one writer of JSON: strict, the same keys in the same order, null for what is no number."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import PurePath
from typing import Any

import numpy as np

from gpuspec.base.lazy import pd

SCHEMA_VERSION = 3
"""Counts up when a key is renamed or dropped or changes its meaning; new keys do not count."""


def answer_json(answer: Mapping[str, object]) -> bytes:
    """Return the JSON text of a command's answer, in UTF-8 and with ``schema_version`` first.

    A number that is not finite is null, and the answer says beside it why (``docs/json.md``).

    >>> print(answer_json({"gpus": np.int64(2), "far": float("inf")}).decode())
    {
      "schema_version": 3,
      "gpus": 2,
      "far": null
    }
    """
    told = {"schema_version": SCHEMA_VERSION} | _plain(answer)
    text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")  # of a lone surrogate, which is JSON's escape


def _plain(value: Any) -> Any:
    """Return `value` as what JSON has: texts, numbers, booleans, null, lists and objects."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value))
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (str, PurePath)):
        return str(value)
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, pd.DataFrame):
        return _plain(value.to_dict("records"))
    if isinstance(value, (pd.Series, pd.Index)):
        return _plain(value.tolist())
    raise TypeError(f"no JSON is known for {type(value).__name__}")
