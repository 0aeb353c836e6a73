"""The answer: which GPU, how many, how split; and what is said when it cannot be done."""

import numpy as np
import pandas as pd
import pytest

from gpuspec import InputError
from gpuspec.formulas.splits import impossible
from gpuspec.topics import serving
from gpuspec.topics.serving import words
from gpuspec.topics.serving.ask import EstimateQuestion
from gpuspec.topics.serving.layouts import shortfall
from gpuspec.topics.serving.panel import inference_panel


@pytest.fixture(scope="module")
def question():
    return serving.ServingQuestion.ask(
        model="Llama-3.1-70B",
        gpus="A100,H100,H200",
        weights="bf16,fp8",
        isl=2048,
        osl=512,
        ttft_limit_s=5.0,
    )


@pytest.fixture(scope="module")
def options(question):
    return serving.options_table(question)


def test_no_option_is_dropped_and_none_is_nan(options):
    assert not options.drop(columns=["note"]).isna().any().any()
    failed = options[~options["works"]]
    assert (failed["reason"] != "").all()
    assert (options.loc[options["works"], "reason"] == "").all()
    assert len(set(options.groupby(["gpu", "weight"]).size())) == 1


def test_the_fleet_holds_the_load_within_the_limits(question, options):
    good = options[options["works"]]
    assert (good["replicas"] * good["within"] >= question.in_flight).all()
    assert (good["tpot_s"] <= question.tpot_limit_s * 1.001).all()
    assert (good["ttft_s"] <= question.ttft_limit_s * 1.001).all()
    inside = good["output_tokens_s"].between(
        good["output_tokens_s_low"], good["output_tokens_s_high"]
    )
    assert inside.all()


def test_newer_gpus_need_no_more_of_them(options):
    best = serving.best_options(options).set_index("gpu")["gpus"]
    assert best["h200-sxm-141"] <= best["h100-sxm-80"] <= best["a100-sxm-80"]


def test_the_sentence_names_every_gpu_and_the_a100s_missing_fp8(question, options):
    best = serving.best_options(options)
    said = words.option_sentences(question, best)
    assert all(g.id in said for g in question.devices)
    eight = options[(options["gpu"] == "a100-sxm-80") & (options["weight"] == "fp8")]
    assert eight["note"].str.contains("no FP8 units").all()


def test_a_model_too_large_says_by_how_much():
    q = serving.ServingQuestion.ask(model="Llama-3.1-405B", gpus="A100", weights="bf16", max_gpus=8)
    table = serving.options_table(q)
    assert not table["works"].any()
    assert table["reason"].str.contains("GiB a GPU too large").any()
    assert "cannot" in words.option_finding(q, serving.best_options(table)) or "none" in (
        words.option_finding(q, serving.best_options(table))
    )


def test_impossible_splits_are_named(question):
    assert "heads" in impossible(question.network, 7, 1)
    assert "layers" in impossible(question.network, 1, 100)
    assert "node" in impossible(question.network, 16, 1)
    small = question.replica(question.devices[0], question.formats[0], 1)
    assert "too large" in shortfall(small, 100)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("isl", 0),
        ("osl", -5),
        ("concurrency", 1.5),
        ("cached_share", 1.0),
        ("acceptance", -0.1),
        ("tpot_limit_s", -1),
        ("kv", "fp7"),
        ("engine", "vlmm"),
        ("weights", "fp9"),
    ],
)
def test_bad_input_names_the_field_and_what_is_valid(field, wrong):
    with pytest.raises(InputError, match=field):
        serving.ServingQuestion.ask(model="Llama-3.1-8B", gpus="H100", **{field: wrong})


def test_a_context_beyond_the_models_own_is_refused():
    with pytest.raises(InputError, match="ends at 4,096 tokens"):
        serving.ServingQuestion.ask(model="Llama-2-7B", gpus="H100", isl=8000)


def test_h100_runs_out_of_memory_before_h200():
    q = serving.ServingQuestion.ask(
        model="Llama-3.1-70B", gpus="H100,H200", weights="bf16", osl=256
    )
    table = serving.context_table(q, 2)
    assert table["h100-sxm-80"].iloc[-1] == 0
    assert table["h200-sxm-141"].iloc[-1] > 0
    assert "h100-sxm-80" in words.context_finding(table, 2)


