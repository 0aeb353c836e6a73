"""Hold the commands that ``--run`` prints against the parsers of the programs themselves.

    gpuspec estimate Llama-3.1-70B --gpus H200 --engine vllm --run --json > a.json
    python tools/check_run_arguments.py a.json ...
    python tools/check_run_arguments.py --list tests/run_arguments.csv

Runs in an environment in which the programs are installed, without gpuspec: vLLM, SGLang,
PyTorch, torchtitan and axolotl as packages, Megatron-LM and TensorRT-LLM as folders of their source
in PYTHONPATH. None needs a GPU to parse; of TensorRT-LLM, which imports nothing without its
libraries, the parsers are made of what its source declares. A program that is not there is said,
and its commands are left out.
``--list`` writes
what they accept: the list that the tests compare with.
"""

import argparse
import ast
import contextlib
import csv
import importlib.metadata
import json
import re
import shlex
import sys
import typing
from pathlib import Path

COLUMNS = ("program", "version", "argument", "takes", "choices")
VARIABLES = {"NODE_RANK": "1", "MASTER_ADDR": "node0", "DATA": "data", "CHECKPOINT": "a/b"}
"""What the variables of the shell stand for while commands are parsed."""


def vllm_serve():
    import vllm.platforms
    from vllm.platforms.cpu import CpuPlatform

    vllm.platforms._current_platform = CpuPlatform()  # it infers none without a GPU
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
    parser.add_argument("model_tag", nargs="?")
    return parser


def vllm_bench():
    from vllm.benchmarks.serve import add_cli_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser()
    add_cli_args(parser)
    return parser


def sglang_serve():
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    return parser


def sglang_bench():
    """Return the parser that the program makes inside of its main function."""
    from sglang.benchmark import serving

    made = []

    class Kept(argparse.ArgumentParser):
        def parse_args(self, *args, **kwargs):
            made.append(self)
            raise SystemExit(0)

    serving.ArgumentParser = Kept
    with contextlib.suppress(SystemExit):
        serving.cli_main()
    made[0].__class__ = argparse.ArgumentParser
    return made[0]


def torchrun():
    from torch.distributed.run import get_args_parser

    return get_args_parser()


def megatron():
    import typing_extensions

    typing.override = getattr(typing, "override", typing_extensions.override)
    from megatron.training.arguments import add_megatron_arguments

    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_megatron_arguments(parser)
    return parser


class Titan:
    """torchtitan's own parser, which needs a module and a configuration first."""

    def __init__(self):
        import torchtitan.config  # noqa: F401  it is said here where it is not there

    def parse_args(self, words):
        from torchtitan.config.manager import ConfigManager

        return ConfigManager().parse_args(words)

    def rows(self):
        from dataclasses import MISSING, fields

        from torchtitan.config import configs

        kinds = {"training": configs.TrainingConfig, "parallelism": configs.ParallelismConfig}
        kinds["compile"] = configs.CompileConfig
        for section, kind in kinds.items():
            for field in fields(kind):
                name = f"--{section}.{field.name}".replace("_", "-")
                flag = field.default is not MISSING and isinstance(field.default, bool)
                choices = typing.get_args(field.type) if "Literal" in str(field.type) else ()
                yield name, "flag" if flag else "value", choices
        yield "--hf-assets-path", "value", ()
        yield "--module", "value", ()
        yield "--config", "value", ()
        for word in ("selective", "full", "memory-budget", "none"):
            yield f"activation-checkpoint:{word}", "word", ()


class Axolotl:
    """The fields of axolotl's file, each with its own type."""

    def __init__(self):
        from axolotl.utils.schemas.config import AxolotlInputConfig

        self.fields = AxolotlInputConfig.model_fields

    def check(self, keys):
        from pydantic import TypeAdapter

        for name, value in keys.items():
            if name not in self.fields:
                raise ValueError(f"{name} is no field of it")
            TypeAdapter(self.fields[name].annotation).validate_python(value)

    def rows(self):
        for name in self.fields:
            yield name, "key", ()


