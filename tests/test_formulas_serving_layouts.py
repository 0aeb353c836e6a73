"""How a model is split over GPUs, and prompts read apart from answers: laws that always hold."""

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.catalog.precision import precision
from gpuspec.constants.disaggregated import separate_errors
from gpuspec.constants.memory import memory_terms
from gpuspec.evidence.measurements.inference import (
    LAYOUT,
    layout,
    predicted_inference,
    prepared,
    skip_reasons,
)
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.memory import stage_weights_bytes
from gpuspec.formulas.serving import (
    USERS,
    Deployment,
    Layout,
    cache_bytes,
    engine,
    engine_memory,
    max_concurrency,
    request_bytes,
    steady_state,
    total_seconds,
)
from gpuspec.formulas.serving.disaggregated import (
    Disaggregated,
    cache_transfer_bytes,
    disaggregated,
    largest_rate,
    prefill_alone,
    prefill_gpus_per_decode_gpu,
    transfer_seconds,
)
from gpuspec.formulas.serving.tandem import separate_arrivals
from gpuspec.formulas.splits import Split, impossible, splits, uneven

DENSE, SPARSE = "Llama-3.1-70B", "DeepSeek-R1"
prompts = st.integers(64, 16_000)
answers = st.integers(2, 2000)


@cache
def replica(name=SPARSE, device="H200", runtime="tensorrt-llm", **split):
    era = engine(runtime)
    made = Layout(
        network=model(name), gpu=gpu(device), library=era.library,
        **{"weight": precision("fp8"), "kv_precision": "fp8", "tp": 8, **split},
    )  # fmt: skip
    return Deployment(layout=made, engine=era.terms, limits=era.limits)


def pair(read=1, written=1, link="network", by_layer=False, **sides):
    prefill = replica(**sides.get("prefill", {"ep": 8}))
    decode = replica(**sides.get("decode", {"ep": 8}))
    return Disaggregated(
        prefill=prefill, decode=decode, prefill_workers=read, decode_workers=written,
        link=link, by_layer=by_layer,
    )  # fmt: skip


PLENTY = pair(8, 1, link="free")

# --- groups of attention -----------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 256), st.integers(1, 8192), st.sampled_from([DENSE, SPARSE]))
def test_one_group_of_attention_is_none(sequences, context, name):
    one, none = replica(name, attention_dp=1), replica(name)
    parts = one.iteration_parts(sequences, context, 512, 1)
    for part, seconds in none.iteration_parts(sequences, context, 512, 1).items():
        assert parts[part] == seconds
    assert max_concurrency(one, context, 100) == max_concurrency(none, context, 100)


def test_latents_of_groups_are_kept_once_and_not_by_every_gpu():
    """What attention data parallelism is for: the same memory holds far more requests."""
    shared, own = replica(ep=8), replica(ep=8, attention_dp=8)
    assert request_bytes(own, 4096) == request_bytes(shared, 4096)
    assert cache_bytes(own) < cache_bytes(shared)  # attention is whole on every GPU
    assert max_concurrency(own, 4096, 512) > 6 * max_concurrency(shared, 4096, 512)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 4, 8]), st.integers(16, 8192), st.sampled_from([DENSE, SPARSE]))
def test_memory_of_groups_adds_up(groups, context, name):
    shape = replica(name, attention_dp=groups)
    parts, budget = engine_memory(shape, context)
    assert sum(parts.values()) + cache_bytes(shape, context) == pytest.approx(budget)
    form, network = shape.layout.weight, shape.layout.network
    whole, part = (stage_weights_bytes(network, form, 8, 1, n) for n in (8, groups))
    least = stage_weights_bytes(network, form, 8)
    assert least <= part <= whole


def test_weights_of_groups_by_hand():
    """Each of 2 GPUs holds attention whole: 61 layers' split part once more than in half."""
    network, form = model(SPARSE), replica().layout.weight
    more = stage_weights_bytes(network, form, 2, 1, 2) - stage_weights_bytes(network, form, 2)
    hidden, latent, query, heads = 7168, 512, 1536, 128
    split = query * heads * 192 + latent * heads * 256 + heads * 128 * hidden
    split += query + latent  # norms between
    assert more == pytest.approx(61 * split / 2 * form.bytes_each("attention"), rel=1e-6)


# --- the list of splits ------------------------------------------------------------------------


def test_ways_of_a_mixture_of_experts_include_groups_and_wide_experts():
    found = splits(model(SPARSE), 16)
    assert Split(8, 1, 8, 1) in found
    assert Split(8, 1, 8, 8) in found
    assert Split(16, 1, 16, 16) in found
    assert all(s.ep == s.attention_dp == 1 for s in splits(model(DENSE), 16))
    assert Split(16, 1, 16, 16).words == "TP 16 EP 16 attention DP 16"
    assert Split(8, 2, 8).words == "TP 8 PP 2"


