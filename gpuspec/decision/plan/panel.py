"""Control panel of the decision notebook: the four inputs of a buyer, and the objective."""

import pandas as pd
from ipywidgets import Widget

from gpuspec.decision.plan import Decision, decide, market
from gpuspec.decision.plan.pictures import plan_costs
from gpuspec.decision.plan.words import confidence_sentence, decision_finding, plan_labels
from gpuspec.decision.plan.words_tables import money_axis
from gpuspec.decision.scenario import Inference, Owned, Scenario, Training, asked_scenario
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, model_choice, slider

CONCURRENCY = [2**i for i in range(0, 13)]
DAYS = (1, 2, 3, 7, 14, 30, 60, 90, 180)
MONTHLY_USD = [m * 10.0**e for e in range(3, 7) for m in (1, 2, 5)]
OWNED = (0, 4, 8, 16, 32, 64, 128)
PANEL_LOADS, PANEL_SAMPLES = 12, 500
"""Coarser than in the notebook, so that a slider is followed at once."""


def decision_panel(scenario: Scenario, owned_gpu: str = "a100-sxm-80") -> Panel:
    """Return a panel over model size, concurrency, deadline, budget, owned GPUs and objective.

    The model and the concurrency are those of the first service, the deadline that of the first
    job; controls of what the scenario lacks are left out.
    """
    controls = _controls(scenario, owned_gpu)
    markets: dict[tuple[object, ...], pd.DataFrame] = {}
    """Offers, read once for what they depend on."""

    def answer(owned: float, **values: object) -> Decision:
        s = asked_scenario(scenario, **values)
        held = [o for o in s.owned if o.gpu != owned_gpu]
        held += [Owned(gpu=owned_gpu, count=int(owned))] if owned else []
        s = s.model_copy(update={"owned": tuple(held)})
        key = (repr((s.allow, s.owned, s.prices)), s.horizon_months, s.today)
        if key not in markets:
            markets[key] = market(s)
        return decide(s, None, PANEL_SAMPLES, loads=PANEL_LOADS, offers=markets[key])

    def draw(decision: Decision) -> str:
        title = decision_finding(decision)
        labels = plan_labels(decision)
        drawing = plan_costs(decision.policies, labels, *money_axis(decision), title)
        caption = confidence_sentence(decision) if decision.feasible else title
        return figure(drawing, title, caption).svg

    return Panel(controls, answer, draw)


def _controls(s: Scenario, owned_gpu: str) -> dict[str, Widget]:
    service = next((w for w in s.workloads if isinstance(w, Inference)), None)
    job = next((w for w in s.workloads if isinstance(w, Training)), None)
    first = service or job
    controls: dict[str, Widget] = {}
    if first is not None:
        controls["model"] = model_choice(first.model)
    if service is not None and service.concurrency:
        controls["concurrency"] = slider("concurrency", CONCURRENCY, service.concurrency, "{:,}")
    if job is not None:
        controls["deadline_days"] = slider("deadline, days", DAYS, job.deadline_days)
    monthly = MONTHLY_USD[-1] if s.budget.monthly_usd is None else s.budget.monthly_usd
    controls["monthly_usd"] = slider("USD a month", MONTHLY_USD, monthly, "{:,.0f}")
    count = sum(o.count for o in s.owned if o.gpu == owned_gpu)
    controls["owned"] = slider(f"owned {owned_gpu.split('-')[0].upper()}", OWNED, count, "{:,}")
    controls["objective"] = choice("objective", ["cost", "time", "energy"], s.objective)
    return controls
