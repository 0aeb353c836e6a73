"""Help in the language that is spoken: click's words, ours, and lines as Chinese breaks them."""

import re
from collections.abc import Iterable
from inspect import cleandoc

import click

from gpuspec.base.aligned import columns_of
from gpuspec.views.language import say, spoken
from gpuspec.views.punctuation import punctuated, wrapped

_DEFAULT = re.compile(
    r"(?P<text>.*?)(?P<unit> \[[^][]*\])?(?:\s+[(\[]default: (?P<value>.*)[)\]])?"
    r"(?P<required>\s+\[required\])?",
    re.S,
)
"""Help of an option: what it says, its unit, its default."""
_NUMBERED = re.compile(r"(\s*\d+\s+)(.*)")
_WIDEST = 30
_CODE = ("gpuspec ", "printf ", "export ")
"""How lines of examples begin."""


def paragraphs(text: str) -> list[str]:
    r"""Return the paragraphs of a help text; those that begin with ``\b`` are kept line by line."""
    return [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text.strip("\n"))]


def prose(paragraph: str) -> str:
    """Return a paragraph on one line."""
    return " ".join(paragraph.split())


def told(text: str) -> str:
    """Return the help of an option, with its unit and default, in the language that is spoken."""
    found = _DEFAULT.fullmatch(text)
    if spoken() == "en" or found is None:
        return text
    said = say(prose(found["text"]))
    if unit := found["unit"]:
        said += f" [{say(unit.strip(' []'))}]"
    if value := found["value"]:
        said += say(" (default: {value})", value=_Typed(value))
    if found["required"]:
        said += say(" (must be given)")
    return punctuated(said)


def parts_of(command: click.Command) -> list[str]:
    """Return the texts of a command's help as they are looked up in a catalogue."""
    found = []
    for text in filter(None, (command.help, command.epilog)):
        for paragraph in paragraphs(cleandoc(text)):
            if not paragraph.startswith("\b"):
                found.append(prose(paragraph))
                continue
            lines = [line for line in paragraph.split("\n")[1:] if not _is_example(line)]
            found += [_NUMBERED.sub(r"\2", line) for line in lines]
    for option in command.get_params(click.Context(command)):
        told_of = _DEFAULT.fullmatch(getattr(option, "help", None) or "")
        if told_of and not getattr(option, "hidden", False):
            found += [prose(told_of["text"]), (told_of["unit"] or "").strip(" []")]
    return [text for text in found if text]


def _is_example(line: str) -> bool:
    return line.strip().startswith(_CODE)


def short(text: str) -> str:
    """Return the first sentence of a help text in the language spoken; empty: English."""
    if spoken() == "en":
        return ""
    return punctuated(say(prose(paragraphs(text)[0]))).split("。")[0]


class Formatter(click.HelpFormatter):
    """Writes click's headings and our texts in the language that is spoken."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line of usage."""
        words = " ".join(say(word) for word in args.split(" "))
        super().write_usage(prog, words, prefix or say("Usage: "))

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        self.write(f"{'':>{self.current_indent}}{say(f'{heading}:')}\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        if spoken() == "en":
            super().write_text(text)
            return
        indent = " " * self.current_indent
        blocks = []
        for paragraph in paragraphs(text):
            if paragraph.lstrip().startswith("\b"):
                lines = paragraph.lstrip().removeprefix("\b").strip("\n").split("\n")
                blocks.append("\n".join(indent + _line(line) for line in lines))
            else:
                said = wrapped(punctuated(say(prose(paragraph))), self.width - len(indent))
                blocks.append("\n".join(indent + line for line in said.split("\n")))
        self.write("\n\n".join(blocks) + "\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write names and what they mean."""
        if spoken() == "en":
            super().write_dl(rows, col_max, col_spacing)
            return
        rows = list(rows)
        widest = min(max(columns_of(name) for name, _ in rows), col_max)
        indent, first = " " * self.current_indent, widest + col_spacing
        for name, text in rows:
            lines = wrapped(told(text), max(self.width - len(indent) - first, 20)).split("\n")
            if columns_of(name) > widest:
                self.write(f"{indent}{name}\n")
                name = ""
            gap = " " * (first - columns_of(name))
            self.write(f"{indent}{name}{gap}{lines[0]}".rstrip() + "\n")
            self.write("".join(f"{indent}{' ' * first}{line}\n" for line in lines[1:]))


class Told(click.Context):
    """A context whose help speaks the language that is spoken."""

    formatter_class = Formatter


def _line(line: str) -> str:
    """Return a line of a block that is kept: an exit code, a heading, an example."""
    if _is_example(line):
        return line
    found = _NUMBERED.fullmatch(line)
    return punctuated(found[1] + say(found[2]) if found else say(line))


class _Typed(str):
    """A default as it is typed: it has no translation."""
