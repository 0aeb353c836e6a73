"""One hostile name in every field that takes a name: reports show it and run nothing of it."""

import csv
import datetime
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from pypdf import PdfReader

from gpuspec import report
from gpuspec.report.execute import execute

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "google-chrome")) if p), None)
DAY = datetime.date(2026, 11, 24)
NAME = (
    '`#{"EXE"+"CUTED"}`{=typst} #panic("X") <script>alert(1)<img src=x onerror=alert(1)> '
    "[c](javascript:alert(1)) $\\frac$ $x$ \\x \"q\" 'q' a--b **b** __c__ {0} %s ; touch x"
)


def rows_with(source, target, changes):
    """Copy a CSV file with other values in each row."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = [row | changes for row in csv.DictReader(file)]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(target)


def table(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with everything that a person brings, the name wherever one may stand."""
    folder = tmp_path_factory.mktemp("hostile")
    config = json.loads((FIXTURES / "configs" / "llama-3.2-1b.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": NAME}), "utf-8")
    table(
        folder / "tenants.csv", ["name", "memory_gib", "copies"], [NAME, "9", "2"], ["b", "300", ""]
    )
    head = ["gpu", "mode", "price", "provider", "region"]
    table(folder / "quotes.csv", head, ["H100", "on-demand", "2.5", NAME, NAME])
    rows_with(
        FIXTURES / "training.csv",
        folder / "training.csv",
        dict.fromkeys(("case_id", "source_id", "publisher", "sources", "framework_version"), NAME),
    )
    scenario = yaml.safe_load((FIXTURES / "fleet.yaml").read_text("utf-8"))
    scenario |= {"name": NAME, "horizon_months": 12, "prices": {"file": str(folder / "quotes.csv")}}
    works = [w for w in scenario["workloads"] if w["kind"] in ("inference", "training", "tenants")]
    for i, work in enumerate(works):
        work["name"] = f"{NAME} {i}"
    works[0]["model"] = str(folder / "config.json")
    works[-1]["table"][0]["name"] = NAME
    scenario["workloads"] = works
    (folder / "scenario.yaml").write_text(yaml.safe_dump(scenario), "utf-8")
    (folder / "data").mkdir()
    table(folder / "data" / "gpus.csv", ["id", "name"], ["h100-sxm-80", NAME])
    return folder


ASKED = {
    "00_overview": {},
    "01_memory": {"model": "config.json"},
    "02_training": {"model": "config.json", "tokens": 1e10, "counts": "8", "gpus": "H100"},
    "03_inference": {"model": "config.json", "gpus": "H100", "weight_precision": "bf16"},
    "04_hpc": {"gpus": "A100,H100"},
    "05_interconnect": {"model": "config.json", "large_model": "config.json", "gpus": "H100"},
    "06_mig": {"tenants": "tenants.csv", "slice_model": "config.json", "gpus": "H100"},
    "07_cost": {"model": "config.json", "quotes": "quotes.csv", "gpus": "A100,H100"},
    "08_decision": {"scenario": "scenario.yaml"},
    "09_upgrade": {"scenario": "scenario.yaml", "quarters": 2, "time_limit_s": 5.0},
    "10_claims": {"claims": "C02", "models": "config.json", "trained": "config.json"},
    "11_validation": {"measurements": "training.csv", "kind": "training"},
}


@pytest.fixture(scope="module", params=ASKED)
def reports(request, place):
    """Execute a notebook once; return its report as PDF and as HTML."""
    notebook = report.find(ROOT / "notebooks" / f"{request.param}.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        if request.param in ("00_overview", "04_hpc"):
            patch.setenv("GPUSPEC_DATA", str(place / "data"))
        values = report.check_parameters(notebook, ASKED[request.param])
        executed = execute(notebook, values, lambda *_: None)
        return {
            kind: report.typeset(executed, notebook, values, kind, False, "en", DAY)
            for kind in ("pdf", "html")
        }


class Page(HTMLParser):
    """The text of a page, its elements and the attributes that lead or do something."""

    def __init__(self, content):
        super().__init__()
        self.text, self.tags, self.links, self.handlers = "", set(), [], []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src", "action", "data", "srcdoc", "formaction"):
                self.links.append(value)
            if name.startswith("on"):
                self.handlers.append(value)

    def handle_data(self, data):
        self.text += data


def packed(text):
    return "".join(text.split())


def test_the_pdf_shows_the_name_and_runs_nothing(reports):
    pages = PdfReader(io.BytesIO(reports["pdf"])).pages
    text = packed("".join(page.extract_text() for page in pages))
    assert packed(NAME) in text
    assert "EXECUTED" not in text


def test_the_page_has_no_live_element(reports):
    page = Page(reports["html"].decode())
    assert packed(NAME) in packed(page.text)
    assert not page.tags & {"script", "iframe", "object", "embed", "form", "base", "svg"}
    assert not page.handlers
    assert all(link.startswith(("#", "https://", "http://", "data:image/")) for link in page.links)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_runs_and_fetches_nothing(reports, tmp_path):
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_bytes(reports["html"])
    asked, said = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        assert packed(NAME) in packed(page.locator("body").inner_text())
        browser.close()
    assert not said
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
