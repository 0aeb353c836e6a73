"""Errors of inference with prompts and answers on separate GPUs, and what they say of an answer.

No constant is fitted to these measurements, all of one publisher: the errors are those of the model
as it stands.
"""

from gpuspec.constants.stored import stored


def separate_errors() -> dict[str, dict[str, float]]:
    """Return by kind, ``ttft`` and ``tpot``: ``rows``, ``median``, ``p90``, ``low``, ``high``.

    The first two errors are |predicted / measured - 1|; 80 % of the measurements lie between
    ``low`` and ``high`` times the prediction.
    """
    found: dict[str, dict[str, float]] = stored("disaggregated")["errors"]
    return found


def separate_interval(value: float, kind: str) -> tuple[float, float]:
    """Return the 80 % interval of an estimated time."""
    errors = separate_errors()[kind]
    return value * errors["low"], value * errors["high"]
