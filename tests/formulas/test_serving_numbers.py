"""One number, worked out by hand, for every formula of inference.

On `FAST` (1e9 bytes/s) a product takes 1 us and a nanosecond a byte: 2 n k of weights, 2 m k in,
2 m n out. Below are the parts of a token step of DENSE, in us, for m tokens: four products a layer
(140 x 100, 100 x 100, 600 x 100, 100 x 300), 4 layers. Small kernels: 6 * 100 + 2 * 140 + 3 * 300 =
1,780 elements of 2 bytes a token and layer, at 0.7 of the bandwidth: 5.085714 us.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from toys import (
    BF16,
    COLLECTIVES,
    DENSE,
    FAST,
    INT4,
    MATMUL,
    MHA,
    MLA,
    MOE,
    WIDE,
    WINDOWED,
    layout,
    replica,
)
from toys import kernels as toy_kernels

from gpuspec.catalog import gpu
from gpuspec.catalog.images import ImageModel
from gpuspec.catalog.precision import Precision
from gpuspec.constants.images import ImageTerms
from gpuspec.constants.kernels import PCIE
from gpuspec.constants.links import Fabric
from gpuspec.formulas.images import ImageJob, image_seconds, power_ratio
from gpuspec.formulas.memory import MemoryTerms
from gpuspec.formulas.networks import collective_seconds
from gpuspec.formulas.serving.client import Client
from gpuspec.formulas.serving.layout import GRID
from gpuspec.formulas.serving.queueing import arrivals, sustainable_requests_s
from gpuspec.formulas.serving.serving import (
    _cycle,
    cache_bytes,
    decode_seconds,
    finite_run,
    kv_capacity_tokens,
    max_concurrency,
    maximum_load,
    per_output_token,
    prefill_seconds,
    static_batch,
    steady_state,
    total_seconds,
)
from gpuspec.formulas.serving.simulation import Iterations, simulate
from gpuspec.formulas.serving.speculative import accepted_tokens, speculative
from gpuspec.formulas.transformer import attention_gemms, mlp_gemms

US = 1e-6
MATMUL_US = {
    1: 4 * (28.48 + 20.4 + 121.4 + 60.8 + 4),  # 940.32
    2: 4 * (28.96 + 20.8 + 122.8 + 61.6 + 4),  # 952.64
    4: 4 * (29.92 + 21.6 + 125.6 + 63.2 + 4),  # 977.28
    6: 4 * (30.88 + 22.4 + 128.4 + 64.8 + 4),  # 1001.92
    8: 4 * (31.84 + 23.2 + 131.2 + 66.4 + 4),  # 1026.56
}
SMALL_US = 4 * 1780 * 2 / 0.7e9 / US  # 20.342857 for each token
HEAD_US = {1: 203.2, 2: 205.4, 3: 207.6, 4: 209.8}  # 2 * (1000 * 100 + m * 100 + m * 1000), and 1


def us(found, expected, rtol=1e-7):
    """Compare seconds, or parts of them, with microseconds."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert_allclose(found[name] / US, value, rtol=rtol, atol=1e-9, err_msg=name)
    else:
        assert_allclose(np.asarray(found) / US, expected, rtol=rtol, atol=1e-9)


# --- a token step ------------------------------------------------------------------------------


def test_parts_of_a_token_step():
    # 2 sequences of 100 tokens. Cache: 2 * 100 * 2 * 2 * 10 * 2 bytes = 16,000 and 1 us a layer.
    expected = {
        "matmul": MATMUL_US[2],
        "experts": 0,
        "elementwise": 2 * SMALL_US,
        "communication": 0,
        "attention": 4 * 17,
        "head": HEAD_US[2],
        "engine": 0,
    }
    us(replica(DENSE, FAST).iteration_parts(2, 100), expected)
    us(decode_seconds(replica(DENSE, FAST), 2, 100), expected)


def test_what_an_engine_adds_to_a_token_step():
    # 10 us a layer; products 1.5 times; attention (keys are shared) twice; 100 us and 5 a sequence;
    # 2 * 1000 logits of 16 bytes.
    engine = {
        "layer_us": 10, "grouped_factor": 2.0, "attention_factor": 3.0,
        "iteration_us": 100, "sequence_us": 5, "logit_bytes": 16,
    }  # fmt: skip
    expected = {
        "matmul": MATMUL_US[2],
        "elementwise": 2 * SMALL_US + 40,
        "attention": 2 * 68,
        "head": HEAD_US[2] + 32,
        "engine": 110,
    }
    us(replica(DENSE, FAST, engine=engine).iteration_parts(2, 100), expected)
    # Where each query has a key of its own (10 heads: 80,000 bytes) the other factor counts.
    parts = replica(MHA, FAST, engine=engine).iteration_parts(2, 100)
    us(parts["attention"], 3 * 4 * 81)


def test_what_a_generation_of_gpus_adds_to_a_token_step():
    silicon = {"matmul_factor": 1.2, "attention_factor": 1.3, "expert_factor": 1.4}
    parts = replica(DENSE, FAST, silicon=silicon).iteration_parts(2, 100)
    us(parts, {"matmul": 1.2 * MATMUL_US[2], "attention": 1.3 * 68, "head": 1.2 * HEAD_US[2]})
    parts = replica(MOE, FAST, silicon=silicon, engine={"expert_factor": 2.0})
    us(parts.iteration_parts(1, 100)["experts"], 1.4 * 2 * 3 * 61)


def test_a_host_that_works_ahead_hides_behind_the_gpu():
    busy = sum(float(part) for part in replica(DENSE, FAST).iteration_parts(2, 100).values()) * 1e6
    slow = {"iteration_us": busy + 70, "sequence_us": 15}
    quick = {"iteration_us": busy - 70, "sequence_us": 15}
    for engine, waited in ((slow, 100), (quick, 0)):
        ahead = replica(DENSE, FAST, {"works_ahead": True}, engine=engine)
        us(ahead.iteration_parts(2, 100)["engine"], waited)
    us(replica(DENSE, FAST, engine=quick).iteration_parts(2, 100)["engine"], busy - 40)


