"""What was measured of settings like those that a question of reinforcement learning asks for."""

from collections.abc import Mapping
from typing import Any

from gpuspec.catalog import Gpu
from gpuspec.constants.ground import Ground, ground_of, joined, model_kind, placement_of
from gpuspec.constants.training import fitted_framework, framework
from gpuspec.formulas.serving import Deployment
from gpuspec.topics.posttraining.ask import PostTrainingQuestion
from gpuspec.topics.serving.ground import replica_ground
from gpuspec.topics.training.ground import layout_ground


def placement(question: PostTrainingQuestion) -> str:
    """Return how generation and training share GPUs and time, as measurements call it."""
    apart = int(question.placement == "apart")
    return str(placement_of(apart, question.late))


def levels(question: PostTrainingQuestion) -> dict[str, str]:
    """Return what decides the width of the interval of a step."""
    return {"placement": placement(question)}


def setting(question: PostTrainingQuestion, device: Gpu, count: int) -> dict[str, Any]:
    """Return what an answer says of its setting, as ground takes it."""
    q = question
    return {
        "algorithm": q.algorithm,
        "placement": placement(q),
        "engine": q.serving(device, 1).runtime.engine,
        "framework": framework(q.framework)[0],
        "tuning": "all weights" if q.tuning == "full" else "adapters",
        "gpu": device.id,
        "generation": device.architecture,
        "kind": model_kind(q.network),
        "params_b": q.network.params / 1e9,
        "gpus": count,
        "isl": q.isl,
        "osl": q.osl,
        "answers": q.answers,
    }


def run_ground(
    question: PostTrainingQuestion,
    device: Gpu,
    count: int,
    pool: int,
    layout: Mapping[str, Any],
    replica: Deployment,
    load: float,
) -> Ground:
    """Return the ground of a run: of the whole step, of its training and of its engine."""
    trained = count if question.placement == "together" else count - pool
    # What trains is the framework beneath; what RL adds to it is judged by the first ground.
    beneath = {"framework": fitted_framework(question.framework)}
    update = question.update(trained).model_copy(update=beneath)
    return joined(
        [
            ground_of("posttraining", setting(question, device, count)),
            layout_ground(update, {**layout, "gpu": device.id, "gpus": trained}),
            replica_ground(question.serving(device, pool), replica.layout, load),
        ]
    )
