"""Image generation: laws, published times, and what a user reads."""

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gpuspec import InputError, gpu
from gpuspec.catalog.images import image_model
from gpuspec.cli import main
from gpuspec.constants.images import STACKS, image_errors, image_terms
from gpuspec.evidence.fits.images import fit_images
from gpuspec.evidence.measurements.images import predicted_images
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.images import ImageJob, image_precision, image_seconds
from gpuspec.topics.serving import ImagesQuestion, images_table

GPUS = ("A100", "H100", "H100 PCIe", "H200", "H20", "L40S", "B200", "B300", "V100", "MI300X")


def total(network, device, steps, width=1024, height=1024, **job):
    return float(
        sum(image_seconds(network, device, ImageJob(steps, width, height, **job)).values())
    )


@given(st.integers(1, 100), st.integers(256, 2048), st.integers(1, 50))
def test_more_steps_and_more_pixels_take_longer(steps, size, more):
    network, device = image_model("SDXL"), gpu("A100")
    base = total(network, device, steps, size, size)
    assert total(network, device, steps + more, size, size) > base
    assert total(network, device, steps, size + more, size) > base


def test_arrays_give_what_scalars_give():
    network, device = image_model("FLUX.1-dev"), gpu("H100")
    steps = np.array([4, 28, 50])
    found = sum(image_seconds(network, device, ImageJob(steps)).values())
    assert found == pytest.approx([total(network, device, n) for n in steps])


def test_flux_counts_the_square_of_its_tokens():
    network = image_model("FLUX.1-dev")
    small, large = network.pass_flop(512, 512), network.pass_flop(2048, 2048)
    assert large / small > 13  # 16,896 tokens over 1,536 is 11; attention grows faster


def test_published_times_come_out():
    """TensorRT, SDXL, 30 steps (huggingface.co/stabilityai/stable-diffusion-xl-1.0-tensorrt)."""
    network = image_model("SDXL")
    assert total(network, gpu("A100"), 30) == pytest.approx(2.742, rel=0.15)
    assert total(network, gpu("H100"), 30) == pytest.approx(1.471, rel=0.15)


def test_software_helps_and_8_bits_do():
    network = image_model("SDXL")
    assert total(network, gpu("H200"), 30) < total(network, gpu("H100"), 30)
    times = [total(network, gpu("A100"), 30, stack=stack) for stack in STACKS]
    assert times[0] == pytest.approx(times[1], rel=0.1)
    assert max(times) == times[2]
    for name, low in (("H100", "fp8"), ("A100", "int8"), ("L40S", "fp8")):
        for stack in ("tensorrt", "compiled"):
            wide, narrow = (
                total(network, gpu(name), 30, stack=stack, precision=p) for p in ("bf16", low)
            )
            assert 1.1 < wide / narrow < 2


def test_a_gpu_counts_by_its_own_peaks_and_not_by_its_name():
    """H20 has Hopper's name and 15 % of its peak: FLUX.1-dev, 20 steps, compiled, 11.3 s."""
    network = image_model("FLUX.1-dev")
    assert total(network, gpu("H20"), 20, stack="compiled") == pytest.approx(11.3, rel=0.25)
    renamed = gpu("H100").model_copy(update={"id": "other", "name": "Other", "architecture": "X"})
    assert total(network, renamed, 20) == total(network, gpu("H100"), 20)


@pytest.mark.parametrize("name", [g.id for g in map(gpu, GPUS)])
def test_8_bits_never_lose_to_16(name):
    device = gpu(name)
    low = image_precision(device, "8bit")
    for network in map(image_model, ("SDXL", "FLUX.1-dev")):
        narrow, wide = (total(network, device, 30, precision=p) for p in (low, "bf16"))
        assert narrow <= wide * (1 + 1e-9)


def test_the_stated_error_comes_from_publishers_that_no_fit_saw():
    rows = measurements("images")
    errors = image_errors()
    assert errors.loc["images", "rows"] == len(rows)
    assert errors.loc["images", "publishers"] == rows["publisher"].nunique() >= 7
    assert errors.loc["images", "median_error"] < 0.12
    assert errors.loc["images", "p90_error"] < 0.35
    assert errors.loc["8 bits", "median_error"] < 0.12
    assert errors.loc["8 bits", "publishers"] >= 2
    fitted = np.log(predicted_images(rows) / rows["seconds_per_image"].to_numpy(float))
    assert np.median(np.abs(np.expm1(fitted))) < errors.loc["images", "median_error"]


def test_fitting_again_gives_the_stored_constants():
    assert fit_images(measurements("images")) == image_terms()


def test_the_command_and_the_table_agree():
    told = CliRunner().invoke(main, ["images", "SDXL", "--gpus", "A100"], standalone_mode=False)
    row = images_table(ImagesQuestion.ask(image_model="SDXL", gpus="A100")).iloc[0]
    assert f"{row['images_s']:.2f}" in told.output
    assert row["images_s_low"] < row["images_s"] < row["images_s_high"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image_model": "SDLX"}, "sdxl-1.0"),
        ({"image_model": "sd-1.5"}, "image_model"),
        ({"image_steps": 0}, "image_steps"),
        ({"image_size": 100_000}, "image_size"),
        ({"image_stack": "onnx"}, "tensorrt"),
        ({"image_precision": "fp4"}, "8bit"),
        ({"image_precision": "8bit", "image_stack": "eager"}, "plain PyTorch"),
    ],
)
def test_bad_input_names_the_field_and_what_is_valid(wrong, said):
    with pytest.raises(InputError, match=said):
        ImagesQuestion.ask(**{"gpus": "A100", **wrong})
