"""Control panel of the MIG notebook."""

from typing import Any

import ipywidgets as W

from gpuspec.formulas.mig import geometry
from gpuspec.topics.mig import Packing, TenantsQuestion, pack, tenant_options
from gpuspec.topics.mig.ask import OBJECTIVES
from gpuspec.topics.mig.pictures import fleet_bars
from gpuspec.topics.mig.words import packing_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import LABEL, Panel, choice, slider

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)


def tenants_panel(question: TenantsQuestion) -> Panel:
    """Return a panel over the question "who goes where", started at `question`."""
    q = question
    ids = tuple(g.id for g in q.gpus)
    controls = {
        "gpus": W.SelectMultiple(options=ids, value=ids, description="GPUs", style=LABEL),
        "load": slider("load", FACTORS, 1.0, "{:g} x"),
        "objective": choice("least", OBJECTIVES, q.objective),
    }

    def answer(**values: Any) -> tuple[TenantsQuestion, Packing]:
        asked = scaled(q, float(values["load"])).model_copy(
            update={
                "gpus": tuple(g for g in q.gpus if g.id in values["gpus"]) or q.gpus,
                "objective": values["objective"],
            }
        )
        return asked, pack(asked, tenant_options(asked))

    def draw(answered: tuple[TenantsQuestion, Packing]) -> str:
        asked, found = answered
        title = packing_finding(asked, found)
        rules = {g.id: geometry(g.id) for g in asked.gpus}
        return figure(
            fleet_bars(found.placements, rules, title, True), title, title, tight=False
        ).svg

    return Panel(controls, answer, draw)


def scaled(question: TenantsQuestion, factor: float) -> TenantsQuestion:
    """Return the question with the load of every language model times a factor."""
    tenants = tuple(
        t
        if t.load is None
        else t.model_copy(
            update={
                "load": t.load.model_copy(
                    update={
                        "concurrency": max(round(t.load.concurrency * factor), 1),
                        "request_rate": t.load.request_rate * factor,
                    }
                )
            }
        )
        for t in question.tenants
    )
    return question.model_copy(update={"tenants": tenants})