def test_prompts_are_launched_kernel_by_kernel():
    # 4 layers; what the GPU works meanwhile is not waited for. Decoding is one graph.
    one = replica(DENSE, FAST)
    busy = sum(float(part) for part in one.iteration_parts(0, 1, 8, 1).values()) * 1e6
    slow = replica(DENSE, FAST, engine={"eager_layer_us": busy})
    us(slow.iteration_parts(0, 1, 8, 1)["launches"], 4 * busy - busy)
    us(slow.iteration_parts(2, 100)["launches"], 0)
    quick = replica(DENSE, FAST, engine={"eager_layer_us": busy / 8})
    us(quick.iteration_parts(0, 1, 8, 1)["launches"], 0)
    compiled = replica(DENSE, FAST, {"compiled": True}, engine={"eager_layer_us": busy})
    us(compiled.iteration_parts(0, 1, 8, 1)["launches"], 0)


@pytest.mark.parametrize(("compiled", "expected"), [(False, 1.5 * 220), (True, 200 + 20 / 10)])
def test_the_host_of_older_servers_is_slower(compiled, expected):
    terms, silicon = {"iteration_us": 200, "sequence_us": 10}, {"host_factor": 1.5}
    one = replica(DENSE, FAST, {"compiled": compiled}, engine=terms, silicon=silicon)
    us(one.iteration_parts(2, 100)["engine"], expected)


@pytest.mark.parametrize(("apart", "expected"), [(False, 4 * 50 * 1.5), (True, 4 * 50 * 1.5 - 120)])
def test_sending_tokens_keeps_the_host_of_a_server(apart, expected):
    """Four tokens of 50 us, on a host 1.5 times as slow, beside a step of 120 us."""
    engine, silicon = {"stream_us": 50}, {"host_factor": 1.5}
    one = replica(DENSE, FAST, {"server_apart": apart}, engine=engine, silicon=silicon)
    us(one.sending_seconds(4, 120e-6, Client()), expected)
    us(one.sending_seconds(4, 120e-6, Client(transport_s=0.0)), 0)
    us(one.sending_seconds(1, 120e-6, Client()), 0 if apart else 75)


def test_without_graphs_decoding_is_launched_kernel_by_kernel():
    # 4 layers; an iteration that decodes two tokens, and one that reads a prompt of eight.
    one = replica(DENSE, FAST)
    busy = sum(float(part) for part in one.iteration_parts(2, 100).values()) * 1e6
    early = replica(DENSE, FAST, {"launch_layer_us": busy})
    us(early.iteration_parts(2, 100)["launches"], 4 * busy - busy)
    reads = sum(float(part) for part in one.iteration_parts(0, 1, 8, 1).values()) * 1e6
    us(early.iteration_parts(0, 1, 8, 1)["launches"], 4 * busy - reads)
    quick = replica(DENSE, FAST, {"launch_layer_us": busy / 8})
    us(quick.iteration_parts(2, 100)["launches"], 0)


@pytest.mark.parametrize(("library", "iterations"), [("tensorrt-llm", 60), ("vllm", 0)])
def test_prompts_wait_until_every_group_of_attention_has_one(library, iterations):
    # 4 requests of 8 and 1,000 tokens on two groups: 3 prompts come in the 1,000.375 iterations of
    # a life, 0.003 an iteration; in 60 iterations 0.18, for which a prompt waits 30 on average.
    group = replica(DENSE, FAST, {"max_tokens": 64}, tp=2, attention_dp=2, library=library)
    found = _cycle(group, *map(np.float64, (4, 8, 1000)), 0.0, Client(lengths="equal"))
    starts = 3 / (3 / 8 + 1 + 999)
    lump = 1 + starts * max(iterations, 1)
    alone = total_seconds(found.alone)
    both = total_seconds(group.iteration_parts(4 * 999 / (3 / 8 + 1000), 8 + 1000 / 2, 8, lump, 0))
    waits = iterations / 2 * alone
    assert_allclose(total_seconds(found.prompt), (both - alone) / lump, rtol=1e-3)
    assert_allclose(found.once, waits, rtol=1e-6)


def test_layers_of_experts_take_longer_to_launch():
    # 3 of the 4 layers are mixtures of experts.
    parts = [
        replica(MOE, FAST, engine={"eager_layer_us": 1900, "eager_expert_us": more})
        for more in (0, 100)
    ]
    less, more = (one.iteration_parts(0, 1, 8, 1)["launches"] for one in parts)
    us(more - less, 300)


def test_an_8_bit_cache_is_half_the_bytes():
    engine = {"grouped_factor": 2.0, "fp8_cache_factor": 1.5}
    parts = replica(DENSE, FAST, engine=engine, kv_precision="fp8").iteration_parts(2, 100)
    us(parts["attention"], 4 * 9 * 2 * 1.5)


def test_prompts_in_a_token_step():
    # 8 new tokens of one prompt after 100: queries and outputs, new keys and values, 8 * (2 * 10 +
    # 2 * 2) * 2 * 10 = 3,840 bytes; the past 100 * 2 * 2 * 2 * 10 = 8,000; 1 us. One token is
    # sampled.
    parts = replica(DENSE, FAST).iteration_parts(0, 1, 8, 1, 100)
    expected = {
        "matmul": MATMUL_US[8],
        "elementwise": 8 * SMALL_US,
        "attention": 4 * 12.84,
        "head": HEAD_US[1],
    }
    us(parts, expected)


def test_several_tokens_of_a_sequence_share_its_cache():
    # 2 sequences of 2 tokens: products of 4, the cache read once.
    parts = replica(DENSE, FAST).iteration_parts(2, 100, tokens_each=2)
    us(parts, {"matmul": MATMUL_US[4], "attention": 68, "head": HEAD_US[4]})


def test_pipeline_stages_work_on_their_share_of_the_batch():
    # Two stages of 2 layers, a sequence each; a step takes both. Hand-off: 200 bytes at 1e10/s and
    # 1 us, on each of them.
    engine = {"iteration_us": 100, "sequence_us": 5, "layer_us": 10}
    parts = replica(DENSE, FAST, engine=engine, pp=2).iteration_parts(2, 100)
    expected = {
        "matmul": MATMUL_US[1],
        "elementwise": SMALL_US + 40,
        "communication": 2 * 1.02,
        "attention": 4 * 9,
        "head": 2 * HEAD_US[1],
        "engine": 110,
    }
    us(parts, expected)


