"""Control panel of the claims notebook."""

from typing import Any

from gpuspec.claims import (
    AXES,
    ClaimMap,
    ClaimsQuestion,
    Finding,
    audit,
    claim_map,
)
from gpuspec.display import figure
from gpuspec.plots import holding_map
from gpuspec.story import map_caption, map_finding
from gpuspec.widgets.panel import Panel, choice, slider


def claims_panel(question: ClaimsQuestion, claim: str = "C12") -> Panel:
    """Return a panel that maps where a claim holds, started at `claim`."""
    q = question
    kinds = [w.upper() for w in q.new_weights]
    controls = {
        "claim": choice("claim", list(AXES), claim if claim in AXES else "C12"),
        "gpus": slider("GPUs", list(q.fleets), q.fleets[min(1, len(q.fleets) - 1)]),
        "answer": slider("answer", list(q.answers), q.answers[-1]),
        "weights": choice("weights", kinds, kinds[0]),
        "price": slider("price ratio", list(q.h100_prices), q.h100_prices[0]),
    }

    def answer(claim: str, weights: str, **fixed: Any) -> tuple[Finding, ClaimMap]:
        found = audit(q, [claim])[0]
        return found, claim_map(found, {**fixed, "weights": weights, "precision": weights})

    def draw(answered: tuple[Finding, ClaimMap]) -> str:
        title = map_finding(*answered)
        return figure(holding_map(answered[1], title), map_caption(answered[1]), title).svg

    return Panel(controls, answer, draw)
