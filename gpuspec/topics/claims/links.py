"""Grids of links and networks: what slower ones leave of the speed."""

from functools import lru_cache

import pandas as pd

from gpuspec.topics.claims.machines import about
from gpuspec.topics.networks import NetworksQuestion, form_table, network_table
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving import form_table as serving_forms

FORM_MODELS = ("llama-3.2-1b", "llama-3.1-8b", "qwen2.5-32b")
FORM_PAIRS = (("a100-pcie-80", "a100-sxm-80"), ("h100-pcie-80", "h100-sxm-80"))


@lru_cache(1)
def _forms() -> pd.DataFrame:
    """Return `networks.form_table` of three models: the share that PCIe leaves as the value."""
    forms = form_table(NetworksQuestion.ask(gpus="A100,H100"), FORM_MODELS)
    forms = forms[forms["reason"] == ""]
    return forms.assign(
        params_b=forms["params"].round(1),
        value=forms["kept"],
        low=forms["kept"] * forms["ratio_low"] / forms["ratio"],
        high=forms["kept"] * forms["ratio_high"] / forms["ratio"],
    )


def training_on_cards() -> pd.DataFrame:
    """Return the share of NVLink's training speed that PCIe leaves."""
    return _forms()[["pair", "path", "tuning", "params_b", "value", "low", "high"]]


@lru_cache(1)
def slower_links() -> pd.DataFrame:
    """Return the training speed that slower links leave, of that over NVLink or NDR.

    Columns: ``where`` (``in a node``, ``across nodes``), ``link``, ``params_b``, ``nodes``,
    ``value`` with ``low`` and ``high``.
    """
    forms = _forms()
    inside = forms[forms["tuning"] == "all weights"]
    path = inside["path"].map({"peer": "peer to peer", "host": "through the host"})
    inside = inside.assign(where="in a node", link="PCIe, " + path, nodes=1)
    asked = NetworksQuestion.ask(gpus="A100,H100")
    net = network_table(asked, asked.devices[1])
    net = net[(net["nodes"] > 1) & (net["network"] != "8 x NDR")]
    names = {"network": "link", "efficiency": "value"}
    names |= {"efficiency_low": "low", "efficiency_high": "high"}
    size = round(asked.network.params / 1e9, 1)
    outside = net.rename(columns=names).assign(where="across nodes", params_b=size)
    columns = ["where", "link", "params_b", "nodes", "value", "low", "high"]
    return pd.concat([inside[columns], outside[columns]], ignore_index=True)


@lru_cache(1)
def serving_on_cards() -> pd.DataFrame:
    """Return what PCIe leaves of the speed that SXM modules gain by sharing a model.

    Throughput over that of SXM modules, relative to one card over one module: the chips of the
    two differ, too. Columns: ``pair``, ``tp``, ``model``, ``params_b``, ``value``...
    """
    parts = []
    for name in FORM_MODELS:
        asked = ServingQuestion.ask(model=name, gpus="H100", weights="bf16")
        table = serving_forms(asked, list(FORM_PAIRS))
        alone = table["pair"].map(table[table["tp"] == 1].set_index("pair")["ratio"])
        value = table["ratio"] / alone
        parts.append(table[["pair", "tp"]].assign(value=value, **about(asked.network)))
    grid = pd.concat(parts, ignore_index=True)
    return grid.assign(low=grid["value"], high=grid["value"])
