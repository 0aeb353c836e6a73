"""Counts of parameters, and conversions of the catalogue's units, worked out by hand."""

import numpy as np
import pytest
from toys import ADAMW, DENSE, FAST, INT4, MLA, MOE, SIZES, WIDE, WINDOWED

from gpuspec.base.errors import InputError
from gpuspec.base.units import GIB, KIB, MIB, TIB, format_bytes
from gpuspec.catalog import link, server
from gpuspec.catalog.models import Model, model, parameter_parts
from gpuspec.catalog.models.params import active_parameter_parts, attention_parameters
from gpuspec.catalog.models.record import NO_WINDOW


def made(**more):
    return Model(id="made", name="Made", **{**SIZES, **more})


def test_parts_of_a_dense_model():
    assert parameter_parts(DENSE) == {
        "embedding": 100_000,
        "positions": 0,
        "attention": 4 * 24_000,  # 100 * (100 + 20 + 20 + 100)
        "linear": 0,
        "mlp": 4 * 90_000,  # 3 * 100 * 300
        "experts": 0,
        "shared_experts": 0,
        "router": 0,
        "norms": 900,  # two a layer and the last
        "other": 0,
        "lm_head": 100_000,
        "extra": 0,
    }
    assert DENSE.params == DENSE.params_active == 656_900
    assert DENSE.matmul_params_active == 556_000  # layers and head


def test_parts_of_a_mixture_of_experts():
    parts, active = parameter_parts(MOE), active_parameter_parts(MOE)
    assert (parts["mlp"], parts["experts"], parts["router"]) == (90_000, 3 * 8 * 15_000, 3 * 800)
    assert parts["shared_experts"] == active["shared_experts"] == 3 * 15_000
    assert active["experts"] == 3 * 2 * 15_000
    assert MOE.moe_mask().tolist() == [False, True, True, True]
    assert made(experts=2, active_experts=1, expert_ffn=10, moe_every=2).moe_layers == 2
    gated = MOE.model_copy(update={"shared_expert_gate": True, "router_bias": True})
    found = parameter_parts(gated)
    assert found["shared_experts"] == parts["shared_experts"] + 3 * 100
    assert found["router"] == 3 * 8 * 101


def test_latent_attention():
    # Queries 100 -> 40 (and its norm) -> 100; down to 30 + 2 and a norm; up to 10 * (8 + 6); out of
    # 60.
    assert attention_parameters(MLA) == 40 * 201 + 3_230 + 4_200 + 6_000
    plain = MLA.model_copy(update={"q_lora_rank": 0})
    assert attention_parameters(plain) == 10_000 + 3_230 + 4_200 + 6_000
    assert (MLA.attention, MLA.kv_elements_per_token_per_layer) == ("mla", 32)
    assert (DENSE.attention, DENSE.kv_elements_per_token_per_layer) == ("gqa", 40)


def test_biases_norms_and_sinks():
    assert attention_parameters(made(attention_bias="qkv")) == 24_000 + 140
    assert attention_parameters(made(attention_bias="all")) == 24_000 + 240
    assert attention_parameters(made(attention_sinks=True)) == 24_010
    assert attention_parameters(made(qk_norm="head")) == 24_020
    assert attention_parameters(made(qk_norm="full")) == 24_120
    # Gate and up have biases of 300, down of 100.
    assert parameter_parts(made(mlp_bias=True))["mlp"] == 4 * 90_700
    assert parameter_parts(made(gated_mlp=False, mlp_bias=True))["mlp"] == 4 * 60_400
    norms = made(norm_bias=True, norms_per_layer=4, embedding_norm=True)
    assert parameter_parts(norms)["norms"] == 18 * 200
    tied = made(tied_embeddings=True, lm_head_bias=True)
    assert parameter_parts(tied)["lm_head"] == 1000
    learned = made(position="learned", learned_positions=50)
    assert parameter_parts(learned)["positions"] == 5000


def test_windows_of_layers():
    assert WINDOWED.layer_windows().tolist() == [64, NO_WINDOW, 64, NO_WINDOW]
    first = made(sliding_window=64, global_layers=(0,))
    assert (np.minimum(first.layer_windows(), 100)).tolist() == [100, 64, 64, 64]


def test_bits_of_formats():
    assert INT4.bytes_per_weight == 0.625
    assert (INT4.kept_bytes_per_weight, ADAMW.bytes_per_param) == (2.0, 18)
    eight = INT4.model_copy(update={"quantized": False})
    assert eight.kept_bytes_per_weight == 0.625


# --- the catalogue: decimal bytes, binary memory, links in one direction ------------------------


def test_units_of_a_gpu():
    assert FAST.memory_bytes == 1024 * 2**20
    assert FAST.bandwidth_bytes_s == 1e9
    assert (FAST.nvlink_bytes_s, FAST.pcie_bytes_s) == (1e10, 1e9)  # of 20 and 2 GB/s both ways
    assert (WIDE.peak_flops("bf16"), WIDE.peak_flops("FP8")) == (1e12, 2e12)
    none = FAST.model_copy(update={"nvlink_gb_s": None, "pcie_gb_s": None})
    assert (none.nvlink_bytes_s, none.pcie_bytes_s) == (0, 0)


def test_units_of_servers_and_links():
    box = server("DGX H100").model_copy(
        update={"nvlink_gb_s_per_gpu": 900, "nvlink_gb_s_per_pair": 100, "node_network_gb_s": 400}
    )
    assert (box.nvlink_bytes_s, box.pair_bytes_s, box.network_bytes_s) == (450e9, 50e9, 400e9)
    assert box.model_copy(update={"nvlink_gb_s_per_pair": None}).pair_bytes_s == 450e9
    assert box.model_copy(update={"node_network_gb_s": None}).network_bytes_s is None
    wire = link("NVLink 4").model_copy(update={"gb_s_per_gpu": 450})
    assert wire.bytes_s == 450e9


def test_binary_prefixes():
    assert (KIB, MIB, GIB, TIB) == (1024, 1024**2, 1024**3, 1024**4)
    assert [format_bytes(x) for x in (512, 1536, 2**20 * 2.5, 2**30, 2**41)] == [
        "512 B",
        "1.5 KiB",
        "2.5 MiB",
        "1.0 GiB",
        "2.0 TiB",
    ]


def test_a_name_of_dimensions_is_a_dense_model():
    gpt = model("layers=2,hidden=256,heads=4,vocab=1000")
    attention, mlp, norms = 4 * 256**2, 2 * 256 * 1024, 2 * 256
    assert gpt.params == 2 * (attention + mlp + norms) + 1000 * 256 + 256
    llama = model("layers=2, hidden=256, heads=4, kv_heads=2, ffn=512, vocab=1000")
    attention, mlp = 2 * 256**2 + 2 * 256 * 128, 3 * 256 * 512
    assert llama.params == 2 * (attention + mlp + norms) + 2 * 1000 * 256 + 256


@pytest.mark.parametrize("name", ["layers=2", "layers=2,width=4", "layers=0,hidden=4", "a=b"])
def test_dimensions_that_say_too_little_are_refused(name):
    with pytest.raises(InputError, match="give layers and hidden"):
        model(name)
