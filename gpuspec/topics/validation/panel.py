"""Control panel of the validation notebook."""

from gpuspec.evidence.validation import Validation, part_of
from gpuspec.topics.validation.pictures import scatter
from gpuspec.topics.validation.words import validation_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, slider

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


def validation_panel(found: Validation) -> Panel:
    """Return a panel over a comparison: one GPU alone, and only what is missed by a share."""
    gpus = [("all", ""), *((name, name) for name in sorted(found.rows["gpu"].unique()))]
    controls = {
        "gpu": choice("GPU", gpus, ""),
        "missed_by": slider("missed by", SHARES, 0.0, "{:.0%}"),
    }

    def answer(gpu: str, missed_by: float) -> Validation:
        return part_of(found, gpu, missed_by)

    def draw(part: Validation) -> str:
        title = validation_finding(part)
        return figure(scatter(part, title), title, title).svg

    return Panel(controls, answer, draw)