def test_tensor_parallelism_splits_products_and_adds_up_twice_a_layer():
    # Products of one token: 70 x 100, 100 x 50, 300 x 100, 100 x 150: 2 (nk + k + n) bytes: 14,340
    # + 10,300 + 60,800 + 30,500, and 4 us. Head 500 x 100. Cache: one head of keys, 4,000 bytes. An
    # all-reduce of 200 bytes over 2: 2 us and 200 at 1e10; the smallest possible takes 1 us.
    engine = {"collective_start_factor": 3.0, "collective_factor": 2.0}
    parts = replica(DENSE, FAST, engine=engine, tp=2).iteration_parts(1, 100)
    expected = {
        "matmul": 4 * (115.94 + 4),
        "elementwise": 4 * (600 + 140 + 450) * 2 / 0.7e3,
        "communication": 3 * 8 + 2 * (8 * 2.02 - 8),
        "attention": 4 * 5,
        "head": 101.2 + 1,
    }
    us(parts, expected)


def test_over_pcie_everything_in_a_collective_takes_its_factor():
    # Between 2 GPUs of a server without NVLink: 20 us to start, 200 bytes at 0.7 of 1e9, or 10 us
    # and 200 at 0.2 of it: 11 us, 2 * 4 times, twice as long.
    slow = FAST.model_copy(update={"nvlink_gb_s": None})
    engine = {"pcie_factor": 2.0, "pcie_far_factor": 3.0, "collective_factor": 5.0}
    us(replica(DENSE, slow, engine=engine, tp=2).iteration_parts(1, 9)["communication"], 2 * 88)
    # Between 8, across two sockets: 10 + 2 * 5 us and 7 * 200 bytes at 0.2e9: 27 us. (30 + ... in
    # two steps.) Three times as long.
    parts = replica(DENSE, slow, engine=engine, tp=8).iteration_parts(1, 9)
    us(parts["communication"], 3 * 8 * 27)
    assert PCIE.ring_start_us == 20


def test_attention_of_each_gpu_s_own_requests():
    # Attention whole on each of 2 GPUs for half of the requests. 2 tokens are 400 bytes: gathered
    # and scattered around each MLP in two steps of 2 us and 400 bytes at 1e10.
    parts = replica(MOE, FAST, tp=2, ep=2, attention_dp=2).iteration_parts(2, 100)
    us(parts["attention"], 4 * 9)
    us(parts["communication"], 4 * 2.04)
    # Products of one token with whole attention, 28.48 and 20.4 and 2 us a layer; of two with half
    # of the dense MLP, 300 x 100 and 100 x 150, and of the shared experts, 50 x 100 and 100 x 25.
    dense, shared = 61.6 + 31 + 2, 10.6 + 5.5 + 2
    us(parts["matmul"], 4 * 50.88 + dense + 3 * shared)
    # Norms and heads of one token; MLPs of two, split over two.
    us(parts["elementwise"], 4 * (600 + 280 + 2 * 900 / 2) * 2 / 0.7e3)


def test_many_tokens_travel_to_their_experts():
    # Each token reaches 2 (1 - 1/4) = 1.5 of 2 GPUs: a GPU sends 0.75 of the n * 200 bytes, half of
    # it to the other, there and back. The dense MLP gathers and scatters all of them.
    n = float(GRID[80])
    found = layout(MOE, FAST, tp=2, ep=2, attention_dp=2).dense_seconds(n)["communication"]
    there_and_back = 2 * (2 + 0.75 * n * 200 / 2 / 1e4)
    assert there_and_back < 2 + n * 200 / 1e4
    us(found, 3 * there_and_back + 2 + n * 200 / 1e4)
    us(
        layout(MOE, FAST, tp=2, attention_dp=2).dense_seconds(n)["communication"],
        4 * (2 + n * 200 / 1e4),
    )  # experts that are split: all tokens to all GPUs


def test_groups_of_gpus_that_share_their_attention():
    # 4 GPUs in 2 groups: a token of 200 bytes adds up over 2 (2.02 us) after attention, two tokens
    # over 4 (2 us and 1.5 * 400 bytes) around the MLP.
    parts = replica(DENSE, FAST, tp=4, attention_dp=2).iteration_parts(2, 100)
    us(parts["communication"], 4 * (2.02 + 2.06))
    us(parts["attention"], 4 * 5)
    assert layout(DENSE, FAST, tp=4, attention_dp=2).own([0.5, 1, 2, 3]).tolist() == [
        0.5,
        1,
        1,
        1.5,
    ]


def test_between_nodes_gpus_exchange_over_the_network():
    # 16 GPUs are two nodes: 8 all-reduces of 200 bytes, as NCCL does them.
    network = Fabric(link_bytes_s=1e10, node_bytes_s=8e9, reach_bytes_s=1e9)
    wide = layout(DENSE, FAST, tp=16)
    wide.__dict__["fabric"] = network
    us(
        wide.dense_seconds(1)["communication"],
        8 * float(collective_seconds("all_reduce", 200, network, 8, 2)) / US,
    )
    # Two stages of 8: one of one hand-off is between nodes: 6.6 us, 200 bytes at 0.7 of 0.96e9.
    piped = layout(DENSE, FAST, tp=8, pp=2)
    piped.__dict__["fabric"] = network
    alone = layout(DENSE, FAST, tp=8).dense_seconds(1)["communication"] / US
    us(piped.dense_seconds(1)["communication"], alone / 2 + 6.6 + 0.2 / 0.672)
    # Three of 8 stages of 4 follow each other over the network.
    piped = layout(DENSE, FAST, tp=4, pp=8)
    piped.__dict__["fabric"] = network
    alone = layout(DENSE, FAST, tp=4).dense_seconds(1)["communication"] / US
    us(
        piped.dense_seconds(1)["communication"],
        alone / 4 + (3 * (6.6 + 0.2 / 0.672) + 4 * 1.02) / 7,
    )


def test_products_of_latent_attention():
    # Down to 30 + 2 + 40 from 100; queries 10 * 10 from 40; up-projections absorbed, 10 * (8 + 6)
    # from 30; out of 10 * 6.
    assert attention_gemms(MLA, 1) == [(72, 100), (100, 40), (140, 30), (100, 60)]
    assert attention_gemms(MLA, 2) == [(72, 100), (50, 40), (70, 30), (100, 30)]
    assert attention_gemms(DENSE, 5) == [(40, 100), (100, 20)]
    assert mlp_gemms(DENSE, 300, 2) == [(300, 100), (100, 150)]
    plain = DENSE.model_copy(update={"gated_mlp": False})
    assert mlp_gemms(plain, 300, 2) == [(150, 100), (100, 150)]


