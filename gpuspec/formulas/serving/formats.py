"""How a GPU multiplies weights of a format: the units that compute, the calibrated kernel."""

from typing import NamedTuple

from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import Precision

ACTIVATION_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5}


class Product(NamedTuple):
    """How weights of one format are multiplied."""

    kernel: str
    """Calibrated kernel: ``bf16``, ``fp8``, weight-only ``int8``, ``int4-awq`` or ``mxfp4``."""
    compute: str
    """Units whose peak counts: ``bf16``, ``fp8``, ``fp4``."""
    weight_bytes: float

    @property
    def activation_bytes(self) -> float:
        """Bytes of an element of what is multiplied with the weights."""
        return ACTIVATION_BYTES[self.compute]


def product_of(form: Precision, device: Gpu) -> Product:
    """Return how a GPU multiplies weights of a format."""
    size, units = form.bytes_per_weight, form.native(device)
    if units in ("fp8", "fp4"):
        return Product(units, units, size)
    if form.bits >= 16:
        return Product("bf16", "bf16", size)
    kernel = "mxfp4" if form.id.startswith("mxfp4") else "int8" if form.bits > 4 else "int4-awq"
    return Product(kernel, "bf16", size)
