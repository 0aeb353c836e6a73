"""The catalogue: names as people type them, the user's own rows, and the law of each table."""

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gpuspec import catalog
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.units import GB, GIB, MIB
from gpuspec.catalog import Gpu, Link, MigProfile, Server
from gpuspec.catalog.columns import Record, record_from
from gpuspec.catalog.records import PRECISIONS
from gpuspec.formulas.mig.slices import slice_memory_bytes

GPUS = catalog.gpus()
NEW_GPU = {
    "id": "x1-sxm-100",
    "name": "Example X1",
    "vendor": "Example",
    "architecture": "X",
    "form_factor": "sxm",
    "memory_label_gb": "100",
    "memory_bandwidth_gb_s": "5000",
    "tdp_w": "900",
}


def write(folder: Path, name: str, *rows: dict[str, str]) -> Path:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("A100", "a100-sxm-80"),
        ("H100", "h100-sxm-80"),
        ("H200", "h200-sxm-141"),
        ("A100 40GB", "a100-sxm-40"),
        ("a100-80gb-sxm", "a100-sxm-80"),
        ("a100_sxm_40", "a100-sxm-40"),
        ("A100 80G PCIe", "a100-pcie-80"),
        ("H100-SXM", "h100-sxm-80"),
        ("h100 pcie", "h100-pcie-80"),
        ("H100 NVL", "h100-nvl-94"),
        ("h200 nvl", "h200-nvl-141"),
        ("H20", "h20-sxm-96"),
        ("GH200", "gh200-superchip-96"),
        ("MI300X", "mi300x-oam-192"),
        ("RTX PRO 6000", "rtx-pro-6000-pcie-96"),
        ("Ｈ１００", "h100-sxm-80"),  # full-width letters of a Chinese keyboard
        # what nvidia-smi and rocm-smi print
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm-40"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80"),
        ("NVIDIA A100-PCIE-40GB", "a100-pcie-40"),
        ("NVIDIA A800-SXM4-80GB", "a800-sxm-80"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm-80"),
        ("NVIDIA H100 PCIe", "h100-pcie-80"),
        ("NVIDIA H200", "h200-sxm-141"),
        ("NVIDIA GH200 480GB", "gh200-superchip-96"),
        ("NVIDIA GH200 144G HBM3e", "gh200-superchip-144"),
        ("Tesla V100-SXM2-32GB", "v100-sxm-32"),
        ("NVIDIA B300 SXM6 AC", "b300-sxm-288"),
        ("AMD Instinct MI300X OAM", "mi300x-oam-192"),
    ],
)
def test_a_name_as_typed_finds_its_gpu(typed: str, expected: str) -> None:
    assert catalog.gpu(typed).id == expected


@pytest.mark.parametrize("gpu_id", GPUS.index)
def test_every_id_name_and_alias_finds_its_own_row(gpu_id: str) -> None:
    row = GPUS.loc[gpu_id]
    for name in (gpu_id, row["name"], *row["aliases"].split("|")):
        assert catalog.gpu(name).id == gpu_id


@given(
    st.sampled_from([*GPUS.index, "A100", "NVIDIA H100 80GB HBM3", "a100-80gb-sxm", "H200 NVL"]),
    st.data(),
)
def test_case_spaces_hyphens_and_underscores_do_not_matter(name: str, data: st.DataObject) -> None:
    def typed(char: str) -> str:
        choices = [" ", "-", "_", "  "] if char in " -_" else [char.lower(), char.upper()]
        return data.draw(st.sampled_from(choices))

    assert catalog.gpu("".join(map(typed, name))).id == catalog.gpu(name).id


@given(st.text(string.ascii_letters + string.digits + " -_/.", max_size=12))
def test_any_text_is_found_or_refused_with_one_kind_of_error(name: str) -> None:
    with contextlib.suppress(InputError):
        assert catalog.gpu(name).id in GPUS.index


def test_an_unknown_name_lists_close_matches() -> None:
    with pytest.raises(UnknownNameError, match="did you mean h100-sxm-80") as caught:
        catalog.gpu("H1000")
    assert all(name.startswith("h100") for name in caught.value.close)


