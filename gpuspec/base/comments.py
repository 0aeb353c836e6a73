"""Comments of a YAML text, carried over into another text that holds the same keys."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Place = tuple[str | int, ...]
_NOWHERE: Place = ()
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line in YAML."""
_BEGINS = re.compile(r"(?:^|(?<=\s))#")


def with_comments(text: str, source: str, ours: tuple[str, ...] = ()) -> str:
    """Return a text of YAML with the comments of another, each at the key that it stood at.

    A comment on lines of its own goes before the key that it stood before, one behind a value
    behind that value; where the key is gone, before the nearest one around it. Comments that begin
    as `ours` do are written by us, and left out.

    >>> print(with_comments("b: 1\\na: 2\\n", "# why\\na: 1  # old\\nb: 1\\n"), end="")
    b: 1
    # why
    a: 2  # old
    """
    before, behind = _read(source, ours)
    lines, at = _BREAK.split(text), {place: line for line, place in _lines(text).items()}
    breaks = [*_BREAK.findall(text), ""]
    open_ = {first for (first, _), (last, _) in _spans(text) if last > first}
    above: dict[int, list[str]] = {}
    for place, said in before.items():
        above.setdefault(_home(place, at), []).extend(said)
    for place, comment in behind.items():
        if place in at and "#" not in lines[at[place]] and at[place] not in open_:
            lines[at[place]] += f"  {comment}"
        else:
            above.setdefault(_home(place, at), []).append(comment)
    out = ""
    for i, line in enumerate(lines):
        indent = line[: len(line) - len(line.lstrip(" "))]
        out += "".join(f"{indent}{comment}\n" for comment in above.get(i, ()))
        out += line + breaks[i]
    return out + "".join(f"{comment}\n" for comment in above.get(-1, ()))


def _home(place: Place, at: dict[Place, int]) -> int:
    """Return the line of a place, or of the nearest one around it; -1 for the end."""
    while place and place not in at:
        place = place[:-1]
    return at.get(place, -1)


def _read(text: str, ours: tuple[str, ...]) -> tuple[dict[Place, list[str]], dict[Place, str]]:
    """Return comments before places, and behind their values."""
    places, lines = _lines(text), _BREAK.split(text)
    before: dict[Place, list[str]] = {}
    behind: dict[Place, str] = {}
    for i, comment in _comments(text):
        if comment.startswith(ours):
            continue
        if i in places and lines[i].strip() != comment:
            behind[places[i]] = comment
        else:
            following = next((places[n] for n in sorted(places) if n > i), ())
            before.setdefault(following, []).append(comment)
    return before, behind


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment; a mark inside of a value is none."""
    inside: dict[int, list[tuple[int, int]]] = {}
    for (first, begin), (last, end) in _spans(text):
        for line in range(first, last + 1):
            ends = begin if line == first else 0, end if line == last else len(text)
            inside.setdefault(line, []).append(ends)
    for i, words in enumerate(_BREAK.split(text)):
        for mark in _BEGINS.finditer(words):
            if not any(a <= mark.start() < b for a, b in inside.get(i, ())):
                yield i, words[mark.start() :].rstrip()
                break


def _spans(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield line and column of the begin and of the end of each value."""
    import yaml

    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent):
            begin, end = event.start_mark, event.end_mark
            yield (begin.line, begin.column), (end.line, end.column)


@dataclass
class _Open:
    """A collection that is being read."""

    place: Place
    many: bool
    number: int = 0
    key: str | None = None


def _lines(text: str) -> dict[int, Place]:
    """Return the outermost place that begins in each line."""
    import yaml

    found: dict[int, Place] = {}
    stack: list[_Open] = []
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        top, place = stack[-1] if stack else None, _NOWHERE
        if top and top.many:
            place, top.number = (*top.place, top.number), top.number + 1
            found.setdefault(event.start_mark.line, place)
        elif top and top.key is None:
            top.key = str(getattr(event, "value", ""))
            found.setdefault(event.start_mark.line, (*top.place, top.key))
            continue
        elif top and top.key is not None:
            place, top.key = (*top.place, top.key), None
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append(_Open(place, isinstance(event, yaml.SequenceStartEvent)))
    return found
