"""Control panels for JupyterLab: widgets around the same calls that made the static picture."""

from gpuspec.widgets.inference import inference_panel
from gpuspec.widgets.interconnect import interconnect_panel
from gpuspec.widgets.memory import serving_panel
from gpuspec.widgets.panel import Panel
from gpuspec.widgets.training import training_panel
from gpuspec.widgets.upgrade import upgrade_panel

__all__ = [
    "Panel",
    "inference_panel",
    "interconnect_panel",
    "serving_panel",
    "training_panel",
    "upgrade_panel",
]