def test_a_latent_cache_is_read_once_for_all_heads():
    # 100 tokens of 30 + 2 elements of 2 bytes: 6,400 bytes a layer, on every GPU of a group.
    us(layout(MLA, FAST).decode_attention(1, 100), 4 * 7.4)
    us(layout(MLA, FAST, tp=2).decode_attention(1, 100), 4 * 7.4)
    # Operations: 10 heads * 100 tokens * 2 * (32 for the scores + 30 for the values) = 124,000.
    us(layout(MLA, WIDE).decode_attention(1, 100), 4 * 1.124)


def test_windows_in_attention():
    # Two layers see 64 of 100 tokens of 80 bytes, two see all.
    us(layout(WINDOWED, FAST).decode_attention(1, 100), 2 * 6.12 + 2 * 9)
    # A prompt of 100 is 100 / 64 bands of 64 with 32 before them on average: 1.5625 * (64 * 48 +
    # 32 * 8) * 10 = 52,000 bytes; without a window 100 * 480.
    us(layout(WINDOWED, FAST).prefill_attention(1, 100), 2 * 53 + 2 * 49)
    # 8 tokens after 100: 64 of them, 3,840 + 5,120; without a window 3,840 + 8,000.
    us(layout(WINDOWED, FAST).prefill_attention(1, 8, 100), 2 * 9.96 + 2 * 12.84)


def test_experts_and_their_shared_one_in_a_token_step():
    # Three layers of 2 experts in use, 60,000 bytes and 1 us; the shared one, 100 x 100 and 100 x
    # 50: 20,400 + 10,300 bytes and 2 us; attention 50.88 a layer; one dense MLP 184.2.
    parts = replica(MOE, FAST, engine={"expert_factor": 2.0}).iteration_parts(1, 100)
    us(parts, {"experts": 2 * 3 * 61, "matmul": 4 * 50.88 + 184.2 + 3 * 32.7})
    # Over 2 GPUs each has one of the two.
    us(layout(MOE, FAST, tp=2, ep=2).dense_seconds(1)["experts"], 3 * 31)
    us(layout(MOE, FAST, tp=2, ep=1).dense_seconds(1)["experts"], 3 * 31)


def test_weights_below_16_bits_take_their_own_kernels():
    # 0.625 bytes a weight: 8,750 + 480, 6,250 + 400, 37,500 + 1,400, 18,750 + 800; starts of 5 us.
    # The head keeps 16 bits.
    kinds = {"int4-awq": {**MATMUL, "launch_us": 5.0}, "int8": {**MATMUL, "launch_us": 7.0}}
    small = layout(DENSE, FAST, kinds, weight=INT4)
    us(small.dense_seconds(1)["matmul"], 4 * (74.33 + 20))
    us(small.head_seconds(1), HEAD_US[1])
    eight = Precision(
        id="int8", name="INT8", bits=8, quantized=True, quantizes="attention|mlp|experts"
    )
    us(layout(DENSE, FAST, kinds, weight=eight).dense_seconds(1)["matmul"], 4 * (117.08 + 28))


def test_fp8_products_read_bytes_and_quantize_for_nothing():
    # nk + k + 2n bytes: 14,380 + 10,300 + 61,300 + 30,500. Starts as short as those in 16 bit.
    fp8 = Precision(
        id="fp8",
        name="FP8",
        bits=8,
        quantized=True,
        quantizes="attention|mlp|experts",
        computes="fp8",
    )
    kinds = {"fp8": {**MATMUL, "launch_us": 9.0, "quantize_passes": 5.0}}
    us(layout(DENSE, FAST, kinds, weight=fp8).dense_seconds(1)["matmul"], 4 * (116.48 + 4))
    parts = replica(
        MOE, FAST, weight=fp8, engine={"expert_factor": 2.0, "expert_small_factor": 3.0}
    ).iteration_parts(1, 9)
    us(parts["experts"], 3 * 3 * 31)


def test_beyond_the_grid_time_grows_with_tokens():
    one, two = (layout(DENSE, FAST).dense_seconds(n)["elementwise"] for n in (2**17, 2**18))
    us(one, 2**17 * SMALL_US)
    us(two, 2**18 * SMALL_US)


def test_rates_of_a_gpu_for_its_kernels():
    found = toy_kernels(WIDE).hardware("fp8")
    assert (found.peak_flops, found.sm_count, found.l2_bytes) == (2e12, 1, 1e6)
    assert toy_kernels(FAST).collectives(8)[1] == 1e10
    assert toy_kernels(FAST).collectives(9)[1] == 1e9  # beyond the island: PCIe, one direction
    assert toy_kernels(FAST).collectives(2)[0].ring_start_us == COLLECTIVES["ring_start_us"]


# --- memory of a replica -----------------------------------------------------------------------

LIMITS = {"max_tokens": 64, "max_sequences": 5, "memory_share": 0.5}
RESERVE = {"reserve_gb": 0.1}


def test_the_cache_of_a_replica():
    # 1 GiB; weights 1,313,800, workspace 2 * 64 * 1100, logits 5 * 8 * 1000, runtime 1000, reserve
    # 1e8.
    taken = 1_313_800 + 140_800 + 40_000 + 1000 + 1e8
    memory = MemoryTerms(context_bytes=1000, communicator_bytes=500)
    one = replica(DENSE, FAST, LIMITS, memory, RESERVE)
    assert_allclose(cache_bytes(one, 100), (2**30 - taken) * 0.5, rtol=1e-12)
    other = replica(DENSE, FAST, LIMITS, memory, RESERVE, library="vllm")
    assert_allclose(cache_bytes(other, 100), 2**30 * 0.5 - taken, rtol=1e-12)
    # 100 tokens take 7 blocks of 16: 112 * 320 bytes.
    assert_allclose(kv_capacity_tokens(other, 100), (2**29 - taken) / 35_840 * 100, rtol=1e-12)
    assert max_concurrency(other, 60, 40) == 5
    many = replica(DENSE, FAST, {**LIMITS, "max_sequences": 1e6}, memory, RESERVE, library="vllm")
    # With up to 256 sequences the logits take 2,048,000: (2^29 - taken - 2,008,000) / 35,840.
    assert max_concurrency(many, 60, 40) == (2**29 - taken - 2_008_000) // 35_840


