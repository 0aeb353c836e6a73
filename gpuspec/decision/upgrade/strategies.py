"""Ways to go on with a fleet: constrained versions of one programme."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Strategy:
    """What a plan may do; the fields say what is forbidden."""

    name: str
    meaning: str
    buys: bool = True
    first_buy: int = 0
    """Quarter before which nothing is bought."""
    retires: str = "free"
    """``free``, ``no``, or ``all``: every owned node as soon as a bought one can replace it."""
    new_kinds: bool = True
    """Whether kinds that are not owned today are used."""
    only_new: bool = False
    """Whether nothing of the owned kinds is bought or rented."""
    hungriest_first: bool = False
    """The article's rule: the workloads that need most memory move, wholly, the rest stays."""

    def where_nothing_is_owned(self) -> "Strategy":
        """Return the same strategy without its rules about owned kinds, which then say nothing."""
        return replace(self, retires="free", only_new=False, hungriest_first=False)


OPTIMUM = Strategy("optimum", "whatever is cheapest: buy, rent, keep or sell any kind")
STAY = Strategy(
    "stay",
    "keep what is owned, buy nothing, rent more of the same kind where it is not enough",
    buys=False,
    retires="no",
    new_kinds=False,
)
GROW = Strategy(
    "grow",
    "keep what is owned, add newer kinds, move the workloads that need most memory there",
    retires="no",
    only_new=True,
    hungriest_first=True,
)
REPLACE = Strategy(
    "replace all",
    "sell what is owned as soon as nodes of newer kinds can arrive; newer kinds alone then",
    retires="all",
    only_new=True,
)
RENT = Strategy("rent only", "buy nothing; rent any kind, keep or sell what is owned", buys=False)
STRATEGIES = (OPTIMUM, STAY, GROW, REPLACE, RENT)
"""All of them; the first is the free programme, the others are versions of it."""
