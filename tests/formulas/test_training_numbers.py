"""One number, worked out by hand, for every formula of training.

On `FAST` (1e9 bytes/s) a product takes 0.1 us (its launch is queued) and a nanosecond a byte. For
100 tokens the four products of a layer of DENSE move 76,000 + 60,000 + 260,000 + 140,000 bytes,
forward as in both gradients: 536.4 us.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_links_numbers import FABRIC
from toys import ADAMW, DENSE, FAST, INT4, MOE, WIDE, WINDOWED
from toys import kernels as toy_kernels

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.catalog.models import model
from gpuspec.constants.training import TrainingTerms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.memory import Adapter
from gpuspec.formulas.power import clock_share, limited, node_power_w
from gpuspec.formulas.recompute import recompute_of
from gpuspec.formulas.roofline import experts_touched
from gpuspec.formulas.training.communication import Ranks
from gpuspec.formulas.training.flops import (
    hardware_flops_per_token,
    model_flops_per_token,
    utilisation,
)
from gpuspec.formulas.training.layers import (
    adapter_seconds,
    by_kind,
    cast_seconds,
    dense_gemm_seconds,
    elementwise_seconds,
    flash_seconds,
    gemm_seconds,
    routed_gemm_seconds,
    score_elements,
    unfused_gemm_seconds,
    unpack_seconds,
)
from gpuspec.formulas.training.run import (
    checkpoint_bytes,
    checkpoint_interval_s,
    goodput,
    host_memory_gb,
    storage_bytes,
    training_seconds,
)
from gpuspec.formulas.training.step import PARTS, Cluster, step_parts
from gpuspec.formulas.training.words import parallel_sizes

MEMORY, UNITS = toy_kernels(FAST), toy_kernels(WIDE)
QLORA = Adapter(base=INT4, rank=8, targets=("q", "v"))


def n(*values):
    return np.array(values, float)


def us(found, expected, rtol=1e-7):
    assert_allclose(np.ravel(found) * 1e6, expected, rtol=rtol, atol=1e-9)


# --- operations --------------------------------------------------------------------------------


def test_operations_of_a_token():
    # 6 * (456,000 + 100,000 of the output head) = 3,336,000. Attention in full: 6 * 10 heads * (10
    # + 10) * 100 tokens * 4 layers = 480,000; half of it under the diagonal.
    assert model_flops_per_token(DENSE, 100, "parameters") == 3_336_000
    assert model_flops_per_token(DENSE, 100, "full") == 3_816_000
    assert model_flops_per_token(DENSE, 100) == 3_576_000
    # Two layers see 64 of 100 tokens: in full 6 * 200 * (128 + 200); under the diagonal a band, 64
    # - 64^2 / 200 = 43.52: 6 * 200 * (87.04 + 100).
    assert_allclose(model_flops_per_token(WINDOWED, 100, "full"), 3_336_000 + 393_600)
    assert_allclose(model_flops_per_token(WINDOWED, 100), 3_336_000 + 224_448)
    # Experts: 2 of 8 and the shared one, 45,000 in 3 layers; one MLP; attention; routers of 800.
    assert model_flops_per_token(MOE, 100, "parameters") == 6 * (
        3 * 45_000 + 90_000 + 96_000 + 2_400 + 100_000
    )


def test_operations_that_are_repeated():
    # Full: the forward third of all but the head (600,000). Selective: the forward third of
    # 240,000.
    assert hardware_flops_per_token(DENSE, 100) == 3_576_000
    assert hardware_flops_per_token(DENSE, 100, "full") == 3_576_000 + 992_000
    assert hardware_flops_per_token(DENSE, 100, "selective") == 3_576_000 + 80_000
    assert utilisation(4e11, 1e12) == 0.4


# --- layers ------------------------------------------------------------------------------------


def test_the_three_products_of_a_matrix():
    # 64 tokens, 128 x 100 weights, tiles of at least 64 x 64 on one SM of 1e12/s. Forward 64 x 128
    # deep 100: 1.6384 us. Gradients of inputs 64 x 100 deep 128, of weights 128 x 100 deep 64:
    # padded to 64 x 128 and 128 x 128: 2.097152 us each.
    shapes = [(128.0, 100.0)]
    us(gemm_seconds(n(64), shapes, UNITS, False, "forward"), 1.7384)
    us(gemm_seconds(n(64), shapes, UNITS, False, "inputs"), 2.197152)
    us(gemm_seconds(n(64), shapes, UNITS, False, "weights"), 2.197152)
    us(gemm_seconds(n(64), shapes, UNITS, True, "forward"), 0.9192)
    # Bytes: 2 (12,800 + 6,400 + 8,192) = 54,784; in FP8 one each for inputs: 12,800 + 6,400 +
    # 16,384.
    us(gemm_seconds(n(64), shapes, MEMORY, False, "weights"), 54.884)
    us(gemm_seconds(n(64), shapes, MEMORY, True, "forward"), 35.684)


def test_products_of_an_average_layer():
    # One token: attention 48.88 + 0.2, MLP 182.2 + 0.2. Of experts: a quarter of the layers has the
    # MLP, three quarters the shared expert, 30.7 + 0.2.
    us(dense_gemm_seconds(DENSE, n(1), n(1), MEMORY, False, "forward"), 231.48)
    us(dense_gemm_seconds(MOE, n(1), n(1), MEMORY, False, "forward"), 49.08 + 45.6 + 23.175)
    # Split over 2: 14,340 + 10,300 + 60,800 + 30,500 bytes.
    us(dense_gemm_seconds(DENSE, n(1), n(2), MEMORY, False, "forward"), 115.94 + 0.4)


def test_products_of_routed_experts():
    # 8 tokens choose 2 of 8; over ep 2 a GPU holds 4 and gets 4 rows for each: 21,600 + 11,200
    # bytes.
    us(routed_gemm_seconds(MOE, n(8), n(1), n(2), MEMORY, False, "forward"), 0.75 * 4 * 33.0)
    # Each half as wide: 50 x 100 and 100 x 25 of 4 rows: 11,200 + 6,000.
    us(routed_gemm_seconds(MOE, n(8), n(2), n(2), MEMORY, False, "forward"), 0.75 * 4 * 17.4)
    us(routed_gemm_seconds(DENSE, n(8), n(1), n(1), MEMORY, False, "forward"), 0)


def test_fused_attention():
    # 100 tokens: 48,000 bytes. Two windowed layers of 64: 100 / 64 squares of 64, taken twice.
    us(flash_seconds(DENSE, n(1), n(100), n(1), n(1), MEMORY), 48.1)
    us(flash_seconds(DENSE, n(1), n(100), n(2), n(1), MEMORY), 24.1)
    us(flash_seconds(DENSE, n(1), n(100), n(1), n(2), MEMORY), 24.05)
    us(flash_seconds(WINDOWED, n(1), n(100), n(1), n(1), MEMORY), (96.2 + 48.1) / 2)
    # Operations of one tile of 128 queries: 4 * 10 heads * 10 * 128 * 128.
    us(flash_seconds(DENSE, n(1), n(128), n(1), n(1), UNITS), 6.5536 + 0.1)


def test_unfused_attention():
    assert score_elements(DENSE, n(2), n(100), n(5), n(2)) == 20_000  # 2 * 10 / 5 * 100^2 / 2
    # Two products of 2 * 10 operations a score at half of 1e12/s.
    us(unfused_gemm_seconds(DENSE, n(20_000), UNITS), 1.6)


def test_kernels_that_move_hidden_vectors():
    # 10 * 100 + 2 * (10 + 2) * 10 + 3 * 300 = 2,140 elements of 2 bytes at 0.8e9.
    us(elementwise_seconds(DENSE, n(1), n(1), False, MEMORY), 5.35)
    us(elementwise_seconds(DENSE, n(1), n(2), False, MEMORY), 1570 / 400)
    us(elementwise_seconds(DENSE, n(1), n(2), True, MEMORY), 1070 / 400)
    # Experts: width 0.25 * 300 + 0.75 * (2 * 50 + 50) = 187.5; copies 4 * 0.75 * 2 * 100.
    us(elementwise_seconds(MOE, n(1), n(1), False, MEMORY), (1240 + 562.5 + 600) / 400)
    plain = DENSE.model_copy(update={"gated_mlp": False})
    us(elementwise_seconds(plain, n(1), n(1), False, MEMORY), 1840 / 400)


def test_casts_and_unpacking():
    # Inputs of the products: 2 * 100 + 100 + 300 elements of 4 bytes at 0.8e9; what is split
    # halves.
    us(cast_seconds(DENSE, n(1), n(1), MEMORY), 3.0)
    us(cast_seconds(DENSE, n(1), n(2), MEMORY), 2.0)
    us(cast_seconds(DENSE, n(1), n(1), MEMORY, trained=False), 2.25)  # no transpose
    # 114,000 weights of a layer: 0.625 bytes read, 2 written.
    us(unpack_seconds(DENSE, n(1), n(1), MEMORY, QLORA), 374.0625)
    us(unpack_seconds(DENSE, n(2), n(1), MEMORY, QLORA), 374.0625 / 2)
    # Attention 96,000, MLP 90,000, a quarter of 360,000 of routed experts; the format leaves the
    # shared one.
    us(unpack_seconds(MOE, n(1), n(4), MEMORY, QLORA), 276_000 / 4 * 2.625 / 800)
    us(unpack_seconds(DENSE, n(1), n(1), MEMORY, None), 0)


def test_passes_of_adapters():
    # 2,560 parameters a layer at rank 8: 320 of input and output; over tp 2 one of both is split.
    us(adapter_seconds(DENSE, n(100), n(1), MEMORY, QLORA), 3.5 * 320 * 100 * 2 / 800)
    us(adapter_seconds(DENSE, n(100), n(2), MEMORY, QLORA), 0.75 * 280)
    us(adapter_seconds(DENSE, n(100), n(1), MEMORY, None), 0)
    fused = QLORA.model_copy(update={"fused": True})  # 100 + 100 of q, 20 of v
    us(adapter_seconds(DENSE, n(100), n(1), MEMORY, fused), 3.5 * 220 * 100 * 2 / 800)
    # Routed experts, each with gate, up and down of 100 x 50: a token uses 2 of 8.
    every = QLORA.model_copy(update={"targets": ("gate", "up", "down")})
    more = adapter_seconds(MOE, n(1), n(1), MEMORY, every) * 800e6 / 3.5 / 2
    dense, shared, routed = 0.25 * 3 * 400, 0.75 * 3 * 150, 0.75 * 2 * 3 * 150
    assert_allclose(more, dense + shared + routed)


# --- communication: times of collectives are those of the tests of links ------------------------


def ranks(tp=1, pp=1, dp=1, cp=1, ep=1):
    return Ranks(fabric=FABRIC, tp=n(tp), pp=n(pp), dp=n(dp), cp=n(cp), ep=n(ep))


REDUCE, ONE_WAY = 118 + 1500 / 0.9, 109 + 750 / 0.95
"""All-reduce, and all-gather or reduce-scatter, of 1e6 bytes over 4 GPUs of a node."""


def test_tensor_parallelism():
    # 5,000 tokens of 100 channels of 2 bytes: 1e6 bytes.
    four = ranks(tp=4)
    us(four.tensor(DENSE, n(5000), False, False), 4 * REDUCE)
    us(four.tensor(DENSE, n(5000), False, True), 6 * REDUCE)
    us(four.tensor(DENSE, n(5000), True, False), 10 * ONE_WAY)
    us(four.tensor(DENSE, n(5000), True, True), 14 * ONE_WAY)
    # What is gathered was cast to 8 bit: 109 + 375 / 0.95.
    us(four.tensor(DENSE, n(5000), True, False, True), 6 * (109 + 375 / 0.95) + 4 * ONE_WAY)


def test_context_parallelism():
    # Keys and values of 2,500 tokens, 2 heads of 10 + 10 of 2 bytes: 200,000 bytes, one hop.
    us(ranks(cp=2).context(DENSE, n(1), n(5000)), 4 + 400)
    us(ranks(tp=2, cp=2).context(DENSE, n(1), n(5000)), 4 + 200)
    # 16 ranks lie on two nodes: 25,000 bytes over an eighth of 0.8 of 4e9, half of it, 15 hops.
    us(ranks(cp=16).context(DENSE, n(1), n(5000)), 15 * (20 + 125))


def test_expert_parallelism():
    # 2,500 tokens to 2 experts each: 1e6 bytes, there and back, in three of four layers.
    us(ranks(ep=4).experts(MOE, n(2500)), 2 * (50 + 750 / 0.95) * 0.75)
    us(ranks(ep=4, tp=2).experts(MOE, n(5000)), 2 * (50 + 750 / 0.95) * 0.75)
    us(ranks(ep=4).experts(DENSE, n(2500)), 0)


def test_hand_offs_of_a_pipeline():
    us(ranks(pp=4, dp=2).pipeline(DENSE, n(5000), False), 4 + 2000)
    us(ranks(pp=4, tp=2).pipeline(DENSE, n(5000), True), 4 + 1000)
    # 8 * 4 ranks cross nodes: 8 groups share 0.8 of 4e9, half of it.
    us(ranks(pp=4, dp=8).pipeline(DENSE, n(5000), False), 20 + 5000)
    us(ranks(pp=4, dp=4).pipeline(DENSE, n(5000), False), 20 + 5000)


def test_gradients_of_sharded_copies():
    # 4 ranks, 2 share a copy. All gradients over 4; within 2: 500 us at 0.9 and a start of 103;
    # weights of 2e6: 1000 us. Between the two copies half of the gradients: 106 + 500 / 0.8.
    found = ranks(dp=4).data(n(1e6), n(2e6), n(2))
    us(found.reduce, REDUCE)
    us(found.scatter, 103 + 500 / 0.9)
    us(found.gather, 103 + 1000 / 0.9)
    us(found.between, 106 + 500 / 0.8)
    us(ranks(dp=4).data(n(1e6), n(2e6), n(4)).between, 0)


def test_groups_that_lie_far_apart():
    # Over tp 8 the ranks of data parallelism lie on 4 nodes, and 8 groups share the network: 3e6
    # bytes at 0.4e9 / 1.1; in bulk a ring of 3 hops of 30 us, twice around.
    us(ranks(tp=8, dp=4).data(n(2e6), n(4e6), n(4)).reduce, 200 + 180 + 3000 * 1.1 / 0.4)


# --- a step ------------------------------------------------------------------------------------

TERMS = {
    "matmul_factor": 1.0, "fp8_factor": 1.0, "hopper_factor": 1.0, "flash2_on_hopper": 2.0,
    "attention_factor": 1.0, "score_passes": 3.0, "elementwise_factor": 1.0, "fp8_passes": 0.0,
    "expert_factor": 1.0, "layer_us": 20.0, "separate_layer_us": 20.0,
    "head_passes": 0.5, "tp_exposed": 1.0,
    "cp_exposed": 0.3, "tp_overlapped": 0.25, "tp_between": 2.0, "handoff_ms": 0.0,
    "zero1_exposed": 0.4, "zero3_exposed": 0.2, "row_factor": 1.4, "block_factor": 1.2,
    "ep_exposed": 1.0, "pp_exposed": 0.5, "dp_exposed": 0.3, "bubble_factor": 1.0,
    "optimizer_factor": 1.0, "offload_gb_s": 100.0, "step_ms": 0.05, "jitter": 0.0001,
    "flash_on_ampere": 0.75, "flash3_factor": 0.5, "pp_overlapped": 0.25,
}  # fmt: skip


def cluster(kernels=MEMORY, **terms):
    return Cluster(kernels=kernels, fabric=FABRIC, terms=TrainingTerms(**{**TERMS, **terms}))


def step(model=DENSE, terms=None, kernels=MEMORY, fp8=False, adapter=None, **job):
    asked = TrainingJob.of(**{"seq_len": 100, **job})
    on = cluster(kernels, **(terms or {}))
    found = step_parts(model, ADAMW, on, asked, fp8=fp8, adapter=adapter)
    gpus = np.prod([job.get(name, 1) for name in ("tp", "pp", "dp", "cp")])
    slower = 1.0001 ** np.log2(gpus)  # the slowest of them sets the pace
    return {name: float(found[name]) * 1e6 / slower for name in PARTS}


def near(found, expected, rtol=1e-7):
    assert_allclose(found, expected, rtol=rtol, atol=1e-3)


PRODUCTS, FLASH, SMALL = 536.4, 48.1, 535.0
"""us of a layer of DENSE for 100 tokens, forward: products, attention, kernels that move."""
LAYER = 3 * PRODUCTS + 4 * FLASH + 3 * SMALL
HEAD = 3 * 420.1 + 200
"""2 (100,000 + 10,000 + 100,000) bytes thrice; 100 * 1000 logits of 4 bytes, half a pass."""


def test_parts_of_a_step():
    # Backward: twice the products, three times the attention, twice the rest. The optimizer moves 4
    # (gradient) + 2 * 12 (states) + 2 bytes a parameter, clipping 4 more: 34 * 656,900.
    found = step()
    near(found["gemm"], 4 * 3 * PRODUCTS)
    near(found["attention"], 4 * 4 * FLASH)
    near(found["elementwise"], 4 * 3 * SMALL)
    near(found["head"], HEAD)
    near(found["optimizer"], 34 * 656.9)
    near(found["fixed"], 50)
    for name in ("recompute", "launch_bound", "tp", "cp", "ep", "pp", "dp", "bubble"):
        near(found[name], 0)


def test_micro_batches_repeat_all_but_the_update():
    one, three = step(), step(microbatches=3)
    # Each adds its gradients to those before: 4 bytes read and 4 written at 0.8e9 bytes/s.
    near(three["gemm"], 3 * (one["gemm"] + 8 * 656.9 / 0.8))
    near(step(microbatches=3, zero_stage=3)["gemm"], 3 * one["gemm"])
    for name in ("attention", "elementwise", "head"):
        near(three[name], 3 * one[name])
    near(three["optimizer"], 34 * 656.9)
    near(three["fixed"], 50)


def test_constants_of_a_framework():
    more = {
        "matmul_factor": 1.5, "hopper_factor": 1.2, "attention_factor": 2.0,
        "elementwise_factor": 3.0, "optimizer_factor": 4.0,
    }  # fmt: skip
    found = step(terms=more)
    near(found["gemm"], 4 * 3 * PRODUCTS * 1.8)
    near(found["attention"], 2 * 4 * 4 * FLASH)
    near(found["elementwise"], 3 * 4 * 3 * SMALL)
    near(found["head"], 1.5 * 3 * 420.1 + 200)
    near(found["optimizer"], 4 * 34 * 656.9)
    # FlashAttention 2 is made for the generation before.
    near(step(attention="flash2")["attention"], 2 * 4 * 4 * FLASH)
    ampere = MEMORY.model_copy(update={"gpu": FAST.model_copy(update={"architecture": "Ampere"})})
    near(step(attention="flash3")["attention"], 0.5 * 4 * 4 * FLASH)
    for kind in ("flash", "flash2", "flash3"):
        near(step(attention=kind, kernels=ampere)["attention"], 0.75 * 4 * 4 * FLASH)
    near(step(terms=more, kernels=ampere)["gemm"], 4 * 3 * PRODUCTS * 1.5)


def test_recomputation():
    # Full: the forward pass of each layer again. Selective: attention. Operations: every second
    # product and the passes over vectors.
    near(step(recompute="full")["recompute"], 4 * (PRODUCTS + FLASH + SMALL))
    near(step(recompute="selective")["recompute"], 4 * FLASH)
    near(step(recompute="operations")["recompute"], 4 * (PRODUCTS / 2 + SMALL))
    every_fourth = step(recompute="full", recompute_share=0.25)
    near(every_fourth["recompute"], PRODUCTS + FLASH + SMALL)
    # Scores: 10 heads * 100^2 of 2 bytes, three passes forward (one third of 3 + 6 each).
    eager = step(recompute="selective", attention="eager")
    near(eager["attention"], 4 * 3 * 200)
    near(eager["recompute"], 4 * 200)
    near(step(recompute="none", attention="eager", terms={"score_passes": 6.0})["attention"], 4800)


def test_a_loss_that_writes_gradients_over_the_logits():
    # 100 tokens, 1,000 logits of 4 bytes: one pass, and not ten, of 400 us.
    plain = step(terms={"head_passes": 10.0})["head"]
    near(plain - step(bytes_per_logit=2.0, terms={"head_passes": 10.0})["head"], 9 * 400)
    near(step(bytes_per_logit=10.0, terms={"head_passes": 10.0})["head"], plain)


def test_documents_in_a_sequence():
    # Two documents of 50 tokens: half the scores; as many queries, keys and values.
    near(step(document_tokens=50, attention="eager")["attention"], 4 * 3 * 100)
    near(step(document_tokens=50)["attention"], 4 * 4 * FLASH)
    near(step(document_tokens=500)["attention"], 4 * 4 * FLASH)


def test_a_host_that_launches_too_slowly():
    # 3000 us for each of forward and twice backward: (3406.6^4 + 9000^4)^(1/4) - 3406.6 = 5639.23.
    near(step(terms={"layer_us": 3000})["launch_bound"], 4 * 5639.23, rtol=1e-5)
    # Full recomputation launches a third pass: 12,000 us beside 4526.1: 7534.1.
    found = step(terms={"layer_us": 3000}, recompute="full")["launch_bound"]
    near(found, 4 * 7534.1, rtol=1e-4)
    # Separate operations have a pace of their own.
    slow = step(terms={"separate_layer_us": 3000}, fused_glu=False)["launch_bound"]
    near(slow, 4 * 5639.23, rtol=1e-5)
    assert step(terms={"separate_layer_us": 3000})["launch_bound"] < 1
    # A recorded graph is launched at once.
    near(step(terms={"layer_us": 3000}, cuda_graphs=True)["launch_bound"], 0)


def test_products_in_fp8():
    # Of each of the four products (140 x 100, 100 x 100, 600 x 100, 100 x 300; 100 tokens) kB: one
    # byte for what goes in, two for what comes out; the gradients of weights come out as large as
    # those. Casts of 100 tokens, 300 us, forward and backward.
    found = step(fp8=True, terms={"fp8_passes": 2.0, "fp8_factor": 1.5})
    forward = (14 + 10 + 28) + (10 + 10 + 20) + (60 + 10 + 120) + (30 + 30 + 20) + 0.4
    inputs = (14 + 14 + 20) + (10 + 10 + 20) + (60 + 60 + 20) + (30 + 10 + 60) + 0.4
    weights = (14 + 10 + 28) + (10 + 10 + 20) + (60 + 10 + 120) + (10 + 30 + 60) + 0.4
    near(found["gemm"], 4 * 1.5 * (forward + inputs + weights))
    near(found["elementwise"], 4 * (3 * SMALL + 2 * 2 * 300))
    near(found["head"], HEAD)
    row, block = (step(fp8=True, fp8_recipe=recipe) for recipe in ("row", "block"))
    near(row["gemm"], 4 * 1.4 * (forward + inputs + weights))
    near(block["gemm"], 4 * 1.2 * (forward + inputs + weights))
    near(step(fp8_recipe="row")["gemm"], 4 * 3 * PRODUCTS)


def test_adapters_have_no_gradients_of_frozen_weights():
    # The base is unpacked for both passes: 374.0625 us each. 10,240 parameters are updated.
    # Adapters of 100 x 100 and 100 x 20 move 100 tokens of 320 elements 3.5 times: 280 us a pass.
    found = step(adapter=QLORA)
    near(found["gemm"], 4 * 2 * PRODUCTS)
    near(found["elementwise"], 4 * (3 * SMALL + 2 * (374.0625 + 280)))
    near(found["head"], 2 * 420.1 + 200)
    near(found["optimizer"], 34 * 10.24)


def test_exposed_tensor_parallelism():
    # 20,000 bytes over 2: 10 + 4 us and 20 at half of 0.8. Four a layer.
    found = step(tp=2, sequence_parallel=False, terms={"tp_exposed": 0.8})
    near(found["tp"], 0.8 * 4 * 4 * (14 + 20 / 0.4))
    # In pieces beside the products a quarter of it shows.
    beside = step(tp=2, sequence_parallel=False, tp_overlap=True)
    near(beside["tp"], 0.25 * 4 * 4 * (14 + 20 / 0.4))


def test_tensor_parallelism_that_leaves_its_node():
    inside, between = (
        step(tp=16, sequence_parallel=False, terms={"tp_between": more})["tp"]
        for more in (1.0, 3.0)
    )
    near(between, 3 * inside)


def test_exposed_context_parallelism():
    # A hop of 4,000 bytes: 4 + 8 us, and half as much again in the backward pass: 18. Behind 80 %
    # of the attention beside it (96.2 us) hides all that may: 70 %.
    near(step(cp=2)["cp"], 4 * 0.3 * 18)
    # With next to no attention beside it only 0.8 of that hides: 2 tokens, 0.58 us of attention.
    found = step(cp=2, seq_len=2)
    attention = 4 * (0.96 + 0.1) / 2
    near(found["cp"], 4 * (1.5 * (4 + 0.16) - 0.8 * attention))


def test_exposed_expert_parallelism():
    # 40,000 bytes over 2: 50 + 20 / 0.9, there and back, in three of four layers, both passes.
    found = step(MOE, dp=2, ep=2, terms={"ep_exposed": 0.5})
    near(found["ep"], 0.5 * 4 * 2 * 2 * (50 + 20 / 0.9) * 0.75)


def test_a_step_of_experts():
    # Rows: 100 tokens to 2 of 8: 25 each. 20,000 + 5,000 + 5,000 and 10,000 + 2,500 + 5,000 bytes.
    found = step(MOE, terms={"expert_factor": 2.0})
    routed = 8 * (30.0 + 17.5 + 0.2)
    shared = 60.0 + 40.0 + 0.2  # 100 x 100 and 100 x 50 of 100 tokens
    each = 136.2 + 0.25 * 400.2 + 0.75 * shared + 0.75 * 2 * routed
    near(found["gemm"], 4 * 3 * each)
    # One launch serves all experts: 3000 * 3 us for a layer.
    busy = (found["gemm"] + found["attention"] + found["elementwise"]) / 4
    slow = step(MOE, terms={"expert_factor": 2.0, "layer_us": 3000})
    near(slow["launch_bound"], 4 * ((busy**4 + 9000.0**4) ** 0.25 - busy))


def test_a_pipeline_with_its_bubble():
    # Two stages of 2 layers; hand-offs of 20,000 bytes (44 us) forward and back, half exposed, a
    # quarter where chunks interleave. While the pipeline fills, one stage's work passes, the head
    # spread over both.
    found = step(pp=2, microbatches=3)
    near(found["gemm"], 3 * (2 * 3 * PRODUCTS + 8 * 656.9 / 2 / 0.8))
    near(found["pp"], 3 * 44)
    near(step(pp=2, microbatches=3, terms={"handoff_ms": 1.0})["pp"], 3 * (44 + 2000))
    near(found["bubble"], 2 * LAYER + HEAD + 44 - HEAD / 2)
    chunks = step(pp=2, microbatches=3, interleave=2, terms={"bubble_factor": 1.5})
    near(chunks["pp"], 3 * 44)
    near(chunks["bubble"], 1.5 * (2 * LAYER + HEAD / 2 + 44) / 2)


def test_stages_in_balance():
    # Over 3 stages of 4 layers the fullest has 2 and the last 1: the head shows where it is longer
    # than a layer. In balance each has 4/3 and a third of the head, and the bubble holds all of it.
    plain, even = step(pp=3), step(pp=3, balanced_stages=True)
    near(plain["gemm"], 2 * 3 * PRODUCTS)
    near(plain["head"], 0)
    near(plain["bubble"], 2 * (2 * LAYER + 44))
    long = HEAD + 100 * 1000 * 4 * 9.5 / 1e3 - LAYER
    near(step(pp=3, terms={"head_passes": 10.0})["head"], long)
    near(even["gemm"], 4 / 3 * 3 * PRODUCTS)
    near(even["head"], HEAD / 3)
    near(even["bubble"], 2 * (4 / 3 * LAYER + HEAD / 3 + 44))


REDUCED = 106 + 2627.6 / 0.8
"""Gradients of 4 bytes, 2,627,600, over 2 GPUs."""
SCATTERED, GATHERED = 103 + 1313.8 / 0.9, 103 + 656.9 / 0.9
"""The same scattered, and 2 bytes of weights gathered."""


def test_exposed_data_parallelism():
    near(step(dp=2)["dp"], 0.3 * REDUCED)
    near(step(dp=2, microbatches=5)["dp"], 0.3 * REDUCED)
    near(step(dp=2, zero_stage=1)["dp"], 0.4 * (SCATTERED + GATHERED))
    near(step(dp=2, zero_stage=2)["dp"], 0.4 * (SCATTERED + GATHERED))
    # ZeRO-3 gathers for both passes and scatters, each micro-batch, in a collective for each of 4
    # layers: 3 more starts of 103 us each. Before the work: the gathers show whole.
    layers = {"zero_stage": 3, "microbatches": 3, "dp": 2}
    gathered, scattered = GATHERED + 3 * 103, SCATTERED + 3 * 103
    near(step(**layers)["dp"], 0.6 * (2 * gathered + scattered))
    near(step(**layers, gathers_ahead=False)["dp"], 6 * gathered + 0.6 * scattered)
    tensors = step(**layers, gathers_ahead=False, layer_gathers=2)["dp"]
    near(tensors, 6 * (GATHERED + 7 * 103) + 0.6 * scattered)
    # After the update, where the next forward pass hides nothing of it.
    late = step(dp=2, zero_stage=1, gathers_ahead=False)["dp"]
    near(late, 0.4 * SCATTERED + GATHERED)
    # FSDP moves layer by layer at any stage.
    near(step(dp=2, zero_stage=1, by_layer=True)["dp"], 0.4 * (gathered + scattered))
    # Longer than NCCL's: nothing hides.
    near(step(dp=2, terms={"dp_exposed": 2.0})["dp"], 2 * REDUCED)


def test_gradients_travel_in_buckets():
    # 656,900 parameters in buckets of 40 million are one; a model of 160 million has four, and one
    # where buckets grow by 100 million with each of two ranks. Each waits 106 us.
    wide = DENSE.model_copy(update={"vocab": 797_000})
    parameters = 656_900 + 2 * 100 * (797_000 - 1000)  # embedding and head
    moved = 106 * parameters / 40e6 + parameters * 4 / 1e3 / 0.8
    near(step(wide, dp=2)["dp"], 0.3 * moved)
    near(step(wide, dp=2, bucket_per_rank=1e8)["dp"], 0.3 * (moved + 106 * (1 - parameters / 40e6)))


def test_data_parallelism_that_work_cannot_hide():
    # One token in a micro-batch: a step of 4 layers takes 231.48 * 3 + 4 * 0.58 + 3 * 5.35 = 712.81
    # us each and the head 3 * 202.3 + 2: 0.8 of its backward pass, two thirds, hides.
    tiny = step(dp=2, seq_len=1, terms={"dp_exposed": 0.01})
    work = 4 * (3 * 231.48 + 4 * 0.58 + 3 * 5.35) + 3 * 202.3 + 2
    near(tiny["dp"], REDUCED - 0.8 * 2 / 3 * work, rtol=1e-4)
    # Of two chunks in turn one group's work lies beside the other's: 2 micro-batches * 1/2: one.
    chunks = step(pp=2, dp=2, seq_len=1, interleave=2, microbatches=8, terms={"dp_exposed": 0.01})
    stage = (work - 3 * 202.3 - 2) / 2 + 3 * 202.3 + 2 + 2 * 2 * (4 + 0.4) * 0.25
    near(chunks["dp"], 106 + 1313.8 / 0.8 - 0.8 * 2 / 3 * stage, rtol=1e-3)


def test_sharded_copies_exchange_their_share():
    # Of 4 GPUs 2 share a copy: half of the gradients between the copies, once a step, in a
    # collective for each of 4 layers.
    between = 4 * 106 + 1313.8 / 0.8
    gathered, scattered = GATHERED + 3 * 103, SCATTERED + 3 * 103
    found = step(dp=4, zero_stage=3, shard_gpus=2, microbatches=2)
    near(found["dp"], 0.2 * (2 * (2 * gathered + scattered) + between))
    between = 106 + 1313.8 / 0.8
    near(step(dp=4, zero_stage=1, shard_gpus=2)["dp"], 0.4 * (SCATTERED + GATHERED + between))
    near(found["optimizer"], 30 * 656.9 / 2 + 4 * 656.9)


def test_updates_of_sharded_states():
    near(step(dp=2)["optimizer"], 34 * 656.9)
    near(step(dp=2, zero_stage=1)["optimizer"], 30 * 656.9 / 2 + 4 * 656.9)
    # Over ep 2 a GPU holds half of 360,000 of routed experts, and the shared ones: 614,300.
    near(step(MOE, dp=2, ep=2)["optimizer"], 34 * 614.3)
    near(step(tp=2, pp=2)["optimizer"], 34 * 656.9 / 4)


def test_updates_on_the_host():
    # 4 + 2 bytes over 0.8 of PCIe's 1e9/s; the CPU moves 4 + 2 * 12 bytes at 100 GB/s for all GPUs.
    near(step(offload_optimizer=True)["optimizer"], 6 * 656.9 / 0.8 + 28 * 0.6569 * 10)
    two = step(offload_optimizer=True, dp=2, zero_stage=1)["optimizer"]
    near(two, 3 * 656.9 / 0.8 + 28 * 0.6569 * 10)


def test_the_slowest_gpu_sets_the_pace():
    # 8 GPUs: three doublings of 10 %.
    job = TrainingJob.of(seq_len=100, dp=8)
    found = step_parts(DENSE, ADAMW, cluster(jitter=0.1), job)
    us(found["fixed"], 50 * 1.331)


# --- a run -------------------------------------------------------------------------------------


def test_seconds_of_a_run():
    assert training_seconds(1e6, 1e4, 3.0) == 300


def test_bytes_of_checkpoints_and_data():
    assert checkpoint_bytes(DENSE, ADAMW) == 14 * 656_900
    assert storage_bytes(1e9, 3, 1e6) == 3.004e9
    # 128 GB, and of a checkpoint of 1 TB over 10 nodes one copy that is written and one taken.
    assert host_memory_gb(1e12, 10) == 328


def test_young_s_and_daly_s_interval():
    # Write 2 s, 100 s between failures: x = sqrt(2 / 200) = 0.1. sqrt(2 * 2 * 100) (1 + x / 3 + x^2
    # / 9) - 2 = 20 * 1.0344444 - 2.
    assert_allclose(checkpoint_interval_s(2.0, 0.01), 18.688889, rtol=1e-6)
    assert checkpoint_interval_s(300.0, 0.01) == 100
    assert checkpoint_interval_s(199.0, 0.01) == 199  # never shorter than the write


def test_useful_share_of_a_run():
    # 100 e^0.1 (e^0.25 - 1) = 100 * 1.1051709 * 0.2840254 = 31.38966 s for 20 s of work.
    assert_allclose(goodput(20, 5, 0.01, 10), 0.637152, rtol=1e-5)
    assert goodput(20, 5, 0.0, 10) == 0.8


def test_power_of_a_node():
    assert_allclose(node_power_w(700, 8), 0.76 * 1.85 * 5600)
    assert_allclose(node_power_w(700, 8, 10_000), 7600)


@pytest.mark.parametrize(("cp", "words"), [(1, ["TP 2"]), (3, ["TP 2", "CP 3"])])
def test_sizes_in_words(cp, words):
    assert parallel_sizes({"tp": 2, "pp": 1, "cp": cp, "ep": 1, "dp": 1}) == words


@pytest.mark.parametrize(
    ("text", "kind", "share"),
    [
        ("none", "none", 1.0),
        ("operations", "operations", 1.0),
        ("full every 4", "full", 0.25),
        ("selective 3 layers", "selective", 0.75),
        ("full 9 layers", "full", 1.0),
        ("selective(layernorm, moe_act)", "norm+act", 1.0),
    ],
)
def test_recomputation_is_read_as_a_kind_and_a_share_of_the_layers(text, kind, share):
    assert recompute_of(text, 4) == (kind, share)


@pytest.mark.parametrize("text", ["some", "full every 0", "every 2", "full four layers"])
def test_recomputation_that_is_not_understood_is_refused(text):
    with pytest.raises(InputError, match="recompute"):
        recompute_of(text, 4)


def test_a_token_that_travels_once_to_each_node_of_its_experts():
    # 2,500 tokens of 200 bytes to 2 of 4 GPUs of a node: 1.75 of them in the mean, not 2.
    us(
        ranks(ep=4).experts(MOE, n(2500), True),
        2 * (50 + 0.875 * 750 / 0.95) * 0.75,
    )
    assert_allclose(experts_touched(2, [1, 2, 8], 1), [1.0, 1.5, 1.875])
    wide = ranks(ep=16)
    assert wide.experts(MOE, n(2500), True)[0] < wide.experts(MOE, n(2500))[0]


def test_a_power_limit_slows_what_computes_and_no_memory():
    # (500 - 140) of (700 - 140) W: the cube root of 0.643.
    assert_allclose(clock_share(500.0, 700.0), 0.863, atol=5e-4)
    assert clock_share(900.0, 700.0) == 1.0
    device = gpu("h100-sxm-80")
    slow = limited(device, 500.0)
    assert_allclose(slow.peak_flops("bf16") / device.peak_flops("bf16"), 0.863, atol=5e-4)
    assert slow.bandwidth_bytes_s == device.bandwidth_bytes_s
    assert limited(device, 700.0) == device
    with pytest.raises(InputError, match="power_limit_w"):
        limited(device, 100.0)


def test_dense_layers_before_the_experts_are_a_kind_of_their_own():
    network = model("deepseek-v3")
    split = by_kind(network)
    assert [(b.layers, b.moe_layers) for b in split.blocks] == [(3, 0), (58, 58)]
    assert split.params == network.params
    assert split.params_active == network.params_active
    assert by_kind(DENSE) is DENSE


def test_frozen_weights_cost_four_flop_a_parameter():
    all_of_it = float(model_flops_per_token(DENSE, 100, "parameters"))
    frozen = float(model_flops_per_token(DENSE, 100, "parameters", trained=False))
    assert frozen == pytest.approx(all_of_it * 4 / 6)


def test_flop_that_are_computed_again_follow_the_share_of_the_layers():
    once = float(model_flops_per_token(DENSE, 100))
    full, half = (
        float(hardware_flops_per_token(DENSE, 100, "full", share=share)) for share in (1.0, 0.5)
    )
    assert half - once == pytest.approx((full - once) / 2)
    every_second = float(hardware_flops_per_token(DENSE, 100, "operations"))
    assert once < every_second < full
