"""The website of docs and stored notebooks: built once, read in a browser without a network."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("myst_nb")
pytest.importorskip("furo")

import write_site

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "write_site.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_and_every_notebook_is_there_in_its_languages(site):
    docs = [path.stem for path in (ROOT / "docs").glob("*.md")]
    notebooks = [path.stem for path in (ROOT / "notebooks").glob("*.ipynb")]
    wanted = ["index", "CONTRIBUTING", *(f"docs/{name}" for name in docs)]
    wanted += [f"{place}notebooks/{name}" for name in notebooks for place in ("", "zh/")]
    wanted += [f"zh/docs/{path.stem}" for path in (ROOT / "docs" / "zh").glob("*.md")]
    assert not [name for name in wanted if not (site / f"{name}.html").is_file()]


def test_a_notebook_shows_what_is_stored_and_no_panel(site):
    text = (site / "notebooks" / "01_memory.html").read_text("utf-8")
    assert "fits on 4 x A100 SXM 80 GB" in text
    assert text.count("<figcaption>") == 4
    assert "<math" in text
    assert "serving_panel" not in text
    assert "模型装得进哪些 GPU？" in (site / "zh" / "notebooks" / "01_memory.html").read_text(
        "utf-8"
    )


def test_a_link_to_a_file_of_the_repository_leads_to_a_copy_of_it(site):
    page = (site / "docs" / "running.html").read_text("utf-8")
    link = re.search(r'href="([^"]*engine_arguments\.csv)"', page)[1]
    copied = (site / "docs" / link).resolve()
    assert copied.read_bytes() == (ROOT / "data" / "engine_arguments.csv").read_bytes()


def test_links_that_lead_nowhere_and_foreign_addresses_are_named(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a id="x" href="b.html">1</a><a href="#x">2</a><a href="#y">3</a>'
        '<a href="https://example.org">4</a><img src="https://example.org/a.png">'
    )
    assert write_site.broken_links(tmp_path) == [
        "a.html: the link to 'b.html' leads to nothing",
        "a.html: the link to '#y' names no place of that page",
        "a.html: fetches 'https://example.org/a.png'",
    ]


@pytest.mark.parametrize(
    ("start", "word", "title"),
    [
        (
            "index.html",
            "nvlink bandwidth",
            "What do links and networks deliver, and when do they decide?",
        ),
        ("zh/index.html", "键值缓存", "模型装得进哪些 GPU？"),
    ],
)
def test_a_search_leads_to_the_page_from_files_alone(site, browser, start, word, title):
    page = browser.new_page(viewport={"width": 390, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(60_000)
    problems = []
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: r.url.startswith("file:") or problems.append(r.url))
    page.goto((site / start).as_uri())
    page.locator("label.nav-overlay-icon").first.click()
    box = page.locator(".sidebar-search")
    box.fill(word)
    box.press("Enter")
    page.locator("#search-results").get_by_role("link", name=title, exact=True).click()
    assert page.locator("h1").first.inner_text().startswith(title)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    code = "en" if start.startswith("zh/") else "zh"
    page.locator(f".content .language a[hreflang={code}]").click()
    page.wait_for_load_state()
    assert page.locator("html").get_attribute("lang").startswith(code)
    assert Path(page.url).name.split("?")[0].split("#")[0] != "index.html"
    assert not problems


def test_the_search_knows_each_cell_of_a_table_as_words(site):
    index = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    pages = np.atleast_1d(index["terms"]["mi300x"])  # one page is a number, several are a list
    assert index["docnames"].index("notebooks/11_validation") in pages
