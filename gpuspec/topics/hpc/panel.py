"""Control panel of the HPC notebook."""

import pandas as pd

from gpuspec.catalog.workloads import UNITS, workloads
from gpuspec.topics.hpc import HpcQuestion, speed_table
from gpuspec.topics.hpc.ask import OWN
from gpuspec.topics.hpc.pictures import speed_bars
from gpuspec.topics.hpc.words import speed_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, slider

HOST_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
INTENSITIES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
SIZES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
HOST_GB = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
OWN_BYTES = 2e13


def simulation_panel(question: HpcQuestion) -> Panel:
    """Return a panel over the question "how fast does it run", started at `question`."""
    q = question
    unit = max(UNITS, key=lambda name: getattr(q.workload, f"share_{name}"))
    precise = q.workload.intensity if q.own else 0.5
    host_gb = round(q.workload.host_bytes_per_unit * q.units / 1e9, 6)
    controls = {
        "application": choice("application", [*workloads().index, OWN], q.workload.id),
        "cpu_share": slider("host share", HOST_SHARES, round(q.host_share, 3), "{:.1%}"),
        "host_gb": slider("GB to the host", HOST_GB, host_gb, "{:g}"),
        "size": slider("size", SIZES, q.units / q.workload.typical_units, "{:g}"),
        "intensity": slider("own FLOP/byte", INTENSITIES, precise),
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

    return Panel(controls, answer, draw)
