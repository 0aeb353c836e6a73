"""Reports: what a reader finds in the PDF and in the web page, and what happens on the way."""

import base64
import datetime
import io
import json
import os
import re
import resource
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from matplotlib.figure import Figure
from pypdf import PdfReader
from pypdf.generic import IndirectObject

from gpuspec import report
from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.base.files import write_atomically
from gpuspec.report import render
from gpuspec.report.compose import _LABELS
from gpuspec.report.execute import NotebookError, execute
from gpuspec.views.display import figure, table
from gpuspec.views.language import languages, translator

SAMPLE = Path(__file__).parent / "fixtures" / "report_sample.ipynb"
DAY = datetime.date(2026, 11, 24)


@pytest.fixture(scope="module")
def notebook():
    return report.find(SAMPLE)


@pytest.fixture(scope="module")
def executed(notebook, tmp_path_factory):
    """Run the sample once, in a place where the registered kernel is a trap."""
    trap = tmp_path_factory.mktemp("jupyter") / "kernels" / "python3"
    trap.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "trap", "language": "python"}
    (trap / "kernel.json").write_text(json.dumps(spec))
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(trap.parent.parent))
        steps = lambda *step: told.append(step)  # noqa: E731
        node = execute(notebook, {"context": 16384}, steps, text_in_pictures=True)
    assert told[0] == ("executing", 0, len(node.cells))
    assert told[-1] == ("executing", len(node.cells), len(node.cells))
    return node


@pytest.fixture(scope="module")
def made(notebook, executed):
    """Typeset the executed sample as often as asked."""

    def typeset(format, **options):
        values = {"context": 16384}
        return report.typeset(executed, notebook, values, format, {"date": DAY} | options)

    return typeset


@pytest.fixture(scope="module")
def pdf(made):
    return made("pdf")


@pytest.fixture(scope="module")
def pages(pdf):
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]


@pytest.fixture(scope="module")
def html(made):
    return made("html").decode()


def objects(pdf, kind):
    """All dictionaries of a PDF that hold the key or are of the subtype `kind`."""
    reader = PdfReader(io.BytesIO(pdf))
    for number in range(1, reader.trailer["/Size"]):
        try:
            found = reader.get_object(IndirectObject(number, 0, reader))
        except Exception:
            continue
        if hasattr(found, "get") and (kind in found or found.get("/Subtype") == kind):
            yield found


def test_kernel_is_this_interpreter(executed):
    assert f"python: {sys.executable}\n" in executed.cells[-1].outputs[0].text


def test_pdf_answers_first_then_says_what_was_asked(pages):
    first, text = pages[0], "\n".join(pages)
    assert len(pages) > 2
    assert "Sample: how much memory does a cache need?" in " ".join(first.split())
    assert "Question." in first
    assert "**" not in text
    assert "一个请求的键值缓存需要多少显存" in first.replace("\n", "")
    assert re.search(r"context\s+16384\s+tokens of one request.*changed; default 8192", text, re.S)
    assert "5 other parameters are at their defaults." in text
    assert "share of memory kept free" not in text
    assert first.index("The arithmetic") < text.index("What was asked") < text.index("Contents")
    assert "2026-11-24" in first
    assert re.search(r"specifications as of \d{4}-\d\d-\d\d \(.*\)", first)
    assert f"page 1 of {len(pages)}" in first


def test_an_appendix_lists_every_parameter(made):
    reader = PdfReader(io.BytesIO(made("pdf", appendix=True)))
    last = "\n".join(page.extract_text() for page in reader.pages[-2:])
    assert "Appendix: parameters" in last
    assert "share of memory kept free, 0 to 1 (0.1 = a tenth)" in last


def test_text_of_pictures_is_text_in_the_face_of_the_page_and_large_enough(pdf):
    """A search finds what a picture says, and nothing is set smaller than seven points."""
    sizes, faces, found = [], set(), []
    for page in PdfReader(io.BytesIO(pdf)).pages:

        def visit(text, cm, tm, font, size):
            if text.strip():
                scale = (tm[0] * tm[3] - tm[1] * tm[2]) * (cm[0] * cm[3] - cm[1] * cm[2])
                sizes.append(size * abs(scale) ** 0.5)
                faces.add((font or {}).get("/BaseFont", ""))
                found.append(text)

        page.extract_text(visitor_text=visit)
    assert min(sizes) > 6.99
    assert "The cache grows in proportion" in " ".join(found)
    assert not [face for face in faces if "DejaVuSans-" in face or face.endswith("DejaVuSans")]