def test_the_cache_of_gpus_with_attention_of_their_own():
    # Over 2 GPUs: weights 2 * (328,000 + 900), and the other half of attention too: 96,000 bytes.
    # Activations 2 * 64 * 650 + 40,000. A group holds twice what a GPU does, 320 bytes a token.
    group = replica(DENSE, FAST, LIMITS, None, RESERVE, tp=2, attention_dp=2, library="vllm")
    free = 2**29 - 657_800 - 96_000 - 123_200 - 1e8
    assert_allclose(kv_capacity_tokens(group, 112), 2 * free / 320, rtol=1e-12)


# --- prompts and batches -----------------------------------------------------------------------

WIDE_OPEN = {"max_tokens": 1024, "max_sequences": 2}


def test_the_mean_past_of_a_prompt_s_chunks():
    # 2 prompts of 16 tokens in chunks of 8: the first sees nothing before it, the second 8: 4 on
    # average. Attention: (8 * 48 + 4 * 8) * 10 = 4,160 bytes and 1 us, 4 layers, 4 iterations.
    parts = prefill_seconds(replica(DENSE, FAST, {"max_tokens": 8}), 2, 16)
    us(parts, {"attention": 4 * 4 * 5.16, "matmul": 4 * MATMUL_US[8], "head": 4 * HEAD_US[1]})
    # After 100 cached tokens: 104 on average.
    parts = prefill_seconds(replica(DENSE, FAST, {"max_tokens": 8}), 2, 16, 100)
    us(parts["attention"], 16 * (3.84 + 104 * 0.08 + 1))


def test_short_prompts_go_together():
    # 3 prompts of 4 tokens, two at a time: 1.5 iterations of 8 tokens.
    parts = prefill_seconds(replica(DENSE, FAST, {"max_tokens": 8}), 3, 4)
    us(parts, {"matmul": 1.5 * MATMUL_US[8], "attention": 1.5 * 19.36, "head": 1.5 * HEAD_US[2]})


def test_prompts_fill_a_pipeline():
    # 2 prompts of 8 on two stages: 3 rounds of half a pass, each on both stages' prompts; an
    # iteration counts both stages: 2 * (2 + 1) / 2 times half the products.
    parts = prefill_seconds(replica(DENSE, FAST, {"max_tokens": 8}, pp=2), 2, 8)
    us(parts["matmul"], 1.5 * MATMUL_US[8])


STEP_1 = MATMUL_US[1] + SMALL_US + HEAD_US[1] + 4 * 1.64  # 1 sequence at 8 tokens
STEP_2 = MATMUL_US[2] + 2 * SMALL_US + HEAD_US[2] + 4 * 2.28  # 2 sequences at 8 tokens
PROMPT_1 = MATMUL_US[4] + 4 * SMALL_US + HEAD_US[1] + 4 * 2.92  # a prompt of 4
PROMPT_2 = MATMUL_US[8] + 8 * SMALL_US + HEAD_US[2] + 4 * 4.84  # two prompts of 4
LATENCY_1, LATENCY_2 = PROMPT_1 + 7 * STEP_1, PROMPT_2 + 7 * STEP_2


def test_the_pieces_of_the_examples_below():
    found = [STEP_1, STEP_2, PROMPT_1, PROMPT_2]
    assert_allclose(found, [1170.422857, 1207.845714, 1273.531429, 1414.062857], rtol=1e-8)


def test_time_per_output_token():
    # 1 s and 10 gaps of 0.1 s for 11 tokens: 2 s.
    assert_allclose(per_output_token(1.0, 0.1, 11), 2 / 11)


def test_a_static_batch():
    found = static_batch(replica(DENSE, FAST, WIDE_OPEN), 2, 4, 8)
    us(found, {"ttft_s": PROMPT_2, "tpot_s": STEP_2, "latency_s": LATENCY_2})
    assert_allclose(found["output_tokens_s"], 16 / (LATENCY_2 * US))


LOCAL = Client(transport_s=0.0)


def times(one, decoding, context, chunk=0.0, prompts=0.0, past=0.0):
    """Seconds of an iteration."""
    parts = one.iteration_parts(decoding, context, chunk, prompts, past)
    return float(sum(parts.values()))


def test_a_request_alone():
    # Its tokens take a step each and no prompt's share; its prompt one iteration of 5 tokens (989.6
    # us of products), 2 ms on the way.
    one = 989.6 + 5 * SMALL_US + HEAD_US[2] + 4 * (1.64 + 2.92)
    made = replica(DENSE, FAST, WIDE_OPEN)
    found = steady_state(made, 1, 4, 8, client=Client(transport_s=0.002))
    us(found, {"tpot_s": STEP_1, "ttft_s": 2000 + one})
    assert_allclose(found["requests_s"], 1 / ((2000 + one + 7 * STEP_1) * US))
    assert found["in_flight"] == 1
    assert found["waiting"] == 0


def test_two_requests_in_flight():
    # Half of an iteration that one misses, one for the prompt, seven of tokens: 7 / 8.5 of it each
    # decodes, 1.647 of two. The other's prompt comes once in that life, 7 / 8.5 of it between
    # tokens; a prompt is read beside the 1 / 8.5 that come in an iteration. In process none of an
    # iteration is missed, so that the life has 8.
    one = replica(DENSE, FAST, WIDE_OPEN)
    found = steady_state(one, 2, 4, 8, client=LOCAL)
    alone = times(one, 14 / 8.5, 8)
    together = 1 + 1 / 8.5
    prompt = (times(one, 14 / 8.5, 8, 4, together) - alone) / together
    between = 7 / 8.5
    step, first = alone + between / 7 * prompt, alone + (2 - between) * prompt
    us(found, {"tpot_s": step / US, "ttft_s": first / US}, rtol=1e-6)
    latency = 8 * alone + 2 * prompt
    assert_allclose(found["requests_s"], 2 / latency, rtol=1e-6)
    assert_allclose(found["output_tokens_s"], 16 / latency, rtol=1e-6)
    assert_allclose(found["decoding"], 2 * 7 * step / latency, rtol=1e-6)
    assert_allclose(found["in_flight"], 2)
    assert_allclose(sum(found["parts"].values()), found["tpot_s"])


