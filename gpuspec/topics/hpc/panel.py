"""Control panel of the HPC notebook."""

import pandas as pd

from gpuspec.catalog.workloads import UNITS, workloads
from gpuspec.topics.hpc import HpcQuestion, speed_table
from gpuspec.topics.hpc.ask import OWN
from gpuspec.topics.hpc.pictures import speed_bars
from gpuspec.topics.hpc.words import speed_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, number

OWN_BYTES = 2e13


def simulation_panel(question: HpcQuestion) -> Panel:
    """Return a panel over the question "how fast does it run", started at `question`."""
    q = question
    unit = max(UNITS, key=lambda name: getattr(q.workload, f"share_{name}"))
    precise = q.workload.intensity if q.own else 0.5
    host_gb = round(q.workload.host_bytes_per_unit * q.units / 1e9, 6)
    controls = {
        "application": choice("application", [*workloads().index, OWN], q.workload.id),
        "cpu_share": number("host share", round(q.host_share, 3), 0, 0.99),
        "host_gb": number("GB to the host", host_gb, 0, 1e6, "GB"),
        "size": number("size", q.units / q.workload.typical_units, 1e-3, 1e3, "of the typical"),
        "intensity": number("own FLOP/byte", precise, 1e-3, 1e5, "FLOP/byte"),
        "own_precision": choice("own units", UNITS, unit),
    }

    def answer(
        intensity: float, host_gb: float, **values: object
    ) -> tuple[HpcQuestion, pd.DataFrame]:
        flop = intensity * OWN_BYTES
        asked = q.but(own_flop=flop, own_bytes=OWN_BYTES, host_bytes=host_gb * 1e9, **values)
        return asked, speed_table(asked)

    def draw(answered: tuple[HpcQuestion, pd.DataFrame]) -> str:
        asked, table = answered
        title = speed_finding(asked, table)
        return figure(speed_bars(table, title), title, title, tight=False).svg

    return Panel(controls, answer, draw, question=q)