def test_pdf_contents_numbers_and_captions(pages):
    text = "\n".join(pages)
    assert re.search(r"Contents\s+1\s+The arithmetic[\s.]+1", text)
    assert "2.1 A line, and where it meets the limit" in text
    assert "Figure 1. Key-value cache of one request" in text
    assert "Table 1. What fits on each GPU" in text
    assert "Table 2. The same, in short" in text
    assert "Table 3. A table over more than one page" in text
    assert text.count("Cache (GiB)") >= 2, "the head of a long table repeats on each page"


def test_pdf_leaves_out_code_and_controls(pages):
    text = "\n".join(pages)
    for absent in (
        "import pandas",
        "InputError",
        "interactive only",
        "Move the sliders",
        "python:",
    ):
        assert absent not in text
    assert "5.0 GiB at 16,384 tokens" in text


def test_pdf_with_code(made):
    pages = PdfReader(io.BytesIO(made("pdf", show_code=True))).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert "import pandas as pd" in text
    assert "context = 8192" not in text


def test_pdf_metadata(pdf):
    reader = PdfReader(io.BytesIO(pdf))
    assert reader.metadata.title == "Sample: how much memory does a cache need?"
    assert reader.metadata.author == "gpuspec"
    assert "H200" in reader.metadata["/Keywords"]
    assert reader.trailer["/Root"]["/Lang"].startswith("en")
    assert tuple(round(x) for x in reader.pages[0].mediabox[2:]) == (595, 842)


def test_pdf_embeds_every_font(pdf):
    fonts = list(objects(pdf, "/FontName"))
    names = " ".join(font["/FontName"] for font in fonts)
    assert all({"/FontFile", "/FontFile2", "/FontFile3"} & set(font) for font in fonts)
    assert "SourceSansPro" in names
    assert "NotoSansCJKsc" in names
    assert "NewCMMath" in names


def test_pdf_figures_are_drawn_and_described(pdf):
    assert not list(objects(pdf, "/Image"))
    assert any("straight line" in str(found["/Alt"]) for found in objects(pdf, "/Alt"))


def test_pdf_links(pdf):
    links = list(objects(pdf, "/Link"))
    targets = {link["/A"]["/URI"] for link in links if "/URI" in link.get("/A", {})}
    assert any("/Dest" in link for link in links), "the contents lead to their sections"
    assert targets == {"https://arxiv.org/abs/1911.02150"}


def test_nothing_leaves_the_page(pdf):
    """Every text starts and every rule ends inside the margins of its page."""
    for page in PdfReader(io.BytesIO(pdf)).pages:
        places = []
        page.extract_text(visitor_text=lambda t, cm, tm, *_, to=places: to.append((t, cm, tm)))
        for text, cm, tm in places:
            x = tm[4] * cm[0] + cm[4]
            assert not text.strip() or 55 <= x <= 595 - 55, text


def test_same_input_same_bytes(made, pdf, html):
    assert made("pdf") == pdf
    assert made("html").decode() == html


def test_chinese_labels(made):
    reader = PdfReader(io.BytesIO(made("pdf", language="zh")))
    text = "\n".join(page.extract_text() for page in reader.pages)
    for label in ("目录", "输入条件", "图 1", "表 1", f"第 1 页，共 {len(reader.pages)} 页"):
        assert label in text
    assert reader.trailer["/Root"]["/Lang"].startswith("zh")
    assert '<html lang="zh">' in made("html", language="zh").decode()


def test_every_label_is_translated():
    source = (
        Path(report.__file__).parent.parent / "views/locale/zh/LC_MESSAGES/gpuspec.po"
    ).read_bytes()
    known = {message.id for message in read_po(io.BytesIO(source)) if message.string}
    assert set(_LABELS) <= known
    assert languages() == ["en", "zh"]
    assert translator("zh")("Table") == "表"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def test_html_stands_alone(html):
    page = Page(html)
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in html
    assert not re.search(r'url\((?!"data:font/woff;base64,)', html)
    assert html.count("@font-face") == 5, "three Latin faces, two Chinese ones for the title's"
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.all("img"))
    assert page.all("html") == [{"lang": "en"}]
    outside = {a["href"] for a in page.all("a") if not a["href"].startswith("#")}
    assert outside == {"https://arxiv.org/abs/1911.02150"}


