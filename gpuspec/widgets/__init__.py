"""Control panels for JupyterLab: widgets around the same calls that made the static picture."""

from gpuspec.widgets.claims import (
    claims_panel,
    show_claims,
)
from gpuspec.widgets.cost import cost_panel
from gpuspec.widgets.decision import decision_panel
from gpuspec.widgets.inference import inference_panel
from gpuspec.widgets.interconnect import interconnect_panel
from gpuspec.widgets.memory import serving_panel
from gpuspec.widgets.overview import roofline_panel
from gpuspec.widgets.panel import Panel
from gpuspec.widgets.simulation import simulation_panel
from gpuspec.widgets.tenants import tenants_panel
from gpuspec.widgets.training import training_panel
from gpuspec.widgets.upgrade import upgrade_panel
from gpuspec.widgets.validation import validation_panel

__all__ = [
    "Panel",
    "claims_panel",
    "cost_panel",
    "decision_panel",
    "inference_panel",
    "interconnect_panel",
    "roofline_panel",
    "serving_panel",
    "show_claims",
    "simulation_panel",
    "tenants_panel",
    "training_panel",
    "upgrade_panel",
    "validation_panel",
]
