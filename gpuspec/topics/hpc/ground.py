"""What was measured of classes of computations like those that a question asks for."""

from gpuspec.catalog import Gpu
from gpuspec.constants.ground import Ground, ground_of


def class_ground(device: Gpu, workload: str, gpus: int = 1) -> Ground:
    """Return the ground of a class of computations on numbers of a GPU."""
    said = {"generation": device.architecture, "gpu": device.id, "workload": workload}
    return ground_of("hpc", {**said, "gpus": gpus})