def test_html_is_readable_by_all(html):
    page = Page(html)
    assert page.all("img")[0]["alt"].startswith("A straight line")
    assert page.all("math")
    assert len(page.all("h1")) == 1
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")} <= set(ids)
    assert "<b>Figure 1.</b> Key-value cache" in html
    assert "<b>Table 3.</b> A table over" in html
    assert "一个请求的键值缓存需要多少显存" in html
    assert "import pandas" not in html
    assert "memory &amp; bandwidth" in html


def test_executed_notebook_is_reproducible(made):
    node = nbformat.reads(made("ipynb").decode(), as_version=4)
    assert "papermill" not in node.metadata
    assert "context = 16384" in node.cells[2].source


def test_parameters_keep_what_comments_say():
    found = {p.name: p for p in report.inspect(SAMPLE)}
    assert found["context"].default == 8192
    assert found["overhead"].kind == "float"
    assert found["overhead"].meaning == "share of memory kept free, 0 to 1 (0.1 = a tenth)"
    assert found["paged"].kind == "bool"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("context", " 4096 ", 4096),
        ("context", 4096.0, 4096),
        ("gpu", "2", "2"),
        ("overhead", "1e-1", 0.1),
        ("overhead", 0, 0.0),
        ("paged", "No", False),
        ("paged", True, True),
        ("folder", "", ""),
    ],
)
def test_values_are_converted(notebook, name, text, value):
    (found,) = report.check_parameters(notebook, {name: text}).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("context", "8k"),
        ("context", "8192.5"),
        ("context", ""),
        ("context", True),
        ("context", None),
        ("overhead", "ten"),
        ("overhead", "nan"),
        ("overhead", [1]),
        ("paged", "maybe"),
        ("paged", 1),
        ("gpu", 5),
    ],
)
def test_wrong_values_name_the_field(notebook, name, text):
    with pytest.raises(InputError, match=f"^{name}: "):
        report.check_parameters(notebook, {name: text})


def test_unknown_parameter_suggests(notebook):
    with pytest.raises(UnknownNameError, match="did you mean context"):
        report.check_parameters(notebook, {"contxt": "1"})


