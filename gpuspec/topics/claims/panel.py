"""Control panel of the claims notebook."""

from collections.abc import Mapping

from gpuspec.topics.claims import AXES, ClaimMap, ClaimsQuestion, Finding, audit, claim_map
from gpuspec.topics.claims.pictures import holding_map
from gpuspec.topics.claims.words import claim_sentence, footnote_sentence, map_caption, map_finding
from gpuspec.views.display import ShownFigure, figure, note
from gpuspec.views.panel import Panel, choice, slider


def claim_figure(finding: Finding, shown: ClaimMap) -> ShownFigure:
    """Return the map of a claim as a figure with its caption."""
    title = map_finding(finding, shown)
    return figure(holding_map(shown, title), map_caption(shown), title)


def show_claims(findings: Mapping[str, Finding], *ids: str) -> None:
    """Show for each claim asked for what is said, found and footnoted, then its map."""
    from IPython.display import display

    for name in ids:
        if name not in findings:
            continue
        note(claim_sentence(findings[name]))
        if findings[name].claim.vendor_footnote:
            note(footnote_sentence(findings[name]))
        if name in AXES:
            display(claim_figure(findings[name], claim_map(findings[name])))


def claims_panel(question: ClaimsQuestion, claim: str = "C12") -> Panel:
    """Return a panel that maps where a claim holds, started at `claim`."""
    q = question
    kinds = [w.upper() for w in q.weights]
    controls = {
        "claim": choice("claim", list(AXES), claim if claim in AXES else "C12"),
        "gpus": slider("GPUs", list(q.fleets), q.fleets[min(1, len(q.fleets) - 1)]),
        "answer": slider("answer", list(q.answers), q.answers[-1]),
        "weights": choice("weights", kinds, kinds[0]),
        "price": slider("price ratio", list(q.h100_ratios), q.h100_ratios[0]),
    }

    def answer(claim: str, weights: str, **fixed: float) -> tuple[Finding, ClaimMap]:
        found = audit(q, [claim])[0]
        return found, claim_map(found, {**fixed, "weights": weights, "precision": weights})

    def draw(answered: tuple[Finding, ClaimMap]) -> str:
        return claim_figure(*answered).svg

    return Panel(controls, answer, draw, question=q)
