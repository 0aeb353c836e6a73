"""Options that commands share, each under one name: ``--lang``, ``--date``, ``--json``, ``-p``."""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import click

from gpuspec.base.errors import InputError
from gpuspec.cli.names import completes
from gpuspec.constants.learnt import VARIABLE

DEBUG = "gpuspec.debug"
_DAY = "gpuspec.day"
_SPOKEN = ("--lang", "--language")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
run_option = click.option(
    "--run", "as_run", is_flag=True, help="Print the commands that run it; with --json beside it."
)
quiet_option = click.option("--quiet", is_flag=True, help="Print errors only.")
add_option = click.option("--add", is_flag=True, help="Add the rows to a table that exists.")


def workers_option(told: str) -> Callable[[Any], Any]:
    """Return the option for how many processes work at a time."""
    return click.option("-w", "--workers", default=0, help=told)


def param_option(told: str) -> Callable[[Any], Any]:
    """Return the option that sets values by name."""
    return click.option("-p", "--param", "params", multiple=True, metavar="K=V", help=told)


def pairs(params: Iterable[str], option: str = "--param") -> dict[str, str]:
    """Split ``name=value`` texts; a name may come once."""
    found: dict[str, str] = {}
    for text in params:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(option, text, "write it as name=value")
        if name in found:
            raise InputError(option, text, f"{name} was given before; give it once")
        found[name] = value
    return found


def day_given() -> date | None:
    """Return the day that ``--date`` names; None where it is left out."""
    found: date | None = click.get_current_context().meta.get(_DAY)
    return found


def of_group() -> list[click.Parameter]:
    """Return the options of a group: they stand before the command or after it."""
    return [*_lang_options(), _debug_option()]


def of_command(dated: bool) -> list[click.Parameter]:
    """Return the options of a command; with the day of the run where it depends on one."""
    return [*_lang_options(), *(_date_options() if dated else ()), _calibration(), _debug_option()]


def language_in(args: Sequence[str]) -> str | None:
    """Return the language that arguments ask for, before they are parsed."""
    from gpuspec.views.language import languages

    found = None
    for place, text in enumerate(args):
        name, equals, value = text.partition("=")
        if name == "--":
            break
        if name in _SPOKEN:
            said = value if equals else (list(args[place + 1 :]) or [""])[0]
            found = said.strip().lower()
    return found if found in languages() else None


def _lang_options() -> list[click.Parameter]:
    told = "Language of the answer; else that of the environment, as LANG says."
    return _earlier(
        _SPOKEN, "lang", _speak, metavar="en|zh", help=told, shell_complete=completes("languages")
    )


def _date_options() -> list[click.Parameter]:
    told = "Day of the run; else that of SOURCE_DATE_EPOCH, else today."
    return _earlier(("--date", "--today"), "date", _on_the_day, metavar="YYYY-MM-DD", help=told)


def _earlier(
    names: tuple[str, str], variable: str, callback: Any, **told: Any
) -> list[click.Parameter]:
    """Return an option, and a hidden one of its earlier name."""
    return [
        click.Option(
            [name, f"{variable}_{place}"],
            is_eager=True,
            expose_value=False,
            callback=callback,
            hidden=bool(place),
            **told,
        )
        for place, name in enumerate(names)
    ]


def _speak(_: click.Context, __: click.Parameter, value: str | None) -> None:
    from gpuspec.views.language import speak

    if value is not None:
        speak(value.strip().lower())


def _on_the_day(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Let this command, and the processes that it starts, take a day for that of the run."""
    if value is None:
        return
    try:
        midnight = datetime.strptime(value.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError("--date", value, "write it as 2026-11-24") from error
    ctx.meta[_DAY] = midnight.date()
    _set(ctx, "SOURCE_DATE_EPOCH", f"{midnight.timestamp():.0f}")


def _calibration() -> click.Option:
    def use(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            use_calibration(ctx, value)

    return click.Option(
        ["--calibration"],
        metavar="DIR",
        is_eager=True,
        expose_value=False,
        callback=use,
        help=f"Use what gpuspec learn made of your measurements; else {VARIABLE}.",
    )


def use_calibration(ctx: click.Context, folder: str) -> None:
    """Let a command, and the processes that it starts, use what was learnt."""
    _set(ctx, VARIABLE, os.path.abspath(folder))


def _set(ctx: click.Context, variable: str, value: str) -> None:
    """Set a variable of the environment until the command ends."""
    before = os.environ.get(variable)

    def restore() -> None:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before

    ctx.find_root().call_on_close(restore)
    os.environ[variable] = value


def _keep_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value or ctx.meta.get(DEBUG, False)


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_keep_debug,
        help="Show the traceback of a failure.",
    )