def test_what_does_not_divide_is_said():
    assert "does not divide the 8 GPUs" in uneven(model(SPARSE), 8, 1, 3)
    assert "has none" in uneven(model(DENSE), 8, 8, 1)
    assert "256 experts" in uneven(model(SPARSE), 12, 12, 1)
    assert "crosses" in impossible(model(SPARSE), 16, 1)
    assert not impossible(model(SPARSE), 16, 1, 16)


# --- nodes -------------------------------------------------------------------------------------


def test_a_network_between_nodes_costs_and_a_faster_one_costs_less():
    def exchanged(**split):
        return replica(DENSE, **split).iteration_parts(64, 1024)["communication"]

    for over_nodes in ({"tp": 16}, {"tp": 8, "pp": 2}):
        slow, fast = (exchanged(**over_nodes, node_gb_s=rate) for rate in (25.0, 400.0))
        assert fast < slow
    assert exchanged(tp=16) > 1.4 * exchanged(tp=8)
    # Two stages in one node hand on faster than two stages in two.
    quarter = exchanged(tp=4, pp=2) - exchanged(tp=4) / 2
    assert quarter < exchanged(tp=8, pp=2) - exchanged(tp=8) / 2


# --- prompts apart -----------------------------------------------------------------------------


def test_bytes_of_a_prompts_cache_by_hand():
    # Llama 3.1 70B: 80 layers, 8 heads of 128, keys and values: 163,840 elements a token.
    assert cache_transfer_bytes(model(DENSE), 1600, 2.0) == 1600 * 163_840 * 2
    # DeepSeek-V3: 61 layers of 512 + 64 elements; 1,000 tokens fill 63 blocks of 16.
    assert cache_transfer_bytes(model(SPARSE), 1000, 1.0) == 1008 * 61 * 576


def test_seconds_of_a_transfer_by_hand():
    """Eight GPUs send a head each; where one GPU receives all, it waits for all bytes."""
    network = replica(DENSE).layout.fabric
    start = network.network.start_us * 1e-6
    adapter = network.node_bytes_s / 8 * network.network.share * network.network.pair_share
    whole = 1600 * 163_840
    spread = pair(prefill={"name": DENSE}, decode={"name": DENSE})
    assert transfer_seconds(spread, 1600) == pytest.approx(start + whole / 8 / adapter)
    lone = pair(prefill={"name": DENSE}, decode={"name": DENSE, "tp": 1})
    assert transfer_seconds(lone, 1600) == pytest.approx(start + whole / adapter)
    few = pair(prefill={"name": DENSE, "tp": 2}, decode={"name": DENSE})
    assert transfer_seconds(few, 1600) == pytest.approx(start + whole / 2 / adapter)
    assert transfer_seconds(pair(link="free"), 1600) == 0
    assert transfer_seconds(pair(link="node"), 1600) < transfer_seconds(pair(), 1600)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 2000), prompts, answers)
def test_requests_in_flight_are_rate_times_time(load, isl, osl):
    found = disaggregated(pair(2, 2), load, isl, osl)
    time = found["ttft_s"] + found["tpot_s"] * (osl - 1)
    assume(found["decoding"] < found["max_concurrency"])
    busy = found["decoding"] / 2 >= 1  # below one a worker, a request decodes alone
    if busy:
        assert found["requests_s"] * time == pytest.approx(load, rel=1e-3)
    assert found["requests_s"] <= min(largest_rate(pair(2, 2), isl, osl).values()) * (1 + 1e-9)
    parts = found["queue_s"] + found["prefill_s"] + found["transfer_s"]
    assert found["ttft_s"] == pytest.approx(parts + pair().prefill.arrival_seconds(USERS, isl))
    assert total_seconds(found["parts"]) == pytest.approx(found["tpot_s"])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 1000), prompts, answers, st.integers(1, 6))
def test_more_prefill_workers_never_give_a_later_first_token(load, isl, osl, workers):
    few, many = (disaggregated(pair(n, 2), load, isl, osl) for n in (workers, workers + 1))
    assert many["ttft_s"] <= few["ttft_s"] * (1 + 1e-6)
    assert many["requests_s"] >= few["requests_s"] * (1 - 1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 256), prompts, answers)
def test_without_prompts_between_a_token_never_waits_longer(load, isl, osl):
    """With as many requests decoding on a worker, and a link that takes no time."""
    together = steady_state(pair().decode, load, isl, osl)
    decoding = float(together["decoding"])
    apart = disaggregated(PLENTY, decoding, isl, osl)
    more = decoding + float(apart["requests_s"] * apart["ttft_s"])  # those that do not decode
    apart = disaggregated(PLENTY, more, isl, osl)
    assert apart["tpot_s"] <= together["tpot_s"] * 1.01


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 500), prompts, answers)
def test_sending_by_layer_and_a_faster_link_only_help(load, isl, osl):
    ways = [
        pair(1, 1, prefill={"ep": 8, "node_gb_s": r}, decode={"ep": 8, "node_gb_s": r}, by_layer=b)
        for r, b in ((25.0, False), (25.0, True), (400.0, True))
    ]
    late, layered, fast = (float(disaggregated(one, load, isl, osl)["ttft_s"]) for one in ways)
    assert fast <= layered * (1 + 1e-6)
    assert layered <= late * (1 + 1e-6)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.02, 0.95), prompts, st.integers(32, 1024))
