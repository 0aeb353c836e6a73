"""Uses of a language model: lengths of requests, limits, and how often people ask."""

from pathlib import Path
from typing import Annotated

from gpuspec.catalog import find
from gpuspec.catalog.columns import Confidence, Figure, Named, column

Tokens = Annotated[int, Figure(1, 10_000_000, "tokens")]
Spread = Annotated[float, Figure(0, 10)]
Limit = Annotated[float, Figure(0, 1e6, "s")]


class UseCase(Named):
    """A use of a language model; columns as in ``data/use_cases.csv``."""

    id: str = column("Identifier")
    name: str = column("As a reader calls it")
    isl: Tokens = column("Mean tokens of a prompt")
    isl_cv: Spread = column("Spread of the prompts: standard deviation over mean")
    osl: Tokens = column("Mean tokens of an answer")
    osl_cv: Spread = column("Spread of the answers")
    ttft_limit_s: Limit = column("Longest time to the first token; 0: no limit")
    tpot_limit_s: Limit = column("Longest time between tokens; 0: no limit")
    active_share: Annotated[float, Figure(0, 1, above=True)] = column(
        "Share of the users who are active in the busiest hour"
    )
    requests_per_hour: Annotated[float, Figure(0, 1e5, above=True)] | None = column(
        "Requests of an active user in an hour; blank: not asked by people", None
    )
    peak_factor: Annotated[float, Figure(1, 1000)] = column(
        "Requests of the busiest hour over the mean of the day"
    )
    confidence: Confidence = column(
        "high: measured on this use; medium: lengths are those of a public trace; low: assumed"
    )


def use_case(name: str, data: str | Path | None = None) -> UseCase:
    """Find a use by id, name or alias, such as ``"chat"`` or ``"coding"``.

    Raises
    ------
    UnknownNameError
        When no use has that name; lists close matches.
    """
    return find("use-cases", UseCase, name, data, "use_case")