def test_a_scheduler_that_seldom_looks_for_requests_keeps_them_waiting():
    # As above, but looked for in every ninth iteration: 1/2 * (9 - 1)/2 + 1 + 7 = 10 iterations, of
    # which 1/2 more is reckoned with before it is known.
    one = replica(DENSE, FAST, {**WIDE_OPEN, "receive_every": 9})
    found = steady_state(one, 2, 4, 8, client=LOCAL)
    alone = times(one, 14 / 10.5, 8)
    together = 1 + 1 / 10.5
    prompt = (times(one, 14 / 10.5, 8, 4, together) - alone) / together
    between = 7 / 10.5
    step, first = alone + between / 7 * prompt, 3 * alone + (2 - between) * prompt
    us(found, {"tpot_s": step / US, "ttft_s": first / US}, rtol=1e-6)
    assert_allclose(found["requests_s"], 2 / (10 * alone + 2 * prompt), rtol=1e-6)
    assert_allclose(found["in_flight"], 2)


def test_requests_that_find_no_room_wait_outside():
    one = replica(DENSE, FAST, WIDE_OPEN)
    inside, found = (steady_state(one, n, 4, 8, client=LOCAL) for n in (2, 5))
    assert found["waiting"] == 3
    assert_allclose(found["in_flight"], 5)
    assert_allclose(found["requests_s"], inside["requests_s"])
    assert_allclose(found["ttft_s"] - inside["ttft_s"], 3 / inside["requests_s"])
    assert_allclose(steady_state(one, 5, 4, 8, client=LOCAL, most=5)["waiting"], 0)


def test_cached_prompts_are_read_and_not_computed():
    # Half of 8 tokens is cached: 4 new ones that see 4 before. 14 / 8.5 sequences hold 8 + 4
    # tokens on average.
    one = replica(DENSE, FAST, WIDE_OPEN)
    found = steady_state(one, 2, 8, 8, cached_share=0.5, client=LOCAL)
    both = one.iteration_parts(14 / 8.5, 12, 4, 1 + 1 / 8.5, 4)
    alone = one.iteration_parts(14 / 8.5, 12)
    for name in ("attention", "matmul"):
        added = (both[name] - alone[name]) / (1 + 1 / 8.5)
        assert_allclose(found["parts"][name], alone[name] + added / 8.5, rtol=1e-5)


def test_prompts_beyond_the_token_budget_wait():
    # 50 requests of 16 + 7 tokens at 6 an iteration: 191.667 iterations, 184.667 of them before the
    # first token. 1.82609 decode, which leaves 4.17391 for prompts: 3.83333 pieces each.
    one = replica(DENSE, FAST, {"max_tokens": 6})
    found = steady_state(one, 50, 16, 8, client=LOCAL)
    turns, decoding, chunk = 50 * 23 / 6, 50 * 7 * 6 / (50 * 23), 6 - 42 / 23
    alone = times(one, decoding, 20)
    prompt = (times(one, decoding, 20, chunk, 1, (16 - chunk) / 2) - alone) * 16 / chunk
    assert_allclose(found["requests_s"], 50 / (turns * alone + 50 * prompt), rtol=1e-6)
    between = 49 * 7 / turns
    assert_allclose(found["tpot_s"], alone + between / 7 * prompt, rtol=1e-6)
    assert_allclose(found["ttft_s"], (turns - 7) * alone + (50 - between) * prompt, rtol=1e-6)
    # Every iteration is full: twice as many in flight get no more done.
    twice = steady_state(one, 100, 16, 8, client=LOCAL)
    assert_allclose(twice["requests_s"], found["requests_s"], rtol=1e-6)
    assert_allclose(twice["in_flight"] / twice["requests_s"], 2 * 50 / found["requests_s"])


def test_a_burst_waits_for_the_prompts_before_it():
    # 2 prompts of 4, read together.
    one = replica(DENSE, FAST, WIDE_OPEN)
    found = steady_state(one, 9, 4, 8, client=LOCAL, requests=2)
    us(found["ttft_s"], PROMPT_2)
    # Prompts of 4,000 at 1,002 tokens an iteration, of which 2 decode at most: 4 pieces of 1,000.30
    # each, one prompt after the other, so that the mean of one and of two passes.
    tight = replica(DENSE, FAST, {"max_tokens": 1002, "max_sequences": 2})
    found = steady_state(tight, 2, 4000, 8, client=LOCAL, requests=2)
    assert_allclose(found["ttft_s"], 1.5 * 4 * times(tight, 0, 1, 1000, 1, 1500), rtol=0.005)


def test_equal_requests_stand_in_line():
    # Eight end one after the other. While the first is on its way w an iteration of `alone` passes
    # 1 / (1 - exp(-alone / w)) times: so many stand before the later ones, the mean of all of them
    # less by half of that share of eight.
    one = replica(DENSE, FAST, {**WIDE_OPEN, "max_sequences": 8})
    way = 0.002
    equal, varied = (Client(lengths=how, transport_s=way) for how in ("equal", "varied"))
    alike, mixed = (steady_state(one, 8, 4, 500, client=c) for c in (equal, varied))
    turns = 500 + 7 / 8
    alone = times(one, 8 * 499 / turns, 4 + 250)
    lump = 1 + 7 / turns
    prompt = (times(one, 8 * 499 / turns, 4 + 250, 4, lump) - alone) / lump
    passed = 1 / (1 - np.exp(-alone / way))
    stand = passed * (1 - passed / 16)
    more = (stand - 7 * (turns - 499) / turns) * prompt
    assert_allclose(alike["ttft_s"] - mixed["ttft_s"], more, rtol=1e-6)
    assert_allclose(alike["requests_s"], mixed["requests_s"])


def test_a_request_misses_the_iterations_that_start_on_its_way():
    # Four that never wait for memory: the way is w, an iteration t; t / (1 - exp(-t / w)) - w more.
    ahead = {**WIDE_OPEN, "max_sequences": 4}
    one, early = replica(DENSE, FAST, ahead), replica(DENSE, FAST, {**ahead, "works_ahead": True})
    far, near = Client(transport_s=0.004), LOCAL
    found, local, ready = (
        steady_state(r, 4, 4, 500, client=c) for r, c in ((one, far), (one, near), (early, far))
    )
    turns = 500 + 3 / 4
    alone = times(one, 4 * 499 / turns, 4 + 250)
    lump = 1 + 3 / turns
    prompt = (times(one, 4 * 499 / turns, 4 + 250, 4, lump) - alone) / lump
    mean = alone + 4 * prompt / turns
    waits = mean / (1 - np.exp(-mean / 0.004)) - 0.004
    missed = 3 / 4 * waits * alone / mean
    assert_allclose(found["ttft_s"] - local["ttft_s"], 0.004 + missed, rtol=1e-6)
    # One that works ahead has the next iteration ready: three quarters of one more.
    assert_allclose(ready["ttft_s"] - found["ttft_s"], 3 / 4 * alone, rtol=0.02)