@pytest.mark.parametrize("name", ["", "80", "-", "zzzz", "nan"])
def test_a_name_that_says_nothing_is_unknown(name: str) -> None:
    with pytest.raises(UnknownNameError):
        catalog.gpu(name)


def test_a_name_with_several_meanings_lists_them() -> None:
    with pytest.raises(InputError, match="may mean a100-pcie-40, a100-pcie-80: say which"):
        catalog.gpu("A100 PCIe")


def test_lists_of_names_become_ids_without_duplicates() -> None:
    assert catalog.gpu_ids("A100, H100,h200；H100") == [
        "a100-sxm-80",
        "h100-sxm-80",
        "h200-sxm-141",
    ]
    assert catalog.gpu_ids(["H200", "h200-sxm-141"]) == ["h200-sxm-141"]
    with pytest.raises(InputError, match="name at least one GPU"):
        catalog.gpu_ids(" , ")
    with pytest.raises(UnknownNameError, match="gpus: 'H999'"):
        catalog.gpu_ids("A100,H999")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("NVLink 2", "nvlink-2"),
        ("nvlink4", "nvlink-4"),
        ("PCIe 5", "pcie-5-x16"),
        ("NDR", "ib-ndr-400"),
        ("HDR", "ib-hdr-200"),
        ("10GbE", "eth-10"),
        ("10 GbE", "eth-10"),
        ("RoCE 400", "roce-400"),
    ],
)
def test_links_are_found_as_typed(typed: str, expected: str) -> None:
    assert catalog.link(typed).id == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("DGX H100", "dgx-h100"), ("HGX A100", "hgx-a100-80-8"), ("L40S server", "pcie-8x-l40s-48")],
)
def test_servers_are_found_as_typed(typed: str, expected: str) -> None:
    assert catalog.server(typed).id == expected


# --- figures -----------------------------------------------------------------------------------


def test_the_famous_row_compares_dense_with_dense() -> None:
    a100, h100 = catalog.gpu("A100"), catalog.gpu("H100")
    assert a100.peak_flops("bf16") == 312e12
    assert h100.peak_flops("bf16") == 989.4e12
    assert h100.bf16_dense_tflops * h100.sparsity_factor == pytest.approx(1978.9, abs=0.2)
    assert a100.bf16_dense_tflops * a100.sparsity_factor == 624
    assert h100.peak_flops("bf16") / a100.peak_flops("bf16") == pytest.approx(3.17, abs=0.005)


def test_capacity_is_what_the_driver_reports() -> None:
    h200 = catalog.gpu("H200")
    assert h200.memory_reported_mib == 143771
    assert h200.memory_bytes == 143771 * MIB == pytest.approx(150.75e9, rel=1e-4)
    assert catalog.gpu("H100").memory_bytes == pytest.approx(85.52e9, rel=1e-4)
    assert h200.bandwidth_bytes_s == 4.8e12


def test_capacity_is_near_its_label_in_gb_or_gib() -> None:
    label, reported = GPUS["memory_label_gb"], GPUS["memory_reported_mib"] * MIB
    assert (reported >= 0.999 * label * GB).all()
    assert (reported <= 1.001 * label * GIB).all()


def test_an_assumed_capacity_is_the_decimal_label() -> None:
    assumed = GPUS[GPUS["memory_basis"] == "assumed"]
    expected = (assumed["memory_label_gb"] * GB / MIB).astype(int)
    assert (assumed["memory_reported_mib"] == expected).all()
    assert assumed["unverified"].str.contains("memory_reported_mib").all()


@pytest.mark.parametrize(
    ("gpu", "tensor_flop", "fp32_lanes"),
    [
        # dense BF16/FP16 FLOP per SM and clock; FP32 lanes per SM
        ("v100-sxm-32", 1024, 64),
        ("a100-sxm-80", 2048, 64),
        ("h100-sxm-80", 4096, 128),
        ("h100-pcie-80", 4096, 128),
        ("h100-nvl-94", 4096, 128),
        ("h200-sxm-141", 4096, 128),
    ],
)
def test_peaks_follow_from_units_and_clock(gpu: str, tensor_flop: int, fp32_lanes: int) -> None:
    it = catalog.gpu(gpu)
    tensor = it.sm_count * tensor_flop * it.tensor_clock_mhz * 1e6
    assert it.peak_flops("fp16") == pytest.approx(tensor, rel=3e-3)
    fp32 = it.sm_count * fp32_lanes * 2 * it.boost_clock_mhz * 1e6
    assert it.peak_flops("fp32") == pytest.approx(fp32, rel=1e-2)


