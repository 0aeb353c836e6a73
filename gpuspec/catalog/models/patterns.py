"""Which modules of a network a name, glob or regular expression of someone else's file means.

Patterns are untrusted: no regular expression of theirs is run. A subset is followed over sets of
positions, which takes no more steps than a budget allows, whatever the pattern is.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from gpuspec.base.errors import InputError

MOST_PATTERN = 500
"""Characters of a pattern."""
MOST_PATTERNS = 1000
"""Patterns that name no layer."""
MOST_STEPS = 2_000_000
"""Steps that all patterns of a file may take together."""
_GLOB_STEPS = 30
"""What a comparison with a glob counts: it takes as long as so many steps."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d{1,5})(?:\.|\*?$)")
_EXPERT = re.compile(r"experts\.\d+")
_OUTSIDE = re.compile(r"vis(ion|ual)|vit\b|audio|image|tower|encoder|projector|mtp|nextn|connector")
_SIGNS = re.compile(r"[\\^$|+(]")
PREFIXES = (
    "model.layers", "model.language_model.layers", "language_model.model.layers",
    "transformer.h", "backbone.layers",
)  # fmt: skip
"""How repositories call the list of layers."""


class NotUnderstood(Exception):
    """A pattern that is outside the subset, or too long to follow."""


class TooLong(Exception):
    """Names and patterns of a file that take too many steps to follow."""


class Patterns:
    """The names that one list of a file gives, asked module by module."""

    def __init__(self, names: Iterable[str], steps: list[int]) -> None:
        self.steps = steps
        self.unknown: list[str] = []
        """Names that are not understood."""
        self.everywhere: list[str] = []
        """Patterns without a layer's number."""
        self.ends: dict[int, set[str]] = {}
        """Of a layer, what follows ``layers.N.`` in the names of modules or of what holds them."""
        self._known: dict[tuple[str, str], bool] = {}
        self._alike: dict[tuple[str, ...], bool] = {}
        self._held: dict[tuple[frozenset[str], tuple[str, ...]], bool] = {}
        self._sets: dict[int, frozenset[str]] = {}
        self._compiled: dict[str, _Node] = {}
        self._loose: dict[str, _Node] = {}
        # All experts of a layer are alike, and a file may list each of them.
        for name in dict.fromkeys(_EXPERT.sub("experts.0", name) for name in names):
            self._add(name)
            if len(self.everywhere) > MOST_PATTERNS:
                valid = f"at most {MOST_PATTERNS:,} patterns that name no layer"
                raise InputError(
                    "config.json quantization_config", "patterns of module names", valid
                )

    def _add(self, name: str) -> None:
        if len(name) > MOST_PATTERN:
            self.unknown.append(f"{name[:40]}...")
        elif is_regex(name):
            try:
                self._compiled[name] = _compiled(name.removeprefix("re:"))
            except NotUnderstood:
                self.unknown.append(name)
            else:
                self.everywhere.append(name)
        elif _OUTSIDE.search(name.lower()):
            return
        elif (found := _LAYER.search(name)) is None:
            self.everywhere.append(name)
        else:
            self.ends.setdefault(int(found[1]), set()).add(name[found.end() :])

    def __bool__(self) -> bool:
        return bool(self.everywhere or self.ends)

    def meets(self, layer: int, ends: tuple[str, ...]) -> bool:
        """Whether a module of a layer is meant, by any of its names such as ``mlp.up_proj``."""
        if layer in self.ends and self._meets_ends(self._frozen(layer), ends):
            return True
        plain = self._alike.get(ends)
        if plain is None:
            plain = self._alike[ends] = self._meets_layer(5, ends, numbered=False)
        return plain or self._meets_layer(layer, ends, numbered=True)

    def _frozen(self, layer: int) -> frozenset[str]:
        if layer not in self._sets:
            self._sets[layer] = frozenset(self.ends[layer])
        return self._sets[layer]

    def _meets_ends(self, stated: frozenset[str], ends: tuple[str, ...]) -> bool:
        known = self._held.get((stated, ends))
        if known is None:
            self._spend(len(stated) * len(ends))
            self._spend(_GLOB_STEPS * len(ends) * sum("*" in holder for holder in stated))
            known = any(_within(end, holder) for holder in stated for end in ends)
            self._held[stated, ends] = known
        return known

    def _meets_layer(self, layer: int, ends: tuple[str, ...], numbered: bool) -> bool:
        return any(
            self._meets(pattern, f"{prefix}.{layer}.{end}")
            for pattern in self.everywhere
            if _numbered(pattern) == numbered
            for end in (ends[:1] if _denies(pattern) else ends)
            for prefix in (PREFIXES if is_regex(pattern) else PREFIXES[:1])
            if not numbered or self._may(pattern, f"{prefix}.{'5' * len(str(layer))}.{end}")
        )

    def _may(self, pattern: str, name: str) -> bool:
        """Whether any layer with a number of so many digits may be meant: asked once for all."""
        if pattern not in self._compiled or _denies(pattern):
            return True
        if pattern not in self._loose:
            self._loose[pattern] = _compiled(pattern.removeprefix("re:"), any_digit=True)
        key = (f"any digit {pattern}", name)
        if key not in self._known:
            self._known[key] = bool(self._loose[pattern](name, {0}, self.steps))
            self._spend(1)
        return self._known[key]

    def meets_name(self, *names: str) -> bool:
        """Whether a module outside the layers is meant, such as ``lm_head``."""
        return any(self._meets(pattern, name) for pattern in self.everywhere for name in names)

    def _meets(self, pattern: str, name: str) -> bool:
        known = self._known.get((pattern, name))
        if known is None:
            if pattern in self._compiled:
                known = bool(self._compiled[pattern](name, {0}, self.steps))
            else:
                known = _within(name, pattern)
            self._known[pattern, name] = known
            self._spend(_GLOB_STEPS if "*" in pattern and pattern not in self._compiled else 1)
        return known

    def _spend(self, steps: int) -> None:
        self.steps[0] += steps
        if self.steps[0] > MOST_STEPS:
            raise TooLong(f"names of modules that take over {MOST_STEPS:,} steps to follow")


