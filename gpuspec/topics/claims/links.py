"""Checks of claims on links, networks, and the nodes that they join."""

from functools import lru_cache

import pandas as pd

from gpuspec.catalog import Gpu
from gpuspec.catalog.precision import training_recipe
from gpuspec.formulas.training import checkpoint_bytes, host_memory_gb
from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.machines import exact
from gpuspec.topics.claims.training import large_jobs
from gpuspec.topics.claims.verdict import Check
from gpuspec.topics.networks import ENOUGH, NetworksQuestion, form_table, network_table
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving import form_table as serving_forms

FORM_MODELS = ("llama-3.2-1b", "llama-3.1-8b", "qwen2.5-32b")
FORM_PAIRS = (("a100-pcie-80", "a100-sxm-80"), ("h100-pcie-80", "h100-sxm-80"))
HOST_GB = (512.0, 1024.0)


@lru_cache(2)
def links_grid(a100: Gpu) -> pd.DataFrame:
    """Return the training speed that slower links leave, of that over NVLink or NDR.

    Columns: ``where`` (``in a node``, ``across nodes``), ``link``, ``params_b``, ``nodes``,
    ``value`` with ``low`` and ``high``.
    """
    asked = NetworksQuestion.ask(gpus="A100,H100")
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
    net = network_table(asked, asked.devices[1])
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
    """Return `gpuspec.topics.networks.form_table` of three models."""
    return form_table(NetworksQuestion.ask(gpus="A100,H100"), FORM_MODELS)


def c16(q: ClaimsQuestion) -> list[Check]:
    """Slower links cost a training job a tenth of its speed or more."""
    return [
        Check(
            label="bandwidth decides",
            what="training speed over slower links, share of that over NVLink or in one node",
            grid=links_grid(q.a100_gpu),
            most=ENOUGH,
            unit="of the speed",
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
        for m in q.trained_networks
        if m.params >= 70e9
        for nodes in (8, 16, 32, 64)
    ]
    network = links_grid(q.a100_gpu)
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
        Check(
            label="10 GbE",
            what=f"10 GbE: share {keeps}",
            grid=ten,
            least=ENOUGH,
            unit="of the speed",
        ),
        Check(
            label="InfiniBand",
            what=f"InfiniBand: share {keeps}",
            grid=band,
            least=ENOUGH,
            unit="of the speed",
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
            unit="of the speed",
        ),
        Check(
            label="PCIe is enough to serve",
            what="share of its speed that a PCIe card keeps where cards share a model to serve",
            grid=serving_on_cards(),
            least=ENOUGH,
            unit="of the speed",
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
        asked = ServingQuestion.ask(model=name, gpus="H100", weights="bf16")
        found = serving_forms(asked, list(FORM_PAIRS)).rename(columns={"ratio": "value"})
        size = round(asked.network.params / 1e9, 1)
        alone = found[found["tp"] == 1].set_index("pair")["value"]
        found["value"] /= found["pair"].map(alone)
        parts.append(found[["pair", "tp", "value"]].assign(model=asked.network.name, params_b=size))
    grid = pd.concat(parts, ignore_index=True)
    return grid.assign(low=grid["value"], high=grid["value"])