def test_a_precision_without_a_unit_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        InputError, match=r"precision: 'fp8' is not valid; NVIDIA A100 .* supports fp64"
    ):
        catalog.gpu("A100").peak_flops("fp8")
    assert "fp8" in catalog.gpu("H100").precisions
    assert catalog.gpu("H100").peak_flops("FP64-Tensor") == pytest.approx(66.9e12)


def test_wider_formats_are_never_faster() -> None:
    for wide, narrow in (("tf32", "bf16"), ("bf16", "fp8"), ("fp8", "fp4")):
        both = GPUS[[PRECISIONS[wide], PRECISIONS[narrow]]].dropna()
        assert (both[PRECISIONS[wide]] <= both[PRECISIONS[narrow]]).all()


def test_bandwidths_are_given_per_direction() -> None:
    assert catalog.gpu("H100").nvlink_bytes_s == 450e9 == catalog.link("NVLink 4").bytes_s
    assert catalog.gpu("A100").nvlink_bytes_s == 300e9 == catalog.link("NVLink 3").bytes_s
    assert catalog.gpu("V100").nvlink_bytes_s == 150e9 == catalog.link("NVLink 2").bytes_s
    assert catalog.server("DGX H200").network_bytes_s == 400e9
    assert catalog.server("HGX H100 4-GPU").pair_bytes_s == 150e9
    assert catalog.link("10GbE").bytes_s == 1.25e9


# --- laws of the tables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "record"),
    [("gpus", Gpu), ("servers", Server), ("links", Link), ("mig_profiles", MigProfile)],
)
def test_every_row_is_a_valid_record(table: str, record: type[Record]) -> None:
    frame = catalog.load_table(table)
    assert set(frame.columns) == set(record.model_fields)
    for row in frame.to_dict("records"):
        record_from(record, row)


def test_unverified_names_columns() -> None:
    for gpu_id in GPUS.index:
        assert set(catalog.gpu(gpu_id).unverified) <= set(Gpu.model_fields)


def test_every_empty_figure_is_explained() -> None:
    """Empty means: the GPU has no such unit, or `unverified` says that no source was found."""
    for gpu_id in GPUS.index:
        it = catalog.gpu(gpu_id)
        for column in ("sm_count", "boost_clock_mhz", "l2_cache_mb", "nvdec", "dpx"):
            assert getattr(it, column) is not None or column in it.unverified, (gpu_id, column)


def test_server_figures_add_up() -> None:
    servers = catalog.servers()
    total = servers["gpu_count"] * GPUS.loc[servers["gpu_id"], "tdp_w"].to_numpy() / 1000
    assert servers["gpu_tdp_total_kw"].to_numpy() == pytest.approx(total.to_numpy())
    nics = servers.dropna(subset=["nic_count", "nic_gbit_s", "node_network_gb_s"])
    rate = nics["nic_count"] * nics["nic_gbit_s"] / 8
    assert nics["node_network_gb_s"].to_numpy() == pytest.approx(rate.to_numpy())
    assert (servers["gpu_count"] % servers["nvlink_island_gpus"] == 0).all()
    power = servers.dropna(subset=["max_system_kw"])
    assert (power["max_system_kw"] > power["gpu_tdp_total_kw"]).all()


def test_links_multiply_out() -> None:
    links = catalog.links().dropna(subset=["gb_s_per_link", "links_per_gpu"])
    product = links["gb_s_per_link"] * links["links_per_gpu"]
    assert links["gb_s_per_gpu"].to_numpy() == pytest.approx(product.to_numpy())


def test_there_is_a_server_for_every_choice_in_question() -> None:
    servers = catalog.servers()
    eight = set(servers.loc[servers["gpu_count"] == 8, "gpu_id"])
    assert {"a100-sxm-80", "a100-pcie-80", "h100-sxm-80", "h100-pcie-80", "h100-nvl-94"} <= eight
    assert {"h200-sxm-141", "h200-nvl-141", "l40s-pcie-48"} <= eight


