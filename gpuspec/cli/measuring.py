"""Commands about one's own measurements: read them, learn from them, say which to make."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpuspec.base.errors import InputError
from gpuspec.cli.common import echo, echo_json, main
from gpuspec.cli.names import completes
from gpuspec.cli.options import add_option, json_option, pairs, param_option
from gpuspec.views.language import say
from gpuspec.views.words import counted

if TYPE_CHECKING:
    from gpuspec.evidence.importing import Imported, Written

F = TypeVar("F", bound=Callable[..., Any])
FILLS = {
    "gpus": ("gpu", "gpus", "GPU that ran it, such as H100"),
    "count": ("n_gpus", "", "How many GPUs ran it"),
    "tp": ("tp", "", "Tensor-parallel size"),
    "model": ("model", "models", "Model, or the path of its config.json"),
    "engine": ("engine", "engines", "Engine that answered: vllm, sglang, tensorrt-llm"),
}
"""Columns that files most often leave open, by the option that fills each; whose names it takes."""
WAS = {"gpus": ["--gpu"]}


def _fills(command: F) -> F:
    """Give a command an option for each of `FILLS`."""
    for name, (_, names, told) in reversed(FILLS.items()):
        shown: dict[str, Any] = {"metavar": "TEXT", "help": f"{told}."}
        shown["shell_complete"] = completes(names)
        command = click.option(f"--{name}", **shown)(command)
        for old in WAS.get(name, ()):
            command = click.option(old, f"{name}_was", hidden=True)(command)
    return command


def _filled(fills: dict[str, str | None]) -> dict[str, str]:
    """Return the columns that options fill."""
    from gpuspec.catalog.tables import resolve

    said = {name: value.strip() for name, value in fills.items() if value and value.strip()}
    found = {FILLS[name.removesuffix("_was")][0]: value for name, value in said.items()}
    if name := found.get("gpu"):
        if name.isdigit():
            valid = "name a GPU, such as H100; --count says how many ran it"
            raise InputError("gpus", name, valid)
        resolve("gpus", name, "gpus")
    return found


@main.command(name="import")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", required=True, help="CSV file to write.")
@param_option("Fill any other column by its name.")
@click.option("--set", "was", multiple=True, hidden=True)
@add_option
@json_option
@_fills
def import_(
    files: tuple[str, ...],
    output: str,
    params: tuple[str, ...],
    was: tuple[str, ...],
    add: bool,
    as_json: bool,
    **fills: str | None,
) -> None:
    """Read what tools wrote, FILES known by their content, as a table for validate and learn.

    \b
    gpuspec import result.json --gpus H100 --tp 1 --engine vllm -o mine.csv
    gpuspec import *.json server.log smi.xml -p lengths=fixed -o mine.csv
    gpuspec import train.log smi.xml -o mine.csv

    Benchmarks of vLLM and SGLang, trtllm-bench, AIPerf, genai-perf, GuideLLM, nccl-tests, HPL,
    MLPerf summaries, logs of Megatron-LM, NeMo, torchtitan and axolotl, start-up logs of vLLM and
    SGLang, nvidia-smi -q -x: docs/learning.md.
    """
    from gpuspec.evidence.importing import imported, written
    from gpuspec.evidence.validation import unusable

    given = {k: v.strip() for k, v in pairs((*params, *was)).items()}
    own = _filled(fills)
    if both := sorted(given.keys() & own.keys()):
        raise InputError("--param", both[0], "it was given before; give it once")
    found = imported(files, given | own)
    made = written(found, output, add)
    told: list[dict[str, Any]] = [
        _told(one, to, unusable(to.path, one.kind)) for one, to in zip(found, made, strict=True)
    ]
    if as_json:
        echo_json({"tables": told})
        return
    for one in told:
        _tell(one)


def _told(found: "Imported", to: "Written", reasons: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "table": to.path,
        "kind": found.kind,
        "rows": len(found.rows),
        "again": to.again,
        "files": [{"file": name, "tool": tool} for name, tool in found.files],
        "assumed": [{"what": what, "files": list(of)} for what, of in found.assumed],
        "missing": reasons,
    }


def _tell(told: dict[str, Any]) -> None:
    _tell_table(told)
    for one in told["files"]:
        echo(say("read {file}: {tool}", file=Path(one["file"]), tool=one["tool"]))
    for one in told["assumed"]:
        files = ", ".join(map(str, one["files"]))
        echo(say("assumed ({files}): {what}", files=Path(files), what=one["what"]))
    for one in told["missing"]:
        lines = ", ".join(map(str, dict.fromkeys(one["lines"])))
        lines += ", ..." * (one["rows"] > len(one["lines"]))
        echo(say("missing (line {lines}): {reason}", lines=lines, reason=one["reason"]))
    line = f"gpuspec validate {told['table']} --kind {told['kind']}"
    if told["missing"]:
        echo(say("next: {command}, once the rest is filled in", command=line))
    else:
        echo(say("next: {command}", command=line))


def _tell_table(told: dict[str, Any]) -> None:
    rows = counted(told["rows"], "row")
    echo(
        say("{table}: {rows} of the kind {kind}", table=told["table"], rows=rows, kind=told["kind"])
    )
    if told["again"]:
        echo(say("{rows} of them it had already", rows=counted(told["again"], "row")))


@main.command()
@click.argument("tables", nargs=-1, required=True)
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder to write.")
@click.option("--add", is_flag=True, help="Learn from the tables that the folder holds as well.")
@json_option
def learn(tables: tuple[str, ...], output: str, add: bool, as_json: bool) -> None:
    """Let estimates follow your own measurements: TABLES as validate reads them.

    \b
    gpuspec learn mine.csv -o my-calibration/
    gpuspec estimate Llama-3.1-70B --gpus H100 --calibration my-calibration/
    export GPUSPEC_CALIBRATION=my-calibration/
    Few rows move an estimate a little, many rows alike move it all the way: docs/learning.md.
    """
    from gpuspec.evidence.learning import learn as learnt

    found = learnt(tables, output, add)
    if as_json:
        echo_json({"calibration": output, "topics": [one._asdict() for one in found]})
        return
    for one in found:
        echo(
            say("{topic}: {figures} of yours", topic=one.topic, figures=counted(one.rows, "figure"))
        )
        if one.skipped:
            rows = counted(one.skipped, "row")
            echo("  " + say("{rows} left out (gpuspec validate says why)", rows=rows))
        if one.rows == 1:
            echo("  " + say("error {before} as estimated", before=f"{one.before:.1%}"))
        else:
            echo(
                "  "
                + say(
                    "median error {before} as estimated, {after} once learnt from your other rows; "
                    "{inside} of them in their 80 % interval",
                    before=f"{one.before:.1%}",
                    after=f"{one.after:.1%}",
                    inside=f"{one.inside:.0%}",
                )
            )
        narrower = f"{1 - one.width:.0%}"
        echo("  " + say("at settings of yours the interval is {share} narrower", share=narrower))
    echo(say("next: {command}", command=f"gpuspec estimate ... --calibration {output}"))


@main.command()
@click.option("-o", "--output", metavar="FILE", required=True, help="CSV file to write.")
@add_option
@json_option
def measure(output: str, add: bool, as_json: bool) -> None:
    """Time this machine's GPUs through PyTorch: products, copy, attention, all-reduce.

    \b
    gpuspec measure -o mine.csv
    It takes under five minutes, and writes tables for validate and learn.
    """
    from gpuspec.base.files import check_writable
    from gpuspec.evidence.importing import Imported, tables, written
    from gpuspec.evidence.measuring import measurements_of, tables_of, torch_here

    kinds = [Imported(kind, (), (), (), ()) for kind in ("hpc", "collectives")]
    for path in {*tables(kinds[:1], output), *tables(kinds, output)}:
        check_writable("output", path)
        if path.exists() and not add:
            raise InputError("output", str(path), "it exists: name another, or say --add")
    found = []
    for one in measurements_of(torch_here()):
        found.append(one)
        click.echo(f"{say(one.what)}: {one.rate:,.4g} {one.unit}", err=as_json)
    made = tables_of(found)
    paths = written(made, output, add)
    told: list[dict[str, Any]] = [
        {"table": to.path, "kind": one.kind, "rows": len(one.rows)}
        for one, to in zip(made, paths, strict=True)
    ]
    if as_json:
        echo_json({"tables": told, "measured": [one._asdict() for one in found]})
        return
    for row in told:
        _tell_table(row)
