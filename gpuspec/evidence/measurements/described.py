"""What a row of measurements says of the setting: the columns that decide errors and ground.

Every kind has one table of the same columns for its rows; an answer gives the same names to
`constants.ground.ground_of` and to the intervals.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import gpu
from gpuspec.constants.collectives import dispute_of, known_of, path_of, place_of, wires_of
from gpuspec.constants.engine import engine
from gpuspec.constants.ground import (
    TOPICS,
    Codes,
    format_name,
    framework_on,
    framework_reach,
    ground_codes,
    model_kind,
    placement_of,
    reach_of,
)
from gpuspec.constants.images import image_bits
from gpuspec.constants.mig import LANGUAGE_MODELS, slice_size
from gpuspec.evidence.measurements.inference import METRICS
from gpuspec.evidence.measurements.known import left_out_codes
from gpuspec.evidence.measurements.rows import completed, known_model, publisher_of, weights_of
from gpuspec.evidence.measurements.training import known_framework

FACTORS = {
    "inference": ["quantity", "engine", "kind", "generation", "scenario"],
    "training": ["known", "precision", "generation", "reach"],
    "collectives": ["place", "wires", "network", "known", "dispute"],
    "hpc": ["kind", "workload"],
    "mig": ["load", "size"],
    "images": ["stack", "bits"],
    "posttraining": ["placement"],
}
"""What decides how wide the interval of a row is, by kind of measurement."""
LOADS = {True: "full load", False: "light load"}
FRAMEWORK = ("framework known", "framework never seen")


def generation(name: str) -> str:
    """Return the architecture of a GPU."""
    return gpu(name).architecture


def _each(column: "pd.Series[str]", of: Callable[[str], Any]) -> "pd.Series[Any]":
    """Return a property of each name, looked up once a name."""
    return column.map({name: of(name) for name in column.unique()})


def _billions(name: str) -> float:
    return known_model(name).params / 1e9


def _main_formats(rows: pd.DataFrame) -> list[str]:
    """Return how ground calls the format of most weights of each row."""
    pairs = list(zip(rows["model"], rows["weight_precision"], strict=True))
    called = {pair: format_name(weights_of(*pair).main) for pair in set(pairs)}
    return [called[pair] for pair in pairs]


def inference(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of inference say of their setting."""
    eras = rows[["engine", "engine_version"]].drop_duplicates().itertuples(index=False)
    families = {tuple(pair): engine(*pair).engine for pair in eras}
    keys = zip(rows["engine"], rows["engine_version"], strict=True)
    copies = np.maximum(rows["n_gpus"] / (rows["tp"] * rows["pp"]), 1.0)
    together: pd.Series[float] = rows["concurrency"].fillna(rows["batch_size"])
    spread = pd.to_numeric(rows.get("attention_dp", pd.Series(1.0, rows.index)), errors="coerce")
    return pd.DataFrame(
        {
            "quantity": rows["metric"].map(METRICS),
            "scenario": rows["scenario"],
            "engine": [families[k] for k in keys],
            "version": rows["engine_version"],
            "date": rows.get("measured_on", ""),
            "gpu": _each(rows["gpu"], lambda name: gpu(name).id),
            "generation": _each(rows["gpu"], generation),
            "kind": _each(rows["model"], lambda name: model_kind(known_model(name))),
            "weights": _main_formats(rows),
            "cache": _each(rows["kv_precision"], format_name),
            "attention_dp": np.where(spread > 1, "data-parallel", "split"),
            "tensor_reach": reach_of(rows["tp"]),
            "params_b": _each(rows["model"], _billions),
            "tp": rows["tp"],
            "pp": rows["pp"],
            "ep": np.maximum(rows["ep"], 1),
            "isl": rows["isl"],
            "osl": rows["osl"],
            "load": together / copies,
        },
        index=rows.index,
    )


def disaggregated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of separate prefill and decode say of their setting."""
    said = inference(rows)
    return said.assign(gpus=rows["n_gpus"], load=rows["concurrency"])


def training(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of training say of their setting."""
    known = rows["known"] if "known" in rows else known_framework(rows)
    tuning = np.where(rows["tuning"] == "full", "all weights", "adapters")
    return pd.DataFrame(
        {
            "framework": rows["framework"],
            "known": np.where(known, *FRAMEWORK),
            "gpu": rows["gpu"],
            "generation": _each(rows["gpu"], generation),
            "precision": np.where(rows["precision"] == "fp8", "fp8", "16 bit"),
            "tuning": tuning,
            "kind": _each(rows["model"], lambda name: model_kind(known_model(name))),
            "reach": np.where(rows["n_gpus"] > NODE_GPUS, "between nodes", "in a node"),
            "known_on": framework_on(rows["framework"], _each(rows["gpu"], generation), tuning),
            "tensor_reach": framework_reach(rows["framework"], rows["tp"]),
            "pipeline_reach": framework_reach(
                rows["framework"], np.where(rows["pp"] > 1, rows["n_gpus"], 1)
            ),
            "params_b": _each(rows["model"], _billions),
            "gpus": rows["n_gpus"],
            "tp": rows["tp"],
            "pp": rows["pp"],
            "cp": rows["cp"],
            "ep": rows["ep"],
            "seq_len": rows["seq_len"],
        },
        index=rows.index,
    )