# --- MIG ---------------------------------------------------------------------------------------

MIG = catalog.mig_profiles()


@pytest.mark.parametrize("gpu_id", MIG.index.unique("gpu_id"))
def test_mig_profiles_obey_slices_and_placements(gpu_id: str) -> None:
    compute, memory = (4, 4) if gpu_id.startswith("rtx-pro") else (7, 8)
    for profile, row in MIG.loc[gpu_id].iterrows():
        it = catalog.mig_profile(gpu_id, str(profile))
        assert profile.startswith(f"{it.compute_slices}g.{it.memory_label_gb:g}gb")
        assert it.media_engine == profile.endswith("+me")
        assert it.compute_slices * it.max_instances <= compute
        assert it.memory_slices * it.max_instances <= memory
        for start in it.placement_starts:
            assert start + row["placement_size"] <= memory
        if it.placement_starts and not it.media_engine:
            assert len(it.placement_starts) == it.max_instances
    whole = catalog.gpu(gpu_id)
    assert MIG.loc[gpu_id, "max_instances"].max() == whole.mig_max_instances


def test_mig_instances_fit_in_the_memory_and_the_sms_of_their_gpu() -> None:
    for gpu_id, profile in MIG.index:
        whole, it = catalog.gpu(gpu_id), catalog.mig_profile(gpu_id, profile)
        assert slice_memory_bytes(whole, it) * it.max_instances <= 1.001 * whole.memory_bytes
        assert (it.sm_count or 0) * it.max_instances <= whole.sm_count


def test_every_nvidia_gpu_with_mig_in_question_has_a_table() -> None:
    asked = {i for i in GPUS.index if i.startswith(("a100", "h100", "h200"))}
    assert asked <= set(MIG.index.unique("gpu_id"))


def test_an_unknown_mig_profile_lists_those_of_the_gpu() -> None:
    assert catalog.mig_profile("H100", "MIG 3g.40gb").sm_count == 60
    with pytest.raises(InputError, match=r"h200-sxm-141 has 1g\.18gb"):
        catalog.mig_profile("H200", "1g.10gb")
    with pytest.raises(InputError, match="no MIG profiles"):
        catalog.mig_profile("L40S", "1g.10gb")


# --- the user's own tables ---------------------------------------------------------------------


def test_a_made_up_gpu_appears_through_data(tmp_path: Path) -> None:
    write(tmp_path, "gpus", NEW_GPU)
    it = catalog.gpu("Example X1", data=tmp_path)
    assert (it.id, it.memory_basis) == ("x1-sxm-100", "assumed")
    assert it.memory_bytes == pytest.approx(100e9, abs=MIB)
    assert it.sources == ("user table gpus.csv",)
    assert len(catalog.gpus(tmp_path)) == len(catalog.gpus()) + 1
    with pytest.raises(UnknownNameError):
        catalog.gpu("Example X1")


def test_a_made_up_gpu_appears_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUSPEC_DATA", str(write(tmp_path, "gpus", NEW_GPU)))
    assert catalog.gpu_ids("X1-SXM-100, H100") == ["x1-sxm-100", "h100-sxm-80"]
    monkeypatch.setenv("GPUSPEC_DATA", "")
    assert "x1-sxm-100" not in catalog.gpus().index


def test_an_override_keeps_what_it_leaves_out_or_empty(tmp_path: Path) -> None:
    write(tmp_path, "gpus", {"id": "h100-sxm-80", "tdp_w": "650", "memory_bandwidth_gb_s": ""})
    ours, shipped = catalog.gpu("H100", tmp_path), catalog.gpu("H100")
    assert (ours.tdp_w, shipped.tdp_w) == (650, 700)
    assert ours.memory_bandwidth_gb_s == shipped.memory_bandwidth_gb_s
    assert ours.memory_reported_mib == shipped.memory_reported_mib
    assert ours.sources == (*shipped.sources, "user table gpus.csv")
    assert len(catalog.gpus(tmp_path)) == len(catalog.gpus())


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "gpus", {"id": "h100-sxm-80", "tdp_w": "650"})
    assert catalog.gpu("H100", tmp_path).tdp_w == 650
    write(tmp_path, "gpus", {"id": "h100-sxm-80", "tdp_w": "600.5"})
    assert catalog.gpu("H100", tmp_path).tdp_w == 600.5


