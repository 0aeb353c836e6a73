"""What was measured of classes of computations like those that a question asks for."""

from gpuspec.catalog import Gpu
from gpuspec.constants.ground import Ground, ground_of


def class_ground(device: Gpu, workload: str) -> Ground:
    """Return the ground of a class of computations on one GPU."""
    said = {"generation": device.architecture, "gpu": device.id, "workload": workload}
    return ground_of("hpc", {**said, "gpus": 1})
