"""Control panel of the MIG notebook."""

from typing import Any

from gpuspec.formulas.mig import geometry
from gpuspec.topics.mig import MigQuestion, Packing, pack, tenant_options
from gpuspec.topics.mig.pictures import fleet_bars
from gpuspec.topics.mig.words import packing_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, controls


def tenants_panel(question: MigQuestion) -> Panel:
    """Return a panel over the question "who goes where", started at `question`."""
    q = question
    shown = {
        **controls(q, "gpus", "load_factor"),
        "objective": choice("least", ("cost", "gpus"), q.objective),
    }

    def answer(**values: Any) -> tuple[MigQuestion, Packing]:
        asked = q.but(**{**values, "gpus": values["gpus"] or q.gpus})
        return asked, pack(asked, tenant_options(asked))

    def draw(answered: tuple[MigQuestion, Packing]) -> str:
        asked, found = answered
        title = packing_finding(asked, found)
        rules = {g.id: geometry(g.id) for g in asked.devices}
        drawing = fleet_bars(found.placements, rules, title, True)
        return figure(drawing, title, title).svg

    return Panel(shown, answer, draw, question=q)
