from typing import NamedTuple
import numpy as np
from gpuspec.base.units import HOURS_MONTH
class Layer(NamedTuple):
    share_from: float
    share_to: float
    hours_month: float
def layers(w):
    return (Layer(0.0, 1.0, float(getattr(w, "hours_per_month", HOURS_MONTH))),)
def replicas(w, needed, unit):
    return needed
