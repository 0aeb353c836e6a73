"""MIG: layouts are those of the driver, slices add up, tenants never land on an invalid layout."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import gpu, mig_profiles
from gpuspec.constants.kernels import kernels
from gpuspec.constants.mig import least_of_share, slice_errors
from gpuspec.constants.stored import stored
from gpuspec.evidence.fits.mig import calibrate
from gpuspec.evidence.measurements.mig import published_slices
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.mig import (
    MEMORY_SLICES,
    Placement,
    counts,
    create_commands,
    geometry,
    layouts,
    maximal_layouts,
    memory_share,
    patterns,
    slice_gpu,
    slice_memory_bytes,
)
from gpuspec.formulas.mig.delivery import slice_seconds
from gpuspec.topics.hpc import class_seconds
from gpuspec.topics.mig import (
    WHOLE_GPU,
    MigQuestion,
    delivery_table,
    faults,
    layouts_of,
    pack,
    slice_engine,
    tenant_options,
    useful_options,
    words,
)
from gpuspec.topics.mig import answer as tables

PLACED = sorted(
    {g for g, starts in zip(mig_profiles().index.get_level_values("gpu_id"),
                            mig_profiles()["placement_starts"], strict=True) if starts}
)  # fmt: skip
ASKED = [
    "a100-sxm-40", "a100-sxm-80", "h100-sxm-80", "h100-nvl-94", "h200-sxm-141", "b200-sxm-180",
    "gh200-superchip-144", "gb200-superchip-186",
]  # fmt: skip


# --- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gpu_id", ASKED)
def test_full_layouts_are_the_19_of_the_user_guide(gpu_id):
    """NVIDIA MIG user guide, figure of the profiles of A100 and H100: 19 combinations."""
    rules = geometry(gpu_id)
    found = maximal_layouts(gpu_id, rules.figure_profiles())
    sizes = {tuple(rules.profiles[p.profile].compute_slices for p in layout) for layout in found}
    assert len(found) == len(sizes) == 19
    assert {(7,), (4, 3), (4, 2, 1), (3, 3), (3, 2, 1), (2, 2, 3), (1, 1, 2, 3)} <= sizes
    assert (1, 1, 1, 1, 1, 1, 1) in sizes
    assert not any(sum(s) > 7 for s in sizes)


def test_counts_agree_with_brute_force():
    """Every subset of placements is tried against the rules, without the search."""
    rules = geometry("A100")
    names = rules.figure_profiles()
    places = [Placement(n, s) for n in names for s in rules.profiles[n].placement_starts]
    valid = [set(c) for k in range(1, 8) for c in combinations(places, k) if not rules.fault(c)]
    assert len(valid) == len(layouts("a100-sxm-80", names)) == 297
    assert counts("a100-sxm-80") == {
        "figure": 19,
        "positions": 722,
        "full": 78,
        "mixes": 77,
        "useful": 28,
    }


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ((("3g.40gb", 0), ("3g.40gb", 2)), "cannot start at slice 2"),
        ((("4g.40gb", 0), ("2g.20gb", 2)), "overlaps"),
        ((("4g.40gb", 0), ("1g.20gb", 4), ("2g.20gb", 6)), "cannot start"),
        ((("4g.40gb", 0), ("3g.40gb", 4), ("1g.10gb", 4)), "overlaps"),
        (tuple(("1g.10gb+me", s) for s in (0, 1)), "1 times at most"),
        ((("1g.10gb", 7),), "cannot start at slice 7"),
        ((("1g.18gb", 0),), "no profile"),
    ],
)
def test_the_driver_s_refusals(layout, said):
    assert said in geometry("H100").fault(Placement(*p) for p in layout)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ASKED), st.data())
def test_any_layout_found_obeys_the_slices(gpu_id, data):
    rules = geometry(gpu_id)
    layout = data.draw(st.sampled_from(layouts(gpu_id)))
    taken = [s for one in layout for s in rules.slices(one)]
    assert len(taken) == len(set(taken)) <= MEMORY_SLICES
    devices = [slice_gpu(gpu_id, one.profile) for one in layout]
    whole = gpu(gpu_id)
    assert sum(d.sm_count for d in devices) <= whole.sm_count
    assert sum(d.memory_bytes for d in devices) <= 1.001 * whole.memory_bytes
    assert sum(d.bandwidth_bytes_s for d in devices) <= 1.0001 * whole.bandwidth_bytes_s
    assert sum(d.peak_flops("bf16") for d in devices) <= 1.0001 * whole.peak_flops("bf16")
    assert sum(rules.profiles[one.profile].media_engine for one in layout) <= 1


@pytest.mark.parametrize("gpu_id", ASKED)
def test_patterns_beat_every_layout(gpu_id):
    found = [Counter(p.profile for p in layout) for layout in patterns(gpu_id, media=False)]
    plain = [n for n, p in geometry(gpu_id).profiles.items() if not p.media_engine]
    for layout in layouts(gpu_id, tuple(plain)):
        mix = Counter(p.profile for p in layout)
        assert any(not mix - better for better in found)


def test_a_gpu_without_mig_or_placements_is_refused():
    with pytest.raises(InputError, match="no MIG profiles"):
        geometry("L40S")
    with pytest.raises(InputError, match="unknown"):
        geometry("RTX PRO 6000")


# --- slices --------------------------------------------------------------------------------------


def test_a_slice_is_a_small_gpu():
    whole, it = gpu("H100"), slice_gpu("H100", "3g.40gb")
    assert it.sm_count == 60
    assert it.peak_flops("fp8") == pytest.approx(whole.peak_flops("fp8") * 60 / 132)
    assert it.bandwidth_bytes_s == whole.bandwidth_bytes_s / 2
    assert it.memory_reported_mib == 39.5 * 1024
    assert it.nvlink_bytes_s == 0
    assert kernels(it).tables == kernels(whole).tables
    assert kernels(it).inherited
    assert not kernels(it).over_nvlink(2)


@pytest.mark.parametrize("gpu_id", PLACED)
def test_more_slices_are_never_less(gpu_id):
    ordered = [slice_gpu(gpu_id, p) for p in geometry(gpu_id).figure_profiles()]
    for column in ("sm_count", "memory_bandwidth_gb_s", "memory_reported_mib"):
        values = [getattr(d, column) for d in ordered]
        assert values == sorted(values)


@given(st.floats(1, 1e4), st.floats(1, 1e4), st.floats(1e-4, 1.0), st.floats(0.05, 0.9))
def test_a_slice_is_never_faster_and_keeps_its_share(items, rate, fixed, share):
    batches = 2.0 ** np.arange(9)
    curve = batches, fixed + batches / rate
    whole, part = (slice_seconds(items, s, *curve) for s in (1.0, share))
    assert whole <= part * (1 + 1e-9)
    assert part <= whole / share * (1 + 1e-9)


SIMULATED = ["stream", "lbm", "md", "dgemm", "hpl", "fft3d", "weather"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ASKED[:-1]), st.sampled_from(SIMULATED), st.data())
def test_a_slice_simulates_faster_than_its_smaller_share_and_slower_than_the_whole(
    gpu_id, name, data
):
    profiles = list(geometry(gpu_id).profiles)
    whole, it = gpu(gpu_id), slice_gpu(gpu_id, data.draw(st.sampled_from(profiles)))
    seconds = class_seconds([whole, it], name)
    compute = it.sm_count / whole.sm_count
    memory = it.bandwidth_bytes_s / whole.bandwidth_bytes_s
    speed = seconds[0] / seconds[1]
    assert min(compute, memory) * (1 - 1e-9) <= speed <= 1 + 1e-9
    if name == "dgemm":  # units alone
        assert speed == pytest.approx(compute, rel=1e-3)


def test_slices_deliver_simulations_and_language_models():
    table = delivery_table(MigQuestion.ask(reserve=0.0, gpus="A100,H100"), "Llama-3.1-8B")
    works = table[["stream", "lbm", "md", "dgemm"]]
    assert works.notna().all(axis=None)
    three = table[table["profile"] == "3g.40gb"].set_index("gpu")
    # Half of the bandwidth, three sevenths of the compute slices.
    assert (three["stream"] > three["dgemm"]).all()
    small = table[table["profile"] == "1g.10gb"]
    assert small[["decode", "prefill"]].isna().all(axis=None)  # 16 GB of weights


def test_published_slices_give_their_share():
    """MIGProfiler (A100 40 and 80 GB), MLPerf, NJIT, Red Hat (A100), one H200."""
    assert calibrate() == stored("mig")  # make calibrate
    errors = slice_errors()
    assert errors.loc["full load", "publishers"] >= 3
    assert errors.loc["full load", "rows"] >= 60
    assert errors.loc["full load", "median_error"] < 0.05
    assert errors.loc["full load", "p90_error"] < 0.10
    assert errors.loc["all", "median_error"] < 0.06
    assert errors.loc["all", "p90_error"] < 0.16
    assert 0.75 < errors.loc["all", "coverage"] < 0.88
    assert least_of_share() > 0.85
    resnet = published_slices().query("profile == '1g.10gb' and batch == 256")
    assert resnet["measured"].between(0.13, 0.15).all()  # one of seven


def test_unused_measurements_say_why():
    from gpuspec.catalog import load_table

    table = load_table("measurements-mig")
    unused = table[~table["used"].astype(bool)]
    assert (unused["not_used_because"].str.len() > 10).all()
    assert len(measurements("mig")) > 150


# --- tenants -------------------------------------------------------------------------------------

SIZES = st.fixed_dictionaries(
    {
        "memory_gib": st.floats(1, 75),
        "gpu_share": st.floats(0, 1),
        "media": st.sampled_from(["yes", "no"]),
        "copies": st.integers(1, 5),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(SIZES, min_size=1, max_size=8), st.sampled_from(["A100", "H100", "A100,H200"]))
def test_packing_is_never_invalid(rows, kinds):
    rows = [{"name": f"t{i}", **row} for i, row in enumerate(rows)]
    question = MigQuestion.ask(reserve=0.0, tenants=rows, gpus=kinds, solver_seconds=5)
    options = tenant_options(question)
    found = pack(question, options)
    assert faults(found) == []
    held = found.placements[found.placements["tenant"] != ""]
    assert sorted(held["tenant"]) == sorted(
        {t.name for t in question.everyone} - set(found.unplaced)
    )
    for row in held.to_dict("records"):  # each tenant got what it asked for
        tenant = next(t for t in question.everyone if t.name == row["tenant"])
        whole = row["profile"] == WHOLE_GPU
        device = gpu(row["gpu"]) if whole else slice_gpu(row["gpu"], row["profile"])
        assert device.memory_bytes >= tenant.memory_gib * 2**30 * (1 - 1e-9)
        assert not tenant.media or (device.nvdec or 0) > 0
    assert found.objective >= found.bound - 1e-6
    assert found.gap < 1e-6
    assert found.objective == pytest.approx(found.usd_per_hour)


def test_two_tenants_of_68_gib_share_an_h200():
    """A 3g.71gb has 69.50 GiB (github.com/NVIDIA/mig-parted/issues/120), not 71 GB = 66.1 GiB."""
    rows = [{"name": "t", "memory_gib": 68, "copies": 2}]
    question = MigQuestion.ask(tenants=rows, gpus="H200")
    found = pack(question, tenant_options(question))
    assert found.gpus == {"h200-sxm-141": 1}
    assert set(found.placements["profile"]) == {"3g.71gb"}
    kept = MigQuestion.ask(tenants=rows, gpus="H200", reserve=0.1)  # 74.8 GiB each
    options = tenant_options(kept)
    assert pack(kept, options).gpus == {"h200-sxm-141": 2}
    slices = options[options["profile"] == "3g.71gb"]
    assert slices["reason"].eq("69.5 GiB of memory with the reserve against 74.8").all()


@pytest.mark.parametrize("gpu_id", PLACED)
def test_memory_of_slices_is_never_read_off_their_names(gpu_id):
    """Listed or computed from the GPU's memory: the same whatever the profile is called."""
    whole = gpu(gpu_id)
    for profile in geometry(gpu_id).profiles.values():
        other = profile.model_copy(update={"memory_label_gb": 1.0})
        found = slice_memory_bytes(whole, profile)
        assert found == slice_memory_bytes(whole, other)
        blank = profile.model_copy(update={"memory_reported_gib": None})
        computed = slice_memory_bytes(whole, blank)
        part = whole.memory_bytes * memory_share(profile)
        assert 0.9 * part < computed < part
        if profile.memory_reported_gib:  # what a listing prints is no less
            assert computed <= found * (1 + 1e-9)


