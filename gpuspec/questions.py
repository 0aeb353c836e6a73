"""Where the record of each question stands: nothing is imported before it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuspec.base.ask import Ask

QUESTIONS = {
    "overview": "gpuspec.topics.overview.ask:OverviewQuestion",
    "model": "gpuspec.topics.memory.model:ModelQuestion",
    "memory": "gpuspec.topics.memory.ask:MemoryQuestion",
    "training": "gpuspec.topics.training.ask:TrainingQuestion",
    "posttraining": "gpuspec.topics.posttraining.ask:PostTrainingQuestion",
    "learning": "gpuspec.topics.posttraining.ask:LearningQuestion",
    "serving": "gpuspec.topics.serving.ask:ServingQuestion",
    "estimate": "gpuspec.topics.serving.ask:EstimateQuestion",
    "images": "gpuspec.topics.serving.ask:ImagesQuestion",
    "hpc": "gpuspec.topics.hpc.ask:HpcQuestion",
    "networks": "gpuspec.topics.networks.ask:NetworksQuestion",
    "mig": "gpuspec.topics.mig.ask:MigQuestion",
    "slices": "gpuspec.topics.mig.ask:SliceModel",
    "cost": "gpuspec.topics.cost.ask:CostQuestion",
    "work": "gpuspec.topics.cost.ask:CostedWork",
    "api": "gpuspec.topics.cost.api:ApiQuestion",
    "decision": "gpuspec.decision.scenario.ask:DecisionQuestion",
    "most": "gpuspec.decision.plan.most:MostQuestion",
    "upgrade": "gpuspec.decision.upgrade.ask:UpgradeQuestion",
    "claims": "gpuspec.topics.claims.ask:ClaimsQuestion",
    "validation": "gpuspec.topics.validation.ask:ValidationQuestion",
    "scenario": "gpuspec.decision.scenario.records:Scenario",
}
FURTHER = {"training": ("learning",), "serving": ("images",), "mig": ("slices",), "cost": ("work",)}
"""What else the notebook of a topic asks."""


def record_of(name: str) -> "type[Ask]":
    """Return the record of a question."""
    place, _, kind = QUESTIONS[name].partition(":")
    found: type[Ask] = getattr(import_module(place), kind)
    return found


def notebook_records(name: str) -> "list[type[Ask]]":
    """Return the records of which a shipped notebook's parameters are the fields."""
    from gpuspec.views.spoken import Spoken

    found = [record_of(n) for n in (name, *FURTHER.get(name, ())) if name in QUESTIONS]
    return [*found, Spoken] if found else []
