"""What gpuspec says when an input cannot be used."""

from collections.abc import Iterable

from rapidfuzz import fuzz, process


class InputError(ValueError):
    """An input that cannot be used; the message names the field, the value and what is valid."""

    def __init__(self, field: str, value: object, valid: str) -> None:
        self.field, self.value, self.valid = field, value, valid
        super().__init__(f"{field}: {_shown(value)} is not valid; {valid}")

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error pass from one process to another."""
        return InputError, (self.field, self.value, self.valid)


class UnknownNameError(InputError):
    """A name that no table holds; ``close`` lists what the person may have meant."""

    def __init__(self, field: str, value: object, known: Iterable[str]) -> None:
        names = list(known)
        self.close = close_matches(str(value), names)
        meant = f"did you mean {_listed(self.close)}?" if self.close else f"known: {_listed(names)}"
        super().__init__(field, value, meant)


def renamed(error: InputError, field: str) -> InputError:
    """Return the same error of a field called `field`."""
    found = type(error).__new__(type(error))
    found.__dict__.update(error.__dict__)
    InputError.__init__(found, field, error.value, error.valid)
    return found


def close_matches(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return the known names most like `name`, best first; empty when none is close."""
    matches = process.extract(
        name, list(known), scorer=fuzz.WRatio, processor=str.lower, limit=limit, score_cutoff=60
    )
    return [match for match, _, _ in matches]


def _listed(names: list[str], limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