def test_seven_small_tenants_share_a_gpu_and_the_eighth_does_not():
    rows = [{"name": "n", "memory_gib": 9, "copies": 7}]
    question = MigQuestion.ask(reserve=0.0, tenants=rows, gpus="A100")
    found = pack(question, tenant_options(question))
    assert found.gpus == {"a100-sxm-80": 1}
    assert list(found.placements["start"]) == list(range(7))
    more = MigQuestion.ask(reserve=0.0, tenants=[{**rows[0], "copies": 8}], gpus="A100")
    assert pack(more, tenant_options(more)).gpus == {"a100-sxm-80": 2}


def test_cheap_and_few_can_differ():
    rows = [{"name": "n", "memory_gib": 30, "copies": 3}]
    prices = {"A100": 1.0, "H200": 10.0}
    few = MigQuestion.ask(
        reserve=0.0, tenants=rows, gpus="A100,H200", prices=prices, objective="gpus"
    )
    cheap = MigQuestion.ask(
        reserve=0.0, tenants=rows, gpus="A100,H200", prices=prices, objective="cost"
    )
    options = tenant_options(few)
    assert pack(few, options).gpus["h200-sxm-141"] == 1
    assert pack(cheap, options).gpus == {"a100-sxm-80": 2, "h200-sxm-141": 0}


