"""What tables and pictures call the settings of a grid."""

from typing import NamedTuple


class Setting(NamedTuple):
    """How a condition says a setting, how a map says a fixed one, and what it calls an axis."""

    condition: str
    fixed: str = ""
    axis: str = ""


SETTINGS = {
    "params_b": Setting("models of {}B", axis="parameters, billions"),
    "context": Setting("prompts of {} tokens", axis="tokens of a prompt"),
    "answer": Setting("answers of {} tokens"),
    "gpus": Setting("a fleet size of {}", axis="GPUs that serve together"),
    "weights": Setting("weights in {}"),
    "requests": Setting("{} requests in flight", axis="requests in flight"),
    "limit_s": Setting("a limit of {} s", axis="limit on the whole answer, seconds"),
    "rival": Setting("rivals {}", "against {}"),
    "seq_len": Setting("sequences of {} tokens", axis="tokens of a training sequence"),
    "precision": Setting("products in {}"),
    "share_given": Setting("a share of {} of the memory given to the engine"),
    "link": Setting("links {}"),
    "nodes": Setting("{} nodes", axis="nodes"),
    "tp": Setting("{} card for a model", axis="cards that share a model"),
    "path": Setting("PCIe {}"),
    "price": Setting(
        "a price of {} times the older GPU's",
        "price ratio {}",
        "price of an hour over that of the older GPU",
    ),
    "filled": Setting("weights that fill {} of the older GPUs' memory"),
    "work": Setting("the work is {}"),
    "gpu": Setting("on {}", "{}"),
    "new": Setting("on {}", "{}"),
    "bound": Setting("the limit is {}"),
    "kind": Setting("the work is a {}", "{}s"),
    "cells": Setting("cells of {}"),
    "compared": Setting("the comparison is with {}"),
    "vendor": Setting("rivals of {} alone"),
}
PLAIN = ("where", "part", "pair", "tuning", "name", "algorithm", "resource")
SETTINGS |= dict.fromkeys(PLAIN, Setting("{}"))
CONDITIONS = {name: setting.condition for name, setting in SETTINGS.items()}
