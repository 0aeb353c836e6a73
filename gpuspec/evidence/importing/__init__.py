"""Read what tools print and store, as rows of ``gpuspec validate``: known by content, never run.

One small reader a format (`serving`, `training`, `machine`), each of which returns a `Found`; this
module knows which reader a file needs, and what is common: options fill what the files leave open,
and what one file says of machine or server fills the rows of the others.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gpuspec.base.documents import from_json
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import check_writable, path_of, read_text, write_atomically
from gpuspec.base.rows import MOST_ROWS, csv_rows, csv_text, plain_cell
from gpuspec.base.units import MIB
from gpuspec.evidence.importing import machine, serving, training
from gpuspec.evidence.importing.found import (
    SOME,
    Cells,
    Content,
    Found,
    Reader,
    documents_with,
    number,
    text_with,
)
from gpuspec.evidence.validation import known_columns, needed_columns

MOST_BYTES = 256 * MIB
"""Of a file: reports that hold every request have tens of megabytes."""
MOST_VALUES = 20_000_000
MOST_LINES = 1_000_000
MOST_DOCUMENTS = 50_000
JSON = re.compile(r'\s*(\{\s*["}]|\[\s*\{)')
"""How documents begin; logs begin with a time or a rank in brackets."""
MOST_LINE = 100_000
"""Characters of a line of a log that are read."""
OWN = "own"
"""Publisher of what one measured oneself."""
READERS: tuple[Reader, ...] = (
    Reader(documents_with("mean_ttft_ms", "completed"), serving.bench),
    Reader(documents_with("engine", "world_info", "performance"), serving.trtllm),
    Reader(documents_with("output_token_throughput", "request_throughput"), serving.aiperf),
    Reader(documents_with("benchmarks", "metadata"), serving.guidellm),
    Reader(text_with(r"<nvidia_smi_log"), machine.nvidia_smi),
    Reader(text_with(r"#\s+size\s+count\s+type", r"busbw"), machine.nccl),
    Reader(text_with(r"^W[RC]\w+\s+\d+\s+\d+\s+\d+\s+\d+\s", r"Gflops"), machine.hpl),
    Reader(text_with(r"MLPerf Results Summary"), machine.mlperf),
    Reader(text_with(r"elapsed time per iteration \(ms\):"), training.megatron),
    Reader(text_with(r"train_step_timing in s: \d"), training.nemo),
    Reader(text_with(rf"memory: *[\d.]+GiB{SOME}?tps: *[\d,]+"), training.titan),
    Reader(text_with(r"'train_samples_per_second':"), training.trainer),
    Reader(text_with(r"Load weight end\."), machine.sglang_log),
    Reader(
        text_with(r"[Mm]odel loading took|[Mm]odel weights take|GPU KV cache size|# GPU blocks"),
        machine.vllm_log,
    ),
)
"""What is understood, the most telling first."""
KNOWN = (
    "results of the benchmarks of vLLM and SGLang, trtllm-bench, AIPerf, genai-perf, GuideLLM; "
    "logs of Megatron-LM, NeMo, torchtitan, axolotl, nccl-tests, HPL; MLPerf summaries; start-up "
    "logs of vLLM and SGLang; nvidia-smi -q -x"
)
FIGURES = {
    "inference": ("ttft_ms", "tpot_ms", "output_tokens_per_s_total"),
    "training": ("step_time_s", "samples_per_s", "tokens_per_s_per_gpu"),
}
"""What a run measures, one at least; readers of other kinds make no row without."""
SIZES = ("tp", "pp")
SERVER = ("model", "engine", "engine_version", "tp", "pp", "ep", "kv_precision", "weight_precision")
FILLS = {
    "inference": ("gpu", *SERVER),
    "training": ("gpu", "n_gpus", "power_limit_w"),
    "collectives": ("gpu",),
    "hpc": ("gpu", "n_gpus"),
    "memory": ("gpu",),
}
"""What rows of a kind take from other files that say what ran and where."""


@dataclass(frozen=True)
class Imported:
    """Rows of one kind that were read, and what is to be said of them."""

    kind: str
    rows: tuple[Cells, ...]
    columns: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    """Name of each file and whose output it is."""
    assumed: tuple[tuple[str, tuple[str, ...]], ...]
    """What was assumed, and of which files."""
    filled: tuple[str, ...] = ()
    """Columns that do not come from the file of a row alone."""


class Written(NamedTuple):
    """A table, and how many of the rows it had already."""

    path: Path
    again: int


def found_in(path: str | Path) -> Found:
    """Return what a file of a tool says.

    Raises
    ------
    InputError
        When it cannot be read, is of no kind that is known, or is broken.
    """
    text = read_text("file", path, MOST_BYTES)
    content = _content(str(path), text)
    reader = next((one for one in READERS if one.knows(content)), None)
    if reader is None:
        raise InputError("file", str(path), f"it is none of what is understood: {KNOWN}")
    try:
        found = reader.reads(content)
    except InputError as error:
        raise InputError("file", str(path), str(error).split(" is not valid; ")[-1]) from None
    except (TypeError, AttributeError, LookupError, ValueError, ArithmeticError) as error:
        valid = f"its parts are not where its tool writes them ({type(error).__name__})"
        raise InputError("file", str(path), valid) from None
    rows = [row for row in found.rows if _has_figures(found.kind, row)]
    if not rows and not found.says:
        raise InputError("file", str(path), f"it is of {found.tool}, and holds no result")
    return replace(found, rows=tuple(rows))


def _has_figures(kind: str, row: Cells) -> bool:
    return kind not in FIGURES or not all(blank(row.get(name)) for name in FIGURES[kind])


def _content(name: str, text: str) -> Content:
    """Return the documents of JSON, or of JSON lines; any other text as it is, in bounds."""
    if not JSON.match(text):
        lines = text.split("\n", MOST_LINES + 1)
        if len(lines) > MOST_LINES:
            raise InputError("file", name, f"give at most {MOST_LINES:,} lines")
        return "\n".join(line[:MOST_LINE] for line in lines)
    lines = [line for line in text.split("\n", 2 * MOST_DOCUMENTS) if line.strip()]
    if len(lines) > 1 and all(line.lstrip()[:1] == "{" == line[:1] for line in lines[:2]):
        if len(lines) > MOST_DOCUMENTS:
            raise InputError("file", name, f"give at most {MOST_DOCUMENTS:,} lines of JSON")
        whole: list[Any] = [
            from_json("file", line, f"{name}, document {i}", finite=False, most=MOST_VALUES)
            for i, line in enumerate(lines, 1)
        ]
    else:
        whole = from_json("file", text, name, finite=False, most=MOST_VALUES)
    documents = whole if isinstance(whole, list) else [whole]
    if not documents or not all(isinstance(one, Mapping) for one in documents):
        raise InputError("file", name, f"it is none of what is understood: {KNOWN}")
    return documents


def imported(paths: Sequence[str], given: Mapping[str, str]) -> list[Imported]:
    """Return the rows of files, those of each kind together.

    Parameters
    ----------
    paths : sequence of str
        Files of tools.
    given : mapping
        Columns and values that fill what the files leave open; they win over what a file says.
    """
    places: set[str] = set()
    for path in paths:
        place = os.path.realpath(path_of("file", path))
        if place in places:
            raise InputError("file", path, "it was given before; give it once")
        places.add(place)
    files = [(str(path), found_in(path)) for path in paths]
    says = _agreed(found.says for _, found in files)
    kinds: dict[str, list[tuple[str, Found]]] = {}
    for name, found in files:
        if found.kind:
            kinds.setdefault(found.kind, []).append((name, found))
    if not kinds:
        valid = "it says what ran, and holds no measurement: give it beside one"
        raise InputError("file", ", ".join(paths), valid)
    known = set[str]().union(*map(known_columns, kinds))
    if unknown := sorted(given.keys() - known):
        raise UnknownNameError("--param", unknown[0], sorted(known))
    for name in (*SIZES, "n_gpus"):
        if name in given and not number(given[name]) < np.inf:
            raise InputError(name, given[name], "give a whole number of at least 1")
    return [_of_kind(kind, parts, says, given, files) for kind, parts in kinds.items()]


def _agreed(said: Iterable[Cells]) -> Cells:
    """Return what files say of machine and settings where they do not disagree."""
    values: dict[str, set[object]] = {}
    for one in said:
        for name, value in one.items():
            if not blank(value):
                values.setdefault(name, set()).add(value)
    return {name: found.pop() for name, found in values.items() if len(found) == 1}


def blank(value: object) -> bool:
    """Return whether a cell says nothing.

    >>> blank(None), blank(float("nan")), blank(""), blank(0)
    (True, True, True, False)
    """
    return value is None or value == "" or value != value


def _of_kind(
    kind: str,
    parts: Sequence[tuple[str, Found]],
    says: Cells,
    given: Mapping[str, str],
    files: Sequence[tuple[str, Found]],
) -> Imported:
    given = {name: value for name, value in given.items() if name in known_columns(kind)}
    allowed, rows = FILLS[kind], []
    assumed: dict[str, list[str]] = {}
    for name, found in parts:
        for sentence in found.assumed:
            assumed.setdefault(sentence, []).append(name)
        for i, cells in enumerate(found.rows, 1):
            row = {k: v for k, v in cells.items() if not blank(v)}
            filled = {k: v for k, v in says.items() if k not in row and k in allowed}
            for column, value in given.items():
                if column in row and str(row[column]) != value:
                    told = f"{column} is {value}, as you say; the file says {row[column]}"
                    assumed.setdefault(told, []).append(name)
            row = {**row, **filled, **given}
            if kind == "inference" and "n_gpus" not in row and "tp" in row:
                row["n_gpus"] = _product(row)
            stem = Path(name).stem
            about = {"case_id": f"{stem}-{i}", "source_id": stem, "publisher": OWN}
            rows.append({**about, **row})
    for name, found in files:
        if not found.kind or (found.says and found.kind != kind):
            used = [k for k in found.says if k in allowed]
            told = f"{', '.join(used)} are taken from it where no other file says them"
            assumed.setdefault(told if used else "it says nothing of use here", []).append(name)
        assumed.update({s: [name] for s in found.assumed if not found.kind})
    if "lengths" in given:
        assumed.pop(serving.LENGTHS, None)
    needed, one_of = needed_columns(kind)
    columns = tuple(dict.fromkeys([*(n for row in rows for n in row), *needed]))
    columns += one_of[:1] if one_of and not set(one_of) & set(columns) else ()
    said = tuple((sentence, tuple(dict.fromkeys(of))) for sentence, of in assumed.items())
    tools = tuple((name, of.tool) for name, of in files if of.kind == kind or of.says)
    return Imported(kind, tuple(rows), columns, tools, said, (*allowed, *given))


def _product(row: Cells) -> object:
    sizes = [float(str(row.get(name, 1))) for name in SIZES]
    return sizes[0] * sizes[1]


def written(found: Sequence[Imported], output: str, add: bool = False) -> list[Written]:
    """Write the rows of each kind as a table; with `add` below those that it has.

    A row that the table has already, of the same file and with the same figures, stays one row:
    what was filled in since is kept, what is filled in now wins. Nothing is written before every
    table is known to be one that can be.

    Raises
    ------
    InputError
        When a table is there and `add` does not say that rows are to be added, when what is there
        is no such table, or when it cannot be written.
    """
    paths = tables(found, output)
    texts = [_text(one, path, add) for one, path in zip(found, paths, strict=True)]
    for path, (text, _) in zip(paths, texts, strict=True):
        write_atomically(path, text.encode())
    return [Written(path, again) for path, (_, again) in zip(paths, texts, strict=True)]


def _text(found: Imported, path: Path, add: bool) -> tuple[str, int]:
    columns, rows = list(found.columns), [_cells(row) for row in found.rows]
    names, before = _before(found.kind, path, add) if path.exists() else ([], [])
    columns = [*names, *(name for name in columns if name not in names)]
    every, again = _joined(before, rows, set(found.filled))
    if len(every) > MOST_ROWS:
        raise InputError("output", str(path), f"a table has at most {MOST_ROWS:,} rows")
    check_writable("output", path)
    return csv_text(columns, [{n: row.get(n, "") for n in columns} for row in every]), again


def _before(kind: str, path: Path, add: bool) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns and rows of a table to which rows of a kind are added."""
    if not add:
        raise InputError("output", str(path), "it exists: name another, or say --add")
    names, before = csv_rows("output", read_text("output", path, MOST_BYTES), str(path))
    if not set(names) & known_columns(kind):
        valid = f"it has no column of the kind {kind}; add to a table of that kind"
        raise InputError("output", str(path), valid)
    if problem := next((row.problem for row in before if row.problem), None):
        raise InputError("output", str(path), f"rows cannot be added to it: {problem}")
    return list(names), [row.cells for row in before]