def test_random_arrivals_at_separate_gpus_keep_littles_law(share, isl, osl):
    sides = pair(2, 3)
    rate = share * float(min(largest_rate(sides, isl, osl).values()))
    seen = {n: float(v) for n, v in separate_arrivals(sides, rate, isl, osl).items()}
    time = seen["ttft_mean_s"] + seen["tpot_mean_s"] * (osl - 1)
    assert seen["in_flight"] == pytest.approx(rate * time, rel=1e-6)
    assert seen["utilisation"] == pytest.approx(share)
    closed = disaggregated(sides, max(seen["in_flight"], 1.0), isl, osl)
    if seen["in_flight"] / 3 > 4:  # as many always in flight see the same on average
        assert seen["tpot_mean_s"] == pytest.approx(closed["tpot_s"], rel=0.1)


def test_a_lone_request_on_separate_gpus_is_read_sent_and_written():
    sides = pair(1, 1)
    seen = separate_arrivals(sides, 1e-4, 4096, 256)
    read, sent = prefill_alone(sides, 4096)[0], transfer_seconds(sides, 4096)
    way = sides.prefill.arrival_seconds(USERS, 4096)
    assert seen["ttft_p50_s"] == pytest.approx(read + sent + way, rel=0.01)
    step = disaggregated(sides, 1, 4096, 256)["tpot_s"]
    assert seen["tpot_p50_s"] == pytest.approx(step, rel=0.01)
    beyond = 1.01 * float(min(largest_rate(sides, 4096, 256).values()))
    assert np.isinf(separate_arrivals(sides, beyond, 4096, 256)["ttft_p95_s"])


def test_more_workers_of_either_side_never_make_random_arrivals_slower():
    rate = 0.8 * float(min(largest_rate(pair(2, 2), 4096, 256).values()))
    few, read, write = (
        separate_arrivals(pair(*n), rate, 4096, 256) for n in ((2, 2), (3, 2), (2, 3))
    )
    assert read["ttft_p95_s"] < few["ttft_p95_s"]
    assert write["tpot_p95_s"] < few["tpot_p95_s"]


def test_a_link_that_is_full_lets_caches_wait():
    """Of transfers that take longer than prompts do, each waits for those before it."""
    slow = pair(4, 1, prefill={"node_gb_s": 0.5}, decode={"node_gb_s": 0.5})
    limits = largest_rate(slow, 4096, 256)
    assert limits["transfer"] < limits["prefill"]
    calm, busy = (
        separate_arrivals(slow, share * float(limits["transfer"]), 4096, 256)["ttft_p95_s"]
        for share in (0.1, 0.95)
    )
    assert busy > calm + 2 * float(transfer_seconds(slow, 4096))


def test_balanced_sides_are_busy_together():
    """With as many prefill GPUs as one decode GPU needs, both sides sustain the same rate."""
    one = pair()
    share = float(prefill_gpus_per_decode_gpu(one, 64, 4096, 512))
    rate = float(prefill_alone(one, 4096)[2]) / one.prefill.gpus * share
    step = float(total_seconds(one.decode.iteration_parts(64, 4096 + 256)))
    assert rate == pytest.approx(64 / (511 * step) / one.decode.gpus)


# --- measured runs -----------------------------------------------------------------------------


def test_every_measured_run_that_says_its_workers_is_predicted():
    rows = prepared(measurements("inference-disaggregated"))
    assert len(rows) == 184
    assert (skip_reasons(rows) == "").all()
    ratio = rows["value"] / predicted_inference(rows, memory=memory_terms())
    for kind, stated in separate_errors().items():
        own = ratio[rows["metric"] == f"{kind}_ms"]
        assert stated["rows"] == len(own) == 92
        assert abs(np.median(np.abs(1 / own - 1)) - stated["median"]) < 5e-3, (
            "run python -m gpuspec.evidence.fits disaggregated, then tools/write_errors.py"
        )
        assert own.between(stated["low"], stated["high"]).mean() > 0.75
    both = rows["prefill_workers"] * rows["prefill_tp"] + rows["decode_workers"] * rows["tp"]
    assert (both == rows["n_gpus"]).all()


def test_rows_with_groups_of_attention_are_read_so():
    rows = prepared(measurements("inference"))
    some = rows[rows["attention_dp"] > 1]
    assert len(some)
    found = layout(*some.iloc[0][LAYOUT])
    assert found.attention_dp == some.iloc[0]["attention_dp"]
    with pytest.raises(InputError, match="attention_dp: 3 is not valid; it must divide the 8"):
        layout(SPARSE, "H200", "fp8", "fp8", 8, 1, 8, 3)
    assert np.all(rows["attention_dp"] >= 1)
