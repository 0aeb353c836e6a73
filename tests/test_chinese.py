"""The story of a Chinese report: what the catalogue must hold, and what a reader finds."""

import datetime
import io
import re
from pathlib import Path

import pypandoc
import pytest
import write_messages
from pypdf import PdfReader

from gpuspec import report
from gpuspec.report import compose
from gpuspec.report.execute import execute
from gpuspec.report.story import meaning_in, story_in
from gpuspec.views.columns import heading_in
from gpuspec.views.language import translator

SAMPLE = Path(__file__).parent / "fixtures" / "report_sample.ipynb"
ITEM = "Never divide a sparse figure by a dense one."
ZH = translator("zh")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Execute the sample once and typeset it in a language."""
    notebook = report.find(SAMPLE)
    node = execute(notebook, {"context": 16384}, lambda *_: None, text_in_pictures=True)
    day = datetime.date(2026, 11, 24)
    return lambda kind, language: report.typeset(
        node, notebook, {"context": 16384}, kind, {"date": day, "language": language}
    )


def test_every_heading_is_translated():
    assert write_messages.missing(write_messages.required()) == []


def test_no_entry_of_the_story_is_dead():
    assert write_messages.dead() == []


def test_a_translation_keeps_formulas_code_links_and_emphasis():
    for message in write_messages.catalogue():
        if message.locations:
            for mark in ("`", "$", "**", "](", "{", "}"):
                assert message.id.count(mark) == message.string.count(mark), message.id


def test_a_chinese_report_tells_its_story_in_chinese(made):
    html = made("html", "zh").decode()
    assert ZH(ITEM) != ITEM
    assert f"<li>{ZH(ITEM)}</li>" in "".join(html.splitlines())
    assert ITEM not in html
    assert "可容请求数" in html
    assert "Requests that fit" not in html.replace("not the requests that fit", "")
    assert "Buy no memory that nothing fills." in html  # has no translation
    pages = PdfReader(io.BytesIO(made("pdf", "zh"))).pages
    assert ZH(ITEM) in "".join("".join(page.extract_text().split()) for page in pages)
    assert ITEM in made("html", "en").decode()


def test_a_translation_runs_nothing(made, monkeypatch):
    bad = '<script>alert(1)</script> `#panic("ran")`{=typst} `<b id=raw>`{=html}'
    words = lambda text, /, **values: bad if text == ITEM else ZH(text, **values)  # noqa: E731
    monkeypatch.setattr(compose, "translator", lambda language: words)
    html = made("html", "zh").decode()
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert "<b id=raw>" not in html
    assert made("pdf", "zh").startswith(b"%PDF")


def test_texts_are_found_one_by_one():
    known = {
        "Head": "题",
        "one two\nthree": "段",
        "first": "甲",
        "second\n  goes on": "乙",
        "B": "丙",
    }
    words = lambda text, /, **_: known.get(text, text)  # noqa: E731
    english = "## Head\n\none two\nthree\n\n- first\n- second\n  goes on\n1. first"
    english += "\n\n| A | B |\n| - | - |"
    chinese = "## 题\n\n段\n\n- 甲\n- 乙\n1. 甲\n\n| A | 丙 |\n| - | - |"
    assert story_in(english, words) == chinese
    assert story_in("```bash\nmake  |x\n\n| y|\n```\n", words) == "```bash\nmake  |x\n\n| y|\n```\n"


def test_a_family_of_columns_keeps_its_name():
    assert heading_in("GPUs: H100", ZH) == "GPU 数：H100"
    assert heading_in("H100 SXM", ZH) == "H100 SXM"


def test_a_meaning_keeps_its_unit():
    assert meaning_in("Prompts of a step [prompts]", lambda text, **_: text.upper()) == (
        "PROMPTS OF A STEP [PROMPTS]"
    )
    assert meaning_in("nothing known [thing]", ZH) == "nothing known [thing]"


def test_no_mark_of_a_translation_is_left_over():
    texts = [m.string for m in write_messages.catalogue() if m.locations]
    markdown = "\n\n".join(text for text in texts if not set("`$") & set(text))
    plain = pypandoc.convert_text(markdown, "html", format="gfm+tex_math_dollars")
    plain = re.sub(r"<[^>]*>", "", plain)
    assert len(plain) > 3000
    assert "*" not in plain
    assert "](" not in plain