def _joined(
    before: Sequence[dict[str, str]], rows: Sequence[dict[str, str]], filled: set[str]
) -> tuple[list[dict[str, str]], int]:
    """Return old rows, then those of the new ones that are none of them, and how many are."""
    every = [dict(row) for row in before]
    places: dict[str, list[int]] = {}
    for place, row in enumerate(every):
        places.setdefault(plain_cell(row.get("case_id", "")), []).append(place)
    again = 0
    for row in rows:
        same = [
            place
            for place in places.get(row.get("case_id", ""), [])
            if all(
                plain_cell(every[place].get(name, "")) in ("", cell)
                for name, cell in row.items()
                if cell and name not in {*filled, "publisher"}
            )
        ]
        if same:
            again += 1
            every[same[0]] |= {n: c for n, c in row.items() if c and n != "publisher"}
        else:
            every.append(row)
    return every, again


def _cells(row: Cells) -> dict[str, str]:
    def cell(value: object) -> str:
        text = f"{value:.12g}" if isinstance(value, float) else str(value)
        return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:500].strip()

    return {name: cell(value) for name, value in row.items()}


def tables(found: Sequence[Imported], output: str) -> list[Path]:
    """Return where the rows of each kind go: the named file, or one beside it for each of several.

    >>> [str(p) for p in tables([Imported("memory", (), (), (), ())], "mine.csv")]
    ['mine.csv']
    """
    path = path_of("output", output)
    if not path.name:
        raise InputError("output", output, "it is a folder; name a file in it")
    if len(found) == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{one.kind}{path.suffix}") for one in found]