def is_regex(name: str) -> bool:
    """Whether a name is written as a regular expression."""
    return name.startswith(("re:", ".*")) or _SIGNS.search(name) is not None


def _denies(pattern: str) -> bool:
    """Whether a pattern says what a name is not: then only the usual name is asked."""
    return "(?!" in pattern or "[^" in pattern


def _numbered(pattern: str) -> bool:
    """Whether a pattern may tell layers apart."""
    return any(sign.isdigit() or sign in "?[" for sign in pattern) or "\\d" in pattern


def _within(name: str, stated: str) -> bool:
    """Whether a module is the one stated, or part of it: ``mlp.up_proj`` of ``mlp``."""
    if "*" in stated or "?" in stated or "[" in stated:
        return any(fnmatchcase(name, glob) for glob in (stated, f"{stated}.*", f"*.{stated}"))
    return f".{stated}." in f".{name}." if stated else True


# A node follows a text from some positions to those where it may end.
_Node = Callable[[str, set[int], list[int]], set[int]]
_CLASSES = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
}


def _compiled(pattern: str, any_digit: bool = False) -> _Node:
    """Return what follows a pattern; with `any_digit` a digit in it stands for every digit."""
    reader = _Reader(pattern, any_digit)
    node = reader.either(0)
    if reader.at < len(pattern):
        raise NotUnderstood(pattern)
    return node


