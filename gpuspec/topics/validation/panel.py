"""Control panel of the validation notebook."""

from gpuspec.evidence.validation import Validation, part_of
from gpuspec.topics.validation.pictures import scatter
from gpuspec.topics.validation.words import validation_finding
from gpuspec.views.display import figure
from gpuspec.views.panel import Panel, choice, number


def validation_panel(found: Validation) -> Panel:
    """Return a panel over a comparison: one GPU alone, and only what is missed by a share."""
    gpus = [("all", ""), *((name, name) for name in sorted(found.rows["gpu"].unique()))]
    controls = {
        "gpu": choice("GPU", gpus, ""),
        "missed_by": number("missed by", 0.0, 0, 100, "a share: 0.1 is a tenth"),
    }

    def answer(gpu: str, missed_by: float) -> Validation:
        return part_of(found, gpu, missed_by)

    def draw(part: Validation) -> str:
        title = validation_finding(part)
        return figure(scatter(part, title), title, title).svg

    return Panel(controls, answer, draw)
