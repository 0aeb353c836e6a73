"""Control panel of the decision notebook: the four inputs of a buyer, and the objective."""

from ipywidgets import Widget

from gpuspec.decision.decide import Decision, decide
from gpuspec.decision.errors import SAMPLES
from gpuspec.decision.plan.pictures import plan_costs
from gpuspec.decision.plan.words import plan_labels, voice_of
from gpuspec.decision.plan.words_page import decision_finding, give_sentences, sure_sentence
from gpuspec.decision.plan.words_tables import money_axis, shown_plans
from gpuspec.decision.scenario import Inference, Owned, Scenario, Training, asked_scenario
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, model_choice, slider

CONCURRENCY = [2**i for i in range(0, 13)]
DAYS = (1, 2, 3, 7, 14, 30, 60, 90, 180)
MONTHLY_USD = [m * 10.0**e for e in range(3, 7) for m in (1, 2, 5)]
OWNED = (0, 4, 8, 16, 32, 64, 128)
PANEL_SAMPLES = 500
"""Fewer than in the notebook, so that a slider is followed at once."""


def decision_panel(scenario: Scenario, owned_gpu: str = "a100-sxm-80") -> Panel:
    """Return a panel over model size, concurrency, deadline, budget, owned GPUs and objective.

    The model and the concurrency are those of the first service, the deadline that of the first
    job; controls of what the scenario lacks are left out.
    """
    controls = _controls(scenario, owned_gpu)

    def answer(owned: float, **values: object) -> Decision:
        s = asked_scenario(scenario, **values)
        held = [o for o in s.owned if o.gpu != owned_gpu]
        held += [Owned(gpu=owned_gpu, count=int(owned))] if owned else []
        s = s.model_copy(update={"owned": tuple(held)})
        return decide(s, samples=PANEL_SAMPLES)

    return Panel(controls, answer, _drawn, _told)


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
    coarse = f"Page 1 has {SAMPLES:,} draws, so that its shares differ a little."
    return voice.joined([sure_sentence(decision, voice), coarse])


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
    controls["objective"] = choice("objective", ["cost", "time", "energy", "regret"], s.objective)
    return controls
