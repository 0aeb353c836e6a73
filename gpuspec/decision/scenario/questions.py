"""The questions that the parts of a scenario ask with."""

from collections.abc import Sequence

from gpuspec.catalog import gpu
from gpuspec.catalog.engines import engine_for
from gpuspec.decision.scenario.records import Images, Inference, Training
from gpuspec.topics.serving.ask import ImagesQuestion, Load, ServingQuestion
from gpuspec.topics.training.ask import Job, TrainingQuestion


def service_question(
    service: Inference,
    gpus: str | Sequence[str],
    weights: str | Sequence[str],
) -> ServingQuestion:
    """Return the question that a service of a scenario asks.

    The engine is the service's, or one that runs on the GPUs, which are then of one maker.
    """
    load = {name: getattr(service, name) for name in Load.model_fields}
    first = gpus if isinstance(gpus, str) else gpus[0]
    load["engine"] = engine_for(gpu(first).vendor, service.engine)
    return ServingQuestion.ask(gpus=gpus, weights=weights, **load)


def image_question(service: Images, gpus: str | Sequence[str]) -> ImagesQuestion:
    """Return the question that a service of images in a scenario asks."""
    asked = {f"image_{n}": getattr(service, n) for n in ("model", "steps", "size")}
    asked |= {f"image_{n}": getattr(service, n) for n in ("stack", "precision")}
    return ImagesQuestion.ask(gpus=gpus, **asked)


def job_question(
    job: Training, gpus: str | Sequence[str], count: int, compute: str
) -> TrainingQuestion:
    """Return the question that a training job of a scenario asks."""
    run = {name: getattr(job, name) for name in Job.model_fields}
    return TrainingQuestion.ask(gpus=gpus, counts=[count], precision=compute, **run)
