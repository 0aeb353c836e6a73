"""Commands whose options are the fields of a question's record."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.cli.common import Command, main, tell_doubts
from gpuspec.cli.names import completed, names_of
from gpuspec.cli.options import day_given, pairs, param_option
from gpuspec.questions import record_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gpuspec.base.ask import Ask, Asked

    Instead = Callable[[Any, Mapping[str, object]], bool]
    """Says of a record and the values that are given whether they stand for the first argument."""


APART = ("language", "today")
"""Fields for which every command has one option, or every command whose answer has a day."""
SETS = "Set a field by name, or a value of a scenario by its path."


def _complete(field: "Asked", text: str) -> "list[CompletionItem]":
    """Return the names that a field takes and that begin as a text does."""
    return completed(field.choices or names_of(field.table), text)


class _Option(click.Option):
    """The option of a field; blank where it is not given, so that the record's default holds."""

    def __init__(self, field: "Asked", name: str) -> None:
        told = field.help + (f" [{field.unit}]" if field.unit else "")
        told += f" (default: {field.shown})" if field.shown else ""
        hidden = name != field.name
        names = ["--" + name.replace("_", "-"), f"{field.name}_as_{name}"]
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"}
        alone = alone if field.default is False else {}
        alone["shell_complete"] = lambda _, __, text: _complete(field, text)
        super().__init__(names, help=told, hidden=hidden, metavar=_metavar(field), **alone)
        self.field = field.name


def _metavar(field: "Asked") -> str:
    if field.choices:
        return "|".join(field.choices)
    return "LIST" if field.many else "NUMBER" if field.range else "TEXT"


class Asking(Command):
    """A command with an option for each field; it is called with the question they state."""

    def __init__(
        self,
        *args: Any,
        record: str,
        first: str,
        needed: bool,
        instead: "Instead | None",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.record, self.first, self.instead = record, first, instead
        argument = click.Argument([first], required=needed, shell_complete=self._first_names)
        own = click.Command(None, callback=None)
        param_option(SETS)(own)
        self.params = [argument, *own.params, *self.params]

    def _first_names(
        self, _: click.Context, __: click.Parameter, text: str
    ) -> "list[CompletionItem]":
        from gpuspec.base.ask import asked

        found = {field.name: field for field in asked(record_of(self.record))}
        return _complete(found[self.first], text)

    @cached_property
    def options(self) -> list[_Option]:
        """The options of the fields, and hidden ones for their earlier names."""
        from gpuspec.base.ask import asked

        apart = (self.first, *APART)
        fields = [field for field in asked(record_of(self.record)) if field.name not in apart]
        return [_Option(field, name) for field in fields for name in field.options]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, the record's among them."""
        own = super().get_params(ctx)
        return [*own[:1], *self.options, *own[1:]]

    def invoke(self, ctx: click.Context) -> object:
        """Ask the question that was given, by name."""
        names = {self.first: self.first, **{str(o.name): o.field for o in self.options}}
        values = [(name, ctx.params.pop(option, None)) for option, name in names.items()]
        given = {name: value for name, value in values if value is not None}
        record = record_of(self.record)
        changes = pairs(ctx.params.pop("params"))
        if self.first == "scenario":
            ctx.params["changes"] = self._by_path(changes)
        else:
            given |= self._by_name(record, changes, given)
        if self.instead and self.first not in given and self.instead(record, given):
            given[self.first] = None
        question = record.of(given)
        ctx.params["question"] = question
        answered = super().invoke(ctx)
        known = (question, getattr(question, "network", None))
        tell_doubts(*dict.fromkeys(getattr(of, "doubts", "") for of in known))
        return answered

    def _by_path(self, changes: Mapping[str, str]) -> dict[str, object]:
        """Return values of a scenario by their path; the day of the run outranks the file's."""
        from gpuspec.decision.scenario import parsed

        day = day_given()
        dated: dict[str, object] = {"today": day.isoformat()} if day else {}
        return dated | {path: parsed(value) for path, value in changes.items()}

    def _by_name(
        self, record: "type[Ask]", changes: Mapping[str, str], given: Mapping[str, object]
    ) -> Mapping[str, str]:
        """Return fields by their name, none of which an option gives as well."""
        from gpuspec.base.ask import known_names

        for name in changes:
            if name not in known_names(record):
                raise UnknownNameError("--param", name, record.model_fields)
            if name in given:
                raise InputError("--param", name, f"{name} was given before; give it once")
        return changes


def asking(
    record: str, first: str, needed: bool = False, instead: "Instead | None" = None, **kwargs: Any
) -> Callable[[Callable[..., None]], click.Command]:
    """Return what makes a command of a function that takes the question.

    Where `instead` says that other values stand for the argument `first`, it is blank, no default.
    """
    made: dict[str, Any] = {"record": record, "first": first, "needed": needed, "instead": instead}
    return main.command(cls=Asking, **made, **kwargs)
