"""Known ground: measured, near, far, with the reason; every answer carries it."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from click.testing import CliRunner

from gpuspec.catalog import gpu
from gpuspec.cli import main
from gpuspec.constants import ground as parts
from gpuspec.constants.ground import (
    FAR,
    LEVELS,
    MEASURED,
    NEAR,
    TOPICS,
    Ground,
    ground_codes,
    ground_of,
    ground_record,
    joined,
    version_number,
)
from gpuspec.decision.ground import warning
from gpuspec.evidence.measurements.described import DESCRIBED, described, ground_of_rows
from gpuspec.evidence.measurements.inference import prepared
from gpuspec.evidence.measurements.known import ground_record_of, left_out_codes
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.topics.hpc.ground import PARTS as HPC_PARTS
from gpuspec.topics.mig.ground import option_ground
from gpuspec.topics.serving import ServingQuestion, estimates
from gpuspec.topics.serving.ask import EstimateQuestion
from gpuspec.topics.serving.ground import ALONE_APART, APART, replica_ground, setting
from gpuspec.topics.serving.ways import service_ways
from gpuspec.topics.training.ground import (
    IN_HOST_MEMORY,
    NVSWITCH,
    OF_NODES,
    OF_POWER_LIMITS,
    ONE_PROCESSOR,
    wiring_ground,
)
from gpuspec.views import language
from gpuspec.views.language import ENGLISH, translator
from gpuspec.views.words import grounds_sentence

SAID = {
    "generation": "Hopper",
    "gpu": "h100-sxm-80",
    "engine": "vllm",
    "kind": "dense models",
    "weights": "fp8",
    "cache": "16 bits",
    "attention_dp": "split",
    "tensor_reach": "in a node",
    "params_b": 70.0,
    "tp": 4,
    "pp": 1,
    "ep": 1,
    "isl": 1000.0,
    "osl": 500.0,
    "load": 32.0,
    "version": "0.12.0",
}


@pytest.fixture(scope="module")
def record():
    """Two publishers of vLLM on Hopper (8 to 405 billion parameters), one of SGLang on Ampere."""
    rows = pd.DataFrame([SAID] * 5).assign(date="2026-04-12")
    rows["params_b"] = [8.0, 405.0, 70.0, 8.0, 8.0]
    rows["isl"] = [128.0, 131072.0, 1000.0, 500.0, 600.0]
    rows["version"] = ["0.6.3", "0.17.1", "0.12.0", "0.5.6", "0.5.6"]
    rows.loc[3:, "engine"], rows.loc[3:, "generation"] = "sglang", "Ampere"
    rows.loc[3:, "gpu"] = "a100-sxm-80"
    return ground_record_of("inference", rows, np.array(["a", "b", "b", "a", "b"]))


def ask(record, **change):
    return ground_of("inference", SAID | change, record)


def test_inside_all_ranges_together_is_measured(record):
    assert ask(record) == Ground("measured")


@pytest.mark.parametrize(
    ("change", "level", "reason"),
    [
        ({"isl": 200_000.0}, "near", "no measurement with prompts beyond 128k tokens"),
        ({"isl": 300_000.0}, "far", "no measurement with prompts beyond 128k tokens"),
        ({"tensor_reach": "over nodes"}, "far", "no measurement of tensor parallelism over nodes"),
        ({"generation": "Volta"}, "far", "no measurement on Volta GPUs"),
        ({"gpu": "h200-sxm-141"}, "near", "no measurement on h200-sxm-141"),
        ({"weights": "nvfp4"}, "far", "no measurement with weights in nvfp4"),
        ({"kind": "encoders"}, "far", "no measurement of encoders"),
        ({"params_b": 3.0}, "far", "no measurement with models below 8 billion parameters"),
        (
            {"generation": "Ampere", "gpu": "a100-sxm-80"},
            "near",
            "no measurement of Ampere, vLLM, dense models together",
        ),
        (
            {"version": "0.18.0"},
            "near",
            "the newest vLLM that was measured is 0.17.1 (April 2026)",
        ),
    ],
)
def test_what_is_outside_is_near_or_far_and_says_why(record, change, level, reason):
    found = ask(record, **change)
    assert found.level == level
    assert any(reason in said for said in found.reasons), found.reasons


def test_what_one_publisher_alone_measured_is_near():
    rows = pd.DataFrame([SAID] * 2).assign(date="")
    one = ground_record_of("inference", rows, np.array(["a", "a"]))
    found = ask(one)
    assert found.level == "near"
    assert "one publisher's measurements alone on Hopper GPUs" in found.reasons


def test_codes_are_those_of_the_single_settings(record):
    many = {"isl": np.array([1000.0, 200_000.0, 300_000.0]), "tp": np.array([4, 4, 4])}
    assert ground_codes("inference", SAID | many, record).tolist() == [MEASURED, NEAR, FAR]
    gpus = np.array(["h100-sxm-80", "h200-sxm-141", "h100-sxm-80"])
    assert ground_codes("inference", SAID | {"gpu": gpus}, record).tolist() == [0, 1, 0]
    unsaid = {n: v for n, v in SAID.items() if n not in ("engine", "load")}
    assert ground_codes("inference", unsaid | {"isl": np.nan}, record) == MEASURED


def test_the_worst_of_several_grounds_counts():
    near = Ground("near", ("one", "two"))
    assert joined([Ground("measured"), near, Ground("near", ("two",))]) == near
    assert joined([]) == Ground("measured")


def test_versions_compare_as_numbers():
    assert version_number("v0.6.3.post2.dev308") == (0, 6, 3)
    assert version_number("1.0.0rc3") == (1, 0, 0)
    assert version_number("nightly 2025-12") == ()


@pytest.mark.parametrize("topic", list(TOPICS))
def test_every_table_of_measurements_has_a_record(topic):
    record = ground_record(topic)
    assert set(DESCRIBED) == set(TOPICS)
    assert set(TOPICS[topic].names) <= set(record["names"])
    assert set(TOPICS[topic].numbers) == set(record["numbers"])
    assert record["joint"]


def test_no_row_of_a_table_is_far_from_the_record_of_it():
    rows = prepared(measurements("inference")).sample(300, random_state=0)
    assert ground_of_rows("inference", rows).max() < FAR
    left = left_out_codes("inference", described("inference", rows), rows["publisher"].to_numpy())
    assert left.max() == FAR


def test_ways_carry_the_ground_of_each_row():
    q = ServingQuestion.ask(model="Llama-3.1-70B", gpus="H100,V100", engine="vllm")
    ways = service_ways(q, 6)
    assert set(ways.table["ground"]) <= {0, 1, 2}
    for row in ways.table[ways.table["works"]].iloc[::7].to_dict("records"):
        assert ways.ground(row).code == row["ground"]


def test_a_plan_on_far_ground_warns_and_names_the_nearer_one():
    far, near = Ground("far", ("no measurement on Volta GPUs",)), Ground("near", ("why",))
    said = warning({"chat, V100": far, "code, H100": near}, {"chat, H100": near}, ENGLISH)
    assert "Far from all that was measured" in said
    assert "chat, V100 (no measurement on Volta GPUs)" in said
    assert "nearer ground" in said
    assert "code, H100" not in said
    assert "nearer" not in warning({"chat, V100": far}, {"chat, V100": far}, ENGLISH)
    assert warning({"a": Ground("measured")}, None, ENGLISH).startswith("Settings like")


def test_equal_grounds_are_said_once():
    same = ("far", ("no measurement of encoders",))
    assert grounds_sentence({"a": same, "b": same}).count("no measurement of encoders") == 1
    assert grounds_sentence({"a": same, "b": ("measured", ())}).count("Ground of") == 2


def grounds(value):
    """Return every `ground` in an answer."""
    if isinstance(value, list):
        return [g for v in value for g in grounds(v)]
    if not isinstance(value, dict):
        return []
    own = [value["ground"]] if "ground" in value else []
    return own + [g for n, v in value.items() if n != "ground" for g in grounds(v)]


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (["estimate", "Llama-3.1-70B", "--gpus", "H200", "--tp", "2", "--weights", "fp8"], 1),
        (["images", "SDXL", "--gpus", "A100,H100"], 2),
        (["train", "Llama-3.1-8B", "--gpus", "A100,H100", "--counts", "8,16"], 4),
        (["mig", "example", "--gpus", "A100"], 1),
        (["plan", "small-team"], 2),
        (["upgrade", "small-team"], 2),
    ],
)
def test_every_answer_for_programs_has_its_ground(command, count):
    found = CliRunner().invoke(main, [*command, "--json"])
    assert found.exit_code == 0, found.output
    told = grounds(json.loads(found.output))
    assert len(told) >= count
    for ground in told:
        assert ground["level"] in LEVELS
        assert bool(ground["reasons"]) == (ground["level"] != "measured")


WIRED = (ONE_PROCESSOR, NVSWITCH)


def test_training_says_which_wiring_it_takes():
    assert wiring_ground(gpu("H100"), 4, 8).level == "measured"  # half of a node with NVSwitch
    assert wiring_ground(gpu("H100"), 4, 4).reasons == (NVSWITCH,)
    assert wiring_ground(gpu("H100"), 16, 4).level == "far"
    assert wiring_ground(gpu("L40S"), 8, 8).reasons == (ONE_PROCESSOR,)
    assert wiring_ground(gpu("L40S"), 2, 8).level == "measured"


# --- in Chinese ----------------------------------------------------------------------------------


def templates():
    """Everything that a reason may be put together from, but for names."""
    found = {parts.ALONE, parts.NONE, parts.TOGETHER, parts.IN_SUCH, parts.NEWEST}
    found |= {parts.BEYOND, parts.BELOW, parts.NEWEST_OF, parts.MONTH, *parts.MONTHS.split()}
    for topic in TOPICS.values():
        found |= {words for words, _ in topic.names.values()} | set(topic.numbers.values())
    return found | {
        APART,
        ALONE_APART,
        IN_HOST_MEMORY,
        OF_NODES,
        OF_POWER_LIMITS,
        *HPC_PARTS,
        *WIRED,
    }


def test_every_part_of_a_reason_has_a_translation():
    source = Path(language.__file__).parent / "locale/zh/LC_MESSAGES/gpuspec.po"
    known = {m.id: m.string for m in read_po(io.BytesIO(source.read_bytes())) if m.string}
    assert templates() - set(known) == set()
    for text in templates():  # with the same places to fill
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", known[text])), text


def test_a_chinese_page_says_its_ground_in_chinese(record):
    changes = [
        {"isl": 200_000.0},
        {"tensor_reach": "over nodes"},
        {"kind": "encoders"},
        {"engine": "sglang", "generation": "Hopper"},
        {"version": "0.30.0"},
    ]
    grounds = {f"s{i}": ask(record, **change) for i, change in enumerate(changes)}
    for name, found in grounds.items():
        said = warning({name: found}, None, translator("zh"))
        names = re.sub(r"s\d|GPU|vLLM|SGLang|Hopper|Ampere|128k|token", "", said)
        assert not re.search("[A-Za-z]", names), said
        assert warning({name: found}, None, ENGLISH).count(found.reasons[0]) == 1


def test_prompts_read_apart_are_near_where_one_publisher_measured_them_and_far_elsewhere():
    def of(**changed):
        sides = {"tp": 8, "prefill_gpus": 16, "decode_gpus": 40, "concurrency": 160}
        sides["weights"] = "fp8"
        q = EstimateQuestion.ask(**{"model": "DeepSeek-R1", "gpus": "H200", **sides, **changed})
        return estimates(q)[0]["ground"]

    lengths = {"isl": 7373, "osl": 922, "kv": "fp8"}
    assert of(**lengths)["level"] == "near"
    dense = of(**lengths, model="Llama-3.1-405B")
    assert dense["level"] == "far"
    apart = "where prompts are read on GPUs of their own"
    assert f"no measurement of dense models, {apart}" in dense["reasons"]
    assert of(**lengths, engine="vllm")["level"] == "far"


def test_a_language_model_on_a_slice_is_on_no_better_ground_than_on_a_whole_gpu():
    slice_ = {"gpu": "a100-sxm-80", "profile": "3g.40gb", "output_tokens_s": 900.0}
    asked = {**slice_, "work_kind": "", "whole_ground": Ground("measured")}
    assert option_ground(asked).level in ("measured", "near")
    far = Ground("far", ("no measurement of encoders",))
    assert option_ground({**asked, "whole_ground": far}) == far
    q = ServingQuestion.ask(model="Llama-3.1-8B", gpus="A100")
    whole = q.devices[0]
    one = q.on([whole.model_copy(update={"id": f"{whole.id}/3g.40gb"})], q.runtime, 1)
    both = [one.replica(d, one.formats[0], 1).layout for d in (whole, *one.devices)]
    said = [setting(one, layout, 8) for layout in both]
    assert said[0] == said[1]


def test_less_than_a_request_at_a_time_is_on_the_ground_of_one():
    q = ServingQuestion.ask(model="Llama-3.1-8B", gpus="H100")
    layout = q.replica(q.devices[0], q.formats[0], 1).layout
    assert replica_ground(q, layout, 0.2) == replica_ground(q, layout, 1.0)
