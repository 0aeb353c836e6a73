"""What was measured of memory like that which a question asks for."""

from gpuspec.constants.ground import Ground, ground_of
from gpuspec.topics.memory.ask import MemoryQuestion


def training_ground(question: MemoryQuestion, kind: str) -> Ground:
    """Return the ground of the peak of training, of a kind of error: full, lora, qlora."""
    q = question
    size = {"params_b": q.network.params / 1e9, "seq_len": q.seq_len, "gpus": q.training_gpus}
    return ground_of("memory", {"kind": kind, **size})


def serving_ground(question: MemoryQuestion, tp: int, pp: int) -> Ground:
    """Return the ground of the weights of an engine, which decide what fits."""
    params = question.network.params / 1e9
    size = {"params_b": params, "tp": tp, "pp": pp}
    return ground_of("memory", {"kind": "serving weights", **size})
