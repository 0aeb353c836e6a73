"""Checks of claims on the machines themselves: rates, memory, links, nodes, upgrades."""

from functools import lru_cache

import numpy as np
import pandas as pd

from gpuspec.catalog import Gpu, gpus, servers
from gpuspec.claims.question import ClaimsQuestion
from gpuspec.claims.training import large_jobs
from gpuspec.claims.verdict import Check
from gpuspec.connect import ENOUGH, form_table, interconnect_question, network_table
from gpuspec.deploy import form_table as serving_forms
from gpuspec.deploy import inference_question
from gpuspec.fit import memory_question, utilization_table
from gpuspec.precision import training_recipe
from gpuspec.training import checkpoint_bytes, host_memory_gb
from gpuspec.units import GB

SHARES = (0.85, 0.9, 0.95, 0.98)
"""Shares of the memory that engines are given."""
FORM_MODELS = ("llama-3.2-1b", "llama-3.1-8b", "qwen2.5-32b")
FORM_PAIRS = (("a100-pcie-80", "a100-sxm-80"), ("h100-pcie-80", "h100-sxm-80"))
HOST_GB = (512.0, 1024.0)
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
        (q.a100, SAID_TFLOPS[0]),
        (q.h100, SAID_TFLOPS[1]),
        (q.h200, SAID_TFLOPS[1]),
    ):
        dense = device.peak_flops("bf16") / 1e12
        sparse = dense * 2
        figures.append((device.id, min(abs(printed / dense - 1), abs(printed / sparse - 1))))
    for new in (q.h100, q.h200):
        like = new.peak_flops("bf16") / q.a100.peak_flops("bf16")
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
    asked = memory_question("Llama-3.1-70B", q.h200.id)
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


@lru_cache(2)
def links_grid(a100: Gpu) -> pd.DataFrame:
    """Return the training speed that slower links leave, of that over NVLink or NDR.

    Columns: ``where`` (``in a node``, ``across nodes``), ``link``, ``params_b``, ``nodes``,
    ``value`` with ``low`` and ``high``.
    """
    asked = interconnect_question(gpus="A100,H100")
    forms = forms_grid()
    inside = forms[(forms["tuning"] == "all weights") & (forms["reason"] == "")]
    inside = inside.assign(
        where="in a node",
        link="PCIe, " + inside["path"].map({"peer": "peer to peer", "host": "through the host"}),
        params_b=inside["params"].round(1),
        nodes=1,
        value=inside["kept"],
        low=inside["kept"] * inside["ratio_low"] / inside["ratio"],
        high=inside["kept"] * inside["ratio_high"] / inside["ratio"],
    )
    net = network_table(asked, asked.gpus[1])
    net = net[(net["nodes"] > 1) & (net["network"] != "8 x NDR")]
    outside = net.assign(
        where="across nodes",
        link=net["network"],
        params_b=round(asked.network.params / 1e9, 1),
        value=net["efficiency"],
        low=net["efficiency_low"],
        high=net["efficiency_high"],
    )
    columns = ["where", "link", "params_b", "nodes", "value", "low", "high"]
    return pd.concat([inside[columns], outside[columns]], ignore_index=True)


@lru_cache(2)
def forms_grid() -> pd.DataFrame:
    """Return `gpuspec.connect.form_table` of three models."""
    return form_table(interconnect_question(gpus="A100,H100"), FORM_MODELS)


def c16(q: ClaimsQuestion) -> list[Check]:
    """Slower links cost a training job a tenth of its speed or more."""
    return [
        Check(
            label="bandwidth decides",
            what="training speed over slower links, share of that over NVLink or in one node",
            grid=links_grid(q.a100),
            most=ENOUGH,
            unit="share",
        )
    ]


