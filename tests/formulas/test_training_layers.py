"""Training of networks whose layers differ: numbers by hand, laws over random lists of layers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixed import EXACT, GEMMA, NEMOTRON, QWEN, SPARSE, network, networks
from numpy.testing import assert_allclose
from test_links_numbers import FABRIC
from toys import ADAMW, BF16, DENSE, FAST, SIZES, WIDE
from toys import kernels as toy_kernels

from gpuspec import InputError
from gpuspec.catalog import gpu
from gpuspec.catalog.models import Model
from gpuspec.catalog.precision import training_recipe
from gpuspec.constants.fabrics import fabric
from gpuspec.constants.kernels import kernels
from gpuspec.constants.training import TrainingTerms
from gpuspec.formulas.memory import (
    TARGETS,
    Adapter,
    LayerWidths,
    MemoryTerms,
    StageParameters,
    Stages,
    TrainingJob,
    adapter_params,
    layer_activation_bytes,
    stage_layers,
    state_parts,
    training_parts,
)
from gpuspec.formulas.training import (
    Cluster,
    expert_counts,
    hardware_flops_per_token,
    model_flops_per_token,
    step_parts,
)
from gpuspec.formulas.training.communication import Ranks
from gpuspec.formulas.training.layers import (
    cast_seconds,
    dense_gemm_seconds,
    elementwise_seconds,
    flash_seconds,
    routed_gemm_seconds,
    scan_seconds,
    score_elements,
)
from gpuspec.formulas.training.work import step_work

MEMORY, UNITS = toy_kernels(FAST), toy_kernels(WIDE)
NONE = MemoryTerms(context_bytes=0, communicator_bytes=0, training_activation_factor=1)
RECURS = {
    "mixer": "linear", "linear_in": 70, "linear_out": 40, "linear_params": 60,
    "state_elements": 640, "norms_per_layer": 1, "ffn": 0,
}  # fmt: skip
LATENT = {
    "mixer": "none", "norms_per_layer": 1, "ffn": 0, "experts": 8, "active_experts": 2,
    "expert_ffn": 50, "expert_latent": 20,
}  # fmt: skip
ATTENDS = {"ffn": 300, "norms_per_layer": 2}
HYBRID = network([RECURS, RECURS, ATTENDS, LATENT], **{**SIZES, "id": "h", "name": "Hybrid"})
"""Two layers recur and do nothing else, one attends and has an MLP, one has latent experts."""
EMBEDDER = Model(id="e", name="Embedder", **SIZES, kind="encoder", tied_embeddings=True)
sizes = st.sampled_from([1, 2, 4, 8])
law = settings(max_examples=40, deadline=None)


def n(*values):
    return np.array(values, float)


def us(found, expected):
    assert_allclose(np.ravel(found) * 1e6, expected, rtol=1e-7, atol=1e-9)


# --- operations --------------------------------------------------------------------------------


def test_operations_of_layers_that_differ():
    # Recurrent: 100 * (70 + 40) + 60 = 11,060 each; attention 24,000; an MLP 90,000; 2 of 8
    # experts 2 * 3 * 20 * 50 with projections of 2 * 2,000 around them, routers 800; head 100,000.
    params = 2 * 11_060 + 24_000 + 90_000 + 6_000 + 4_000 + 800 + 100_000
    assert model_flops_per_token(HYBRID, 100, "parameters") == 6 * params
    # Scores of one layer of 200 over 50 tokens; two states of 640, 7 operations thrice.
    scores, scan = 6 * 200 * 50, 2 * 640 * 21
    assert model_flops_per_token(HYBRID, 100) == 6 * params + scores + scan
    # Selective recomputation repeats the scores alone.
    again = hardware_flops_per_token(HYBRID, 100, "selective")
    assert_allclose(again, 6 * params + scores * 4 / 3 + scan)


def test_operations_of_sparse_and_compressed_attention():
    # Under the diagonal 64 chosen of 100 tokens are a band, 64 - 64^2 / 200 = 43.52; 4 index heads
    # of 5 elements score 50.
    sparse = DENSE.model_copy(update={"index_heads": 4, "index_head_dim": 5, "index_topk": 64})
    plain = float(model_flops_per_token(DENSE, 100, "parameters"))
    assert_allclose(model_flops_per_token(sparse, 100), plain + 24 * (200 * 43.52 + 20 * 50))
    # A window of 32, 32 - 32^2 / 200 = 26.88, and 50 / 4 entries that stand for four tokens each.
    compressed = DENSE.model_copy(update={"compress": 4, "sliding_window": 32})
    assert_allclose(model_flops_per_token(compressed, 100), plain + 24 * 200 * (26.88 + 12.5))
    pictures = DENSE.model_copy(update={"cache": "image"})
    assert model_flops_per_token(pictures, 100) == plain


def test_operations_of_an_encoder():
    # No output head: 6 * 456,000; every token sees every token: 6 * 200 * 100 * 4.
    assert model_flops_per_token(EMBEDDER, 100) == 6 * 456_000 + 480_000
    assert hardware_flops_per_token(EMBEDDER, 100, "full") == (6 * 456_000 + 480_000) * 4 / 3


def test_operations_of_a_mamba_layer_are_megatrons():
    # Megatron-LM, `mamba_layer_flops`, forward, a token: 2 h (2 d + 2 g n + heads) + 7 d n + 2 d h;
    # the convolution, which it leaves out, is less than 1 %.
    hidden, inner, state = 8192, 16_384, 256
    theirs = 2 * hidden * (2 * inner + 2 * 8 * state + 256) + 7 * inner * state + 2 * inner * hidden
    mamba = next(block for block in NEMOTRON.blocks if block.mixer == "linear")
    head = 6 * mamba.vocab * hidden
    ours = (model_flops_per_token(mamba, 4096) - head) / 3 / mamba.layers
    assert theirs < ours < 1.01 * theirs


# --- seconds of a layer ------------------------------------------------------------------------


def block(**fields):
    return next(b for b in HYBRID.blocks if all(getattr(b, k) == v for k, v in fields.items()))


RECURRENT, ATTENTION, EXPERTS = block(mixer="linear"), block(ffn=300), block(mixer="none")


def test_products_of_each_kind_of_layer():
    # 2 (70 * 100 + 100 + 70) + 2 (40 * 100 + 40 + 100) bytes and two launches of 0.1 us.
    us(dense_gemm_seconds(RECURRENT, n(1), n(1), MEMORY, False, "forward"), 14.34 + 8.28 + 0.2)
    # Projections around latent experts: 2 (2,000 + 100 + 20) twice.
    us(dense_gemm_seconds(EXPERTS, n(1), n(1), MEMORY, False, "forward"), 2 * 4.24 + 0.2)
    # 8 experts of 2 rows each: 2 (100 * 20 + 2 * 20 + 2 * 100) + 2 (50 * 20 + 2 * 50 + 2 * 20).
    routed = routed_gemm_seconds(EXPERTS, n(8), n(1), n(1), MEMORY, False, "forward")
    us(routed, 8 * (4.48 + 2.28 + 0.2))
    us(routed_gemm_seconds(RECURRENT, n(8), n(1), n(1), MEMORY, False, "forward"), 0)


def test_cores_of_each_kind_of_layer():
    one = n(1)
    us(flash_seconds(ATTENTION, one, n(100), one, one, MEMORY), 48.1)
    us(flash_seconds(RECURRENT, one, n(100), one, one, MEMORY), 0)
    assert score_elements(EXPERTS, one, n(100), one, one) == 0
    # 100 tokens * 640 elements * 7 at a quarter of 1e12/s; or 4 bytes for each 64 tokens.
    us(scan_seconds(RECURRENT, n(100), n(1), UNITS), 100 * 640 * 7 / 0.25e6)
    us(scan_seconds(RECURRENT, n(100), n(2), MEMORY), 100 * 320 / 64 * 4 / 800)
    us(scan_seconds(ATTENTION, n(100), n(1), UNITS), 0)
    # An encoder sees both sides of the diagonal.
    us(flash_seconds(EMBEDDER, one, n(128), one, one, UNITS), 2 * (6.5536 + 0.1))
    # 64 of 128 tokens are chosen, a band: twice two squares of 64 (padded to 128, twice as many);
    # 5 index heads of 20 elements: a quarter of the 10 heads of 10 and 10.
    sparse = DENSE.model_copy(update={"index_heads": 5, "index_head_dim": 10, "index_topk": 64})
    us(flash_seconds(sparse, one, n(128), one, one, UNITS), 2 * (2 * 6.5536 + 0.1) + 1.6384 + 0.1)


def test_kernels_that_move_vectors_in_each_kind_of_layer():
    # 5 * 100; 2 * 70 + 3 * 40; no MLP.
    us(elementwise_seconds(RECURRENT, n(1), n(1), False, MEMORY), (500 + 260) / 400)
    # 5 * 100; 3 * 2 * 50; 4 copies of 2 latent vectors of 20.
    us(elementwise_seconds(EXPERTS, n(1), n(1), False, MEMORY), (500 + 300 + 160) / 400)
    us(cast_seconds(RECURRENT, n(1), n(1), MEMORY), 140 / 200)
    us(cast_seconds(EXPERTS, n(1), n(1), MEMORY), 200 / 200)


def test_communication_of_each_kind_of_layer():
    four = Ranks(fabric=FABRIC, tp=n(4), pp=n(1), dp=n(4), cp=n(2), ep=n(4))
    whole, half = (four.tensor(b, n(5000), False, False) for b in (ATTENTION, RECURRENT))
    assert_allclose(half, whole / 2)
    # A state of 640 elements over tp 4, 4 bytes each; keys nowhere else than where they are.
    one = Ranks(fabric=FABRIC, tp=n(1), pp=n(1), dp=n(1), cp=n(2), ep=n(1))
    us(one.context(RECURRENT, n(1), n(5000)), 4 + 640 * 4 / 500)
    us(one.context(EXPERTS, n(1), n(5000)), 0)
    # Tokens travel in the latent width: a fifth of the bytes.
    wide = EXPERTS.model_copy(update={"expert_latent": 0})
    assert_allclose(four.experts(EXPERTS, n(25_000)), four.experts(wide, n(5000)))
    assert four.experts(RECURRENT, n(5000)) == 0


# --- a step ------------------------------------------------------------------------------------


def step(model, **job):
    device = gpu("H100")
    where = Cluster(kernels=kernels(device), fabric=fabric(device), terms=TrainingTerms())
    return step_parts(model, training_recipe("adamw"), where, TrainingJob.of(**job))


def work(model, **job):
    return step_work(model, ADAMW, MEMORY, FABRIC, TrainingJob.of(**{"seq_len": 100, **job}))


def test_the_slowest_stage_sets_the_pace():
    # Of two stages the second is slower: attention and MLP beside experts.
    ends = work(HYBRID, pp=[1, 2])
    assert ends.layers.tolist() == [4, 2]
    each = [dense_gemm_seconds(b, n(100), n(1), MEMORY, False, "forward") for b in HYBRID.blocks]
    named = {b.mixer: float(s[0]) for b, s in zip(HYBRID.blocks, each, strict=True)}
    mean = (2 * named["linear"] + named["attention"] + named["none"]) / 4
    assert_allclose(ends.dense.forward, [mean, (named["attention"] + named["none"]) / 2])
    assert ends.moe.tolist() == [0.25, 0.5]
    assert ends.halves.tolist() == [(3 * 0.5 + 1) / 4, 0.75]
    # In chunks of one layer a stage holds layers 0 and 2, or 1 and 3.
    turned = work(HYBRID, pp=2, interleave=2)
    assert_allclose(turned.dense.forward, (named["linear"] + named["attention"]) / 2)


def test_recurrent_layers_take_their_time_whether_attention_is_fused_or_not():
    fused, eager = (step(QWEN, seq_len=4096, attention=a) for a in ("flash", "eager"))
    assert 0 < fused["attention"] < eager["attention"]
    plain = step(QWEN.blocks[0], seq_len=4096)
    assert {b.mixer for b in QWEN.blocks} == {"linear", "attention"}
    assert plain["attention"] > 0


@pytest.mark.parametrize("model", EXACT, ids=lambda m: m.id)
def test_released_networks_train(model):
    assert model.params == EXACT[model]
    options = {"seq_len": 4096, "tp": 8, "pp": 2, "dp": 8, "microbatches": 8, "zero_stage": 1}
    parts = step(model, **options)
    assert all(value >= 0 for value in parts.values())
    tokens = 8 * 8 * 4096
    peak = 128 * gpu("H100").peak_flops("bf16")
    mfu = tokens * float(model_flops_per_token(model, 4096)) / float(sum(parts.values())) / peak
    assert 0.05 < mfu < 0.65


def test_an_encoder_has_no_output_head_and_an_encoder_decoder_no_speed():
    assert step(EMBEDDER, seq_len=512)["head"] == 0
    assert training_parts(EMBEDDER, ADAMW, TrainingJob.of(seq_len=512))["logits"] == 0
    both = Model(id="both", name="Both", **SIZES, kind="encoder-decoder")
    job = TrainingJob.of(seq_len=512)
    for refused in (step, lambda model, seq_len: training_parts(model, ADAMW, job)):
        with pytest.raises(InputError, match="encoder with a decoder"):
            refused(both, seq_len=512)
    assert state_parts(both, ADAMW, job)["optimizer"] == 12 * both.params


def test_a_model_stored_in_fp8_is_trained_in_its_recipe():
    stored, job = DENSE.model_copy(update={"stored": "fp8"}), TrainingJob.of(seq_len=100)
    assert training_parts(stored, ADAMW, job) == training_parts(DENSE, ADAMW, job)


# --- memory ------------------------------------------------------------------------------------


def kept(model, **job):
    found = training_parts(model, ADAMW, TrainingJob.of(**{"seq_len": 10, **job}), terms=NONE)
    return {name: float(value) for name, value in found.items()}


def test_activations_of_each_kind_of_layer():
    # Attention with an MLP as ever: 2000 * 2 + 6800 + 20,000. Recurrent: one norm and one input of
    # 100, twice 70 + 40 elements of 2 bytes, 10 tokens. Experts: one norm and input, 3 * 2 * 50
    # between their products, twice 20 latent elements.
    recurrent = 10 * 2 * (100 + 100 + 2 * 110)
    experts = 10 * 2 * (100 + 100 + 300 + 40)
    found = kept(HYBRID)
    assert found["activations"] == 2 * recurrent + 30_800 + experts
    # Tensor parallelism leaves norms, inputs and latent vectors whole.
    whole = 2 * 10 * 2 * 200 + 10 * 2 * (400 + 240 - 240) + 10 * 2 * (200 + 40)
    split = kept(HYBRID, tp=2, sequence_parallel=False)
    rest = found["activations"] - whole
    assert split["activations"] == whole + rest / 2


def test_sparse_attention_keeps_its_choice():
    # 64 places of 32 bits, 4 index heads and the key of 5 elements.
    widths = LayerWidths(100, 100, 20, 900, whole=5 * 5 + 2 * 64)
    plain = LayerWidths(100, 100, 20, 900)
    sparse = DENSE.model_copy(update={"index_heads": 4, "index_head_dim": 5, "index_topk": 64})
    more, less = (sum(layer_activation_bytes(100, w).values()) for w in (widths, plain))
    found = kept(sparse, seq_len=100)["activations"] - kept(DENSE, seq_len=100)["activations"]
    assert found == 4 * (more - less) == 4 * 100 * 2 * 153


def test_states_between_chunks_are_held_of_one_layer():
    # 100 tokens: 2 chunks of 640 elements, and their gradients, of 2 bytes. With full
    # recomputation the largest layer is held beside them.
    options = {"seq_len": 100, "zero_stage": 1, "dp": 1000}
    assert kept(HYBRID, **options)["workspace"] == 2 * 2 * 640 * 2
    assert kept(HYBRID, recompute="full", **options)["workspace"] == 10 * 30_800


# --- laws --------------------------------------------------------------------------------------


@law
@given(networks(), sizes, sizes, st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2, 4]))
def test_parameters_add_up_over_stages_and_ranks(model, tp, ep, pp, chunks):
    split = TrainingJob.of(seq_len=8, tp=tp, ep=ep, pp=pp, dp=ep).parallel
    layers = stage_layers(model, pp, chunks)
    assert layers.sum(axis=0).tolist() == [block.layers for block in model.blocks]
    stages = Stages(layers.T, np.arange(pp), np.arange(pp) == 0, np.arange(pp) == pp - 1)
    held = StageParameters.of(model, stages, split)
    alone = TrainingJob.of(seq_len=8).parallel
    whole = StageParameters.of(model, Stages.of(model, alone), alone)
    assert (whole.layers + whole.experts + whole.embedding + whole.head).sum() == model.params
    every = (
        tp * held.layers.sum() + tp * ep * held.experts.sum() + tp * (held.embedding + held.head)
    )
    norms = sum(b.layers * b.norms_per_layer * b.hidden for b in model.blocks)
    norms += sum(b.layers * (b.other_params + b.index_params) for b in model.blocks)
    routers = sum(b.moe_layers * b.experts * b.hidden for b in model.blocks)
    copies = (tp - 1) * (norms + routers + model.hidden)
    copies += (pp > 1) * model.tied_embeddings * model.vocab * model.hidden
    assert_allclose(every, model.params + copies, rtol=1e-9)


@law
@given(networks(), st.sampled_from(TARGETS), sizes)
def test_adapters_add_up_over_stages(model, target, tp):
    adapter = Adapter(base=BF16, rank=4, targets=(target,))
    layers = stage_layers(model, 3)
    stages = Stages(layers.T, np.arange(3), np.arange(3) == 0, np.arange(3) == 2)
    split = TrainingJob.of(seq_len=8, tp=tp, pp=3, ep=2, dp=2).parallel
    held = StageParameters.of(model, stages, split, adapter)
    every = tp * (held.adapters + 2 * held.expert_adapters).sum()
    assert_allclose(every, adapter_params(model, adapter), rtol=1e-9)


@law
@given(networks(), st.sampled_from(["none", "selective", "full"]), sizes)
def test_a_longer_sequence_never_needs_less(model, recompute, tp):
    seq = 2 ** np.arange(4, 15)
    job = {"seq_len": seq, "tp": tp, "recompute": recompute}
    memory = sum(training_parts(model, ADAMW, TrainingJob.of(**job), terms=NONE).values())
    assert (np.diff(memory) >= 0).all()
    for convention in ("causal", "full", "parameters"):
        flops = model_flops_per_token(model, seq, convention)
        assert (np.diff(flops) >= -1e-9 * flops[1:]).all()
    seconds = sum(step(model, **job).values())
    assert (np.diff(seconds) > 0).all()


@law
@given(networks(), st.integers(0, 3), st.sampled_from(["tp", "pp", "dp", "ep"]))
def test_more_gpus_never_hold_more_states(model, zero, name):
    counts = np.array([1, 2, 4, 8])
    job = {"seq_len": 64, "zero_stage": zero, "dp": 8, name: counts}
    parts = state_parts(model, ADAMW, TrainingJob.of(**job))
    copied = model.tied_embeddings and name == "pp"  # the head becomes a copy of its own
    for held in parts.values() if not copied else ():
        assert (np.diff(held) <= 1e-9 * held[:-1]).all()
    if name == "dp":
        whole = training_parts(model, ADAMW, TrainingJob.of(**job), terms=NONE)
        assert (np.diff(sum(whole.values())) <= 0).all()


@law
@given(networks(), st.sampled_from([1, 2, 3]), sizes)
def test_how_groups_are_written_changes_nothing(model, pp, tp):
    # Every layer a group of its own.
    fields = {name: getattr(model, name) for name in type(model).model_fields}
    groups = [
        {"layers": str(place), **dict(group.fields)}
        for group in model.groups
        for place in group.layers
    ]
    apart = Model(**{**fields, "groups": groups})
    assert len(apart.blocks) >= len(model.blocks)
    job = {"seq_len": 256, "tp": tp, "pp": pp, "microbatches": 4}
    for of in (lambda m: kept(m, **job), lambda m: step(m, **job)):
        one, other = of(model), of(apart)
        assert {k: float(v) for k, v in one.items()} == pytest.approx(
            {k: float(v) for k, v in other.items()}
        )


def test_a_grid_of_layouts_equals_its_rows():
    pp, chunks = np.array([1, 2, 4, 8]), np.array([1, 1, 2, 16])
    grid = {"seq_len": 4096, "tp": 8, "microbatches": 16, "pp": pp, "interleave": chunks}
    for model in (QWEN, NEMOTRON, GEMMA, SPARSE):
        memory, seconds = kept_grid(model, grid), step(model, **grid)
        for i in range(4):
            row = {**grid, "pp": int(pp[i]), "interleave": int(chunks[i])}
            assert_allclose(memory[i], kept_grid(model, row), rtol=1e-12)
            assert_allclose(sum(seconds.values())[i], sum(step(model, **row).values()), rtol=1e-12)


def kept_grid(model, job):
    return sum(training_parts(model, ADAMW, TrainingJob.of(**job), terms=NONE).values())


def test_experts_of_a_network_where_few_layers_have_them():
    assert expert_counts(HYBRID) == (8,)
    assert expert_counts(QWEN) == ()
    assert expert_counts(SPARSE) == (256,)
