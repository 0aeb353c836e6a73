"""One number, worked out by hand, for every formula of cost and prices, and for slices of a GPU."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from gpuspec.catalog import gpu, mig_profile
from gpuspec.constants.kernels import kernels
from gpuspec.formulas import cost
from gpuspec.formulas.mig import (
    compute_share,
    counts,
    memory_share,
    plain_profile,
    slice_gpu,
    slice_memory_bytes,
    slice_sms,
)
from gpuspec.formulas.mig.delivery import slice_seconds
from gpuspec.topics.cost.prices import (
    Priced,
    Quote,
    drift_year,
    offers,
    operating,
    power_w_gpu,
    rated_w_gpu,
)
from gpuspec.topics.cost.prices.age import age_days, is_stale, limit_days

# --- owning ------------------------------------------------------------------------------------


def test_capital_of_a_gpu():
    # A server of 280,000 with 8 GPUs: 35,000; the network is 30 % of the whole.
    assert_allclose(cost.capital_usd_gpu(280_000, 8, 0.3), 50_000)


def test_parts_of_an_owned_hour():
    assert_allclose(cost.depreciation_hour_usd(43_800, 0.5, 5), 0.5)  # 21,900 over 43,800 hours
    assert_allclose(cost.finance_hour_usd(87_600, 0.5, 0.1), 0.75)  # 10 % of 65,700 a year
    assert_allclose(cost.colocation_hour_usd(1460, 200), 0.4)  # 1.46 kW * 200 / 730
    assert_allclose(cost.energy_hour_usd(1000, 1.5, 0.1), 0.15)
    assert_allclose(cost.staff_hour_usd(876_000, 10, 10), 1.0)


def test_parts_of_an_owned_hour_add_up():
    # Capital 8 * 43,800 / 8 / 0.8 = 54,750. Lost 90 % over 5 years: 1.125 an hour, a fifth of it
    # network. Finance: 54,750 * 1.1 / 2 * 0.08 / 8760 = 0.275. Maintenance 5 %: 0.3125. Energy: 1
    # kW for half, 0.2 kW for half: 0.6 kW * 1.5 * 0.1 = 0.09. Services 73 / 730. Sum: 3.3025.
    drivers = {
        "server_usd": 350_400, "gpus": 8, "network_share": 0.2, "residual_share": 0.1, "years": 5,
        "rate_year": 0.08, "rated_w_gpu": 1460, "power_w_gpu": 1000, "idle_share": 0.2,
        "used_hours_share": 0.5, "usd_kw_month": 200, "pue": 1.5, "usd_kwh": 0.1,
        "maintenance_share_year": 0.05, "staff_usd_year": 700_800, "staff_nodes_fte": 10,
        "services_usd_month": 73,
    }  # fmt: skip
    server = cost.OwnedServer(**drivers)
    found = {name: float(part) for name, part in cost.owned_parts_usd(server).items()}
    assert found == pytest.approx(
        {
            "server": 0.9, "network": 0.225, "finance": 0.275, "colocation": 0.4,
            "maintenance": 0.3125, "staff": 1.0, "services": 0.1, "energy": 0.09,
        }
    )  # fmt: skip
    assert_allclose(cost.owned_hour_usd(server), 6.605)  # for each hour in use


# --- rent against own --------------------------------------------------------------------------


def test_use_from_which_owning_is_cheaper():
    # (1 + 0.25) / (2 - 0.5 + 0.25)
    assert_allclose(cost.break_even_share(2, 1, 0.5, 0.25), 0.7142857, rtol=1e-6)
    assert cost.break_even_share(1.2, 1, 0.5) == np.inf
    assert cost.break_even_share([1.6, 1.4], 1, 0.5, 0, True).tolist() == [0, np.inf]


def test_month_from_which_owning_is_cheaper():
    # 1 % a month eats 100 of 1000 saved: -ln(0.9) / ln(1.01) = 10.58864.
    year = 1.01**12 - 1
    found = cost.break_even_month(1500, 10_000, 500, year)
    assert_allclose(found, 10.58864, rtol=1e-5)
    assert cost.break_even_month(1500, 100_000, 500, year) == np.inf


def test_present_value():
    # 100 a month for a year at 1 %: 100 * (1 - 1.01^-12) / 0.01 = 1125.50775; sold for 200:
    # 177.48985.
    year = 1.01**12 - 1
    assert_allclose(cost.present_value_usd(100, 12, year, 500, 200), 1448.0179, rtol=1e-7)
    assert cost.present_value_usd(100, 12, 0, 500, 200) == 1500


def test_useful_hours_on_spot():
    # 100 GPUs at 0.036 an hour: 1000 s between interruptions. Write 60 s: x = sqrt(0.03); work
    # sqrt(2 * 60 * 1000) (1 + x / 3 + x^2 / 9) - 60 = 346.41016 * 1.0610684 - 60 = 307.5649. Spent:
    # 1000 e^0.9 (e^0.3675649 - 1) = 2459.6031 * 0.4442140 = 1092.590.
    assert_allclose(cost.spot_useful_share(0.036, 100), 0.281501, rtol=1e-5)
    assert_allclose(cost.spot_hour_usd(1.0, 0.036, 100), 3.552385, rtol=1e-5)


def test_average_price_under_a_drift():
    # Two years at -25 %: (0.75^2 - 1) / ln(0.75^2) = 0.4375 / 0.5753641. A contract of one year: (1
    # + 0.75) / 2; of 18 months the last half year costs 0.75.
    assert_allclose(cost.drift_factor(-0.25, 24), 0.760388, rtol=1e-5)
    assert_allclose(cost.drift_factor(-0.25, 24, 12), 0.875)
    assert_allclose(cost.drift_factor(-0.25, 18, 12), (1 + 0.375) / 1.5)
    assert cost.drift_factor(0.0, 24, 12) == 1


def test_a_month_of_rent():
    assert cost.month_usd(2.0, 0.5, [False, True]).tolist() == [730, 1460]


OFFERS = pd.DataFrame(
    {
        "mode": ["own", "on-demand", "reserved-1yr", "spot"],
        "capital_usd_gpu": [43_800.0, 0, 0, 0],
        "capital_usd_gpu_low": [21_900.0, 0, 0, 0],
        "capital_usd_gpu_high": [87_600.0, 0, 0, 0],
        "residual_share": [0.2, 0, 0, 0],
        "term_months": [60.0, 0, 12, 0],
        "cost_of_capital": 0.1,
        "fixed_month_usd_gpu": [73.0, 0, 0, 0],
        "energy_hour_usd": [0.2, 0, 0, 0],
        "idle_hour_usd": [0.05, 0, 0, 0],
        "hour_usd": [0, 3.0, 2.0, 1.0],
        "hour_usd_low": [0, 2.5, 1.5, 0.5],
        "hour_usd_high": [0, 4.0, 3.0, 2.0],
    }
)


def test_a_table_of_offers_as_used_hours():
    # Own: 43,800 * 0.8 over 43,800 hours + 43,800 * 0.6 * 0.1 / 8760 + 73 / 730 = 0.8 + 0.3 + 0.1;
    # low half of the first two.
    assert_allclose(cost.owned_fixed_hour_usd(OFFERS), [1.2, 0, 0, 0])
    assert_allclose(cost.owned_fixed_hour_usd(OFFERS, "low"), [0.65, 0, 0, 0])
    # Half of the hours in use carry all: 2.4 + energy 0.2 + an idle hour for each 0.05.
    found = cost.gpu_hour_usd(OFFERS, 0.5)
    assert_allclose(found["central"], [2.65, 3, 4, 1])
    assert_allclose(found["low"], [1.55, 2.5, 3, 0.5])
    assert_allclose(found["high"], [2 * 2.3 + 0.25, 4, 6, 2])
    # A quarter: 1.2 / 0.25 + 0.2 + three idle hours.
    assert_allclose(cost.gpu_hour_usd(OFFERS, 0.25)["central"][0], 5.15)


def test_work():
    assert_allclose(cost.usd_per_million_tokens(3.6, 500), 2.0)
    assert cost.run_usd(2.0, 8, 10) == 160
    assert_allclose(cost.energy_kwh(500, 8, 10, 1.5), 60)
    assert_allclose(cost.carbon_kg(60, 0.4), 24)


# --- prices ------------------------------------------------------------------------------------


def test_drifts():
    assert [drift_year(d) for d in ("down", "flat", "up", "0.1")] == [-0.25, 0, 0.25, 0.1]


def test_power_of_a_gpu_with_its_share_of_the_server():
    h100 = gpu("H100")
    values = operating({"node_kw": 8.0})
    assert power_w_gpu(h100, values) == 1000  # of eight
    assert_allclose(power_w_gpu(h100, operating()), 7900 / 8)
    assert_allclose(rated_w_gpu(h100), 10_200 / 8)
    unknown = h100.model_copy(update={"id": "none"})
    assert_allclose(rated_w_gpu(unknown), 1.85 * 700)
    assert_allclose(power_w_gpu(unknown, operating()), 0.76 * 1.85 * 700)


VALUES = {
    "node_kw": 8.0, "pue": 1.5, "electricity_usd_kwh": 0.1, "colocation_usd_kw_month": 200,
    "idle_share": 0.5, "maintenance_share_year": 0.12, "staff_usd_year": 96_000,
    "staff_nodes_fte": 10, "network_share": 0.2, "cost_of_capital": 0.1, "spot_interruptions": 0.08,
}  # fmt: skip


def offer(mode, quoted, **asked):
    """Return the one offer of an H100 that a quote makes."""
    quote = Quote(gpu="h100-sxm-80", **quoted)
    return offers(Priced.ask(gpus="H100", providers=(), **asked), [mode], [quote]).iloc[0]


def test_what_an_offer_of_an_owned_gpu_holds():
    # A server of 256,000 CNY of 8 GPUs at 8 CNY a USD: 4,000 a GPU, 5,000 with its network. Space
    # 1.275 kW * 200, care 1 % of the capital a month, staff 96,000 / 80 / 12: 255 + 50 + 100. After
    # 30 months between 0.5 and 0.35 of it are left.
    server = {"mode": "own-server", "price": 256_000, "currency": "CNY"}
    row = offer("own", server, horizon_months=30, cny_per_usd=8.0, operating=VALUES)
    assert_allclose(row["capital_usd_gpu"], 5000)
    assert_allclose(row["fixed_month_usd_gpu"], 405)
    assert_allclose(row["energy_hour_usd"], 0.15)
    assert_allclose(row["idle_hour_usd"], 0.075)
    assert_allclose(row["residual_share"], 0.425)
    assert (row["term_months"], row["power_w_gpu"], row["age_days"]) == (30, 1000, 0)
    # All-in for one GPU: no network on top.
    row = offer("own", {"mode": "own-gpu", "price": 6000}, operating=VALUES)
    assert_allclose(row["capital_usd_gpu"], 6000)


def test_what_an_offer_of_rent_holds():
    asked = {"horizon_months": 24, "drift": -0.25}
    row = offer("spot", {"mode": "spot", "price": 2.0}, currency="CNY", cny_per_usd=8.0,
                operating=VALUES, **asked)  # fmt: skip
    assert_allclose(row["hour_usd"], 16 * 0.760388, rtol=1e-5)  # CNY, drift as above
    assert_allclose(row["interruptions_per_gpu_hour"], 0.01)  # of an instance of eight
    assert row["capital_usd_gpu"] == row["fixed_month_usd_gpu"] == row["energy_hour_usd"] == 0
    row = offer("reserved-1yr", {"mode": "reserved-1yr", "price": 2.0}, **asked)
    assert_allclose(row["hour_usd"], 1.75)
    assert row["term_months"] == 12


def test_electricity_in_china():
    values = operating({"electricity_usd_kwh": 0.1}, ("China",), 8.0)
    assert values.usd_kwh == 0.1  # one's own stands before the region's
    one, two = (operating(None, ("China",), fx).usd_kwh for fx in (7.0, 14.0))
    assert_allclose(one, 2 * two)
    assert_allclose(operating(VALUES).spot_interruptions, 0.08)


def test_how_old_prices_are():
    days = age_days(["2026-01-01", "2026-02-01", ""], date(2026, 1, 31))
    assert days[:2].tolist() == [30, 0]
    assert np.isnan(days[2])
    assert [limit_days(m) for m in ("spot", "own", "on-demand")] == [30, 180, 90]
    assert is_stale(["spot", "spot", "own", "own"], [30, 31, 31, np.nan]).tolist() == [0, 1, 0, 1]


# --- slices ------------------------------------------------------------------------------------


def test_shares_of_a_slice():
    h100, profile = gpu("H100"), mig_profile("H100", "3g.40gb")
    assert slice_sms(h100, profile) == 60
    assert_allclose(compute_share(h100, profile), 60 / 132)
    assert memory_share(profile) == 0.5
    # Without a listing three eighths of 132, in pairs; all of it for seven.
    blank = profile.model_copy(update={"sm_count": None})
    assert slice_sms(h100, blank) == 48
    assert slice_sms(h100, blank.model_copy(update={"compute_slices": 7})) == 132


def test_a_slice_as_a_gpu():
    # 60 of 132 SMs; half of 3350 GB/s and of 50 MB of L2; 60 / 132 of 989.4 TFLOP/s and of 700 W.
    it = slice_gpu("H100", "3g.40gb")
    assert it.bandwidth_bytes_s == 1675e9
    assert it.l2_cache_mb == 25
    assert_allclose(it.peak_flops("bf16"), 449.727273e12)
    assert_allclose(it.tdp_w, 318.18, rtol=1e-4)
    assert it.nvlink_bytes_s == 0
    assert it.memory_bytes == 39.5 * 2**30
    # Its kernels are those of the whole GPU at its own rates.
    found = kernels(it).hardware("bf16")
    assert (found.sm_count, found.l2_bytes, kernels(it).measured_on) == (60, 25e6, "h100-sxm-80")


def test_memory_of_a_slice():
    # Listed: 39.5 GiB. Else half of 81,559 MiB, of which a GH200 lists least: 46.5 of 47.78857 GiB.
    h100, profile = gpu("H100"), mig_profile("H100", "3g.40gb")
    assert slice_memory_bytes(h100, profile) == 39.5 * 2**30
    blank = profile.model_copy(update={"memory_reported_gib": None})
    assert_allclose(slice_memory_bytes(h100, blank) / 2**30, 38.7499, rtol=1e-5)
    # RTX PRO 6000 has four memory slices, not eight.
    assert memory_share(mig_profile("RTX PRO 6000", "1g.24gb")) == 0.25


def test_work_on_a_slice():
    # The whole GPU takes 10 ms for 1, 16 for 4. Half of it: 1 as 2, 2 as 4, 8 as 16 (4 times 4).
    found = slice_seconds([1, 2, 8], 0.5, [1, 4], [0.010, 0.016])
    assert_allclose(found, [0.012, 0.016, 0.064])
    # One batch alone: all of it grows with the share. Below the smallest nothing is gained.
    assert_allclose(slice_seconds(8, 0.25, [8], [1.0]), 4.0)
    assert_allclose(slice_seconds(1, 0.5, [8, 16], [1.0, 1.5]), 1.0)


def test_layouts_that_the_user_guide_draws():
    assert counts("h100-sxm-80")["figure"] == 19
    assert plain_profile("1g.10gb+me") == "1g.10gb"