class _Reader:
    """Reads literals, ``.``, classes, groups, looks ahead, alternatives and repetitions."""

    def __init__(self, pattern: str, any_digit: bool = False) -> None:
        self.text, self.at, self.any_digit = pattern, 0, any_digit

    def next(self, *signs: str) -> str:
        """Take the first of some texts that comes next; empty where none does."""
        for sign in signs:
            if self.text.startswith(sign, self.at):
                self.at += len(sign)
                return sign
        return ""

    def either(self, depth: int) -> _Node:
        if depth > 8:
            raise NotUnderstood(self.text)
        ways = [self.row(depth)]
        while self.next("|"):
            ways.append(self.row(depth))
        return ways[0] if len(ways) == 1 else _either(ways)

    def row(self, depth: int) -> _Node:
        nodes: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            nodes.append(self.repeated(self.one(depth)))
        return _row(nodes)

    def repeated(self, node: _Node) -> _Node:
        sign = self.next("*", "+", "?")
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign, (1, 1))
        bounds = re.compile(r"\{(\d{1,2})(,?)(\d{0,2})\}").match(self.text, self.at)
        if not sign and bounds:
            self.at, least = bounds.end(), int(bounds[1])
            most = int(bounds[3] or bounds[1]) if bounds[3] or not bounds[2] else None
        self.next("?")  # shortest or longest: the same set of ends
        if self.text[self.at : self.at + 1] in ("*", "+", "{") and self.at < len(self.text):
            raise NotUnderstood(self.text)
        return node if (least, most) == (1, 1) else _repeated(node, least, most)

    def one(self, depth: int) -> _Node:
        if opened := self.next("(?:", "(?=", "(?!", "("):
            if opened == "(" and self.text.startswith("?", self.at):
                raise NotUnderstood(self.text)
            node = self.either(depth + 1)
            if not self.next(")"):
                raise NotUnderstood(self.text)
            return _ahead(node, opened == "(?=") if opened in ("(?=", "(?!") else node
        if self.next("^"):
            return lambda text, starts, steps: starts & {0}
        if self.next("$"):
            return lambda text, starts, steps: starts & {len(text)}
        if self.next("."):
            return _any
        if self.next("["):
            return self.signs()
        if self.next("\\"):
            return self.sign(self.escaped())
        sign = self.text[self.at]
        if sign in "*+?{":
            raise NotUnderstood(self.text)
        self.at += 1
        return self.sign(sign)

    def sign(self, signs: str, others: bool = False) -> _Node:
        if self.any_digit and not others and any(sign.isdigit() for sign in signs):
            signs += _CLASSES["d"]
        return _sign(signs, others)

    def escaped(self) -> str:
        sign = self.text[self.at : self.at + 1]
        self.at += 1
        if sign in _CLASSES:
            return _CLASSES[sign]
        if not sign or sign.isalnum():
            raise NotUnderstood(self.text)
        return sign

    def signs(self) -> _Node:
        """Read a class after its bracket."""
        others, found = bool(self.next("^")), ""
        while self.at < len(self.text) and self.text[self.at] != "]":
            if self.next("\\"):
                found += self.escaped()
                continue
            first = self.text[self.at]
            if self.text[self.at + 1 : self.at + 2] == "-" and self.text[self.at + 2] != "]":
                last = self.text[self.at + 2]
                found += "".join(map(chr, range(ord(first), min(ord(last), 0x7F) + 1)))
                self.at += 3
            else:
                found, self.at = found + first, self.at + 1
        if not self.next("]"):
            raise NotUnderstood(self.text)
        return self.sign(found, others)


def _sign(signs: str, others: bool = False) -> _Node:
    kept = frozenset(signs)

    def node(text: str, starts: set[int], steps: list[int]) -> set[int]:
        steps[0] += len(starts)
        return {at + 1 for at in starts if at < len(text) and (text[at] in kept) != others}

    return node


def _any(text: str, starts: set[int], steps: list[int]) -> set[int]:
    return {at + 1 for at in starts if at < len(text)}


def _row(nodes: list[_Node]) -> _Node:
    def node(text: str, starts: set[int], steps: list[int]) -> set[int]:
        for each in nodes:
            if not starts:
                break
            starts = each(text, starts, steps)
        return starts

    return node


def _either(ways: list[_Node]) -> _Node:
    return lambda text, starts, steps: set().union(*(way(text, starts, steps) for way in ways))


def _ahead(inner: _Node, wanted: bool) -> _Node:
    return lambda text, starts, steps: {
        at for at in starts if bool(inner(text, {at}, steps)) == wanted
    }


def _repeated(inner: _Node, least: int, most: int | None) -> _Node:
    def node(text: str, starts: set[int], steps: list[int]) -> set[int]:
        if inner is _any and most is None:
            first = min(starts, default=len(text)) + least
            return set(range(first, len(text) + 1))
        for _ in range(least):
            starts = inner(text, starts, steps)
        ends, new = set(starts), set(starts)
        for _ in range(len(text) if most is None else most - least):
            steps[0] += 1 + len(new)
            new = inner(text, new, steps) - ends if new and steps[0] <= MOST_STEPS else set()
            if not new:
                break
            ends |= new
        return ends

    return node
