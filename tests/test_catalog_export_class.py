"""Export classes from the parts of a GPU, against what sellers had to stop on which day."""

from datetime import date

import pytest

from gpuspec.catalog import exports, gpu
from gpuspec.catalog.export_class import (
    export_class,
    performance_density,
    total_processing_performance,
)

DAYS = (date(2022, 9, 1), date(2023, 1, 1), date(2024, 1, 1), date(2026, 6, 1))
LETTER = "the letters of April 2025"


@pytest.mark.parametrize(
    ("name", "tpp"),
    [
        ("A100", 4992),  # 624 INT8 TOPS x 8
        ("V100", 2000),  # 125 FP16 TFLOPS x 16
        ("H20", 2368),  # 296 x 8
        ("H200", 15831.2),
        ("L40S", 5864),
        ("B200", 36000),
        ("MI325X", 20919.2),  # below the 21,000 of the rule of January 2026
    ],
)
def test_performance_is_the_largest_product_of_rate_and_bits(name, tpp):
    assert total_processing_performance(gpu(name)) == pytest.approx(tpp)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("A100", ["3A090", "3A090.a", "3A090.a"]),
        ("H100", ["3A090", "3A090.a", "3A090.a"]),
        ("A800", ["", "3A090.a", "3A090.a"]),  # made for the rule of 2022, caught by that of 2023
        ("H800", ["", "3A090.a", "3A090.a"]),
        ("L40S", ["", "3A090.a", "3A090.a"]),  # no NVLink: free until 2023
        ("H20", ["", "", ""]),  # made for the rule of 2023
        ("H200", ["3A090", "3A090.a", "3A090.a"]),
        ("B200", ["3A090", "3A090.a", "3A090.a"]),
        ("V100", ["", "", ""]),
        ("MI300X", ["3A090", "3A090.a", "3A090.a"]),
    ],
)
def test_a_gpu_has_the_class_that_its_sellers_met(name, classes):
    device = gpu(name)
    found = [export_class(device, day).classes for day in DAYS]
    assert found[0] == ()
    assert [next((c for c in now if c != LETTER), "") for now in found[1:]] == classes
    assert all(export_class(device, day).unsure == () for day in DAYS)


def test_the_letters_of_2025_caught_the_memory_of_h20():
    assert export_class(gpu("H20"), date(2025, 4, 8)).classes == ()
    assert export_class(gpu("H20"), date(2025, 4, 9)).classes == (LETTER,)
    assert LETTER not in export_class(gpu("L40S"), date(2025, 4, 9)).classes


def test_density_decides_between_the_thresholds_of_performance():
    assert performance_density(gpu("H20")) == pytest.approx(2368 / 814)
    h20, day = gpu("H20"), date(2024, 1, 1)

    def faster(tops):
        rates = {"fp8_dense_tflops": tops, "int8_dense_tops": tops}
        return h20.model_copy(update=rates)

    assert export_class(faster(299), day).classes == ()
    assert export_class(faster(300), day).classes == ("3A090.b",)  # TPP 2,400, density 2.9
    assert export_class(faster(599), day).classes == ("3A090.b",)  # TPP 4,792, density 5.887
    assert export_class(faster(600), day).classes == ("3A090.a",)
    bare = h20.model_copy(update={"chip": "unknown"})
    assert export_class(bare, day).classes == ()
    assert export_class(bare, day).unsure == ("3A090.a", "3A090.b")
    assert export_class(faster(700).model_copy(update={"chip": "unknown"}), day).unsure == ()


def test_rules_and_parts_are_compared_in_the_region_of_the_buyer():
    now = date(2026, 11, 30)
    h20 = exports.standing(gpu("H20"), "China", now)
    assert (h20.status.status, h20.parts.classes, h20.agree) == ("licence", (LETTER,), True)
    assert exports.standing(gpu("H20"), "Middle East", now).parts.classes == ()
    h200 = {r: exports.standing(gpu("H200"), r, now) for r in ("China", "Middle East", "US")}
    assert [of.status.status for of in h200.values()] == ["case-by-case", "licence", "none"]
    assert [of.parts.licence for of in h200.values()] == [True, True, False]
    assert all(of.agree for of in h200.values())
    early = exports.standing(gpu("A100"), "China", date(2023, 5, 1))  # before a rule of the table
    assert (early.status.status, early.parts.licence, early.agree) == ("none", True, False)
    bare = gpu("H20").model_copy(update={"chip": "unknown"})
    assert exports.standing(bare, "Middle East", now).agree is None


def test_chips_of_chinese_makers_are_not_delivered_but_their_use_is_ruled():
    day = date(2026, 11, 30)
    for region in ("China", "Europe"):
        found = exports.standing(gpu("910C"), region, day)
        assert (found.status.status, found.agree) == ("guidance", None)
    assert exports.standing(gpu("910C"), "China", date(2025, 5, 12)).status.status == "none"


def test_rates_in_and_out_are_those_of_all_links_together():
    fast = gpu("A100")
    slower = fast.model_copy(update={"nvlink_gb_s": 560.0})  # and 64 of PCIe: 600 and more
    slow = fast.model_copy(update={"nvlink_gb_s": 500.0})
    day = date(2022, 12, 1)
    assert export_class(fast, day).classes == export_class(slower, day).classes == ("3A090",)
    assert export_class(slow, day).classes == ()