@pytest.mark.parametrize(
    ("output", "format", "said"),
    [
        ("a.docx", None, r"\.pdf, \.html or \.ipynb"),
        ("a", None, r"\.pdf, \.html or \.ipynb"),
        ("a.html", "pdf", r"end it in \.pdf"),
        ("a.pdf", "word", "format"),
        (".", "pdf", "end"),
        ("folder.pdf", None, "it is a folder"),
        ("file/x.pdf", None, "is a file, not a folder"),
    ],
)
def test_output_is_checked_before_the_work(tmp_path, monkeypatch, output, format, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.pdf").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(report.one, "execute", lambda *_: pytest.fail("executed"))
    with pytest.raises(InputError, match=said):
        report.build(SAMPLE, {}, output, format=format)


def test_failure_leaves_the_old_report(tmp_path, monkeypatch):
    target = tmp_path / "deep" / "x.pdf"
    write_atomically(target, b"old")

    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(InputError, match="no space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def no_steps(*_):
    """Tell nobody how far the work is."""


def test_a_kernel_that_finds_no_room_is_one_sentence_with_the_folder(notebook, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def died(*_, **__):
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr("papermill.execute_notebook", died)
    try:
        with pytest.raises(RuntimeError) as failure:
            execute(notebook, {}, no_steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    folder = tempfile.gettempdir()
    assert re.search(rf"^{folder}\S*: a file cannot be written: File too large", str(failure.value))


def test_a_document_does_not_run_the_controls_that_it_leaves_out(notebook, monkeypatch):
    ran = {}
    monkeypatch.setattr(
        "papermill.execute_notebook", lambda node, *_, **__: ran.update(node=node) or node
    )
    for panels in (True, False):
        execute(notebook, {}, no_steps, panels=panels)
        sources = [cell.source for cell in ran["node"].cells if cell.cell_type == "code"]
        assert any("interactive only" in source for source in sources) is panels
        assert len(ran["node"].cells) == len(notebook.node.cells)
        assert any("import pandas" in source for source in sources)


def test_a_kernel_that_dies_says_why(notebook, monkeypatch, tmp_path):
    (tmp_path / "IPython.py").write_text("raise ImportError('cannot import name x')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(NotebookError, match=r"ImportError: cannot import name x; .* make clean"):
        execute(notebook, {}, no_steps)


def test_a_folder_that_was_deleted_is_refused(notebook, monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InputError, match=r"current folder: .* it was deleted"):
        execute(notebook, {}, no_steps)


def test_date_of_the_source(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert run_date() == datetime.date(1970, 1, 2)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
        run_date()


def test_figure_is_the_same_every_time():
    def drawn():
        fig = Figure()
        ax = fig.subplots()
        ax.fill_between([0, 1], [0, 1])
        ax.set_title("gradient")
        return figure(fig, "a caption", "an alternative")

    mpl.rcParams["svg.fonttype"] = "none"
    first = drawn()
    mpl.rcdefaults()
    data, about = first._repr_mimebundle_()
    assert first.svg == drawn().svg
    assert first.svg.startswith("<svg")
    assert data["text/plain"] == "Figure: a caption\n  an alternative"
    assert about["gpuspec"] == {"kind": "figure", "caption": "a caption", "alt": "an alternative"}


def test_figure_does_not_stay_open():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    fig, _ = pyplot.subplots()
    figure(fig, "c", "a")
    assert fig.number not in pyplot.get_fignums()


def test_table_writes_numbers_and_gaps():
    frame = pd.DataFrame({"n": [1234567, 1], "x": [0.000123, None], "t": ["<b>", None]})
    shown = table(frame, "caption", {"n": "{:,} B"}, {"t": "center"})
    assert shown.rows == [["1,234,567 B", "0.000123", "<b>"], ["1 B", "–", "–"]]
    assert shown.align == ["right", "right", "center"]
    assert "&lt;b&gt;" in shown._repr_html_()
    assert table(frame.iloc[:0], "empty").rows == []
    assert "none" in repr(table(frame.iloc[:0], "empty"))
    assert table(frame.rename_axis("row"), "indexed").columns == ["row", "n", "x", "t"]
    with pytest.raises(UnknownNameError, match="formats of table"):
        table(frame, "caption", {"m": ".1f"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('#import "@preview/cetz:0.3.0"', "failed"),
        ('#read("/etc/hostname")', "failed"),
        (
            "#for i in range(100000) { for j in range(100000) { let x = calc.sin(i * j) } }",
            "2 seconds",
        ),
    ],
)
def test_typst_finds_no_package_and_no_file_and_no_end(tmp_path, monkeypatch, source, said):
    monkeypatch.setattr(render, "MOST_SECONDS", 2 if said == "2 seconds" else 60)
    (tmp_path / "main.typ").write_text(source, "utf-8")
    with pytest.raises(RuntimeError, match=f"^typesetting .*{said}"):
        render._typeset(tmp_path, 0)
    assert not (tmp_path / "report.pdf").exists()


def test_a_title_and_a_story_run_nothing(tmp_path):
    raw = '`#panic("X")`{=typst} <script>alert(1)</script> [link](javascript:alert(1))'
    cells = [nbformat.v4.new_markdown_cell(f"# About {raw}\n\nWhy {raw}?")]
    cells += [
        nbformat.v4.new_markdown_cell(f"## More\n\n{raw}\n\n<div>\n\n```{{=typst}}\n#panic()\n```")
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "raw.ipynb")
    book = report.find(tmp_path / "raw.ipynb")
    page = report.typeset(book.node, book, {}, "html", {"date": DAY}).decode()
    assert "<script" not in page
    assert "javascript:" not in page
    assert "&lt;script&gt;" in page
    assert report.typeset(book.node, book, {}, "pdf", {"date": DAY}).startswith(b"%PDF")


def test_a_picture_is_also_a_small_png_where_notebooks_are_stored(monkeypatch):
    from PIL import Image

    def shown():
        fig = Figure(figsize=(4, 3))
        fig.subplots().plot([1, 2, 3])
        return figure(fig, "A line", "It rises")._repr_mimebundle_()[0]

    assert "image/png" not in shown()
    monkeypatch.setenv("GPUSPEC_PICTURES_AS_PNG", "1")
    data = shown()
    png = base64.b64decode(data["image/png"])
    with Image.open(io.BytesIO(png)) as image:
        assert 300 < image.width < 450
        assert len(image.convert("RGB").getcolors(10_000)) > 3
    assert len(png) < 10_000
