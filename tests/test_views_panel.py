"""Panels of the overview and the validation: what a reader sees when the controls move."""

import base64
import html
import io
import re

import numpy as np
import pandas as pd
import pytest
import shell
from IPython.core.interactiveshell import InteractiveShell

import gpuspec
from gpuspec import report
from gpuspec.base.errors import InputError
from gpuspec.evidence import validation
from gpuspec.report.notebooks import notebooks
from gpuspec.topics.memory import MemoryQuestion
from gpuspec.topics.memory.panel import serving_panel
from gpuspec.topics.overview.panel import roofline_panel
from gpuspec.topics.serving import ServingQuestion
from gpuspec.topics.serving.panel import inference_panel
from gpuspec.topics.validation.panel import validation_panel
from gpuspec.views import TEXT_IN_PICTURES, language
from gpuspec.views.panel import Typed


@pytest.fixture
def found():
    return validation.held_out("training")


def test_the_roofline_says_what_is_reached_left_and_right_of_the_ridge():
    panel = roofline_panel([gpuspec.gpu("A100"), gpuspec.gpu("H100")], "bf16")
    panel.controls["intensity"].value = 1.0
    assert "2.04, H100 SXM" in panel.picture.value  # 2.039 TB/s times 1 FLOP a byte
    panel.controls["intensity"].value = 8192.0
    assert "312, H100 SXM" in panel.picture.value
    panel.controls["precision"].value = "fp8"
    assert "NVIDIA A100" not in panel.picture.value
    assert "1,979 TFLOP/s" in panel.picture.value


def test_a_format_that_no_gpu_has_is_said_and_the_picture_stays():
    panel = roofline_panel([gpuspec.gpu("A100")], "bf16")
    before = panel.picture.value
    panel.controls["precision"].value = "fp8"
    assert "precision" in panel.message.value
    assert before in panel.picture.value
    assert "opacity" in panel.picture.value  # what no longer answers is grey


def test_a_number_is_free_and_out_of_its_range_it_is_named():
    panel = roofline_panel([gpuspec.gpu("H100")], "bf16")
    panel.controls["intensity"].value = 3.7
    assert "H100 SXM 12.4 TFLOP/s" in panel.picture.value
    panel.controls["intensity"].value = "many"
    assert "FLOP a byte: &#x27;many&#x27; is not valid" in panel.message.value


def test_a_panel_says_what_it_leaves_and_saves_what_it_shows():
    panel = serving_panel(MemoryQuestion.ask(gpus="H100", isl=1234))
    assert panel.controls["isl"].value == "1234"
    said = panel.others.value
    assert said.startswith("As in the parameters above: ")
    assert "gpus = h100-sxm-80" in said
    assert not any(f" {name} = " in said for name in panel.controls)
    panel.controls["concurrency"].value = "7"
    code = re.search('base64,([^"]*)', panel.files.value)[1]
    table = pd.read_csv(io.BytesIO(base64.b64decode(code)))
    pd.testing.assert_frame_equal(table, _as_read(panel.answer[1]), check_dtype=False)


def _as_read(table):
    """Return a table as a CSV file tells it."""
    shown = table.reset_index() if table.index.name is not None else table
    return pd.read_csv(io.StringIO(shown.to_csv(index=False)))


def test_only_what_is_missed_by_more_is_left(found):
    panel = validation_panel(found)
    assert len(panel.answer.rows) == len(found.rows)
    panel.controls["missed_by"].value = 0.3
    off = np.abs(np.exp(panel.answer.rows["error"]) - 1)
    assert 0 < len(off) < len(found.rows)
    assert (off >= 0.3).all()


def test_nothing_left_is_an_error_that_says_so(found):
    with pytest.raises(InputError, match="no row of any GPU"):
        validation.part_of(found, missed_by=1e9)


def test_a_panel_says_what_stored_means_for_the_model_that_is_chosen():
    memory = serving_panel(MemoryQuestion.ask(gpus="H100"))
    assert "BF16, as stored" in memory.note.value
    memory.controls["model"].value = "gpt-oss-120b"
    assert "experts MXFP4, rest BF16, as stored" in memory.note.value
    serving = inference_panel(ServingQuestion.ask(model="gpt-oss-120b", gpus="H100"))
    assert "experts MXFP4, rest BF16, as stored" in serving.note.value
    serving.controls["kv"].value = "fp8"
    assert "Cache in FP8" in serving.note.value


# --- in Chinese -----------------------------------------------------------------------------------

ENGLISH = re.compile(r"(?<![\w./-])[A-Za-z]?[a-z]{2,}(?: [a-z]{2,}){2,}")
"""A run of three English words."""


def shown_by(widget):
    """Return the texts that a widget and those within it show or tell."""
    names = ("description", "tooltip", "placeholder", "value")
    texts = [t for name in names if isinstance(t := getattr(widget, name, None), str)]
    options = getattr(widget, "options", ()) or ()
    texts += [o[0] for o in options if isinstance(o, tuple)]
    for child in getattr(widget, "children", ()):
        texts += shown_by(child)
    return [html.unescape(re.sub(r"<[^>]*>", " ", _LINKS.sub("", text))) for text in texts]


_LINKS = re.compile(r'(?<=href=")data:[^"]*|<style.*?</style>', re.S)


@pytest.fixture(params=[n.name for n in notebooks()])
def spoken_panel(request, monkeypatch):
    """Return the panel of a notebook that speaks Chinese, with the text of its pictures."""
    monkeypatch.setenv(TEXT_IN_PICTURES, "1")
    node = report.find(request.param).node
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    panel = next(cell for cell in code if "interactive" in cell.metadata.get("tags", []))
    *before, last = panel.source.rstrip().splitlines()
    panel.source = "\n".join([*before, f"shown_panel = {last}"])
    node.cells = [*code[:2], panel]
    language.speak("zh")
    try:
        shell.executed(node, {"language": "zh"}, panels=True)
        yield InteractiveShell.instance().user_ns["shown_panel"]
    finally:
        language.speak(None)


def test_a_chinese_panel_holds_no_english_sentence(spoken_panel):
    texts = shown_by(spoken_panel.view)
    assert any(re.search("[\u4e00-\u9fff]", text) for text in texts)
    assert [found for text in texts for found in ENGLISH.findall(text)] == []
    labels = [control.description for control in spoken_panel.controls.values()]
    assert [label for label in labels if re.search("[a-z]{3,} [a-z]", label)] == []
    box = next((c for c in spoken_panel.controls.values() if isinstance(c, Typed)), None)
    if box is not None:
        box.value = "many"
        assert "无效" in spoken_panel.message.value
        assert ENGLISH.findall(html.unescape(spoken_panel.message.value)) == []