def test_a_simulation_gets_a_slice_by_the_speed_of_its_class():
    """On a 3g of A100 lattice Boltzmann keeps the bandwidth's half, DGEMM the SMs' 39 %."""
    rows = [{"name": "s", "memory_gib": 20, "gpu_share": 0.43}]
    places = {}
    for name in ("LBM", "dgemm"):
        question = MigQuestion.ask(
            reserve=0.0, tenants=[{**rows[0], "workload": name}], gpus="A100"
        )
        options = tenant_options(question)
        found = pack(question, options)
        places[name] = found.placements.query("tenant == 's'")["profile"].iloc[0]
        headroom = tables.headroom_table(found, options).iloc[0]
        assert headroom["load_low"] < headroom["load"] <= 1
        assert headroom["load"] < headroom["load_high"]
    assert places == {"LBM": "3g.40gb", "dgemm": "4g.40gb"}


def test_media_goes_where_decoders_are():
    rows = [{"name": "v", "memory_gib": 8, "media": "yes", "copies": 2}]
    question = MigQuestion.ask(reserve=0.0, tenants=rows, gpus="A100")
    found = pack(question, tenant_options(question))
    assert set(found.placements.query("tenant != ''")["profile"]) <= {
        "1g.10gb+me",
        "2g.20gb",
        "1g.20gb",
    }
    assert found.gpus == {"a100-sxm-80": 1}
    assert faults(found) == []


