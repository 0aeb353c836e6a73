"""Prices: tables with dates, quotes of one's own over them, and offers as one table.

`offers` returns one row an offer. Money is in the currency of the column ``currency`` (names
say usd, which is the default):

=========================== ==================================================================
column                      what it is
=========================== ==================================================================
gpu, mode                   id of the catalogue; on-demand, reserved-1yr, reserved-3yr, spot, own
provider, tier, region      "specialist clouds" for the default of a GPU and mode, "hyperscaler
                            list", a named provider, "purchase", "your quote"; region "" is any
gpus_per_node               GPUs of the instance or server
term_months                 term of a reservation, horizon of an owned server, 0 otherwise
hour_usd_low, _, _high      rent of a GPU-hour that is PAID for, carried to the day of the run and
                            averaged over the horizon with the drift asked for, with licence,
                            support plan and line (none unless set); 0 where owned
capital_usd_gpu_low, _, ... owned: server and network for one GPU; 0 for rent
fixed_month_usd_gpu         owned: colocation of rated power, maintenance, staff, licence, line, for
                            one GPU
licence_month_usd_gpu       what is in it, or in the rents of 730 hours, for software
beside_month_usd_gpu        the same for software and line together
energy_hour_usd             owned: energy of a USED GPU-hour, PUE included
idle_hour_usd               owned: energy of an hour that is owned but not used
residual_share              owned: share of the capital that a sale brings after the horizon
cost_of_capital             rate a year
interruptions_per_gpu_hour  spot: times gpus of the job and hours gives interruptions
power_w_gpu                 draw in training with the GPU's share of the server, W
step, minimum               GPUs that must be taken together; fewest that are sold, whole steps
lead_months                 from order to use: delivery, start of a contract; 0 by the hour
after_term                  what a contract turns into: "on-demand", "month by month"; "": no term
as_of, age_days, stale      date of the price, days up to `today`, older than its limit
carried, carried_why        factor that brings it to `today`, 1 where none; the market it follows.
                            Low and high are widened by the error that its age has had
grade                       firm, indicative or guess (`age.grades`)
confidence, derived, quoted A, B, C or own; scaled or rounded by us; the user's own price
source, notes               where the price is from
=========================== ==================================================================

`formulas.cost.gpu_hour_usd(offers, used_hours_share)` turns them into low, central and high of a
USED GPU-hour; `formulas.cost.spot_hour_usd` adds what interruptions lose.
"""

from gpuspec.topics.cost.prices.age import age_warnings, is_stale, limit_days
from gpuspec.topics.cost.prices.ask import Drift, Pairs, Priced
from gpuspec.topics.cost.prices.backtest import age_errors, back_test, error_summary
from gpuspec.topics.cost.prices.drift import DRIFTS, drift_year
from gpuspec.topics.cost.prices.offers import offers, unpriced
from gpuspec.topics.cost.prices.quotes import MODES, Mode, Quote, open_rows, read_quotes
from gpuspec.topics.cost.prices.records import (
    operating,
    operating_value,
    power_w_gpu,
    rated_w_gpu,
)
from gpuspec.topics.cost.prices.sources import priced_elsewhere
