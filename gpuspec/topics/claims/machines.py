"""Checks of claims on the machines themselves: rates, memory, links, nodes, upgrades."""

import numpy as np
import pandas as pd

from gpuspec.base.units import GB
from gpuspec.catalog import gpus, servers
from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.verdict import Check
from gpuspec.topics.memory import MemoryQuestion, utilization_table

SHARES = (0.85, 0.9, 0.95, 0.98)
"""Shares of the memory that engines are given."""
ROUNDING = 1.011
"""What a printed figure may be off by: 141.1 is printed as 140."""
SAME_NODE = 1.1
"""Ratio of node power up to which an old rack takes a new node."""
ARTICLE_CELLS = {  # family: (memory label GB, least and most TB/s, NVLink GB/s)
    "a100": (80, 2.0, np.inf, 600),
    "h100": (80, 3.0, 3.4, 900),
    "h200": (141, 4.8, 4.8, 900),
}
SAID_TFLOPS = (312.0, 1979.0)


def exact(rows: list[tuple[object, ...]], columns: list[str]) -> pd.DataFrame:
    """Return rows whose last column is a value known exactly."""
    table = pd.DataFrame(rows, columns=[*columns, "value"])
    return table.assign(low=table["value"], high=table["value"])


def c03(q: ClaimsQuestion) -> list[Check]:
    """Each printed figure exists; their ratio exists under no one convention."""
    said = SAID_TFLOPS[1] / SAID_TFLOPS[0]
    figures, ratios = [], []
    for device, printed in (
        (q.a100_gpu, SAID_TFLOPS[0]),
        (q.h100_gpu, SAID_TFLOPS[1]),
        (q.h200_gpu, SAID_TFLOPS[1]),
    ):
        dense = device.peak_flops("bf16") / 1e12
        sparse = dense * 2
        figures.append((device.id, min(abs(printed / dense - 1), abs(printed / sparse - 1))))
    for new in (q.h100_gpu, q.h200_gpu):
        like = new.peak_flops("bf16") / q.a100_gpu.peak_flops("bf16")
        ratios += [(new.id, "dense", like), (new.id, "sparse", like)]
    return [
        Check(
            label="each figure by itself",
            what="relative difference of each figure from a rate of that GPU, dense or sparse",
            grid=exact(list(figures), ["gpu"]),
            most=0.01,
            unit="",
        ),
        Check(
            label=f"the step of {said:.1f} times",
            what="FP16 rate of H100 and H200 over A100, dense over dense, sparse over sparse",
            grid=exact(list(ratios), ["gpu", "convention"]),
            least=said * 0.95,
            most=said * 1.05,
        ),
    ]


def c07(q: ClaimsQuestion) -> list[Check]:
    """Every cell of the article's table against every form of the three GPUs (1: it agrees)."""
    table = gpus().reset_index() if "id" not in gpus().columns else gpus()
    rows: list[tuple[object, ...]] = []
    for family, (label, least, most, link) in ARTICLE_CELLS.items():
        for row in table[table["id"].str.startswith(f"{family}-")].to_dict("records"):
            rate = row["memory_bandwidth_gb_s"] / 1e3
            cells = {
                "memory": row["memory_label_gb"] == label,
                "bandwidth": least <= rate <= most,
                "NVLink": row["nvlink_gb_s"] == link,
            }
            rows += [
                (
                    row["id"],
                    f"{row['form_factor'].upper()} {row['memory_label_gb']:.0f} GB",
                    name,
                    float(good),
                )
                for name, good in cells.items()
            ]
    found = exact(rows, ["gpu", "form", "cell"])
    sxm = found["form"].isin(["SXM 80 GB", "SXM 141 GB"])
    return [
        Check(
            label="the table's cells",
            what="cells of the table that agree with the catalogue, every form",
            grid=found.assign(part=np.where(sxm, "SXM parts of 80 and 141 GB", "other forms")).drop(
                columns=["form", "gpu"]
            ),
            least=1.0,
            unit="yes",
        )
    ]


def c14(q: ClaimsQuestion) -> list[Check]:
    """Sizes of weights, and whether 70B fits one H200."""
    asked = MemoryQuestion.ask(model="Llama-3.1-70B", gpus=q.h200_gpu.id)
    weights = asked.network.params * 2.0 / GB
    room = utilization_table(asked, SHARES)
    fits = [(s, float(c)) for s, c in zip(room["utilization"], room["max_context"], strict=True)]
    return [
        Check(
            label="140 GB",
            what="GB of Llama-3.1-70B in BF16 over the stated 140",
            grid=exact([("Llama-3.1-70B", weights / 140.0)], ["model"]),
            least=1 / ROUNDING,
            most=ROUNDING,
        ),
        Check(
            label="fits one H200",
            what="tokens of context left on one H200, by share of its memory given to the engine",
            grid=exact(list(fits), ["share_given"]),
            least=1.0,
            unit="tokens",
        ),
    ]


def c28(q: ClaimsQuestion) -> list[Check]:
    """Software: what A100 computes in, the newer ones do too. Hardware: power of a node."""
    formats = [
        (new.id, kind, float(kind in new.precisions))
        for new in (q.h100_gpu, q.h200_gpu)
        for kind in sorted(q.a100_gpu.precisions)
    ]
    table = servers()
    watts = {
        g.id: float(
            table.loc[(table["gpu_id"] == g.id) & (table["gpu_count"] == 8), "max_system_kw"].max()
        )
        for g in (q.a100_gpu, q.h100_gpu, q.h200_gpu)
    }
    power = [
        (g.id, watts[g.id] / watts[q.a100_gpu.id])
        if watts[g.id] / watts[q.a100_gpu.id] > 0
        else (g.id, g.tdp_w / q.a100_gpu.tdp_w)  # no rated node of one of them in the table
        for g in (q.h100_gpu, q.h200_gpu)
    ]
    return [
        Check(
            label="the same software",
            what="number formats of A100 that the newer GPU has too",
            grid=exact(list(formats), ["gpu", "format"]),
            least=1.0,
            unit="yes",
        ),
        Check(
            label="in the same rack",
            what="rated power of a node of eight over that of A100",
            grid=exact(list(power), ["gpu"]),
            most=SAME_NODE,
        ),
    ]
