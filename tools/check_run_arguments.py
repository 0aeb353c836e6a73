"""Hold the commands that ``--run`` prints against the parsers of the programs themselves.

    gpuspec estimate Llama-3.1-70B --gpus H200 --engine vllm --run --json > a.json
    python tools/check_run_arguments.py a.json ...
    python tools/check_run_arguments.py --list tests/run_arguments.csv

Runs in an environment in which the programs are installed, without gpuspec: vLLM, SGLang,
PyTorch, torchtitan and axolotl as packages, Megatron-LM as a folder of its source in PYTHONPATH.
None needs a GPU to parse. A program that is not there is said, and its commands are left out.
``--list`` writes
what they accept: the list that the tests compare with.
"""

import argparse
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


PROGRAMS = {
    "vllm serve": (vllm_serve, "vllm"),
    "vllm bench serve": (vllm_bench, "vllm"),
    "python -m sglang.launch_server": (sglang_serve, "sglang"),
    "python -m sglang.benchmark.serving": (sglang_bench, "sglang"),
    "torchrun": (torchrun, "torch"),
    "pretrain_gpt.py": (megatron, ""),
    "torchtitan.train": (Titan, "torchtitan"),
    "axolotl train": (Axolotl, "axolotl"),
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
    asked = ask.parse_args()
    parsers = {}
    for program, (make, _) in PROGRAMS.items():
        try:
            parsers[program] = make()
        except Exception as error:
            print(f"{program}: not here ({type(error).__name__}: {error})", file=sys.stderr)
    if asked.list:
        write_list(asked.list, parsers)
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


def write_list(path, parsers):
    """Write the list; rows of programs that are not here stay as they are."""
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [r for r in csv.DictReader(file) if r["program"] not in parsers]
    for program, parser in parsers.items():
        package = PROGRAMS[program][1]
        version = importlib.metadata.version(package) if package else "commit d98e8a6"
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