def test_the_largest_load():
    # 2 at most; or 4 of which half are in flight.
    two = steady_state(replica(DENSE, FAST, WIDE_OPEN), 2, 4, 8)
    found = maximum_load(replica(DENSE, FAST, WIDE_OPEN), 4, 8)
    assert found["max_concurrency"] == 2
    assert_allclose(found["output_tokens_s"], two["output_tokens_s"])
    half = replica(DENSE, FAST, {**WIDE_OPEN, "max_sequences": 4}, engine={"occupancy": 0.5})
    assert_allclose(maximum_load(half, 4, 8)["requests_s"], two["requests_s"])
    none = DENSE.model_copy(update={"vocab": 10**7})  # 4 GB of embeddings
    assert maximum_load(replica(none, FAST, WIDE_OPEN), 4, 8)["output_tokens_s"] == 0


def test_a_run_of_requests_that_are_all_there():
    # 5 requests, 2 at a time: drifted apart, 5 less half of those that decode in steady state and a
    # tail of 6 steps. Of equal length: two waves of 2 and one of 1, or a tail of 4 steps. Prompts
    # are 1414.063 / 9868.983 of a wave.
    one = replica(DENSE, FAST, WIDE_OPEN)
    steady = steady_state(one, 2, 4, 8)
    drifted = (5 - steady["decoding"] / 2) / steady["requests_s"] + 4 * steady["tpot_s"]
    assert_allclose(finite_run(one, 5, 2, 4, 8), drifted + 2 * steady["tpot_s"])
    share = PROMPT_2 / LATENCY_2
    waves = (2 * LATENCY_2 + LATENCY_1) * US
    equal = Client(lengths="equal")  # over HTTP, where the second request stands in line
    steady = steady_state(one, 2, 4, 8, client=equal, most=2)
    drifted = (5 - steady["decoding"] / 2) / steady["requests_s"] + 4 * steady["tpot_s"]
    found = finite_run(one, 5, 2, 4, 8, client=equal)
    assert_allclose(found, (1 - share) * waves + share * drifted)


def test_requests_that_wait_for_prompts_are_still_to_be_served():
    # Prompts of 50 tokens at 60 an iteration and answers of 2: however many are in flight, a run of
    # 1,000 takes as long as its prompts.
    one = replica(DENSE, FAST, {"max_tokens": 60})
    few, many = (finite_run(one, 1000, n, 50, 2, client=LOCAL) for n in (8, 800))
    assert_allclose(many, few, rtol=0.02)


# --- speculation -------------------------------------------------------------------------------


def test_tokens_of_a_step_that_speculates():
    assert_allclose(accepted_tokens(2, 0.5), 1.75)  # 1 + 0.5 + 0.25


def test_a_step_that_speculates():
    # One drafted token of which half are accepted: 1.5 tokens a step. A step checks 2 tokens of
    # each of the sequences that decode; the draft takes a tenth of a step.
    one = replica(DENSE, FAST, WIDE_OPEN)
    plain = steady_state(one, 2, 4, 8)
    found = speculative(one, plain, 4, 8, 1, 0.5)
    decoding = plain["decoding"]
    step = times(one, decoding, 8)
    checked = float(sum(one.iteration_parts(decoding, 8, tokens_each=2).values()))
    tpot = (plain["tpot_s"] + checked - step + 0.1 * step) / 1.5
    assert_allclose(found["tpot_s"], tpot)
    assert_allclose(found["parts"]["engine"], 0.1 * step / 1.5)
    assert_allclose(found["requests_s"], 2 / (plain["ttft_s"] + 7 * tpot))
    assert_allclose(found["output_tokens_s"], 8 * found["requests_s"])
    assert_allclose(found["decoding"], 7 * tpot * found["requests_s"])
    # Three tokens of a draft that costs a half: 1.5 steps.
    dear = speculative(one, plain, 4, 8, 3, 0.5, draft_cost=0.5)
    assert_allclose(dear["parts"]["engine"], 1.5 * step / 1.875)
    # Three more wait outside, and so long as three answers take.
    more = speculative(one, steady_state(one, 5, 4, 8, client=LOCAL), 4, 8, 1, 0.5)
    found = speculative(one, steady_state(one, 2, 4, 8, client=LOCAL), 4, 8, 1, 0.5)
    assert_allclose(more["requests_s"], found["requests_s"])
    assert_allclose(more["ttft_s"] - found["ttft_s"], 3 / found["requests_s"])


# --- queues ------------------------------------------------------------------------------------


def test_the_largest_rate_for_ever():
    one = replica(DENSE, FAST, WIDE_OPEN)
    rates = [float(steady_state(one, n, 4, 8, client=LOCAL)["requests_s"]) for n in (1, 2)]
    assert_allclose(sustainable_requests_s(one, 4, 8), max(rates))


def test_a_request_alone_and_one_too_many():
    one = replica(DENSE, FAST, WIDE_OPEN)
    found = arrivals(one, [1e-3, 1e6], 4, 8, client=Client(transport_s=0.002))
    us(found["ttft_mean_s"][0], PROMPT_1 + 2000)
    us(found["ttft_p99_s"][0], PROMPT_1 + 2000)
    us(found["tpot_mean_s"][0], STEP_1)
    us(found["in_flight"][0], 1e-3 * (PROMPT_1 + 2000 + 7 * STEP_1))
    assert_allclose(found["output_tokens_s"][0], 8e-3)
    most = sustainable_requests_s(one, 4, 8)
    assert np.isinf(found["ttft_p50_s"][1])
    assert_allclose(found["utilisation"], [1e-3 / most, 1e6 / most])
    assert_allclose(found["output_tokens_s"][1], 8 * most)


# --- a simulation ------------------------------------------------------------------------------


def at(step, decoding, tokens):
    """Seconds of an iteration, on a line between those that are known."""
    return np.interp(tokens, step.tokens, step.seconds[decoding])


