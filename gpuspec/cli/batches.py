"""Commands for many questions at once: their answers, and what changed in them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.base.units import MIB
from gpuspec.cli.common import echo, echo_json, in_language, main, print_table, stop
from gpuspec.cli.options import json_option, quiet_option, use_calibration, workers_option
from gpuspec.constants.learnt import VARIABLE, opened
from gpuspec.views.columns import headings
from gpuspec.views.language import say

if TYPE_CHECKING:
    from gpuspec.batch.run import Told


@main.command(dated=True)
@click.argument("scenarios", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT", help="Folder or address to write to.")
@click.option(
    "--reports",
    "as_reports",
    is_flag=True,
    help="Write a PDF of each decision too, in the language of --lang.",
)
@workers_option("Processes at a time; one a core unless given.")
@click.option("--scheduler", default="", metavar="ADDRESS", help="Scheduler of Dask, tcp://...")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds for an answer.")
@click.option("--memory", default=0, metavar="MIB", help="MiB for an answer.")
@quiet_option
@json_option
def batch(
    scenarios: tuple[str, ...],
    output: str,
    as_reports: bool,
    workers: int,
    scheduler: str,
    timeout: float,
    memory: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Decide many SCENARIOS: YAML files, folders of them, CSV tables with a question a row.

    \b
    gpuspec batch questions/ -o answers
    gpuspec batch customers.csv -o answers --reports --workers 8
    gpuspec batch s3://bucket/questions -o s3://bucket/answers --scheduler tcp://10.0.0.1:8786

    The columns of a table are the options of gpuspec plan, and name. A second run answers what
    lacks an answer or rests on older data: docs/scale.md.
    """
    from gpuspec.batch.run import Batch, run
    from gpuspec.views.language import spoken

    if not 0 < timeout <= 1e6:
        raise InputError("timeout", timeout, "give seconds above 0")
    if memory < 0:
        raise InputError("memory", memory, "give MiB, or 0 for what a worker may take")
    day, told = run_date(), _Line(quiet)
    wanted = Batch(
        scenarios, output, as_reports, spoken(), day, workers, scheduler, timeout, memory * MIB
    )
    with _stopping(told):
        ran = run(wanted, told.tell)
    told.end()
    if as_json:
        failed = [{"name": name, "problem": problem} for name, problem in ran.failed]
        echo_json({"answers": ran.rows, "made": ran.fresh, "kept": ran.kept, "failed": failed})
    elif not quiet:
        good = len(ran.rows) - len(ran.failed)
        echo(
            say(
                "{good:,} of {all:,} answered ({made:,} made, {kept:,} kept)",
                good=good,
                all=len(ran.rows),
                made=ran.fresh,
                kept=ran.kept,
            )
        )
    _end(ran.failed)


def _end(failed: list[tuple[str, str]]) -> None:
    """Name what failed, and end with the exit code of that."""
    for name, problem in failed:
        click.echo(f"gpuspec: {_plain(name)}: {in_language(problem)}", err=True)
    if failed:
        sys.exit(1)


def _plain(text: str) -> str:
    from gpuspec.views.markdown import printable

    return printable(text)


class _Line:
    """Says on stderr how far the work is: a line that rewrites itself, or one a twentieth."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.live = quiet, sys.stderr.isatty()
        self.last: Told | None = None

    def tell(self, told: "Told") -> None:
        """Print it."""
        before, self.last = self.last, told
        step = max(told.total // 20, 1)
        due = before is None or told.done == told.total or told.done // step > before.done // step
        if self.quiet or not (self.live or due):
            return
        said = say("{done:,} of {all:,} answers", done=told.done, all=told.total)
        if told.failed:
            said += say(", {count:,} failed", count=told.failed)
        if told.left_s is not None and told.done < told.total:
            said += say(", {time} left", time=_time(told.left_s))
        click.echo(f"\r\x1b[K{said}" if self.live else said, nl=not self.live, err=True)

    def end(self) -> None:
        """Close a line that rewrites itself."""
        if self.live and self.last and not self.quiet:
            click.echo(err=True)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _stopping(line: _Line) -> Iterator[None]:
    """End with a sentence on Ctrl-C, on SIGTERM, and where the scheduler goes away."""

    def ended(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before: Callable[..., object] | int | None = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    except KeyboardInterrupt:
        line.end()
        stop(say("stopped; {rest}", rest=_finished(line)), 130)
    except ConnectionError as error:
        line.end()
        stop(say("{error}; {rest}", error=str(error), rest=_finished(line)), 1)
    finally:
        signal.signal(signal.SIGTERM, before)


def _finished(line: _Line) -> str:
    done = line.last.done - line.last.failed if line.last else 0
    return say(
        "{count:,} answers were finished and stay; the same command goes on from there", count=done
    )


@main.command(dated=True)
@click.argument("out")
@workers_option("Processes at a time; one a core unless given.")
@click.option("--scheduler", default="", metavar="ADDRESS", help="Scheduler of Dask, tcp://...")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds for an answer.")
@json_option
def watch(out: str, workers: int, scheduler: str, timeout: float, as_json: bool) -> None:
    """Answer the questions of OUT again where it is stale, and say whose answer changed, and why.

    \b
    gpuspec watch answers
    It compares with the run before that had other answers; OUT/changes.csv keeps the table.
    The calibration is that of the last run, unless --calibration or the environment names one.
    """
    from gpuspec.batch.watch import last_batch, last_calibration
    from gpuspec.batch.watch import watch as watched

    if not 0 < timeout <= 1e6:
        raise InputError("timeout", timeout, "give seconds above 0")
    if VARIABLE not in os.environ and (folder := last_calibration(out)):
        opened(folder)
        use_calibration(click.get_current_context(), folder)
    how = {"day": run_date(), "workers": workers, "scheduler": scheduler}
    wanted, line = last_batch(out, **how, timeout_s=timeout), _Line(as_json)
    with _stopping(line):
        found = watched(wanted, line.tell)
    line.end()
    if as_json:
        echo_json({"compared": found.compared, "flips": [f._asdict() for f in found.flips]})
    else:
        flipped = len(found.flips)
        echo(say("{count:,} of {all:,} answers flipped", count=flipped, all=found.compared))
        rows = [[_plain(f.name), f.before, f.after, f.why] for f in found.flips]
        if rows:
            echo()
            print_table(headings("name", "before", "after", "because"), rows, kept=(0,))
    _end(found.ran.failed)
