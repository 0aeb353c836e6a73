"""Control panel of the decision notebook: what a buyer states, over the scenario."""

import pandas as pd
from ipywidgets import Widget

from gpuspec.decision.decide import Decision, decide
from gpuspec.decision.plan.pictures import plan_costs
from gpuspec.decision.plan.words import plan_labels, voice_of
from gpuspec.decision.plan.words_limits import give_sentences
from gpuspec.decision.plan.words_page import decision_finding
from gpuspec.decision.plan.words_sure import sure_sentence
from gpuspec.decision.plan.words_tables import (
    money_axis,
    plans_table,
    shown_plans,
    works_table,
)
from gpuspec.decision.scenario import Inference, Line, Scenario, Training, asked_scenario
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, controls

REST = (
    "The model and the load are those of the first service, the deadline that of the first job. A "
    "blank, and all that has no control here, is as the scenario says."
)


def decision_panel(decision: Decision) -> Panel:
    """Return a panel over what a line states: it starts at a decision, which is that of page 1.

    Controls of what the scenario lacks are left out; the numbers of draws and loads are those of
    page 1, so that both say the same.
    """

    def answer(**values: object) -> Decision:
        changed = {n: v for n, v in values.items() if str(v).strip() and v != start[n]}
        return decide(asked_scenario(decision.scenario, **changed)) if changed else decision

    shown = _controls(decision.scenario)
    start = {name: control.value for name, control in shown.items()}
    return Panel(shown, answer, _drawn, _told, REST, _tables)


def _tables(decision: Decision) -> dict[str, pd.DataFrame]:
    if not decision.feasible:
        return {}
    return {"works": works_table(decision), "plans": plans_table(decision)}


def _drawn(decision: Decision) -> str:
    if not decision.feasible:
        return "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'></svg>"
    title, shown = decision_finding(decision), shown_plans(decision)
    labels, table = plan_labels(decision), decision.table.iloc[shown]
    axis = money_axis(decision, float(table["high"].max()))
    drawing = plan_costs(table, [labels[i] for i in shown], *axis, title)
    return figure(drawing, title, title).svg


def _told(decision: Decision) -> str:
    """Say how sure the answer is, or what must give where there is none."""
    voice = voice_of(decision)
    if not decision.feasible:
        return voice.joined([decision_finding(decision), *give_sentences(decision, voice)])
    return sure_sentence(decision, voice)


def _controls(s: Scenario) -> dict[str, Widget]:
    service = next((w for w in s.workloads if isinstance(w, Inference)), None)
    job = next((w for w in s.workloads if isinstance(w, Training)), None)
    first = service or job
    stated: dict[str, object] = {"model": first.model} if first else {}
    if service is not None:
        loads = ("users", "concurrency", "request_rate")
        load = next((n for n in loads if n in service.model_fields_set), "concurrency")
        stated |= {load: getattr(service, load), "isl": service.isl, "osl": service.osl}
    if job is not None:
        stated |= {"deadline_days": job.deadline_days, "tokens": job.tokens}
    stated |= {"monthly_usd": s.budget.monthly_usd, "capital_usd": s.budget.capital_usd}
    stated["owned"] = ", ".join(f"{o.count} x {o.gpu}" for o in s.owned) or None
    stated |= {"horizon_months": s.horizon_months, "objective": s.objective}
    return controls(Line.ask(**stated), *stated)