def test_changing_what_is_returned_does_not_change_the_tables() -> None:
    frame = catalog.gpus()
    frame.loc["h100-sxm-80", "tdp_w"] = 1.0
    assert catalog.gpu("H100").tdp_w == 700
    with pytest.raises(ValidationError, match="frozen"):
        catalog.gpu("H100").tdp_w = 1.0


def test_a_users_server_may_name_its_gpu_as_typed(tmp_path: Path) -> None:
    row = {
        "id": "our-node",
        "name": "Our node",
        "gpu_id": "Example X1",
        "gpu_count": "4",
        "form": "sxm",
        "topology": "point-to-point",
        "nvls": "False",
        "nvlink_island_gpus": "4",
    }
    write(write(tmp_path, "gpus", NEW_GPU), "servers", row)
    assert catalog.server("our node", tmp_path).gpu_id == "x1-sxm-100"
    write(tmp_path, "servers", row | {"gpu_id": "H1000"})
    with pytest.raises(UnknownNameError, match=r"servers\.csv row our-node gpu_id: 'H1000'"):
        catalog.servers(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tdp_w": ""}, r"gpus\.csv row x1-sxm-100 tdp_w: '' is not valid; a new row must state"),
        ({"tdp_w": "lots"}, r"row x1-sxm-100 tdp_w: 'lots' .* write a plain number"),
        ({"tdp_w": "-1"}, r"tdp_w: '-1' .* it must be at least 0"),
        ({"tdp_w": "inf"}, r"tdp_w: 'inf' .* it must be from 0 to"),
        ({"memory_label_gb": "80 GB"}, r"memory_label_gb: '80 GB' .* write a plain number"),
        ({"form_factor": "card"}, r"form_factor: 'card' .* choose from sxm, pcie"),
        ({"dpx": "maybe"}, r"dpx: 'maybe' .* write true or false"),
        ({"sm_count": "1.5"}, r"sm_count: '1.5' .* write a plain integer"),
        ({"source_seen": "today"}, r"source_seen: 'today' .* write a date"),
        ({"id": "Not An Id"}, r"id: 'Not An Id' .* it must match"),
        ({"memory_gb": "80"}, r"gpus\.csv column: 'memory_gb' .* did you mean memory_"),
    ],
)
def test_a_wrong_cell_is_named_with_file_row_and_field(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    write(tmp_path, "gpus", NEW_GPU | change)
    with pytest.raises(InputError, match=message):
        catalog.gpus(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its first line names columns"),
        (b"name\nX1\n", "its first line lacks id"),
        (b"id,id\na,b\n", "each column once"),
        (b"id,name\nx1\n", "line 2: .* a row has 2 cells"),
        (b"id,name\nx1,a,b\n", "line 2: .* a row has 2 cells"),
        (b"id,name\nx1,a\nx1,b\n", "line 3: .* its own id"),
        (b"id,name\n,a\n", "line 2: .* its own id"),
        (b'id,name\nx1,"a\n', "line 2: .* the row cannot be read"),
        ("id,name\nx1,显卡\n".encode("gbk"), "line 2 is not in UTF-8"),
    ],
)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "gpus.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        catalog.gpus(tmp_path)


def test_a_file_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "gpus.csv").write_bytes("\ufeffid,tdp_w\r\nh100-sxm-80,650\r\n,\r\n".encode())
    assert catalog.gpu("H100", tmp_path).tdp_w == 650


def test_a_folder_that_holds_no_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"data: .* give a folder that holds any of gpus\.csv"):
        catalog.gpus(tmp_path)
    with pytest.raises(InputError, match="data: "):
        catalog.gpus(tmp_path / "missing")
    monkeypatch.setenv("GPUSPEC_DATA", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="GPUSPEC_DATA: "):
        catalog.gpu("H100")


def test_data_as_of_is_a_day_in_the_past() -> None:
    assert catalog.data_as_of().isoformat() == "2026-11-23"