def test_an_iteration_between_known_ones():
    # 3 prompts of 4 beside one that decodes: known at 2, 4 and 8 prompts; between, on a line.
    one = replica(DENSE, FAST, WIDE_OPEN)
    step = Iterations(one, 4, 8)
    assert_allclose(at(step, 1, 0), STEP_1 * US)
    assert_allclose(at(step, 0, 4), PROMPT_1 * US)
    assert_allclose(at(step, 0, 8), PROMPT_2 * US)
    assert_allclose(at(step, 0, 6), (at(step, 0, 4) + at(step, 0, 8)) / 2, rtol=1e-3)


def test_three_requests_pass_by_hand():
    # Two at 0, one while they decode, for which there is room when the first leaves: the three
    # have 3, 5 and 2 tokens. Prompts of both; two steps of 2; a prompt beside the second's token;
    # one step of 2, in which both end.
    one = replica(DENSE, FAST, WIDE_OPEN)
    step = Iterations(one, 4, 8)
    seen = simulate(step, [0.0, 0.0, 2e-3], [3, 5, 2], transport_s=0.001)
    third = PROMPT_2 + 2 * STEP_2
    last = third + at(step, 1, 4) / US
    end = last + STEP_2
    us(seen.ttft_s, [1000 + PROMPT_2, 1000 + PROMPT_2, 1000 + last - 2000])
    us(seen.tpot_s, [STEP_2, (end - PROMPT_2) / 4, STEP_2])
    us(seen.seconds, end)
    assert_allclose(seen.in_flight, (third + end + end - 2000) / end)


def test_a_closed_loop_sends_the_next_when_an_answer_is_complete():
    # One client, three requests of 2 tokens: each a prompt and a step, and 1 ms on the way.
    one = replica(DENSE, FAST, WIDE_OPEN)
    seen = simulate(Iterations(one, 4, 2), np.zeros(3), clients=1, transport_s=0.001)
    context_5 = times(one, 1, 5) / US
    us(seen.ttft_s, [PROMPT_1 + 1000] * 3)
    us(seen.seconds, 3 * (PROMPT_1 + context_5) + 2000)


# --- images ------------------------------------------------------------------------------------

PICTURE = ImageModel(
    id="toy", reference_pixels=2**20, image_tokens=90, text_tokens=10, linear_gflop=1000,
    attention_gflop=500, passes_a_step=2, blocks="unet",
)  # fmt: skip
SHARES = ImageTerms(
    share=0.5, power=0.5, low_share=0.8, tensorrt_bytes=2, compiled_bytes=4, eager_bytes=8,
    unet=0.5, fused_launch_ms=10, eager_launch_ms=20, decode_tflop=10,
)  # fmt: skip
CARD = WIDE.model_copy(update={"chip": "", "memory_bandwidth_gb_s": 1000.0})


def test_an_image():
    # Twice the pixels: 180 + 10 tokens for 100: 1.9 and 3.61 times: 1900 + 1805 GFLOP a pass.
    assert_allclose(PICTURE.pass_flop(2048, 1024), 3.705e12)
    # 10 steps of 2 passes at 0.5e12; 1,900 GFLOP move 0.001 bytes each at 1e12 a second.
    found = image_seconds(PICTURE, CARD, ImageJob(10, 2048, 1024, batch=4), SHARES)
    assert_allclose(found["products"], 20 * 3.705 / 0.5)
    assert_allclose(found["traffic"], 20 * 0.0019)
    assert_allclose(found["launches"], 20 * 0.010 / 4)
    # Two megapixels of 10 TFLOP: 20 / 0.5 on the units, 20e12 * 0.001 bytes.
    assert_allclose(found["decode"], 40.02)


@pytest.mark.parametrize(
    ("stack", "bytes_flop", "launch"), [("compiled", 0.004, 0.01), ("eager", 0.008, 0.02)]
)
def test_an_image_of_a_transformer_by_other_stacks(stack, bytes_flop, launch):
    flux = PICTURE.model_copy(update={"blocks": "transformer"})
    job = ImageJob(10, stack=stack, passes_a_step=1, decodes=False)
    found = image_seconds(flux, CARD, job, SHARES)
    assert_allclose(found["products"], 10 * 1.5 / 0.5)
    assert_allclose(found["traffic"], 10 * bytes_flop)
    assert_allclose(found["launches"], 10 * launch)
    assert found["decode"] == 0


def test_an_image_in_8_bits():
    # Twice the peak at 0.8 of the share: 0.8e12 in products. TensorRT computes attention so too in
    # FP8, compiled PyTorch at 0.5e12; traffic is a half and three quarters of 0.001 and 0.002.
    card = CARD.model_copy(update={"fp8_dense_tflops": 2.0, "int8_dense_tops": 2.0})
    both = {s: image_seconds(PICTURE, card, ImageJob(10, stack=s, precision="fp8"), SHARES)
            for s in ("tensorrt", "compiled")}  # fmt: skip
    assert_allclose(both["tensorrt"]["products"], 20 * 1.5 / 0.8)
    assert_allclose(both["compiled"]["products"], 20 * (1 / 0.8 + 0.5 / 0.5))
    assert_allclose(both["tensorrt"]["traffic"], 20 * 0.0005)
    assert_allclose(both["compiled"]["traffic"], 20 * 0.0015)
    whole = image_seconds(PICTURE, card, ImageJob(10, precision="int8"), SHARES)["products"]
    assert_allclose(whole, both["compiled"]["products"])
    # Where 8 bits are slower than 16, as INT8 on B300, the products stay in 16.
    slow = card.model_copy(update={"int8_dense_tops": 0.1})
    assert_allclose(
        image_seconds(PICTURE, slow, ImageJob(10, precision="int8"), SHARES)["products"], 60
    )


def test_power_of_a_card():
    # An H100 PCIe has 350 W for 114 SMs, the SXM module 700 for 132: 0.579 of it.
    assert_allclose(power_ratio(gpu("H100 PCIe")), 350 / (114 * 700 / 132))
    assert power_ratio(gpu("H20")) == power_ratio(gpu("H100")) == power_ratio(gpu("MI300X")) == 1


def test_a_replica_s_gpus():
    assert replica(DENSE, FAST, tp=2, pp=3).gpus == 6
    assert BF16.bytes_per_weight == 2
