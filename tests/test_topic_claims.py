"""Claims of the buyers' guide: the table, the rule of verdicts, verdicts that a buyer acts on."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import load_table
from gpuspec.catalog.models import model
from gpuspec.formulas.serving import max_concurrency, steady_state
from gpuspec.topics import claims, training
from gpuspec.topics.claims import FALSE, Check, condition, joined, judged, words
from gpuspec.topics.claims.pictures import holding_map, said_and_found
from gpuspec.topics.claims.published import published_serving, published_training
from gpuspec.topics.claims.same import EQUAL, KNOWN, of_same_settings
from gpuspec.topics.claims.serving import VENDOR_MODEL, latency_grid, serving_grid
from gpuspec.topics.claims.training import training_grid
from gpuspec.topics.claims.verdict import (
    MISLEADING,
    NEARLY_ALL,
    TRUE,
    WHEN,
    WORDS,
    condition_words,
)
from gpuspec.topics.serving import ServingQuestion


@pytest.fixture(scope="module")
def question():
    return claims.ClaimsQuestion.ask()


@pytest.fixture(scope="module")
def found(question):
    return {f.claim.id: f for f in claims.audit(question)}


def grid(values, spread=1.0, **settings):
    values = np.asarray(values, float)
    figures = {"value": values, "low": values / spread, "high": values * spread}
    return pd.DataFrame({**settings, **figures})


def check(values, least=2.0, most=np.inf, spread=1.0, measured=(), any_will_do=False, **settings):
    seen = pd.DataFrame({"value": np.asarray(measured, float), "source": "somebody"})
    return Check(
        label="x",
        what="x",
        grid=grid(values, spread, **settings),
        least=least,
        most=most,
        measured=seen,
        any_will_do=any_will_do,
    )


# --- the table ----------------------------------------------------------------------------------


def test_all_statements_are_there_in_both_languages():
    table = load_table("claims")
    assert list(table["id"]) == [f"C{n:02d}" for n in range(1, 29)]
    for row in table.to_dict("records"):
        assert row["statement_en"]
        assert any("一" <= letter <= "鿿" for letter in row["statement_zh"]), row["id"]


def test_printed_speedups_divide_to_their_ratio():
    for row in load_table("measurements-speedups").to_dict("records"):
        fewer_is_better = row["unit"].endswith("to train")
        ratio = row["value_new"] / row["value_old"]
        ratio = 1 / ratio if fewer_is_better else ratio
        assert ratio == pytest.approx(row["ratio"], rel=2e-3)
        assert row["used"] or row["not_used_because"], row["case_id"]


def test_ids_come_in_order_and_a_wrong_one_is_named():
    assert claims.claim_ids("c12, C01") == ["C01", "C12"]
    assert len(claims.claim_ids("")) == 28
    with pytest.raises(UnknownNameError, match="C99"):
        claims.claim_ids("C99")
    with pytest.raises(InputError, match="language"):
        claims.ClaimsQuestion.ask(language="fr")


# --- the rule -----------------------------------------------------------------------------------


def test_all_settings_hold_true():
    assert judged(check([2.5, 3.0, 2.2])).word == TRUE


def test_no_setting_nor_published_case_reaches_false():
    assert judged(check([1.0, 1.2], measured=[1.1])).word == FALSE


def test_within_the_error_alone_is_misleading():
    verdict = judged(check([1.8, 1.9], spread=1.2))
    assert verdict.word == MISLEADING
    assert "error of the estimate" in verdict.condition


def test_published_cases_alone_keep_a_claim_from_being_false():
    verdict = judged(check([1.0, 1.2], measured=[2.5, 1.0]))
    assert verdict.word == MISLEADING
    assert "50%" in verdict.condition


def test_a_condition_is_found_and_said():
    sizes = [1, 8, 33, 70, 123, 405]
    verdict = judged(check([1, 1, 1, 3, 3, 3], params_b=sizes), {"params_b": "models of {}B"})
    assert (verdict.word, verdict.condition) == (WHEN, "models of at least 70B")


def test_two_settings_may_be_needed():
    settings = pd.MultiIndex.from_product([(1, 2, 4), (8, 70, 405)], names=["gpus", "size"])
    table = settings.to_frame(index=False)
    good = (table["gpus"] <= 2) & (table["size"] >= 70)
    tests = condition(grid(np.where(good, 3.0, 1.0), gpus=table["gpus"], size=table["size"]), good)
    assert condition_words(tests) in (
        "gpus at most 2 and size at least 70",
        "size at least 70 and gpus at most 2",
    )


def test_a_range_and_a_word_are_conditions():
    requests = [8, 16, 32, 64, 128]
    assert "from" in condition(grid([0] * 5, requests=requests), np.array([0, 1, 1, 0, 0]) > 0)[0]
    rivals = ["a100", "h100", "b200"]
    tests = condition(grid([0] * 3, rival=rivals), np.array([True, True, False]))
    assert condition_words(tests) == "rival other than b200"


def test_estimates_that_published_cases_do_not_reach_need_good_software():
    verdict = judged(check([2.5, 2.6], measured=[1.5, 1.6, 2.1]))
    assert verdict.word == WHEN
    assert "33% of 3 published" in verdict.condition


def test_up_to_needs_some_settings_only():
    values = [3.0] * 5 + [1.0] * 5
    assert judged(check(values, any_will_do=True)).word == TRUE
    assert judged(check(values)).word != TRUE


def test_parts_join():
    true, false = judged(check([3.0])), judged(check([1.0]))
    when = judged(check([1.0, 3.0], size=[1, 2]))
    assert joined([true, true], ["a", "b"]).word == TRUE
    assert joined([false, false], ["a", "b"]).word == FALSE
    assert joined([true, when], ["a", "b"]).word == WHEN
    half = joined([true, false], ["a", "b"])
    assert half.word == MISLEADING
    assert half.condition == "does not hold: b; holds: a"


@given(st.binary(min_size=1, max_size=30), st.integers(0, 255), st.binary(max_size=5))
def test_a_verdict_follows_from_the_shares(values, least, measured):
    # A string of bytes is one draw, where a list of numbers is one for each.
    values, measured = list(values), list(measured)
    verdict = judged(check(values, least=least, measured=measured, size=range(len(values))))
    assert verdict.word in WORDS
    reached = max([*values, *measured]) >= least
    assert (verdict.word == FALSE) == (not reached)
    if verdict.word == TRUE:
        assert verdict.share >= NEARLY_ALL
    if verdict.word == WHEN:
        assert verdict.condition


@given(st.binary(min_size=2, max_size=40))
def test_a_condition_lets_hardly_any_wrong_setting_through(drawn):
    good = np.frombuffer(drawn, np.uint8) % 2 == 1
    table = grid(good.astype(float), size=range(len(good)))
    tests = condition(table, good)
    if tests is None:
        return
    passed = np.ones(len(good), bool)
    for column, test, value in tests:
        values = table[column]
        passed &= {
            "at least": lambda v, b: v >= b,
            "at most": lambda v, b: v <= b,
            "from": lambda v, b: v.between(*b),
        }[test](values, value)
    assert good[passed].mean() >= 0.85


# --- verdicts -----------------------------------------------------------------------------------


def test_every_claim_has_a_verdict_with_evidence(found):
    assert list(found) == [f"C{n:02d}" for n in range(1, 29)]
    for name, finding in found.items():
        assert finding.verdict.word in WORDS
        for part in finding.checks:
            assert len(part.grid), name
            assert part.grid[["value", "low", "high"]].notna().all().all(), (name, part.what)
            assert (part.grid["low"] <= part.grid["value"] + 1e-9).all(), (name, part.what)
            assert (part.grid["value"] <= part.grid["high"] + 1e-9).all(), (name, part.what)


def test_nine_and_thirty_times_are_not_reached_in_ordinary_settings(found):
    assert found["C01"].verdict.word == FALSE
    assert found["C01"].checks[0].grid["high"].max() < 9
    assert found["C02"].verdict.word == MISLEADING
    assert found["C02"].checks[0].grid["high"].max() < 30


def test_312_against_1979_is_a_step_of_3_2_like_for_like(found):
    finding = found["C03"]
    assert finding.verdict.word == MISLEADING
    assert finding.checks[1].grid["value"].to_numpy() == pytest.approx(989.4 / 312)
    assert finding.parts[0].word == TRUE  # each figure is printed somewhere


def test_seventy_billion_fits_one_h200_only_beyond_the_usual_share(found):
    finding = found["C14"]
    assert finding.verdict.word == WHEN
    assert "0.95" in finding.verdict.condition
    assert finding.checks[0].grid["value"].iloc[0] * 140 == pytest.approx(141.1, abs=0.1)


def test_specifications_are_those_of_sxm_parts(found):
    assert found["C07"].verdict.word == WHEN
    assert "SXM" in found["C07"].verdict.condition


def test_10_gbe_and_eight_gpus_do_not_train_70b_but_infiniband_does_its_part(found):
    words = dict(zip([c.label for c in found["C17"].checks], found["C17"].parts, strict=True))
    assert words["10 GbE"].word == FALSE
    assert words["8 GPUs train 70B"].word == WHEN  # with optimizer states in host memory
    assert words["InfiniBand"].word == TRUE
    assert found["C17"].verdict.word == MISLEADING


def test_dpx_is_seven_times_only_against_slower_ways_of_a100(found):
    grid_ = found["C06"].checks[0].grid
    best = grid_[grid_["compared"] == "A100's best way"]
    assert best["value"].max() < 4
    assert found["C06"].checks[0].measured["value"].iloc[0] == pytest.approx(2.94, abs=0.01)
    reached = grid_[grid_["value"] >= 6.3]
    assert set(reached["compared"]) == {"32-bit integers on A100"}  # and nobody's emulated DPX
    assert set(reached["cells"]) == {"16 bit"}
    assert found["C06"].verdict.word == MISLEADING


def test_no_class_wants_hopper_and_has_no_rival(found):
    ahead, rivals = found["C13"].checks[:2]
    far = set(ahead.grid.loc[ahead.grid["value"] >= 2, "name"])
    beaten = rivals.grid[rivals.grid["value"] < 1]
    assert {"l40s-pcie-48", "rtx-pro-6000-pcie-96", "b200-sxm-180"} <= set(beaten["rival"])
    assert "N-body, all pairs (FP32)" in far & set(beaten["name"])
    assert found["C13"].verdict.word == MISLEADING
    assert found["C13"].verdict.condition.startswith("never all at once")


def test_every_published_figure_of_every_check_has_an_estimate_of_its_settings(found):
    """None of another format, framework, model size or GPU stands beside one."""
    checks = [check for finding in found.values() for check in finding.checks]
    beside = [check for check in checks if len(check.measured)]
    assert len(beside) > 10
    for check in beside:
        equal = [c for c in EQUAL if c in check.grid and (c in check.measured or c in KNOWN)]
        assert set(KNOWN) & set(check.grid) <= {*check.measured, "params_b"}, check.label
        for column in equal:
            assert set(check.measured[column]) <= set(check.grid[column]), (check.label, column)
        if "params_b" in check.grid:
            sizes = np.log(check.grid["params_b"].unique())
            own = [model(name).params / 1e9 for name in check.measured["model"].unique()]
            gaps = np.abs(np.log(own)[:, None] - sizes[None, :]).min(axis=1)
            assert (gaps <= np.log(1.25) + 1e-9).all(), check.label
    trained = [c for c in beside if "framework" in c.grid]
    assert trained
    assert {f for c in trained for f in c.measured["framework"]} > {"megatron-core"}


def test_a_published_figure_has_the_format_and_size_of_its_estimate(found):
    seen = found["C01"].checks[0].measured
    assert set(seen["precision"]) <= {"BF16", "FP8"}
    assert len(seen)
    grid_ = pd.DataFrame({"params_b": [70.6], "precision": ["FP8"], "seq_len": [4096]})
    runs = pd.DataFrame({"model": "Llama-3.1-70B", "precision": ["FP8", "BF16", ""]})
    runs = runs.assign(seq_len=4096, value=[2.0, 3.0, 4.0])
    assert of_same_settings(grid_, runs)["value"].tolist() == [2.0]
    twice = pd.concat([grid_.assign(value=2.2), grid_.assign(value=9.0, precision="BF16")])
    assert of_same_settings(twice, runs)["there"].tolist() == [2.2, 9.0]
    assert of_same_settings(grid_, runs.assign(model="Llama-3.1-8B")).empty
    assert of_same_settings(grid_, runs.drop(columns="precision")).empty
    assert of_same_settings(grid_, runs.assign(seq_len=32768)).empty
    both = grid_.assign(framework="megatron-core")
    assert of_same_settings(both, runs).empty  # a run that names no framework
    named = runs.assign(framework=["megatron-core", "megatron-core", "megatron-core"])
    assert of_same_settings(both, named)["value"].tolist() == [2.0]
    assert of_same_settings(both, named.assign(framework="llm-foundry")).empty
    # A map of FP8 shows no figure of BF16.
    shown = claims.claim_map(found["C01"])
    figures = seen.loc[seen["precision"] == "FP8", "value"]
    drawn = shown.published.to_numpy(float)
    assert np.isin(drawn[~np.isnan(drawn)], figures).all()


def test_mig_has_no_more_instances_but_larger_ones(found):
    words = {c.label: v.word for c, v in zip(found["C05"].checks, found["C05"].parts, strict=True)}
    assert words["more instances or ways to split"] == FALSE
    assert words["larger instances"] == TRUE


def test_training_estimates_lie_above_what_was_published(found):
    check_ = found["C01"].checks[0]
    bf16 = check_.grid[check_.grid["precision"] == "BF16"]["value"]
    assert bf16.min() > 2.0
    assert bf16.max() < 4.0
    assert check_.measured["value"].median() < bf16.quantile(0.25)


def test_small_models_gain_from_h100_too(found):
    assert found["C25"].parts[0].word in (FALSE, MISLEADING)
    assert found["C25"].parts[1].word == TRUE


def test_h200_gives_half_as_much_again_where_weights_fill_memory(found):
    assert found["C12"].verdict.word == WHEN
    assert "weights that fill" in found["C12"].verdict.condition


def test_h200_leads_but_not_its_successor(found):
    assert found["C22"].verdict.word == WHEN
    assert "b200" in found["C22"].verdict.condition


def test_the_small_tables_of_other_notebooks_agree(question, found):
    sides = (("H100", "bf16"), ("A100", "bf16"))
    table = training.size_table(*sides, question.trained[:1], question.train_gpus[:1])
    ours = training_grid(question, ("h100-sxm-80", "bf16"), ("a100-sxm-80", "bf16"))
    assert ours["value"].iloc[0] == pytest.approx(table["ratio"].iloc[0])
    small = claims.usual_verdicts("C02, C09, C14").set_index("No.")
    assert list(small.index) == ["C02", "C09", "C14"]
    assert small.loc["C09", "We estimate"].endswith("for the same money")
    assert small.loc["C14", "Verdict"] == claims.verdict_text(found["C14"].verdict)
    assert "times" in small.loc["C02", "We estimate"]


# --- grids, published figures, maps ---------------------------------------------------------------


def test_a_fleet_of_one_kind_is_as_fast_as_itself(question):
    h100 = question.h100_gpu
    same = serving_grid(question, h100, h100, (("bf16", "bf16"),))
    assert same["value"].to_numpy() == pytest.approx(1.0)


def test_the_ratio_explodes_just_before_a100_misses_the_limit(question):
    table = latency_grid(question, (0.2, 2.0, 10.0), (("llama-3.1-8b", 1, 1), (VENDOR_MODEL, 8, 4)))
    small, vendor = (group for _, group in table.groupby("model", sort=False))
    assert np.isinf(small["value"].iloc[0])
    assert small["value"].iloc[-1] < 6
    assert np.isinf(vendor["value"].iloc[0])


def test_within_a_limit_is_the_largest_load_that_keeps_it(question):
    limits = (0.5, 1.0, 3.0, 10.0)
    table = latency_grid(question, limits, (("llama-3.1-8b", 1, 1),))
    best = {}
    for device, weights in ((question.a100_gpu, "bf16"), (question.h100_gpu, "fp8")):
        q = ServingQuestion.ask(
            model="llama-3.1-8b", gpus=device.id, weights=weights, isl=128, osl=20
        )
        replica = q.replica(device, q.formats[0], 1, 1)
        every = np.arange(1, int(max_concurrency(replica, 128, 20)) + 1)
        found = steady_state(replica, every, 128, 20)
        seconds = found["ttft_s"] + 20 * found["tpot_s"]
        largest = [every[seconds <= limit].max() - 1 for limit in limits]
        best[device.id] = found["output_tokens_s"][largest]
    expected = best[question.h100_gpu.id] / best[question.a100_gpu.id]
    assert table["value"].to_numpy() == pytest.approx(expected, rel=0.02)


def test_published_pairs_differ_in_the_gpu_alone(question):
    pairs = published_serving("h100-sxm-80", "a100-sxm-80")
    assert len(pairs) > 200
    assert 1.8 < pairs["value"].median() < 2.1
    mixed = published_serving("h100-sxm-80", "a100-sxm-80", "fp8", "16 bit")
    assert mixed["value"].median() > pairs["value"].median()
    runs = published_training("h100-sxm-80", "a100-sxm-80")
    assert 2.0 < runs["value"].median() < 2.4
    assert {"mlperf-training-v3.0", "llmfoundry-2024-01"} <= set(runs["source"])


def test_maps_ring_what_holds(found):
    for name in claims.AXES:
        shown = claims.claim_map(found[name])
        values = shown.cells.to_numpy(float)
        inside = (values >= shown.check.least) & (values <= shown.check.most)
        assert (shown.holds.to_numpy() == inside).all()
        title = words.map_finding(found[name], shown)
        assert name in title
        assert holding_map(shown, title).axes[0].texts


def test_a_map_takes_the_nearest_setting_and_says_which(found):
    shown = claims.claim_map(found["C12"], {"gpus": 3, "weights": "BF16"})
    assert shown.fixed["gpus"] in (2, 4)
    assert f"a fleet size of {shown.fixed['gpus']}" in words.map_caption(shown)
    with pytest.raises(UnknownNameError, match="C07"):
        claims.claim_map(found["C07"])


def test_numbers_of_the_guide_stand_beside_estimates(found):
    rows = words.said_rows(list(found.values()))
    assert (rows["least"] <= rows["most"]).all()
    assert said_and_found(rows, words.numbers_finding(rows)).axes
    assert "C01" in words.numbers_finding(rows)


def test_errors_behind_the_verdicts_are_those_of_the_asked_pairs(question):
    errors = claims.errors_table(question)
    assert "serving, h100-sxm-80 / a100-sxm-80" in errors.index
    assert "training, FP8 over BF16" in errors.index
    assert not errors.index.str.contains("l40s").any()
    assert (errors["low"] < errors["high"]).all()


def test_tables_speak_chinese(found):
    table = claims.verdicts_table(list(found.values()), "zh")
    assert table["statement"].str.contains("训练").any()
    assert set(table["verdict"].str.extract(r"^([一-鿿]+)")[0]) <= {
        "属实",
        "有条件属实",
        "有误导",
        "不实",
    }


def test_export_variants_stand_in_for_the_three():
    prices = {"h100_prices": "2", "h200_prices": "0.8"}
    q = claims.ClaimsQuestion.ask(
        a100="A800", h100="H800", h200="H20", trained="Llama-3.1-8B", train_gpus="8", **prices
    )
    seen = {f.claim.id: f for f in claims.audit(q, ["C13", "C26"])}
    assert seen["C13"].verdict.word in (FALSE, MISLEADING)  # FP64 is cut
    rates = seen["C26"].checks[0].grid.set_index("format")["value"]
    assert rates["bf16"] < 0.2  # H20 does not compute as H800 does
    assert rates["fp64"] == 1


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("contexts", "512,many", "whole number"),
        ("fleets", "16", "from 1 to 8"),
        ("h100_prices", "0", "0.01 to 100"),
        ("train_gpus", "8", "one number for each"),
        ("models", "", "at least one"),
    ],
)
def test_wrong_settings_are_named(field, value, said):
    with pytest.raises(InputError, match=said):
        claims.ClaimsQuestion.ask(**{field: value})


def test_prices_come_from_rents_of_one_kind():
    q = claims.ClaimsQuestion.ask()
    assert q.h100_ratios[1] == pytest.approx(2.15)  # of 1.65 to 2.62
    assert q.h200_ratios[-1] == pytest.approx(1.19)
    with pytest.raises(InputError, match="give ratios"):
        claims.ClaimsQuestion.ask(h200="H20")


def test_a_gpu_without_mig_leaves_that_claim_out():
    q = claims.ClaimsQuestion.ask(a100="L40S", h100_prices="4")
    with pytest.raises(InputError, match="leave this claim out"):
        claims.audit(q, ["C05"])


def test_the_language_of_a_report_reaches_the_notebook(monkeypatch, tmp_path):
    from gpuspec import report

    class Reached(Exception):
        pass

    def stop(notebook, values, tell, day, text, language, panels):
        raise Reached(language)

    monkeypatch.setattr(report.one, "execute", stop)
    with pytest.raises(Reached, match="zh"):
        report.build("claims", {}, tmp_path / "x.pdf", language="zh")
    with pytest.raises(Reached, match="en"):
        report.build("claims", {"language": "en"}, tmp_path / "x.pdf", language="zh")


def test_the_panel_follows_its_controls(question):
    from gpuspec.topics.claims.panel import claims_panel

    panel = claims_panel(question)
    before = panel.picture.value
    panel.controls["gpus"].value = 8
    assert panel.picture.value != before
    panel.controls["claim"].value = "C09"
    assert "C09" in panel.answer[0].claim.id
    assert panel.message.value == ""
