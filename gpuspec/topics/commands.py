"""What answers share that say how they are run: commands, files beside them, tests of links."""

import csv
import io
import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog.arguments import filled, text_of
from gpuspec.catalog.models import Model
from gpuspec.views.language import say
from gpuspec.views.punctuation import punctuated

RESULT, MEASURED = "result.json", "measured.csv"
"""Files that the commands write: what a benchmark says, and the row that `validate` reads."""
RANK = "nodes set NODE_RANK (0, 1, ...) and MASTER_ADDR (the address of node 0)"


class Command(NamedTuple):
    """One thing to type, or to paste."""

    purpose: str
    command: str
    version: str = ""
    """Version of the program from which its arguments were read; empty: ours, or the shell's."""


class Run(NamedTuple):
    """How one work is run."""

    of: str
    """What is run, in words."""
    commands: tuple[Command, ...]
    notes: tuple[str, ...]
    """What the commands cannot say, and what must be done before them."""

    def told(self) -> dict[str, object]:
        """Return it as plain values."""
        said = [command._asdict() for command in self.commands]
        return {"of": self.of, "commands": said, "notes": list(self.notes)}

    @property
    def text(self) -> str:
        """Write it for a terminal; whatever is no command is a comment of one line.

        Comments are in the language that is spoken.
        """
        lines = [_comment(say(self.of))]
        for command in self.commands:
            told = say(command.purpose)
            if of := command.version:
                told = say("{purpose} (arguments of {version})", purpose=told, version=of)
            lines += ["", _comment(told), command.command]
        notes = [_comment(say(note)) for note in self.notes]
        return "\n".join([*lines, *([""] * bool(notes)), *notes])


class Shell(str):
    """A word that the shell is to read, such as a variable: it is written as it is."""


def shell(*words: object) -> str:
    """Write words as one line for a POSIX shell, whatever is in them.

    >>> shell("echo", "it's", Shell('"$RANK"'), 8)
    'echo \\'it\\'"\\'"\\'s\\' "$RANK" 8'
    """
    return " ".join(w if isinstance(w, Shell) else shlex.quote(text_of(w)) for w in words)


def checkpoint(name: str, network: Model) -> str:
    """Return what engines are given as the model: the folder of a file, or its repository."""
    if name.lower().endswith(".json"):
        found = str(Path(name).parent)
    else:
        found = network.hf_id or network.id
    return f"./{found}" if found.startswith("-") else found


def file_command(name: str, text: str) -> str:
    """Return the command that writes a file; no line of the text may be ``END``."""
    return f"cat > {shell(name)} <<'END'\n{text.rstrip()}\nEND"


def yaml_text(keys: Mapping[str, object]) -> str:
    """Write keys with dots between their levels as YAML; texts are quoted as in JSON.

    >>> print(yaml_text({"a": True, "b.c": "x"}))
    a: true
    b:
      c: "x"
    """
    lines, before = [], ""
    for key, value in keys.items():
        first, _, rest = key.partition(".")
        if rest and first != before:
            lines.append(f"{first}:")
        lines.append(f"{'  ' if rest else ''}{rest or first}: {json.dumps(value)}")
        before = first
    return "\n".join(lines)


def row_text(row: Mapping[str, object], blank: Iterable[str]) -> tuple[str, str]:
    """Return the first line of a table and a row whose last cells, those of `blank`, follow."""
    lines = []
    for cells in ([*row, *blank], [text_of(value) for value in row.values()]):
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(cells)
        lines.append(out.getvalue())
    return lines[0], lines[1]


def compared(row: Mapping[str, object], kind: str, figures: Mapping[str, str]) -> Command:
    """Return the command that makes of a benchmark's result a row, and holds it against ours.

    `figures` are the columns to fill and the names of the benchmark's figures. The result is the
    last line of the file, one JSON object.
    """
    head, start = row_text(row, figures)
    told, first, names = (
        json.dumps(t, ensure_ascii=False) for t in (head, start, [*figures.values()])
    )
    code = (
        f'import json; r = json.loads(open("{RESULT}").readlines()[-1]); '
        f'print({told}); print({first}, *(r[k] for k in {names}), sep=",")'
    )
    line = f"{shell('python3', '-c', code)} > {MEASURED} && " + shell(
        "gpuspec", "validate", MEASURED, "--kind", kind
    )
    return Command("Hold what was measured against the estimate", line)


def links_command(
    gpus: int, per_node: int = NODE_GPUS, vendor: str = "NVIDIA"
) -> tuple[Command, ...]:
    """Return the test of the links between the GPUs of a layout; none for one GPU.

    AMD's copy of it takes the same arguments. What it prints are rows of ``gpuspec validate --kind
    collectives``.
    """
    if gpus < 2:
        return ()
    nodes = -(-gpus // per_node)
    sizes = {"smallest": "1M", "largest": "4G", "factor": 2}
    found = filled("nccl-tests", sizes | {"gpus_of_process": 1 if nodes > 1 else gpus})
    start = ("mpirun", "-np", gpus, "-N", per_node) if nodes > 1 else ()
    line = shell(*start, "./build/all_reduce_perf", *found.words)
    version = f"nccl-tests {found.version}"
    if vendor == "AMD":
        return (Command("Test the links first: all-reduce of rccl-tests", line, version),)
    return (Command("Test the links first: all-reduce of nccl-tests", line, version),)


def _comment(text: str) -> str:
    return "# " + punctuated(_one_line(text))


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