def test_a_model_that_fits_no_slice_gets_whole_gpus_and_says_why():
    rows = [{"name": "big", "model": "Llama-3.1-70B", "weights": "fp8", "concurrency": 8}]
    question = MigQuestion.ask(reserve=0.0, tenants=rows, gpus="H200")
    options = tenant_options(question)
    blocking = tables.blocking_table(question, options)
    assert blocking.loc[0, "needs"] == "1 x whole"
    assert "too large" in blocking.loc[0, "reason"]
    assert layouts_of(pack(question, options)) == {}


def test_larger_loads_never_need_less():
    def least(concurrency):
        rows = [{"name": "c", "model": "Llama-3.1-8B", "concurrency": concurrency}]
        question = MigQuestion.ask(reserve=0.0, tenants=rows, gpus="H100")
        return pack(question, tenant_options(question)).bound

    bounds = [least(n) for n in (1, 16, 64, 256)]
    assert bounds == sorted(bounds)


def test_a_reserve_leaves_room():
    rows = [
        {"name": "c", "model": "Llama-3.1-8B", "concurrency": 30},
        {"name": "j", "memory_gib": 9, "gpu_share": 0.12},
    ]
    question = MigQuestion.ask(tenants=rows, gpus="H100", reserve=0.25)
    options = tenant_options(question)
    headroom = tables.headroom_table(pack(question, options), options)
    assert (headroom["load"] <= 1 / 1.25 + 1e-9).all()
    assert (headroom["load_low"] < headroom["load"]).all()
    assert (headroom["load"] < headroom["load_high"]).all()


def test_what_is_known_of_language_models_on_slices():
    """Images of MIGProfiler say nothing of tokens: one publisher measured those on a slice."""
    rows = [
        {"name": "c", "model": "Llama-3.1-8B", "weights": "fp8", "copies": 2},
        {"name": "e", "memory_gib": 9, "gpu_share": 0.1},
    ]
    question = MigQuestion.ask(tenants=rows, gpus="A100")
    options = tenant_options(question)
    found = pack(question, options)
    headroom = tables.headroom_table(found, options).set_index("tenant")
    assert headroom.loc["c-1", "ground"] == "near"
    assert "alone of language models" in headroom.loc["c-1", "ground_reasons"]
    assert headroom.loc["e", "ground"] == "measured"
    assert "Ground of c: near" in words.places_ground(headroom.reset_index())


def test_needless_options_are_left_out():
    rows = [{"name": "n", "memory_gib": 9, "gpu_share": 0.05}]
    question = MigQuestion.ask(reserve=0.0, tenants=rows, gpus="H100")
    found = useful_options(tenant_options(question))
    assert list(found["profile"]) == ["1g.10gb"]


