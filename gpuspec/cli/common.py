"""What all commands share: one sentence for each error, exit codes, sentences and tables."""

import io
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gpuspec import __version__
from gpuspec.base.aligned import aligned, columns_of
from gpuspec.base.damage import DAMAGE, damage
from gpuspec.base.errors import InputError, brief, close_matches
from gpuspec.cli.help import Told, short
from gpuspec.cli.options import DEBUG, language_in, of_command, of_group
from gpuspec.constants.learnt import VARIABLE, counted_use, forget_use, opened, used_rows

if TYPE_CHECKING:
    import pandas as pd

    from gpuspec.topics.commands import Run

EXIT_CODES = """\b
Exit codes:
  0  done
  1  a notebook, the typesetting, or a question of a batch failed
  2  an input cannot be used; the message says which and what is valid
  3  nothing does what was asked within its limits; the answer says what must give
"""
UNANSWERED = 3
"""Exit code of a question that has no answer within its limits."""

_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d*%?")
DATA = ("quotes",)
"""Commands whose output is a table for another program: sentences go to stderr."""


class Command(click.Command):
    """A command with the options that all have, and exit codes below its help.

    `dated` says whether its answer depends on the day of the run.
    """

    context_class = Told

    def __init__(self, *args: Any, dated: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"epilog": EXIT_CODES, **kwargs})
        self.params += of_command(dated)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help, in the language that is spoken."""
        return short(self.help or "") or super().get_short_help_str(limit)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; then say how many own measurements stand behind what it printed."""
        forget_use()
        if folder := os.environ.get(VARIABLE):
            opened(folder)  # one that cannot be used is refused before the work is done
        answered = super().invoke(ctx)
        if said := calibrated():
            as_data = any(ctx.params.get(name) for name in ("as_json", "as_run", "as_csv"))
            if not ctx.params.get("as_json"):
                click.echo(f"{'' if as_data else chr(10)}{said}", err=as_data or self.name in DATA)
        return answered


def calibrated() -> str:
    """Say how many own measurements stand behind what was computed; empty where none does."""
    count = used_rows()
    if not count:
        return ""
    from gpuspec.views.language import say

    if count == 1:
        return say("Calibrated with one measurement of yours.")
    return say("Calibrated with {count} measurements of yours.", count=count)


class _Commands(click.Group):
    """A group whose errors are one sentence, and which suggests the command that was meant."""

    command_class = Command
    group_class = type
    context_class = Told

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"epilog": EXIT_CODES, **kwargs})
        self.params += of_group()

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help, in the language that is spoken."""
        return short(self.help or "") or super().get_short_help_str(limit)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, in the language that they ask for."""
        from gpuspec.views.language import speak

        if ctx.parent is None:
            speak(language_in(args))
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            close = ", ".join(close_matches(args[0], self.commands))
            hint = f"did you mean {close}?" if close else f"try {', '.join(self.commands)}"
            stop(f"command: {brief(args[0])} is unknown; {hint}", 2)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn what goes wrong inside into one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            _drop_stdout()  # its reader, such as `head`, has seen enough
            ctx.exit(0)
        except Exception as error:
            _fail(error, ctx.meta.get(DEBUG, False))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command, and end with its exit code."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.UsageError as error:
            said = " ".join(error.format_message().rstrip(".").split())
            usage = f"; see {error.ctx.command_path} --help" if error.ctx else ""
            stop((said if len(said) < 500 else said[:497] + "...") + usage, 2)
        except click.Abort:
            stop("stopped; nothing was written", 130)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gpuspec")
def main() -> None:
    """Decide between NVIDIA A100, H100 and H200 with numbers that show their source and error."""


def _fail(error: Exception, debug: bool) -> NoReturn:
    if debug:
        inside = getattr(error, "trace", "")
        click.echo(inside or "".join(traceback.format_exception(error)), err=True)
    if isinstance(error, InputError) or getattr(error, "bad_input", False):
        stop(str(error), 2)
    if isinstance(error, DAMAGE):
        stop(damage(error), 1)
    hint = "" if debug else " (--debug shows the traceback)"
    stop((" ".join(str(error).split()) or type(error).__name__) + hint, 1)


def stop(message: str, code: int) -> NoReturn:
    """End with one sentence on stderr."""
    click.echo(f"gpuspec: {in_language(message)}", err=True)
    sys.exit(code)


def in_language(text: str) -> str:
    """Return a text in the language that is spoken, line by line."""
    from gpuspec.views.language import say, spoken
    from gpuspec.views.punctuation import punctuated

    if spoken() == "en":
        return text
    return "\n".join(punctuated(say(line)) for line in text.split("\n"))


def shown(text: str) -> str:
    """Return a text as pages tell it, line by line: GPUs by name, days by the language."""
    from gpuspec.views.words import told

    return "\n".join(told(line) for line in text.split("\n"))


def tell(text: str = "") -> None:
    """Print sentences as pages tell them, in the language that is spoken."""
    echo(shown(text))


def echo(text: object = "") -> None:
    """Print a line, or bytes; where stdout takes none, that is a failure with a sentence."""
    if sys.stdout is None:
        raise RuntimeError("stdout is closed; nothing could be printed")
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_stdout()
        raise RuntimeError(f"stdout cannot be written: {error.strerror}") from error


def tell_doubts(*doubts: str) -> None:
    """Say on stderr what is not surely understood of what was asked."""
    for sentence in filter(None, doubts):
        click.echo("gpuspec: " + in_language(f"note: {sentence}"), err=True)


def echo_json(answer: Mapping[str, object]) -> None:
    """Print an answer for programs."""
    from gpuspec.base.json import answer_json

    echo(answer_json({**answer, **counted_use()}))


def echo_runs(runs: "Sequence[Run]") -> None:
    """Print how works are run, ready for a shell."""
    echo("\n\n\n".join(run.text for run in runs))


def _drop_stdout() -> None:
    """Let what is left to flush go nowhere, or Python itself complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(
    headers: list[str], rows: Sequence[Sequence[object]], kept: Sequence[int] = ()
) -> None:
    """Print aligned columns; the last wraps at the width of a terminal, and runs on in a pipe.

    Columns `kept` hold what is typed, which has no translation.
    """
    from gpuspec.views.columns import heading_in
    from gpuspec.views.language import say

    texts = [["" if value is None else str(value) for value in row] for row in rows]
    columns = list(zip(*texts, strict=True))
    sides = ["right" if all(map(_NUMBER.fullmatch, column)) else "left" for column in columns]
    texts = [
        [text if place in kept else shown(text) for place, text in enumerate(row)] for row in texts
    ]
    columns = list(zip(*texts, strict=True))
    if sys.stdout is not None and sys.stdout.isatty() and rows:
        import shutil
        import textwrap

        taken = sum(max(map(columns_of, column)) + 2 for column in columns[:-1])
        room = max(shutil.get_terminal_size().columns - taken, 24)
        for row in texts:
            wide = columns_of(row[-1]) > len(row[-1])
            row[-1] = "\n".join(textwrap.wrap(row[-1], room // 2 if wide else room))
    echo(aligned([in_language(heading_in(head, say)) for head in headers], texts, sides))


def cells(frame: "pd.DataFrame") -> list[list[object]]:
    """Write whole numbers without ".0", and nothing where nothing is known."""
    import pandas as pd

    def written(value: Any) -> object:
        if pd.isna(value):
            return ""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return [[written(value) for value in row] for row in frame.itertuples(index=False)]
