"""Page 1: the answer first, who does what by when, and the terms that a report uses."""

import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gpuspec.decision.plan.pictures import probability_bars
from gpuspec.report import find, typeset
from gpuspec.report.glossary import MOST, TERMS, glossary
from gpuspec.views.display import figure
from gpuspec.views.front import Step, grounds_line, stepped
from gpuspec.views.language import speaking, translator

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
FIRST = 60
"""Words within which a page 1 answers the question of its title."""


def notes(path):
    """Return what page 1 is made of, as the stored notebook shows it."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    found = [(o.get("metadata", {}).get("gpuspec", {}), o.get("data", {})) for o in outputs]
    return [(about.get("part") or about.get("kind"), data) for about, data in found]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_page_1_answers_within_sixty_words_shows_a_picture_and_names_who_does_what(path):
    title = json.loads(path.read_text("utf-8"))["cells"][0]["source"][0]
    shown = notes(path)
    kinds = [kind for kind, _ in shown]
    assert kinds[0] == "answer"
    text = "".join(shown[0][1]["text/plain"])
    first = text.split(". ")[0]
    assert len(f"gpuspec report {title} {first}".split()) <= FIRST, text
    end = kinds.index("next")
    assert "figure" in kinds[:end]
    said = "".join(shown[end][1]["text/plain"])
    assert said.startswith("What it rests on")
    assert re.search(r"1\. \w[\w ]*, by 2026-1[12]-\d\d: ", said)


def test_a_step_has_its_day_in_both_languages(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795478400")
    steps = [Step("Purchasing", 7, "ask for **quotes**")]
    assert "1. Purchasing, by 2026-12-01: ask for **quotes**" in stepped(steps).text
    with speaking("zh"):
        assert "采购，2026-12-01 前" in stepped(steps).text


def test_ground_is_told_in_short_once():
    assert grounds_line({"A": "far", "B": "measured", "C": "far"}) == (
        "Settings like these were measured for B. Nothing like these settings was measured for "
        "A and C: the interval is wider."
    )


def test_only_terms_that_are_used_are_explained():
    found = glossary(["TTFT and TPOT are kept; the GPU SMOKES"], translator("en"))
    assert [entry["term"] for entry in found] == ["TPOT", "TTFT"]
    said = glossary(["首个 TTFT；盈亏平衡点在此"], translator("zh"))
    assert [entry["term"] for entry in said] == ["TTFT", "盈亏平衡点"]
    assert all(re.search("[\u3400-\u9fff]", entry["meaning"]) for entry in said)
    assert len(glossary(list(TERMS), translator("en"))) == MOST


@pytest.fixture
def sample(tmp_path):
    about = {"kind": "note", "title": "", "answered": True, "part": "answer"}
    output = new_output(
        "display_data", {"text/markdown": "**Take two.** TTFT holds."}, metadata={"gpuspec": about}
    )
    cells = [
        new_markdown_cell("# How many?\n\nHow many does it take, and why?"),
        new_code_cell("pass", outputs=[output]),
        new_markdown_cell("## Why\n\nBecause."),
    ]
    path = tmp_path / "sample.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_the_answer_stands_before_the_question_and_the_contents_after(sample):
    node = nbformat.read(sample, 4)
    page = typeset(node, find(sample), {}, "html", {}).decode()
    order = ["How many?</h1>", "Take two.", "How many does it take", "Contents", "Because."]
    places = [page.index(text) for text in [*order, '<dl class="terms">']]
    assert places == sorted(places)
    assert page.count("How many does it take, and why?") == 1
    assert not re.search(r"<p>\s*</p>", page)


@pytest.mark.parametrize("name", ["x" * 200, "a very long name of a work " * 7, "很长的名字" * 39])
@pytest.mark.filterwarnings("error")
def test_a_long_name_leaves_its_picture_whole(name):
    table = pd.DataFrame({"gpu": ["h100-sxm-80"], "probability": [1.0]})
    shown = figure(probability_bars([(name, table), ("b", table)], "title"), "caption", "alt")
    assert "<svg" in shown.svg