def test_engines_on_slices_keep_smaller_buffers():
    engine = MigQuestion.ask(
        reserve=0.0, tenants=[{"name": "a", "memory_gib": 1}], gpus="H100"
    ).runtime
    small = slice_engine(engine)
    assert small.limits.max_tokens == 2048
    assert small.terms.reserve_gb < engine.terms.reserve_gb


def test_the_bill_adds_up_and_headroom_is_of_each_tenant():
    question = MigQuestion.ask(reserve=0.0)
    options = tenant_options(question)
    found = pack(question, options)
    headroom = tables.headroom_table(found, options)
    assert set(headroom["tenant"]) == {t.name for t in question.everyone}
    assert headroom["load"].between(0, 1 + 1e-9).all()
    assert headroom["usd"].sum() == pytest.approx(found.usd_per_hour)
    assert tables.grouped(headroom)["count"].sum() == len(headroom)
    fleets = tables.fleets_table(question, options).set_index("fleet")
    assert fleets["usd_per_hour"].idxmin() == "any of them"
    assert (fleets["gpus"] <= fleets["without"]).all()


def test_commands_name_profile_and_start():
    layout = (Placement("3g.40gb", 4), Placement("1g.10gb+me", 0))
    assert create_commands("h100-sxm-80", layout, 2) == [
        "sudo nvidia-smi -i 2 -mig 1",
        "sudo nvidia-smi mig -i 2 -cgi 9:4,20:0 -C",
    ]
    assert "-cgi 3g.90gb:0 " in create_commands("b200-sxm-180", (Placement("3g.90gb", 0),), 0)[1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"tenants": [{"name": "a"}]}, "give a model, or memory_gib"),
        ({"tenants": [{"name": "a", "memory_gib": "x"}]}, "tenant a: memory_gib"),
        ({"tenants": [{"name": "a", "modle": "x"}]}, "did you mean model"),
        ({"tenants": [{"name": "a", "memory_gib": 1, "workload": "hpgc"}]}, "did you mean hpcg"),
        ({"tenants": [{"name": "a", "memory_gib": 1, "workload": "md"}]}, "gpu_share"),
        ({"tenants": [{"name": "a", "model": "Llama-3.1-8B", "workload": "md"}]}, "no model"),
        ({"tenants": [{"name": "a", "model": "Llama-9"}]}, "tenant a: model"),
        ({"tenants": [{"name": "a", "memory_gib": 1}] * 2}, "name of its own"),
        ({"tenants": "nowhere.csv"}, "give example, a CSV file"),
        ({"prices": "A100:2"}, "A100=1.8"),
        ({"gpus": "H20"}, "h20-sxm-96=2.5"),
        ({"objective": "fun"}, "objective"),
        ({"gpus": "L40S"}, "no MIG profiles"),
    ],
)  # fmt: skip
def test_bad_input_says_what_is_valid(call, said):
    with pytest.raises(InputError, match=said.replace("(", r"\(")) as error:
        MigQuestion.ask(**call)
    assert isinstance(error.value, InputError | UnknownNameError)


def test_a_text_with_semicolons_and_a_file_say_the_same(tmp_path):
    text = "name,memory_gib,copies;job,9,3"
    path = tmp_path / "tenants.csv"
    path.write_text(text.replace(";", "\n"), "utf-8")
    assert (
        MigQuestion.ask(reserve=0.0, tenants=text, gpus="A100").everyone
        == MigQuestion.ask(reserve=0.0, tenants=path, gpus="A100").everyone
    )


def test_the_command_prints_places_and_commands(command):
    done = command("mig", "name,memory_gib,copies;job,9,3", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["gap"] == 0
    assert told["commands"][-1].startswith("sudo nvidia-smi mig -i 0 -cgi 19:")
    assert told["commands"][-1].count("19:") == 3


def test_a_panel_follows_its_load():
    from gpuspec.topics.mig.panel import tenants_panel

    rows = [{"name": "c", "model": "Llama-3.1-8B", "concurrency": 40, "copies": 2}]
    panel = tenants_panel(MigQuestion.ask(reserve=0.0, tenants=rows, gpus="A100,H100"))
    before, cost = panel.picture.value, panel.answer[1].usd_per_hour
    panel.controls["load_factor"].value = 4.0
    assert panel.answer[1].usd_per_hour > cost
    assert panel.picture.value != before
    panel.controls["gpus"].value = ("h100-sxm-80",)
    assert set(panel.answer[1].gpus) == {"h100-sxm-80"}