def collectives(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of collectives say of their setting."""
    names = ["operation", "link", "gpu", "size", "reach", "span", "nodes", "message_bytes"]
    across = rows["nodes"] > 1
    network = rows["network_kind"].where(across, "")
    path = path_of(rows["link"], rows["gpus_per_node"], network)
    return rows[names].assign(
        network=network,
        network_gb_s=rows["node_network_gb_s"].where(across),
        members=rows["gpus_per_node"],
        place=place_of(rows["nodes"], rows["message_bytes"]),
        wires=wires_of(rows["link"], rows["gpus_per_node"]),
        path=path,
        known=known_of(path != ""),
        dispute=dispute_of(path, rows["message_bytes"]),
    )


def hpc(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of scientific computing say of their setting."""
    return rows[["workload", "kind", "gpu"]].assign(
        generation=_each(rows["gpu"], generation), gpus=rows["n_gpus"]
    )


def memory(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what rows of memory say of their setting."""
    names = ["seq_len", "n_gpus", "tp", "pp"]
    said = completed(rows, dict.fromkeys(names, np.nan), {})[["kind", *names]]
    column = "model_id" if "model_id" in rows else "model"
    return said.rename(columns={"n_gpus": "gpus"}).assign(
        params_b=_each(rows[column].fillna(""), lambda name: _billions(name) if name else np.nan)
    )


def mig(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return what pairs of a slice and its whole GPU say of their setting."""
    slices = pairs["profile"].str.split("g").str[0].replace("", "7").astype(float)
    return pd.DataFrame(
        {
            "gpu": pairs["gpu"],
            "generation": _each(pairs["gpu"], generation),
            "load": pairs["load"] if "load" in pairs else pairs["full"].map(LOADS),
            "work": _slice_work(pairs),
            "slices": slices,
            "size": slice_size(slices),
        },
        index=pairs.index,
    )


def _slice_work(pairs: pd.DataFrame) -> np.ndarray:
    """Return what ran on slices: inference of language models is of its own kind."""
    unit = pairs["unit"] if "unit" in pairs else pd.Series("", pairs.index)
    tokens = unit.fillna("").str.startswith("token") & (pairs["kind"] == "inference")
    return np.where(tokens, LANGUAGE_MODELS, pairs["kind"])


def images(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what rows of images say of their setting."""
    generations = _each(rows["gpu"], generation)
    pixels = rows["width"] * rows["height"]
    return rows[["gpu", "model", "stack", "steps"]].assign(
        generation=generations, pixels=pixels, bits=_each(rows["precision"], image_bits)
    )


def posttraining(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of reinforcement learning say of their setting."""
    return pd.DataFrame(
        {
            "algorithm": rows["algorithm"],
            "placement": placement_of(rows["generation_gpus"], rows["off_policy_steps"]),
            "engine": rows["engine"],
            "framework": rows["framework"],
            "tuning": "all weights",
            "gpu": rows["gpu"],
            "generation": _each(rows["gpu"], generation),
            "kind": _each(rows["model"], lambda name: model_kind(known_model(name))),
            "params_b": _each(rows["model"], _billions),
            "gpus": rows["n_gpus"],
            "isl": rows["prompt_tokens"],
            "osl": rows["answer_tokens"],
            "answers": rows["prompts"] * rows["generations"],
        },
        index=rows.index,
    )


DESCRIBED = {
    "inference": inference,
    "disaggregated": disaggregated,
    "training": training,
    "posttraining": posttraining,
    "collectives": collectives,
    "hpc": hpc,
    "memory": memory,
    "mig": mig,
    "images": images,
}


def described(kind: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what prepared rows of a kind say of their setting, one column a name."""
    return DESCRIBED[kind](rows)


def ground_of_rows(kind: str, rows: pd.DataFrame, left_out: bool = False) -> Codes:
    """Return 0, 1 or 2 (measured, near, far) for each prepared row of a kind.

    `left_out`: beside what all other publishers of `rows` measured, as a held-out error is judged;
    else beside all that the last calibration knew.
    """
    if rows.empty:
        return np.zeros(0, int)
    said = described(kind, rows)
    if left_out:
        return left_out_codes(kind, said, publisher_of(rows).to_numpy(str))
    codes = ground_codes(kind, {n: said[n].to_numpy() for n in TOPICS[kind].columns})
    return np.asarray(np.broadcast_to(codes, (len(rows),)))


def row_levels(kind: str, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return what each prepared row says of its setting, as intervals take it."""
    said = described(kind, rows)
    return {
        str(n): c.to_numpy(float) if c.dtype.kind in "fiu" else c.to_numpy(str)
        for n, c in said.items()
    }


def factors(kind: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the levels of what decides the width of each prepared row's interval."""
    return described(kind, rows)[FACTORS[kind]]