TRTLLM = Path("tensorrt_llm")
TYPES = {"int": int, "float": float, "str": str}
ADDED = ("action", "nargs", "choices", "required")


def tree(path):
    """Return the syntax of a file of TensorRT-LLM's source, which is not run."""
    found = next((Path(p) / path for p in sys.path if (Path(p) / path).is_file()), None)
    if found is None:
        raise FileNotFoundError(path)
    return ast.parse(found.read_text("utf-8"))


def literal(node):
    """Return the value of an expression; None where it is more than a literal."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


class Declared:
    """A command of click as the decorators of a function in the source declare it."""

    def __init__(self, path, function, *inner):
        import click

        found = next(
            node
            for node in ast.walk(tree(path))
            if isinstance(node, ast.FunctionDef) and node.name == function
        )
        calls = [d for d in found.decorator_list if isinstance(d, ast.Call)]
        params = [p for p in map(self._param, calls) if p]
        name = function.removesuffix("_command").replace("_", "-")
        commands = {one.command.name: one.command for one in inner}
        self.command = (
            click.Group(name, params=params, commands=commands)
            if inner
            else click.Command(name, params=params)
        )

    def _param(self, call):
        import click

        kind = getattr(call.func, "attr", getattr(call.func, "id", ""))  # also stability_option
        if not kind.endswith(("option", "argument")):
            return None
        given = {k.arg: k.value for k in call.keywords}
        names = [literal(a) for a in call.args]
        told = {n: literal(given[n]) for n in ("is_flag", "required", "multiple") if n in given}
        told |= {"nargs": literal(given["nargs"])} if "nargs" in given else {}
        told["type"] = self._type(given.get("type"), click)
        if kind == "argument":
            return click.Argument(names, type=told["type"])
        flag = told.get("is_flag") or any("/--" in n for n in names)
        return click.Option(names, **({n: v for n, v in told.items() if n != "type" or not flag}))

    def _type(self, node, click):
        if isinstance(node, ast.Name):
            return TYPES.get(node.id)
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if "Choice" in name:
            words = [w for a in node.args for w in literal(a) or ()]
            return click.Choice(words) if words else None
        bounds = {k.arg: literal(k.value) for k in node.keywords} if "IntRange" in name else {}
        return click.IntRange(**bounds) if bounds else None

    def parse_args(self, words):
        self.command.main(list(words), standalone_mode=False)

    def rows(self):
        import click

        for param in self.command.params:
            flag = getattr(param, "is_flag", False)
            choices = param.type.choices if isinstance(param.type, click.Choice) else ()
            if isinstance(param, click.Option):
                for name in (*param.opts, *param.secondary_opts):
                    yield name, "flag" if flag else "value", choices


def trtllm_serve():
    return Declared(TRTLLM / "commands/serve.py", "serve")


def trtllm_throughput():
    return Declared(TRTLLM / "bench/benchmark/throughput.py", "throughput_command")


def trtllm_tokens():
    return Declared(TRTLLM / "bench/dataset/prepare_synthetic_data.py", "token_norm_dist")


def trtllm_dataset():
    path = TRTLLM / "bench/dataset/prepare_dataset.py"
    return Declared(path, "prepare_dataset", trtllm_tokens())


def trtllm_bench():
    inner = trtllm_throughput(), trtllm_dataset()
    return Declared(TRTLLM / "commands/bench.py", "main", *inner)


def trtllm_serving():
    """Return the parser of the client, of what its source adds to one."""
    parser = argparse.ArgumentParser()
    for node in ast.walk(tree(TRTLLM / "serve/scripts/benchmark_serving.py")):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            told = {k.arg: literal(k.value) for k in node.keywords if k.arg in ADDED}
            told = {name: value for name, value in told.items() if value is not None}
            parser.add_argument(*(literal(a) for a in node.args), **told)
    return parser


PROGRAMS = {
    "vllm serve": (vllm_serve, "vllm"),
    "vllm bench serve": (vllm_bench, "vllm"),
    "python -m sglang.launch_server": (sglang_serve, "sglang"),
    "python -m sglang.benchmark.serving": (sglang_bench, "sglang"),
    "torchrun": (torchrun, "torch"),
    "pretrain_gpt.py": (megatron, ""),
    "torchtitan.train": (Titan, "torchtitan"),
    "axolotl train": (Axolotl, "axolotl"),
    "trtllm-serve serve": (trtllm_serve, ""),
    "python -m tensorrt_llm.serve.scripts.benchmark_serving": (trtllm_serving, ""),
    "trtllm-bench": (trtllm_bench, ""),
    "trtllm-bench throughput": (trtllm_throughput, ""),
    "trtllm-bench prepare-dataset": (trtllm_dataset, ""),
    "trtllm-bench prepare-dataset token-norm-dist": (trtllm_tokens, ""),
}


def accepted(parser):
    """Yield each argument with what it takes and the words that it accepts."""
    if hasattr(parser, "rows"):
        yield from parser.rows()
        return
    for action in parser._actions:
        kind = "flag" if action.nargs == 0 or "Boolean" in type(action).__name__ else "value"
        for name in action.option_strings:
            choices = [str(c) for c in action.choices] if action.choices else ()
            yield name, kind, choices


def words_of(line):
    """Split a command as a shell would, its variables filled."""
    line = re.sub(r'"\$\(\(NODE_RANK \* (\d+)\)\)"', r"\1", line)
    for name, value in VARIABLES.items():
        line = line.replace(f"${name}", value)
    return shlex.split(line)


def parsed(line, parsers):
    """Parse a command with the parser of its program; return the program, or nothing."""
    for program in sorted(PROGRAMS, key=len, reverse=True):
        start = shlex.split(program)
        words = words_of(line) if "<<" not in line else []
        if words[: len(start)] != start or program not in parsers:
            continue
        if program == "axolotl train":
            inner = ["torchrun", *words[words.index("--") + 1 :], "x"]
            return [program, *parsed(shlex.join(inner), parsers)]
        found = parsers[program].parse_args(words[len(start) :])
        more = []
        if program == "torchrun":
            inner = shlex.join([found.training_script, *found.training_script_args])
            more = parsed(inner, parsers)
        return [program, *more]
    return []


def main():
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("files", nargs="*", type=Path)
    ask.add_argument("--list", type=Path, help="write what the programs accept")
    ask.add_argument("--source", default="commit d98e8a6", help="version of what is read as source")
    asked = ask.parse_args()
    parsers = {}
    for program, (make, _) in PROGRAMS.items():
        try:
            parsers[program] = make()
        except Exception as error:
            print(f"{program}: not here ({type(error).__name__}: {error})", file=sys.stderr)
    if asked.list:
        write_list(asked.list, parsers, asked.source)
    counts, wrong = {}, []
    for path in asked.files:
        for run in json.loads(path.read_text("utf-8"))["run"]:
            for one in run["commands"]:
                line = one["command"]
                try:
                    if line.startswith("cat > train.yaml"):
                        import yaml

                        text = line.split("\n", 1)[1].rsplit("\n", 1)[0]
                        parsers["axolotl train"].check(yaml.safe_load(text))
                        found = ["axolotl file"]
                    else:
                        found = parsed(line, parsers)
                except (SystemExit, Exception) as error:
                    wrong.append(f"{path}: {error}: {line}")
                    continue
                for program in found:
                    counts[program] = counts.get(program, 0) + 1
    for program, count in sorted(counts.items()):
        print(f"{program}: {count} parsed")
    print("\n".join(wrong))
    return int(bool(wrong))


def write_list(path, parsers, source):
    """Write the list; rows of programs that are not here stay as they are."""
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [r for r in csv.DictReader(file) if r["program"] not in parsers]
    for program, parser in parsers.items():
        package = PROGRAMS[program][1]
        version = importlib.metadata.version(package) if package else source
        for name, kind, choices in accepted(parser):
            told = "|".join(map(str, choices))
            told = told if len(told) < 2000 else ""
            row = (program, version, name, kind, told)
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    rows.sort(key=lambda r: (r["program"], r["argument"]))
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
