"""Whether a replica holds its model and a request, and what a GPU does with a format."""

from gpuspec.base.units import GIB
from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import Precision
from gpuspec.formulas.serving import Deployment, cache_bytes, request_bytes


def shortfall(replica: Deployment, context: int) -> str:
    """Return why one request of `context` tokens does not fit a replica; empty where it does."""
    free, one = float(cache_bytes(replica, context)), float(request_bytes(replica, context))
    if free <= 0:
        return f"weights and workspace are {-free / GIB:.1f} GiB a GPU too large"
    if free < one:
        return f"the cache of one request is {(one - free) / GIB:.1f} GiB a GPU too large"
    return ""


def precision_note(device: Gpu, weight: Precision) -> str:
    """Say what a GPU does with a precision in which it cannot compute; empty where it can."""
    if weight.id == "fp8" and "fp8" not in device.precisions:
        return f"{device.name} has no FP8 units: weights only, it computes in 16 bit"
    if weight.id == "mxfp4" and "fp4" not in device.precisions:
        return f"{device.name} has no FP4 units: weights only, it computes in 16 bit"
    return ""
