"""Cost: pure formulas of rent, ownership, break-even, energy and carbon.

Everything broadcasts; nothing reads a file. Prices come from `gpuspec.topics.cost.prices`.
"""

from gpuspec.formulas.cost.api import api_request_usd, even_requests
from gpuspec.formulas.cost.compare import (
    break_even_month,
    break_even_share,
    drift_factor,
    month_usd,
    present_value_usd,
    spot_hour_usd,
    spot_useful_share,
)
from gpuspec.formulas.cost.offers import gpu_hour_usd, owned_fixed_hour_usd, paid_always
from gpuspec.formulas.cost.owned import (
    OWNED_PARTS,
    OwnedServer,
    capital_usd_gpu,
    colocation_hour_usd,
    depreciation_hour_usd,
    energy_hour_usd,
    finance_hour_usd,
    owned_hour_usd,
    owned_parts_usd,
    staff_hour_usd,
)
from gpuspec.formulas.cost.work import carbon_kg, energy_kwh, run_usd, usd_per_million_tokens
