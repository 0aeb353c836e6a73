"""Commands whose options are the fields of a question's record."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from gpuspec.cli.common import Command, main, tell_doubts
from gpuspec.questions import record_of

if TYPE_CHECKING:
    from gpuspec.base.ask import Asked

    Instead = Callable[[Any, Mapping[str, object]], bool]
    """Says of a record and the values that are given whether they stand for the first argument."""


class _Option(click.Option):
    """The option of a field; blank where it is not given, so that the record's default holds."""

    def __init__(self, field: "Asked", name: str) -> None:
        told = field.help + (f" [{field.unit}]" if field.unit else "")
        told += f" (default: {field.shown})" if field.shown else ""
        hidden = name != field.name
        names = ["--" + name.replace("_", "-"), f"{field.name}_as_{name}"]
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"}
        alone = alone if field.default is False else {}
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
        self.params.insert(0, click.Argument([first], required=needed))

    @cached_property
    def options(self) -> list[_Option]:
        """The options of the fields, and hidden ones for their earlier names."""
        from gpuspec.base.ask import asked

        apart = (self.first, "language")  # every command has an option for the language
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
        if self.instead and self.first not in given and self.instead(record, given):
            given[self.first] = None
        question = record.of(given)
        ctx.params["question"] = question
        answered = super().invoke(ctx)
        known = (question, getattr(question, "network", None))
        tell_doubts(*dict.fromkeys(getattr(of, "doubts", "") for of in known))
        return answered


def asking(
    record: str, first: str, needed: bool = False, instead: "Instead | None" = None, **kwargs: Any
) -> Callable[[Callable[..., None]], click.Command]:
    """Return what makes a command of a function that takes the question.

    Where `instead` says that other values stand for the argument `first`, it is blank, no default.
    """
    made: dict[str, Any] = {"record": record, "first": first, "needed": needed, "instead": instead}
    return main.command(cls=Asking, **made, **kwargs)
