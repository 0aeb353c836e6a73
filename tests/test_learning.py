"""``gpuspec learn``: own rows move estimates and narrow intervals by as much as they say."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gpuspec.base.errors import InputError
from gpuspec.constants import learnt as store
from gpuspec.constants.learnt import Learnt, opened
from gpuspec.decision.errors import known_share
from gpuspec.decision.scenario import Inference
from gpuspec.evidence.learning import learn, topic_weights
from gpuspec.evidence.validation import validate

Z80 = 1.2815515655446004
BASE = {
    **{"engine": "vllm", "kind": "dense models", "quantity": "tpot", "weights": "16 bits"},
    **{"tp": 1, "pp": 1, "params_b": 8.03, "gpu": "h100-sxm-80", "isl": 1024, "osl": 256},
}


def machines(count, rows, seed=0):
    """Return errors of machines whose settings vary, drawn from the model itself."""
    rng = np.random.default_rng(seed)
    weights = topic_weights("inference")
    for _ in range(count):
        said = {n: np.repeat(v, rows) for n, v in BASE.items()}
        said["load"] = 2.0 ** rng.integers(0, 8, rows)
        said["params_b"] = rng.choice([8.03, 70.55], rows)
        settings = store.settings("inference", said, rows)
        shared = store.correlation("inference", weights, settings, settings)
        own = 1 - sum(weights.values())
        root = np.linalg.cholesky(shared + own * np.eye(rows))
        yield settings, root @ rng.standard_normal(rows), weights


@pytest.mark.parametrize(("count", "most"), [(1, 0.97), (5, 0.85), (20, 0.75)])
def test_error_falls_with_own_rows_and_intervals_keep_their_promise(count, most):
    before, after, inside = [], [], []
    for said, z, weights in machines(60, 40):
        known = Learnt("inference", weights, {n: v[:count] for n, v in said.items()}, z[:count])
        mean, share = known.predicted({n: v[count:] for n, v in said.items()})
        before.append(np.median(np.abs(z[count:])))
        after.append(np.median(np.abs(z[count:] - mean)))
        inside.append(np.mean(np.abs(z[count:] - mean) <= Z80 * share))
        assert (share <= 1).all()
    assert np.mean(after) < most * np.mean(before)
    assert 0.75 <= np.mean(inside) <= 0.88


def test_few_rows_move_little_and_many_move_all():
    weights = topic_weights("inference")
    shifts, widths = [], []
    for count in (1, 5, 50):
        said = {n: np.repeat(v, count) for n, v in {**BASE, "load": 32.0}.items()}
        mean, share = Learnt("inference", weights, said, np.ones(count)).predicted(
            {**BASE, "load": 32.0}
        )
        shifts.append(float(mean))
        widths.append(float(share))
    assert shifts[0] < shifts[1] < shifts[2]
    assert shifts[2] == pytest.approx(1, abs=0.05)
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] == pytest.approx(np.sqrt(1 - sum(weights.values())), abs=0.02)


def test_what_shares_nothing_keeps_its_estimate():
    weights = topic_weights("inference") | {"machine": 0.0}
    said = {n: np.repeat(v, 5) for n, v in {**BASE, "load": 32.0}.items()}
    known = Learnt("inference", weights, said, np.ones(5))
    mean, share = known.predicted({**BASE, "load": 32.0, "quantity": "ttft"})
    assert (float(mean), float(share)) == (0.0, 1.0)


def test_left_out_rows_are_predicted_as_if_they_had_never_been_there():
    said, z, weights = next(machines(1, 12))
    known = Learnt("inference", weights, said, z)
    mean, share = known.left_out(np.repeat([0, 1, 2], 4))
    rest = {n: v[4:] for n, v in said.items()}
    others = Learnt("inference", weights, rest, z[4:], known.scale[4:])
    again, width = others.predicted({n: v[:4] for n, v in said.items()})
    assert mean[:4] == pytest.approx(again)
    assert share[:4] == pytest.approx(width, rel=1e-6)


def test_a_row_far_from_all_others_hardly_counts():
    weights = topic_weights("inference")
    said = {n: np.repeat(v, 7) for n, v in {**BASE, "load": 32.0}.items()}
    asked, spread = {**BASE, "load": 32.0}, np.array([-0.2, -0.1, 0.0, 0.1, 0.2, 0.0])
    found = {
        odd: float(Learnt("inference", weights, said, [*(0.5 + spread), odd]).predicted(asked)[0])
        for odd in (0.5, 3.0, 9.0, 30.0)
    }
    assert found[0.5] == pytest.approx(0.5, abs=0.05)
    assert all(abs(mean - found[0.5]) < 0.15 for mean in found.values()), found
    normal = Learnt("inference", weights, said, [*(0.5 + spread), 30.0], np.ones(7))
    assert float(normal.predicted(asked)[0]) > 4  # a mean of all would follow it


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A machine whose every time is 1.4 times the estimate: a table of it."""
    folder = tmp_path_factory.mktemp("own")
    columns = ["gpu", "tp", "model", "engine", "isl", "osl", "concurrency", "lengths"]
    rows = [["H100", 1, "Llama-3.1-8B", "vllm", 1024, 256, 2**i, "fixed"] for i in range(2, 7)]
    with (folder / "asked.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "tpot_ms", "ttft_ms"])
        writer.writerows([*row, 10, 100] for row in rows)
    estimates = validate(folder / "asked.csv").rows.set_index("case_id")["predicted"]
    with (folder / "own.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "tpot_ms", "ttft_ms"])
        for line, row in enumerate(rows, 2):
            each = [estimates[f"line {line} {name}"] * 1.4 for name in ("tpot_ms", "ttft_ms")]
            writer.writerow([*row, *each])
    return folder


def test_what_was_learnt_is_told_and_used(slow, monkeypatch):
    lessons = learn([str(slow / "own.csv")], str(slow / "cal"))
    assert lessons[0].rows == 10
    assert lessons[0].before == pytest.approx(1 - 1 / 1.4, abs=0.01)
    assert lessons[0].after < 0.6 * lessons[0].before
    before = validate(slow / "own.csv").figures()["median_absolute_error"]
    monkeypatch.setenv(store.VARIABLE, str(slow / "cal"))
    found = validate(slow / "own.csv")
    assert found.figures()["median_absolute_error"] < 0.5 * before
    monkeypatch.delenv(store.VARIABLE)
    with pytest.raises(InputError, match="--add"):
        learn([str(slow / "own.csv")], str(slow / "cal"))


def test_every_answer_follows_and_says_so(slow, process):
    if not (slow / "cal").exists():
        learn([str(slow / "own.csv")], str(slow / "cal"))
    asked = ("estimate", "Llama-3.1-8B", "--gpus", "H100", "--tp", "1", "--engine", "vllm")
    asked += ("--isl", "1024", "--osl", "256", "--concurrency", "32", "--weights", "bf16", "--json")
    plain = json.loads(process(*asked).stdout)
    own = json.loads(process(*asked, "--calibration", slow / "cal").stdout)
    assert own["calibrated_with"] == 10
    for name, sign in (("ttft_s", 1), ("tpot_s", 1), ("output_tokens_s", -1)):
        moved = np.log(own[name][0] / plain[name][0]) / np.log(1.4) * sign
        assert 0.4 < moved < 1.1, name
        widths = [np.log(row[name][2] / row[name][1]) for row in (plain, own)]
        assert widths[1] < 0.85 * widths[0], name
    told = process(*asked[:-1], GPUSPEC_CALIBRATION=str(slow / "cal")).stdout
    assert told.rstrip().endswith("Calibrated with 10 measurements of yours.")
    # Little's law holds still
    seconds = own["ttft_s"][0] + own["tpot_s"][0] * 255
    assert own["output_tokens_s"][0] / 256 * seconds == pytest.approx(own["load"], rel=0.02)


def test_draws_of_a_plan_narrow_for_the_work_that_was_measured(slow, monkeypatch):
    if not (slow / "cal").exists():
        learn([str(slow / "own.csv")], str(slow / "cal"))
    work = Inference(
        name="chat", model="Llama-3.1-8B", engine="vllm", isl=1024, osl=256, concurrency=32
    )
    other = Inference(
        name="other", model="Mixtral-8x7B", engine="sglang", isl=1024, osl=256, concurrency=32
    )
    assert known_share(work, "h100-sxm-80", "bf16", 1) == 1
    monkeypatch.setenv(store.VARIABLE, str(slow / "cal"))
    assert known_share(work, "h100-sxm-80", "bf16", 1) < 0.9
    assert known_share(work, "h100-sxm-80", "bf16", 1) < known_share(
        other, "a100-sxm-80", "bf16", 2
    )


@pytest.mark.parametrize("text", ["", "{}", '{"topics": {"inference": {"z": [1]}}}', "[1]"])
def test_a_folder_that_learn_did_not_write_is_refused(tmp_path, command, text):
    (tmp_path / "cal").mkdir()
    (tmp_path / "cal" / "calibration.json").write_text(text)
    opened.cache_clear()
    done = command("list", "gpus", "--calibration", tmp_path / "cal")
    assert done.returncode == 2, done.stdout
    assert "GPUSPEC_CALIBRATION" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _row(tmp_path, name, **cells):
    """Write a published row as one's own, with some of its cells changed."""
    with (Path(__file__).parent / "fixtures" / "measurements.csv").open() as file:
        row = next(csv.DictReader(file)) | cells
    with (tmp_path / name).open("w", newline="") as file:
        table = csv.DictWriter(file, list(row))
        table.writeheader()
        table.writerow(row)
    return name


def test_another_unit_is_refused(command, tmp_path):
    value = float(next(csv.DictReader((tmp_path / _row(tmp_path, "a.csv")).open()))["value"])
    for factor in (1e-3, 1e3):
        _row(tmp_path, "b.csv", value=value * factor)
        done = command("learn", "b.csv", "-o", "own")
        assert done.returncode == 2, done.stdout
        assert "b.csv" in done.stderr
        assert "line 2" in done.stderr
        assert "check the unit" in done.stderr
    assert not (tmp_path / "own").exists()
    assert "error" in command("learn", "a.csv", "-o", "own").stdout


def test_a_row_counts_once(command, tmp_path):
    _row(tmp_path, "a.csv")
    (tmp_path / "copy.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    assert command("learn", "a.csv", "copy.csv", "-o", "own").returncode == 2
    assert command("learn", "a.csv", "-o", "own").returncode == 0
    stored = (tmp_path / "own" / "calibration.json").read_bytes()
    done = command("learn", "copy.csv", "-o", "own", "--add")
    assert done.returncode == 2
    assert "each row counts once" in done.stderr
    assert (tmp_path / "own" / "calibration.json").read_bytes() == stored


def test_a_file_that_cannot_be_read_is_named_as_such(command):
    assert "there is no such file" in command("learn", "nope.csv", "-o", "own").stderr
    assert "that is a folder" in command("learn", ".", "-o", "own").stderr


def test_what_has_no_speed_is_refused(command, tmp_path):
    (tmp_path / "mem.csv").write_text("model,part,value_gib\nLlama-3.1-8B,weights,15\n")
    done = command("learn", "mem.csv", "-o", "cal")
    assert done.returncode == 2
    assert "columns of memory" in done.stderr
    assert not (tmp_path / "cal").exists()