def test_the_frontier_trades_a_users_speed_for_yield(question, options):
    frontier = serving.frontier_table(question, serving.best_options(options))
    for _, group in frontier.groupby("gpu"):
        assert group["user_tokens_s"].is_monotonic_decreasing


def test_the_panel_follows_its_sliders(question):
    panel = inference_panel(question)
    before = panel.picture.value
    panel.controls["concurrency"].value = 512
    assert panel.picture.value != before
    assert panel.answer[0].concurrency == 512
    panel.controls["isl"].value = 2**20
    assert "131,072" in panel.message.value


def test_a_design_space_in_one_call_agrees_with_single_answers(question):
    space = pd.DataFrame(
        {
            "gpu": ["h100-sxm-80", "h100-sxm-80", "a100-sxm-80", "h200-sxm-141"],
            "weight": ["fp8", "bf16", "bf16", "fp8"],
            "kv": "bf16",
            "tp": [2, 1, 4, 3],
            "pp": 1,
            "concurrency": [16, 1, 10_000, 1],
            "isl": 2048,
            "osl": 512,
        }
    )
    found = serving.evaluate_options("Llama-3.1-70B", space)
    assert not found.isna().any().any()
    assert list(found["reason"] == "") == [True, False, False, False]
    assert "too large" in found["reason"][1]
    assert "more requests" in found["reason"][2]
    assert "heads" in found["reason"][3]
    asked = serving.ServingQuestion.ask(
        model="Llama-3.1-70B", gpus="H100", weights="fp8", concurrency=16
    )
    one = serving.estimate_table(asked, asked.replica(asked.devices[0], asked.formats[0], 2))
    assert found["tpot_s"][0] == pytest.approx(one["tpot_s"][0])
    with pytest.raises(InputError, match="isl"):
        serving.evaluate_options("Llama-3.1-70B", space.assign(isl=0))


def test_formats_that_do_not_fit_are_named(question):
    table = serving.precision_table(question, 1, ["bf16", "fp8"])
    short = table[(table["gpu"] == "h100-sxm-80") & (table["weights"] == "BF16")].iloc[0]
    assert short["output_tokens_s"] == 0
    assert "too large" in short["reason"]
    assert np.isfinite(table["output_tokens_s"]).all()


# --- requests that arrive at random --------------------------------------------------------------


@pytest.fixture(scope="module")
def arriving():
    return serving.ServingQuestion.ask(
        model="Llama-3.1-70B",
        gpus="H100,H200",
        weights="fp8",
        ttft_limit_s=2.0,
        request_rate=6.0,
        max_gpus=4,
    )


def test_a_fleet_for_a_rate_keeps_the_limits_for_95_percent(arriving):
    table = serving.options_table(arriving)
    good = table[table["works"]]
    assert len(good)
    assert (good["ttft_s"] <= arriving.ttft_limit_s).all()
    assert (good["tpot_s"] <= arriving.tpot_limit_s).all()
    assert (good["replicas"] * good["rate_within"] >= arriving.request_rate).all()
    one_fewer = (good["replicas"] - 1) * good["rate_within"]
    assert (one_fewer < arriving.request_rate * 1.01).all()  # no more than the load needs
    assert good["output_tokens_s"].to_numpy() == pytest.approx(arriving.request_rate * arriving.osl)


def test_twice_the_rate_never_needs_fewer_gpus(arriving):
    twice = arriving.model_copy(update={"request_rate": 2 * arriving.request_rate})
    few, many = (
        serving.best_options(serving.options_table(q)).set_index("gpu")["gpus"]
        for q in (arriving, twice)
    )
    assert (many >= few).all()


def test_waits_grow_with_the_rate_and_the_sentence_says_how_far_is_calm(arriving):
    best = serving.best_options(serving.options_table(arriving))
    seen = serving.arrivals_table(arriving, best)
    assert np.isfinite(seen.select_dtypes(float)).all().all()
    for _, group in seen.groupby("gpu"):
        assert group["ttft_p95_s"].iloc[-1] > group["ttft_p95_s"].iloc[0]
        assert (group["ttft_p50_s"] <= group["ttft_p95_s"]).all()
    assert "h200-sxm-141 up to" in words.arrivals_finding(seen)
    alike = pd.concat([seen.assign(gpu=name) for name in ("a", "b", "c")])
    assert words.arrivals_finding(alike).count("up to") == 1
    assert "a, b and c up to" in words.arrivals_finding(alike)
    assert "6 requests/s" in words.option_finding(arriving, best)


