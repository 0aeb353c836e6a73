"""``gpuspec measure``: what is timed, tried with a device whose speed is known."""

import sys
from types import SimpleNamespace

import pytest

from gpuspec.evidence.importing import written
from gpuspec.evidence.learning import learn
from gpuspec.evidence.measuring import measurements_of, seconds_of, tables_of
from gpuspec.evidence.validation import unusable, validate

TFLOPS, GB_S, BUS_GB_S = 600.0, 2500.0, 300.0


class Device:
    """A fake PyTorch: every call lets its clock go on by what the named speeds take."""

    float32, bfloat16, float16 = "float32", "bfloat16", "float16"

    def __init__(self, gpus=1, memory=80e9):
        self.now, self.queued, self.memory = 0.0, 0.0, memory
        self.cuda = SimpleNamespace(
            get_device_name=lambda _: "NVIDIA H100 80GB HBM3",
            device_count=lambda: gpus,
            synchronize=self.wait,
            empty_cache=lambda: None,
            nccl=SimpleNamespace(all_reduce=self.all_reduce),
        )
        attend = SimpleNamespace(scaled_dot_product_attention=self.attend)
        self.nn = SimpleNamespace(functional=attend)

    def clock(self):
        return self.now

    def wait(self, *_):
        self.now, self.queued = self.now + self.queued, 0.0

    def work(self, seconds):
        self.queued += seconds
        return self

    def all_reduce(self, parts):
        count, size = len(parts), parts[0].shape[0] * 4
        self.work(size * 2 * (count - 1) / count / (BUS_GB_S * 1e9))

    def attend(self, q, *_, is_causal):
        batch, heads, tokens, width = q.shape
        assert is_causal
        self.work(2.0 * batch * heads * tokens**2 * width / (TFLOPS * 1e12))

    def randn(self, *shape, device, dtype):
        return self.empty(*shape, device=device, dtype=dtype)

    def ones(self, *shape, device, dtype):
        return self.empty(*shape, device=device, dtype=dtype)

    def empty(self, *shape, device, dtype):
        size = 4 if dtype == "float32" else 2
        for n in shape:
            size *= n
        if size > self.memory:
            raise RuntimeError("CUDA out of memory")
        return Tensor(self, shape)

    def empty_like(self, other):
        return Tensor(self, other.shape)


class Tensor:
    """A shape on a device."""

    def __init__(self, device, shape):
        self.device, self.shape = device, shape

    def __matmul__(self, other):
        (m, k), (_, n) = self.shape, other.shape
        return self.device.work(2.0 * m * n * k / (TFLOPS * 1e12))

    def copy_(self, other):
        return self.device.work(2.0 * other.shape[0] * 4 / (GB_S * 1e9))


def test_rates_are_those_of_the_device():
    device = Device(gpus=8)
    found = list(measurements_of(device, device.clock))
    rates = {"TFLOP/s": TFLOPS, "GB/s": GB_S, "GB/s of bus bandwidth": BUS_GB_S}
    assert len(found) == 14
    for one in found:
        assert one.rate == pytest.approx(rates[one.unit], rel=1e-6), one.what
    assert device.now < 300


def test_it_stops_in_time_and_leaves_out_what_does_not_fit():
    device = Device()
    assert len(list(measurements_of(device, device.clock, budget_s=1.0))) < 10
    small = Device(memory=100e6)
    assert {one.what for one in measurements_of(small, small.clock)} == {
        f"{form} m n k = 4096 4096 4096" for form in ("BF16", "FP16")
    }


def test_a_call_counts_only_once_the_device_is_done():
    device = Device()
    seconds = seconds_of(lambda: device.work(0.02), device.wait, device.clock)
    assert seconds == pytest.approx(0.02)


def test_what_was_measured_is_a_table_of_validate(tmp_path):
    device = Device(gpus=2)
    made = tables_of(list(measurements_of(device, device.clock)))
    assert [one.kind for one in made] == ["hpc", "collectives"]
    paths = [to.path for to in written(made, str(tmp_path / "mine.csv"))]
    lessons = learn([str(path) for path in paths], str(tmp_path / "own"))
    assert {(one.topic, one.rows) for one in lessons} == {(m.kind, len(m.rows)) for m in made}
    for one, path in zip(made, paths, strict=True):
        assert unusable(path, one.kind) == []
        found = validate(path, one.kind)
        assert len(found.rows) == len(one.rows)
        assert 0.3 < (found.rows["predicted"] / found.rows["measured"]).median() < 3


def test_without_pytorch_it_is_one_sentence(command, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = command("measure", "-o", "mine.csv")
    assert done.returncode == 2
    assert "PyTorch is not installed" in done.stderr
    without = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", without)
    done = command("measure", "-o", "mine.csv")
    assert done.returncode == 2
    assert "no NVIDIA GPU" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "mine.csv").exists()
