"""Pictures are compared by the numbers they draw; what notebooks show, where nbval runs them."""

from pathlib import Path

import pytest
from goldens import pictures
from goldens.compare import differences
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]


def test_every_notebook_has_what_it_showed():
    stored = {path.stem for path in (ROOT / "tests/golden/notebooks").glob("*.txt")}
    assert stored == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def drawing(height=3.0, color="#0072b2", label="H100", scale="linear"):
    fig = Figure()
    ax = fig.subplots()
    ax.set(title="Speed", xlabel="GPUs", ylabel="tokens/s")
    ax.bar(["a", "b"], [1.0, height], color=color, label=label)
    ax.plot([0, 1], [2.0, 4.0], "k--")
    ax.fill_between([0, 1], [1, 2], [2, 3])
    ax.scatter([0.5], [1.5])
    ax.text(0, 1, "most")
    ax.set_yscale(scale)
    ax.legend()
    return pictures.described(fig)


def test_a_picture_is_described_by_what_it_draws():
    lines = drawing()
    assert lines[0] == "axes: Speed"
    assert lines[1].startswith("  x: GPUs, linear, ")
    assert lines[1].endswith(", a / b")
    assert '  bar "H100" #0072b2: x -0.4, 0.6; y 0, 0; width 0.8, 0.8; height 1, 3' in lines
    assert "  line #000000 --: x 0, 1; y 2, 4" in lines
    assert "  texts, 1: most" in lines
    assert "  legend: H100" in lines


@pytest.mark.parametrize(
    "change", [{"height": 3.01}, {"color": "#e69f00"}, {"label": "H200"}, {"scale": "log"}]
)
def test_another_picture_is_another_description(change):
    assert differences("it", "\n".join(drawing()), "\n".join(drawing(**change)))
