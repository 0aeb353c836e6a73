"""Panels of the overview and the validation: what a reader sees when the controls move."""

import numpy as np
import pytest

import gpuspec
from gpuspec.base.errors import InputError
from gpuspec.evidence import validation
from gpuspec.topics.memory import MemoryQuestion
from gpuspec.topics.memory.panel import serving_panel
from gpuspec.topics.overview.panel import roofline_panel
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving.panel import inference_panel
from gpuspec.topics.validation.panel import validation_panel


@pytest.fixture
def found():
    return validation.held_out("training")


def test_the_roofline_says_what_is_reached_left_and_right_of_the_ridge():
    panel = roofline_panel([gpuspec.gpu("A100"), gpuspec.gpu("H100")], "bf16")
    panel.controls["intensity"].value = 1.0
    assert "2.04, NVIDIA H100" in panel.picture.value  # 2.039 TB/s times 1 FLOP a byte
    panel.controls["intensity"].value = 8192.0
    assert "312, NVIDIA H100" in panel.picture.value
    panel.controls["precision"].value = "fp8"
    assert "NVIDIA A100" not in panel.picture.value
    assert "1,979 TFLOP/s" in panel.picture.value


def test_a_format_that_no_gpu_has_is_said_and_the_picture_stays():
    panel = roofline_panel([gpuspec.gpu("A100")], "bf16")
    before = panel.picture.value
    panel.controls["precision"].value = "fp8"
    assert "precision" in panel.message.value
    assert panel.picture.value == before


def test_only_what_is_missed_by_more_is_left(found):
    panel = validation_panel(found)
    assert len(panel.answer.rows) == len(found.rows)
    panel.controls["missed_by"].value = 0.3
    off = np.abs(np.exp(panel.answer.rows["error"]) - 1)
    assert 0 < len(off) < len(found.rows)
    assert (off >= 0.3).all()


def test_nothing_left_is_an_error_that_says_so(found):
    with pytest.raises(InputError, match="no row of any GPU"):
        validation.part_of(found, missed_by=1e9)


def test_a_panel_says_what_stored_means_for_the_model_that_is_chosen():
    memory = serving_panel(MemoryQuestion.ask(gpus="H100"))
    assert "BF16, as stored" in memory.note.value
    memory.controls["model"].value = "gpt-oss-120b"
    assert "experts MXFP4, rest BF16, as stored" in memory.note.value
    serving = inference_panel(ServingQuestion.ask(model="gpt-oss-120b", gpus="H100"))
    assert "experts MXFP4, rest BF16, as stored" in serving.note.value
    serving.controls["kv"].value = "fp8"
    assert "Cache in FP8" in serving.note.value
