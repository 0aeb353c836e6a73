"""One number, worked out by hand, for every formula of memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydantic import ValidationError
from toys import ADAMW, BF16, DENSE, INT4, MHA, MLA, MOE, SIZES, WINDOWED

from gpuspec.catalog.models import Model
from gpuspec.formulas.memory import (
    Adapter,
    LayerWidths,
    MemoryTerms,
    TrainingJob,
    adapter_params,
    budget_bytes,
    cached_tokens,
    collective_bytes,
    host_bytes,
    kv_cache_bytes_per_token,
    kv_heads_per_gpu,
    layer_activation_bytes,
    logits_bytes,
    lora_params,
    max_context,
    max_sequences,
    microbatches_in_flight,
    mla_cache_bytes_per_token,
    norm_saved_bytes,
    scan_workspace_bytes,
    sequence_kv_bytes,
    serving_activation_bytes,
    serving_parts,
    stage_layers,
    stage_weights_bytes,
    training_parts,
    training_peak,
    training_state_bytes,
    weights_bytes,
)

NONE = MemoryTerms(context_bytes=0, communicator_bytes=0)


def exactly(found, *expected):
    assert_allclose(found, expected if len(expected) > 1 else expected[0], rtol=1e-9)


# --- weights -----------------------------------------------------------------------------------


def test_bytes_of_a_weight_and_of_weights():
    exactly(INT4.bytes_per_weight, 0.625)  # (4 + 32 / 32) / 8
    exactly(weights_bytes(1000, 100, 0.5, 2.0), 700)  # 500 + 200


def test_weights_of_a_stage():
    # Attention 96,000 + MLP 360,000 + both ends 200,000 over 2 GPUs, norms 900 on each; 2 bytes.
    exactly(stage_weights_bytes(DENSE, BF16, tp=2), 2 * (328_000 + 900))
    # Over 3 stages the fullest has 2 of 4 layers with their norms, the head and the last norm.
    exactly(stage_weights_bytes(DENSE, BF16, pp=3), 2 * (228_000 + 400 + 100_000 + 100))
    # 5 bits for the matrices of layers, 2 bytes for the rest.
    exactly(stage_weights_bytes(DENSE, INT4), 0.625 * 456_000 + 2 * 200_900)
    # A format of MLPs alone leaves attention at 2 bytes.
    part = INT4.model_copy(update={"quantizes": "mlp"})
    exactly(stage_weights_bytes(DENSE, part), 0.625 * 360_000 + 2 * (96_000 + 200_900))


def test_a_tied_head_is_held_once_on_one_stage_and_twice_on_two():
    tied = Model(id="tied", name="Tied", **SIZES, tied_embeddings=True)
    exactly(stage_weights_bytes(tied, BF16), 2 * (456_000 + 900 + 100_000))
    exactly(stage_weights_bytes(tied, BF16, pp=2), 2 * (228_000 + 400 + 100_000 + 100))


def test_routers_are_replicated_like_norms():
    # Attention 96,000, one MLP 90,000, experts 3 * (8 + 1) * 15,000 = 405,000, ends 200,000, all
    # over 2; router 3 * 800 = 2,400 and norms 900 on each.
    exactly(stage_weights_bytes(MOE, BF16, tp=2), 2 * (791_000 / 2 + 3_300))


# --- cache -------------------------------------------------------------------------------------


def test_the_cache_of_a_token():
    exactly(kv_cache_bytes_per_token(4, 2, 10, 2), 320)  # 2 * 4 * 2 * 10 * 2
    exactly(mla_cache_bytes_per_token(4, 30, 2, 2), 256)  # 4 * (30 + 2) * 2


def test_whole_blocks_and_windows():
    exactly(cached_tokens([10, 16, 17, 900], 64, 16), 16, 16, 32, 64)
    exactly(kv_heads_per_gpu(10, [1, 4, 20]), 10, 3, 1)


def test_the_cache_of_a_sequence():
    # 100 tokens in blocks of 16: 112. A layer: 2 * 2 heads * 10 * 2 bytes = 80 a token.
    exactly(sequence_kv_bytes(DENSE, 100), 4 * 80 * 112)
    exactly(sequence_kv_bytes(DENSE, 100, tp=4), 4 * 40 * 112)  # one head on each of 4 GPUs
    exactly(sequence_kv_bytes(DENSE, 100, pp=3), 2 * 80 * 112)  # 2 of 4 layers on the fullest
    exactly(sequence_kv_bytes(DENSE, 100, 1.0), 4 * 40 * 112)
    exactly(sequence_kv_bytes(WINDOWED, 100), 2 * 80 * 64 + 2 * 80 * 112)
    # One latent of 32 a layer, whatever the split.
    exactly(sequence_kv_bytes(MLA, 100, tp=8), 4 * 64 * 112)
    # Values narrower than keys: 2 heads of 10 + 6.
    narrow = Model(id="narrow", name="Narrow", **SIZES, v_head_dim=6)
    exactly(sequence_kv_bytes(narrow, 100), 4 * 2 * 16 * 2 * 112)


# --- serving -----------------------------------------------------------------------------------


def test_activations_of_a_forward_pass():
    # Widest: gate, up and their product, 3 * 300 = 900 (QKV: 100 + 40 + 100 = 240). Tokens of
    # 2 bytes: 2 * 10 * (2 * 100 + 900 / 2). Logits of 4 bytes are not split: 3 * 1000 * 4.
    exactly(serving_activation_bytes(DENSE, 10, 3, tp=2), 2 * 10 * 650 + 12_000)
    exactly(serving_activation_bytes(DENSE, 10, 0, factor=1.5), 2 * 10 * 1100 * 1.5)
    # Experts: 2 * (3 * 50 + 100) routed + 3 * 50 shared = 650; the dense layer has 900.
    exactly(serving_activation_bytes(MOE, 10, 0), 2 * 10 * 1100)
    sparse = MOE.model_copy(update={"dense_layers": 0})
    exactly(serving_activation_bytes(sparse, 10, 0), 2 * 10 * (200 + 650))
    # A narrow MLP leaves QKV as the widest: 100 + 20 + 20 + 100.
    thin = Model(id="thin", name="Thin", **{**SIZES, "ffn": 50})
    exactly(serving_activation_bytes(thin, 10, 0), 2 * 10 * (200 + 240))


def serving(**more):
    terms = MemoryTerms(context_bytes=1000, communicator_bytes=500)
    given = {"context": 100, "sequences": 5, "batched_tokens": 64, "terms": terms, **more}
    return {k: float(v) for k, v in serving_parts(DENSE, BF16, **given).items()}


def test_parts_of_serving():
    # Cache: 5 * 4 * 80 * 112. Activations of 64 tokens: 2 * 64 * 1100, logits of 8 bytes: 5 * 8000.
    assert serving() == {
        "weights": 1_313_800,
        "kv_cache": 179_200,
        "activations": 180_800,
        "runtime": 1000,
    }
    assert serving(tp=2)["runtime"] == 1500
    # Workspace for no more than is ever asked: 2 sequences of 10 tokens are 20.
    assert serving(context=10, sequences=2)["activations"] == 2 * 20 * 1100 + 16_000
    assert budget_bytes(80, 0.9) == 72


def test_the_most_sequences_and_the_longest_context():
    # Weights 1,313,800 + workspace 2 * 64 * 1100 = 140,800. Each sequence: cache 35,840 + logits
    # 8,000. (0.9 * 2,000,000 - 1,454,600) / 43,840 = 7.88.
    options = {"batched_tokens": 64, "terms": NONE}
    exactly(max_sequences(DENSE, BF16, 2_000_000, context=100, **options), 7)
    # One sequence: (1,800,000 - 1,454,600 - 8,000) / (16 * 320) = 65.9 blocks of 16 tokens.
    exactly(max_context(DENSE, BF16, 2_000_000, **options), 65 * 16)
    exactly(max_context(DENSE, BF16, 1_000_000, **options), 0)
    # One sequence of 16 tokens fits although the full workspace does not: 1,313,800 + 5,120 +
    # 35,200 + 8,000 = 1,362,120.
    exactly(max_sequences(DENSE, BF16, 1_362_120 / 0.9 + 1, context=16, **options), 1)
    exactly(max_sequences(DENSE, BF16, 1_362_120 / 0.9 - 9, context=16, **options), 0)


# --- activations of training -------------------------------------------------------------------


def layer(mlp_products=0, **more):
    # 10 tokens, hidden 100, queries 100, keys 20, MLP keeps 900 wide, 500 scores.
    widths = LayerWidths(hidden=100, query=100, kv=20, mlp_saved=900, mlp_products=mlp_products)
    found = layer_activation_bytes(10, widths, score_elements=500, **more)
    return {k: float(v) for k, v in found.items()}


def test_activations_of_a_layer():
    # Norms: 2 * 2 bytes * 100. Attention: input 2 * 100, then 2 * (2 * 100 + 2 * 20). MLP: input
    # 2 * 100 + 2 * 900. All times 10 tokens. Scores: 500 * 2.
    whole = {"attention": 6800, "mlp": 20_000, "norms": 4000, "scores": 1000}
    assert layer() == whole
    # Dropout masks of a byte: one a token and channel in both blocks; scores 2 + 1 + 2 bytes.
    masks = {"attention": 7800, "mlp": 21_000, "norms": 4000, "scores": 2500}
    assert layer(dropout=True) == masks
    assert layer(norm_bytes=6.0) == {**whole, "norms": 12_000}


def test_activations_of_a_layer_that_repeats_modules():
    # Norms: both blocks' inputs, 2 * 2 bytes * 100 a token, go. Activation: of 900 widths the 600
    # in front of it stay. Experts: a half of the 900 widths. Scores stay in each.
    kept = {"attention": 6800, "mlp": 20_000, "norms": 4000, "scores": 1000}
    assert layer(recompute="norm") == {**kept, "attention": 4800, "mlp": 18_000}
    assert layer(600, recompute="act") == {**kept, "mlp": 14_000}
    assert layer(600, recompute="norm+act") == {**kept, "attention": 4800, "mlp": 12_000}
    widths = LayerWidths(hidden=100, query=100, kv=20, mlp_saved=900, experts=0.5)
    parts = layer_activation_bytes(10, widths, recompute="moe")
    assert float(parts["mlp"]) == 2000 + 9000
    assert layer(recompute="selective") == {**kept, "scores": 0}


def test_activations_of_a_split_layer():
    # Over 2 GPUs what the products see is halved, what norms and residuals see is not...
    split = {"attention": 2000 + 2400, "mlp": 2000 + 9000, "norms": 4000, "scores": 500}
    assert layer(tp=2) == split
    # ... unless the sequence is split too.
    halves = {"attention": 3400, "mlp": 10_000, "norms": 2000, "scores": 500}
    assert layer(tp=2, sequence_parallel=True) == halves


def test_activations_that_are_recomputed():
    assert layer(recompute="selective") == {**layer(), "scores": 0}
    nothing = {"attention": 0, "mlp": 0, "scores": 0}
    assert layer(recompute="full") == {**nothing, "norms": 2000}  # the layer's input
    assert layer(recompute="full", tp=2, sequence_parallel=True) == {**nothing, "norms": 1000}


def test_recomputed_operations_keep_the_input_attention_and_every_second_product():
    # Input 2 * 100; attention 2 * 100 and half of 100 + 2 * 20 + 100; the MLP half of 600 + 100.
    found = layer(recompute="operations", mlp_products=600)
    assert found == {"attention": 4400, "mlp": 7000, "norms": 2000, "scores": 0}
    split = layer(recompute="operations", mlp_products=600, tp=2, sequence_parallel=True)
    assert split == {name: each / 2 for name, each in found.items()}


def test_layers_that_recompute_stand_beside_layers_that_do_not():
    few = {"dp": 100, "zero_stage": 1}  # an optimizer step that needs less than activations
    whole, none = training(recompute="full", **few), training(**few)
    half = training(recompute="full", recompute_share=0.5, **few)
    exactly(half["activations"], (whole["activations"] + none["activations"]) / 2)
    exactly(half["workspace"], whole["workspace"])
    exactly(training(recompute="full", recompute_share=0.0, **few)["workspace"], 0)


def test_what_norms_keep():
    exactly(norm_saved_bytes(False, rms=True), 6.0)
    exactly(norm_saved_bytes(False, rms=True, frozen=True), 4.0)
    exactly(norm_saved_bytes(False, rms=False), 2.0)
    exactly(norm_saved_bytes(True, rms=True, frozen=True), 2.0)


def test_tensors_around_collectives():
    # 10 * 100 * 2 = 2,000 bytes each: 4 are needed, 4 a layer wait, 48 at most; half in one batch.
    exactly(collective_bytes(10, 100, 3, tp=2), 8000, 24_000)
    exactly(collective_bytes(10, 100, 30, tp=2), 8000, 96_000)
    exactly(collective_bytes(10, 100, 30, tp=2, microbatches=1), 8000, 48_000)
    exactly(collective_bytes(10, 100, 3, tp=2, pp=2, microbatches=2), 8000, 0)
    exactly(collective_bytes(10, 100, 3, tp=2, pp=2, microbatches=3), 8000, 4000)
    assert [float(x) for x in collective_bytes(10, 100, 3, tp=1)] == [0, 0]


def test_micro_batches_in_flight():
    assert microbatches_in_flight(4, 64, 1, [0, 1, 3]).tolist() == [4, 3, 1]
    assert microbatches_in_flight(4, 2, 1, [0, 1, 3]).tolist() == [2, 2, 1]
    # Two chunks: 2 * 3 + 4 + 1 halves, 4 * (1 + 3 / 8), on the first stage, 4 + 1 on the last.
    exactly(microbatches_in_flight(4, 64, 2, [0, 3]), 5.5, 2.5)


def test_states_between_the_chunks_of_a_scan():
    # 100 tokens are 2 chunks of 64; states of 50 elements and their gradients, 2 bytes each.
    exactly(scan_workspace_bytes(100, 50), 2 * 2 * 50 * 2)
    exactly(scan_workspace_bytes(100, 50, tp=2), 2 * 50 * 2)


def test_logits():
    exactly(logits_bytes(10, 1000, 2, 10), 50_000)


# --- states ------------------------------------------------------------------------------------


def test_states_under_zero():
    def states(stage):
        found = training_state_bytes(100, 2, 4, 12, stage, 4)
        return [float(found[k]) for k in ("weights", "gradients", "optimizer")]

    assert states(0) == [200, 400, 1200]
    assert states(1) == [200, 400, 300]
    assert states(2) == [200, 100, 300]
    assert states(3) == [50, 100, 300]


def test_parameters_of_adapters():
    exactly(lora_params(8, 100, 20), 960)
    # Q 100 + 100, K and V 100 + 20 each, O 100 + 100, three matrices 100 + 300: times 4 layers * 8.
    every = ("q", "k", "v", "o", "gate", "up", "down")
    adapter = Adapter(base=BF16, rank=8, targets=every)
    exactly(adapter_params(DENSE, adapter), 32 * (200 + 120 + 120 + 200 + 3 * 400))
    fused = adapter.model_copy(update={"fused": True})  # q, k, v; gate, up
    exactly(adapter_params(DENSE, fused), 32 * (100 + 100 + 20 + 20 + 200 + 100 + 2 * 300 + 400))
    exactly(adapter_params(MLA, fused), adapter_params(MLA, adapter) - 4 * 8 * 100)
    for one, width in zip(every, (200, 120, 120, 200, 400, 400, 400), strict=True):
        exactly(adapter_params(DENSE, Adapter(base=BF16, rank=8, targets=(one,))), 32 * width)
    # Latent attention: the query's two matrices 100 + 40 and 40 + 100; keys and values share
    # 100 + (30 + 2) and 30 + 10 * (8 + 6); values of 6 make the output 60 + 100.
    for targets, width in ((("q",), 280), (("v",), 302), (("k", "v"), 302), (("o",), 160)):
        exactly(adapter_params(MLA, Adapter(base=BF16, rank=1, targets=targets)), 4 * width)
    # Up: 100 + 300 of the dense layer; 100 + 50 of 8 routed experts and the shared one in three.
    exactly(adapter_params(MOE, Adapter(base=BF16, rank=1, targets=("up",))), 400 + 3 * 9 * 150)


def test_adapters_where_layers_differ():
    # Two recurrent layers without an MLP, 100 + 70 and 40 + 100; one attends with a gate of 100 in
    # its queries and has an MLP; the last has latent experts alone, 20 + 50 for each of 8.
    model = Model(
        id="mixed", name="Mixed", **SIZES, attention_gate=100,
        groups=[
            {"layers": "0-1", "mixer": "linear", "linear_in": 70, "linear_out": 40, "ffn": 0,
             "norms_per_layer": 1},
            {"layers": "3", "mixer": "none", "norms_per_layer": 1, "ffn": 0, "experts": 8,
             "active_experts": 2, "expert_ffn": 50, "expert_latent": 20},
        ],
    )  # fmt: skip

    def trained(*targets):
        return adapter_params(model, Adapter(base=BF16, rank=1, targets=targets))

    exactly(trained("in_proj"), 2 * 170)
    exactly(trained("out_proj"), 2 * 140)
    exactly(trained("q"), 300)
    exactly(trained("v"), 120)
    exactly(trained("down"), 400 + 8 * 70)
    with pytest.raises(ValidationError, match="gate"):
        Adapter(base=BF16, targets=("w1",))


def test_stages_balanced_by_cost():
    # A layer has 24,000 + 90,000; a head of 342,000 counts as 3 layers of the (12 + 3) / 5 = 3.
    wide = Model(id="wide", name="Wide", **{**SIZES, "layers": 12, "vocab": 3420})
    assert stage_layers(wide, 5, balanced=True).ravel().tolist() == [3, 3, 3, 3, 0]
    assert stage_layers(wide, 3, balanced=True).ravel().tolist() == [5, 5, 2]
    assert stage_layers(wide, 5).ravel().tolist() == [3, 3, 2, 2, 2]
    assert stage_layers(wide, 1, balanced=True).ravel().tolist() == [12]


def test_stages_of_layers_that_differ():
    # Every fourth of 8 layers attends: 2 stages hold one each. In 4 chunks of one layer on 2
    # stages the second has layers 1, 3, 5, 7, and with them both.
    groups = [{"layers": "3-7/4", "head_dim": 20, "v_head_dim": 20}]
    model = Model(id="mixed", name="Mixed", **{**SIZES, "layers": 8}, groups=groups)
    assert stage_layers(model, 2).tolist() == [[1, 3], [1, 3]]
    assert stage_layers(model, 2, chunks=4).tolist() == [[0, 4], [2, 2]]


# --- a training step ---------------------------------------------------------------------------


JOB = {"seq_len": 10, "microbatches": 64}


def training(
    model=DENSE, terms=NONE, adapter=None, stage="fullest", capacity=np.inf, recipe=ADAMW, **job
):
    found = training_parts(
        model, recipe, TrainingJob.of(**{**JOB, **job}), stage=stage,
        capacity_bytes=capacity, adapter=adapter, terms=terms,
    )  # fmt: skip
    return {k: float(v) for k, v in found.items()}


ACTIVATIONS = 2000 * 2 + 6800 + 20_000
"""Of a layer of DENSE for 10 tokens: norms, attention, MLP as above; no scores with flash."""


def test_parts_of_a_training_step():
    # 656,900 parameters of 2, 4 and 12 bytes. 4 layers of activations. Logits 10 * 1000 * 4. The
    # update needs 3 bytes a parameter when activations and logits are gone.
    assert training() == {
        "weights": 2 * 656_900,
        "gradients": 4 * 656_900,
        "optimizer": 12 * 656_900,
        "activations": 4 * ACTIVATIONS,
        "logits": 40_000,
        "workspace": 3 * 656_900 - 4 * ACTIVATIONS - 40_000,
        "runtime": 0,
    }


def test_a_step_in_parts_of_the_sequence_and_of_the_data():
    # Context parallelism over 2 halves tokens, and ZeRO-1 shards over dp * cp = 4.
    found = training(dp=2, cp=2, zero_stage=1)
    exactly(found["activations"], 2 * ACTIVATIONS)
    exactly(found["optimizer"], 3 * 656_900)
    exactly(found["gradients"], 4 * 656_900)


def test_zero_3_holds_the_layer_at_work_and_the_next():
    # Of 4 GPUs each holds a quarter; a layer has 114,000 + 200 of its norms; the embedding
    # (100,000) is smaller, so two layers of 2 bytes are gathered; the update needs 3/4 of 656,900
    # less activations and logits: 369,475, less than that.
    found = training(dp=4, zero_stage=3)
    exactly(found["weights"], 656_900 / 2)
    exactly(found["workspace"], 4 * 114_200)
    # A wide embedding is prefetched instead of a layer.
    wide = Model(id="wide", name="Wide", **{**SIZES, "vocab": 2000})
    exactly(training(wide, dp=4, zero_stage=3)["workspace"], 2 * 114_200 + 2 * 200_000)


def test_full_recomputation_holds_inputs_and_one_layer():
    # Inputs: 10 * 2 * 100 a layer; the layer at work is whole. The factor counts for it alone.
    eager = MemoryTerms(context_bytes=0, communicator_bytes=0, training_activation_factor=1.5)
    found = training(recompute="full", terms=eager, dp=100, zero_stage=1)
    exactly(found["activations"], 4 * 2000)
    exactly(found["workspace"], 1.5 * ACTIVATIONS)
    exactly(training(terms=eager)["activations"], 4 * 1.5 * ACTIVATIONS)


def test_eager_attention_and_unfused_kernels_keep_more():
    # Scores: 10 heads * 10 tokens * 10 of 2 bytes. Norms 6 bytes for 2: 8,000 more a layer. A gate
    # kept apart: 300 more of 2 bytes a token.
    exactly(training(attention="eager")["activations"], 4 * (ACTIVATIONS + 2000))
    exactly(training(attention="eager", recompute="selective")["activations"], 4 * ACTIVATIONS)
    exactly(training(fused_norms=False)["activations"], 4 * (ACTIVATIONS + 8000))
    exactly(training(fused_glu=False)["activations"], 4 * (ACTIVATIONS + 6000))


def test_activations_of_experts():
    # A dense layer of 300, three of 2 * 50 routed and 50 shared: widths 3 * 300 and 3 * 150.
    less = 10 * 2 * 3 * 150
    exactly(training(MOE)["activations"], ACTIVATIONS + 3 * (ACTIVATIONS - less))


def test_tensor_parallelism_with_its_tensors_that_wait():
    # Weights split but norms: 328,000 + 900. Activations halved. Four gathered tensors of 2,000
    # bytes, and four for each of 4 layers that wait. Runtime: one communicator.
    terms = MemoryTerms(context_bytes=1000, communicator_bytes=500)
    found = training(tp=2, dp=100, zero_stage=1, terms=terms)
    exactly(found["weights"], 2 * 328_900)
    exactly(found["activations"], 2 * ACTIVATIONS)
    exactly(found["logits"], 20_000)
    exactly(found["workspace"], 8000 + 32_000)
    exactly(found["runtime"], 1500)


def test_pipeline_stages_and_their_two_ends():
    # Two stages of 2 layers. First: embedding, 2 micro-batches in flight. 228,400 + 100,000;
    # the norm behind the layers lies with the head.
    first = training(pp=2, stage="first", dp=100, zero_stage=1)
    exactly(first["weights"], 2 * 328_400)
    exactly(first["activations"], 2 * 2 * ACTIVATIONS)
    assert first["logits"] == 0
    # With very large logits the last stage is fuller: one micro-batch in flight.
    last = training(pp=2, bytes_per_logit=1000, dp=100, zero_stage=1)
    exactly(last["logits"], 10_000_000)
    exactly(last["activations"], 2 * ACTIVATIONS)
    exactly(training(pp=4, microbatches=3, stage="first")["activations"], 3 * ACTIVATIONS)


def test_experts_are_sharded_over_what_expert_parallelism_leaves():
    # 360,000 parameters of routed experts over ep 4; the rest 96,000 + 90,000 + 45,000 of shared
    # experts + 3,300 + 200,000 whole. ZeRO-1 over 8 GPUs for the rest, over 8 / 4 = 2 for the
    # experts.
    found = training(MOE, dp=8, ep=4, zero_stage=1)
    exactly(found["weights"], 2 * (90_000 + 434_300))
    exactly(found["optimizer"], 12 * (90_000 / 2 + 434_300 / 8))


def test_gradients_that_come_as_activations_go():
    # 2,627,600 bytes of gradients less activations and logits, which they replace.
    found = training(persistent_gradients=False)
    exactly(found["gradients"], 4 * 656_900 - 4 * ACTIVATIONS - 40_000)
    half = training(persistent_gradients=0.5)["gradients"]
    exactly(half, 2 * 656_900 + 2 * 656_900 - 4 * ACTIVATIONS - 40_000)


def test_memory_at_its_limit_gives_way():
    # Needed (tensor parallelism over 2, above): what waits takes what is left of the GPU.
    terms = MemoryTerms(context_bytes=1000, communicator_bytes=0, fragmentation=0.1)
    need = training(tp=2, dp=100, zero_stage=1)
    needed = sum(need.values()) - 32_000
    tight = training(tp=2, dp=100, zero_stage=1, terms=terms, capacity=1000 + 1.1 * needed + 5000)
    exactly(tight["workspace"], 8000 + 5000)
    exactly(tight["runtime"], 1000 + 0.1 * needed)
    roomy = training(tp=2, dp=100, zero_stage=1, terms=terms)
    exactly(roomy["runtime"], 1000 + 0.1 * (needed + 32_000))


def test_what_lies_in_host_memory():
    # The optimizer's 12 bytes of 656,900 parameters; of 4 layers' activations those of the layer
    # at work and of the one that comes back stay.
    few = {"dp": 1, "zero_stage": 1}
    found = training(offload_optimizer=True, **few)
    exactly(found["optimizer"], 0)
    exactly(found["weights"], training(**few)["weights"])
    found = training(offload_activations=True, **few)
    exactly(found["activations"], 2 * ACTIVATIONS)
    job = TrainingJob.of(**JOB, offload_optimizer=[True, False], offload_activations=[False, True])
    held = host_bytes(DENSE, ADAMW, job)
    exactly(held["optimizer"], [12 * 656_900, 0])
    exactly(held["activations"], [0, 2 * ACTIVATIONS])
    exactly(host_bytes(DENSE, ADAMW, TrainingJob.of(**JOB))["optimizer"], 0)


def test_paged_states_leave_where_memory_ends():
    paged = ADAMW.model_copy(update={"paged": True})
    roomy = training(recipe=paged)
    assert roomy == training()
    most = sum(roomy.values())
    tight = training(recipe=paged, capacity=most - 1000)
    exactly(tight["optimizer"], roomy["optimizer"] - 1000)
    exactly(sum(tight.values()), most - 1000)
    exactly(training(recipe=paged, capacity=0)["optimizer"], 0)


def test_a_job_fits_up_to_the_capacity_it_is_asked_for():
    terms = MemoryTerms(context_bytes=1000, communicator_bytes=0, fragmentation=0.1)
    job = TrainingJob.of(**JOB)
    need = float(training_peak(DENSE, ADAMW, job, 0.0, terms=terms))
    at_the_limit = training_peak(DENSE, ADAMW, job, [need, 2 * need], terms=terms)
    exactly(at_the_limit, [need, 1000 + 1.1 * (need - 1000)])


def test_adapters_on_a_frozen_base():
    # Layers at 0.625 bytes, ends and the last norm at 2; q takes 100 + 100 and v 100 + 20 elements:
    # 4 layers * 8 * (200 + 120) = 10,240 adapter parameters of 2 + 4 + 12 bytes, all of them in
    # layers. A quantised base keeps the inputs of all products.
    adapter = Adapter(base=INT4, rank=8, targets=("q", "v"))
    found = training(adapter=adapter)
    trained = 10_240
    exactly(found["weights"], 0.625 * 456_800 + 2 * 200_100 + 2 * trained)
    exactly(found["gradients"], 4 * trained)
    exactly(found["optimizer"], 12 * trained)
    exactly(found["activations"], 4 * ACTIVATIONS)
    # Behind dropout the input of q and v is kept once more, with a mask: 3 bytes of 100.
    dropped = training(adapter=adapter, dropout=True)
    exactly(dropped["activations"], 4 * (ACTIVATIONS + 10 * 3 * 100))
    # A frozen 16-bit product keeps no input: one width of 300 less, 2 bytes a token.
    plain = training(adapter=Adapter(base=BF16, rank=8))
    exactly(plain["activations"], 4 * (ACTIVATIONS - 6000))
    # ZeRO-3 shards the frozen base over 4 and gathers two layers of it.
    sharded = training(adapter=adapter, dp=4, zero_stage=3)
    exactly(sharded["weights"], (0.625 * 456_800 + 400_200 + 2 * trained) / 4)
    exactly(sharded["workspace"], 0.625 * 114_200 + 200_000)


def test_formulas_of_memory_broadcast():
    found = sequence_kv_bytes(MHA, np.array([[16], [32]]), tp=np.array([1, 10]))
    assert_allclose(found, [[25_600, 2_560], [51_200, 5_120]])