def test_speculation_and_a_rate_together_are_refused():
    with pytest.raises(InputError, match="draft_tokens"):
        serving.ServingQuestion.ask(
            model="Llama-3.1-8B", gpus="H100", request_rate=1.0, draft_tokens=3
        )
    with pytest.raises(InputError, match="request_rate"):
        serving.ServingQuestion.ask(model="Llama-3.1-8B", gpus="H100", request_rate=-1.0)


@pytest.fixture
def released(monkeypatch):
    """An encoder, one with a decoder and a model with a tower, beside those of the table."""
    from gpuspec.catalog import fields
    from gpuspec.catalog.models import Model, model
    from gpuspec.topics import shared

    bert = {"heads": 12, "kv_heads": 12, "head_dim": 64, "ffn": 3072, "gated_mlp": False}
    bert |= {"layers": 12, "hidden": 768, "vocab": 30_522, "max_context": 512}
    seeing = model("llama-3.1-8b").model_dump() | {"id": "seeing", "name": "Seeing"}
    seeing |= {"tower_params": 600_000_000, "tower": "vision", "image_tokens": 1000}
    seeing.pop("groups"), seeing.pop("global_layers")
    known = {
        "toy-encoder": Model(id="toy-encoder", name="BERT", kind="encoder", **bert),
        "toy-translator": Model(id="toy-translator", name="T5", kind="encoder-decoder", **bert),
        "seeing": Model(**seeing),
    }
    for module in (shared, fields):
        monkeypatch.setattr(module, "model", lambda name: known.get(name) or model(name))


def test_an_encoder_is_read_and_answers_in_sequences(released):
    ask = {"model": "toy-encoder", "isl": 512, "concurrency": 256, "weights": "bf16"}
    q = serving.ServingQuestion.ask(gpus="A100,H200", **ask)
    assert q.context == 512
    best = serving.best_options(serving.options_table(q))
    assert best["works"].all()
    assert "sequences/s" in words.option_sentences(q, best)
    assert "TPOT" not in words.option_sentences(q, best)
    e = EstimateQuestion.ask(gpus="H200", **ask)
    answer = serving.estimate_table(e, e.replica(e.devices[0], e.formats[0], 1))
    rate, seconds = answer["sequences_s"][0], answer["sequence_s"][0]
    assert answer["tokens_s"][0] == pytest.approx(rate * 512)
    assert rate * seconds == pytest.approx(256, rel=0.1)
    assert "tpot_s" not in answer


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"model": "toy-encoder", "isl": 513}, "isl", "BERT ends at 512 tokens; isl is 513"),
        ({"model": "toy-encoder", "isl": 8, "request_rate": 1}, "request_rate", "encoder"),
        ({"model": "toy-encoder", "isl": 8, "draft_tokens": 2}, "draft_tokens", "writes no tokens"),
        (
            {"model": "toy-translator", "isl": 8},
            "model",
            "gpuspec report memory says",
        ),
        ({"model": "llama-3.1-8b", "images_per_request": 1}, "images_per_request", "no vision"),
        ({"model": "seeing", "images_per_request": 200}, "isl", "with images is 202,560"),
    ],
)
def test_what_a_kind_of_model_does_not_do_is_refused_with_the_reason(released, asked, field, said):
    with pytest.raises(InputError, match=said) as caught:
        serving.ServingQuestion.ask(gpus="H100", **asked)
    assert caught.value.field == field


def test_images_lengthen_the_prompt_and_take_their_tower(released):
    plain, seen = (
        EstimateQuestion.ask(model="seeing", gpus="H200", weights="bf16", images_per_request=n)
        for n in (0, 3)
    )
    assert (plain.prompt_tokens, seen.prompt_tokens) == (2048, 5048)
    answers = [serving.estimate_table(q, q.replica(q.devices[0], q.formats[0], 1))
               for q in (plain, seen)]  # fmt: skip
    assert answers[0]["max_concurrency"] > answers[1]["max_concurrency"]
    assert answers[0]["ttft_s"] < answers[1]["ttft_s"]
    assert set(answers[1]["parts"]) - set(answers[0]["parts"]) == {"tower"}