def c17(q: ClaimsQuestion) -> list[Check]:
    """Eight GPUs, half to one TB of host memory, and the networks named."""
    recipe = training_recipe("adamw-megatron")
    memory = [
        (
            m.name,
            round(m.params / 1e9, 1),
            nodes,
            float(host_memory_gb(checkpoint_bytes(m, recipe), nodes)),
        )
        for m in q.trained
        if m.params >= 70e9
        for nodes in (8, 16, 32, 64)
    ]
    network = links_grid(q.a100)
    network = network[network["where"] == "across nodes"]
    ten = network[network["link"] == "10 GbE"].reset_index(drop=True)
    band = network[network["link"] == "8 x HDR"].reset_index(drop=True)
    keeps = "of its speed alone that each node keeps, 2 to 16 nodes"
    return [
        large_jobs(q),
        Check(
            label="1 TB of host memory",
            what="host memory of a node, from its share of the checkpoint, 8 to 64 nodes",
            grid=exact(list(memory), ["model", "params_b", "nodes"]),
            most=HOST_GB[1],
            unit="GB",
        ),
        Check(label="10 GbE", what=f"10 GbE: share {keeps}", grid=ten, least=ENOUGH, unit="share"),
        Check(
            label="InfiniBand",
            what=f"InfiniBand: share {keeps}",
            grid=band,
            least=ENOUGH,
            unit="share",
        ),
    ]


def c27(q: ClaimsQuestion) -> list[Check]:
    """SXM for training large models; PCIe enough to serve, and for small training."""
    forms = forms_grid()
    forms = forms[forms["reason"] == ""].assign(params_b=forms["params"].round(1))
    columns = ["pair", "path", "tuning", "params_b"]
    trained = forms[columns].assign(
        value=forms["kept"],
        low=forms["kept"] * forms["ratio_low"] / forms["ratio"],
        high=forms["kept"] * forms["ratio_high"] / forms["ratio"],
    )
    big = (trained["params_b"] > 8) & (trained["tuning"] == "all weights")
    return [
        Check(
            label="training above 8B wants SXM",
            what="share of NVLink's speed that PCIe leaves in training above 8B",
            grid=trained[big].reset_index(drop=True),
            most=ENOUGH,
            unit="share",
        ),
        Check(
            label="PCIe is enough to serve",
            what="share of its speed that a PCIe card keeps where cards share a model to serve",
            grid=serving_on_cards(),
            least=ENOUGH,
            unit="share",
        ),
    ]


@lru_cache(2)
def serving_on_cards() -> pd.DataFrame:
    """Return what PCIe leaves of the speed that SXM modules gain by sharing a model.

    Throughput over that of SXM modules, relative to one card over one module: the chips of the
    two differ, too. Columns: ``pair``, ``tp``, ``model``, ``params_b``, ``value``...
    """
    parts = []
    for name in FORM_MODELS:
        asked = inference_question(name, "H100", "bf16")
        found = serving_forms(asked, list(FORM_PAIRS)).rename(columns={"ratio": "value"})
        size = round(asked.network.params / 1e9, 1)
        alone = found[found["tp"] == 1].set_index("pair")["value"]
        found["value"] /= found["pair"].map(alone)
        parts.append(found[["pair", "tp", "value"]].assign(model=asked.network.name, params_b=size))
    grid = pd.concat(parts, ignore_index=True)
    return grid.assign(low=grid["value"], high=grid["value"])


def c28(q: ClaimsQuestion) -> list[Check]:
    """Software: what A100 computes in, the newer ones do too. Hardware: power of a node."""
    formats = [
        (new.id, kind, float(kind in new.precisions))
        for new in (q.h100, q.h200)
        for kind in sorted(q.a100.precisions)
    ]
    table = servers()
    watts = {
        g.id: float(
            table.loc[(table["gpu_id"] == g.id) & (table["gpu_count"] == 8), "max_system_kw"].max()
        )
        for g in (q.a100, q.h100, q.h200)
    }
    power = [
        (g.id, watts[g.id] / watts[q.a100.id])
        if watts[g.id] / watts[q.a100.id] > 0
        else (g.id, g.tdp_w / q.a100.tdp_w)  # no rated node of one of them in the table
        for g in (q.h100, q.h200)
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
