"""All twelve reports in both languages as they are printed: what would make a reader stumble."""

import datetime
import io
import re
from pathlib import Path

import measure_chinese
import measure_pages
import pytest
import shell
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, writes
from pypdf import PdfReader

from gpuspec import report
from gpuspec.views import TEXT_IN_PICTURES, display
from gpuspec.views.language import speaking

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
DAY = datetime.date(2026, 11, 30)
EPOCH = "1795996800"
FIRST = 60
"""Words within which page 1 answers its title; a Chinese word has two characters."""
LEAST_PT = 6.99
FACES = ("SourceSansPro", "NotoSansCJKsc", "NewCMMath", "DejaVuSansMono")


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return report.find(request.param)


@pytest.fixture(scope="module", params=["en", "zh"])
def printed(request, notebook):
    """Execute a notebook in this process and print it: language, answer, pages, file."""
    with pytest.MonkeyPatch.context() as patch, speaking(request.param):
        patch.setenv(TEXT_IN_PICTURES, "1")
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH)
        node = shell.executed(notebook.node, {})
        options = {"date": DAY, "language": request.param}
        pdf = report.typeset(node, notebook, {}, "pdf", options)
    outputs = [output for cell in node.cells for output in cell.get("outputs", [])]
    answer = next(o for o in outputs if o.metadata.get("gpuspec", {}).get("part") == "answer")
    return request.param, answer.data["text/plain"], pdf


def pages(pdf):
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]


def test_no_text_is_cut_lies_upon_another_or_has_a_line_through_it(printed):
    *_, pdf = printed
    assert measure_pages.faults(io.BytesIO(pdf)) == []


def test_text_is_of_the_faces_of_the_suite_and_large_enough_to_read(printed):
    *_, pdf = printed
    fonts = {}
    for page in PdfReader(io.BytesIO(pdf)).pages:
        shown = measure_pages.Page(page, fonts)
        assert shown.glyphs
        # Exponents of an axis and of a formula are set smaller than the text that they belong to.
        small = {shown.runs[g.run] for g in shown.glyphs if g.size_pt < LEAST_PT}
        assert not [text for text in small if not re.fullmatch(r"[\d−-]{1,3}|\W*", text)]
    assert not [font.name for font in fonts.values() if not any(f in font.name for f in FACES)]


def test_pages_and_tables_count_up_and_no_mark_is_left_over(printed):
    language, _, pdf = printed
    texts = pages(pdf)
    assert not [text for text in texts if "**" in text]
    of = {"en": "page {} of {}", "zh": "第 {} 页，共 {} 页"}[language]
    for number, text in enumerate(texts, 1):
        assert of.format(number, len(texts)) in text
    for kind in {"en": ("Table", "Figure"), "zh": ("表", "图")}[language]:
        numbers = [int(n) for n in re.findall(rf"^{kind} (\d+)\. ", "\n".join(texts), re.M)]
        assert sorted(set(numbers)) == list(range(1, max(numbers, default=0) + 1))
        assert len(numbers) == len(set(numbers))


def test_page_1_answers_its_title_within_sixty_words(printed):
    _, answer, pdf = printed
    first = pages(pdf)[0]
    sentence = re.split(r"(?<=[.。])\s*", answer.replace("*", ""))[0]
    whole, said = ("".join(text.split()) for text in (first, sentence))
    assert said in whole
    before = first[: next(i for i in range(len(first)) if said in "".join(first[:i].split()))]
    words = len(re.findall(r"[^\s\u3000-\u9fff\uff00-\uffef]+", before))
    assert words + len(re.findall("[\u3400-\u9fff]", before)) / 2 <= FIRST
    assert re.search(r"\d", sentence), sentence


def test_a_chinese_page_holds_hardly_any_english(printed):
    language, _, pdf = printed
    shares = [
        measure_chinese.share([measure_chinese.told(page)])
        for page in PdfReader(io.BytesIO(pdf)).pages
    ]
    if language == "zh":
        assert max(shares) <= measure_chinese.MOST
    else:
        assert min(shares) > 0.9


def drawn(draw):
    """Print a picture that `draw` makes on axes, under a title; return what is wrong with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TEXT_IN_PICTURES, "1")
        fig = Figure(figsize=(5, 3))
        axes = fig.subplots()
        draw(axes)
        data, about = display.figure(fig, "A caption", "What it shows")._repr_mimebundle_()
    output = new_output("display_data", data, metadata=about)
    cells = [new_markdown_cell("# A title\n\nWhy?"), new_code_cell("pass", outputs=[output])]
    return cells


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda axes: axes.text(0.5, 0.5, "alone"), None),
        (lambda axes: (axes.text(0.5, 0.5, "one"), axes.text(0.52, 0.52, "two")), "lies upon"),
        (lambda axes: (axes.text(0.3, 0.5, "word"), axes.axhline(0.52, color="k")), "struck"),
        (lambda axes: (axes.text(0.3, 0.5, "word"), axes.axhline(0.52, color="0.87")), None),
        (
            lambda axes: (
                axes.axhline(0.52, color="k"),
                axes.text(0.3, 0.5, "word", backgroundcolor="w", zorder=9),
            ),
            None,
        ),
        (lambda axes: axes.text(0.95, 0.5, "too long here", clip_on=True), "is cut"),
    ],
    ids=["alone", "overlap", "line", "grid", "covered", "cut"],
)
def test_what_lies_upon_something_is_found(tmp_path, draw, said):
    path = tmp_path / "drawn.ipynb"
    node = new_notebook(cells=drawn(draw))
    path.write_text(writes(node), "utf-8")
    book = report.find(path)
    found = measure_pages.faults(io.BytesIO(report.typeset(node, book, {}, "pdf", {"date": DAY})))
    assert bool(found) == bool(said)
    assert not said or said in found[0]
