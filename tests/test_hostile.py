"""One hostile name in every field that takes a name: reports show it and run nothing of it."""

import csv
import datetime
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from pypdf import PdfReader
from shell import executed

from gpuspec import report
from gpuspec.evidence import validation

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
DAY = datetime.date(2026, 11, 24)
NAME = (
    '`#{"EXE"+"CUTED"}`{=typst} #panic("X") <script>alert(1)<img src=x onerror=alert(1)> '
    "[c](javascript:alert(1)) $\\frac$ $x$ \\x \"q\" 'q' a--b **b** __c__ {0} %s ; touch x"
)


BLANK = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
DRAWN = {"memory", "decision"}
"""Whose PDF keeps its drawings: a reader of its text is slow on outlines."""
UNNAMED = {"claims"}
"""Which names models in its drawings only."""


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
    works[0] |= {"model": str(folder / "config.json"), "concurrency": 16}
    del works[0]["request_rate"]  # a rate is looked for in seconds, a load is there at once
    works[-1]["table"][0]["name"] = NAME
    scenario["workloads"] = works
    scenario["allow"] = {"gpus": ["A100", "H100"], "modes": ["on-demand"], "precisions": ["bf16"]}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(scenario), "utf-8")
    (folder / "data").mkdir()
    table(folder / "data" / "gpus.csv", ["id", "name"], ["h100-sxm-80", NAME])
    return folder


ASKED = {
    "overview": {"gpus": "H100"},
    "memory": {"model": "config.json", "gpus": "H100"},
    "training": {"model": "config.json", "tokens": 1e10, "counts": "8", "gpus": "H100"},
    "serving": {"model": "config.json", "gpus": "H100", "weights": "bf16", "max_gpus": 2},
    "hpc": {"gpus": "A100,H100"},
    "networks": {
        "model": "config.json",
        "large_model": "config.json",
        "gpus": "H100",
        "nodes": "2",
        "largest_message_gib": 1.0,
    },
    "mig": {"tenants": "tenants.csv", "slice_model": "config.json", "gpus": "H100"},
    "cost": {"model": "config.json", "quotes": "quotes.csv", "gpus": "A100,H100"},
    "decision": {"scenario": "scenario.yaml"},
    "upgrade": {"scenario": "scenario.yaml", "quarters": 2, "time_limit_s": 1.0},
    "claims": {
        "claims": "C02",
        "models": "config.json",
        "trained": "config.json",
        "train_gpus": "16",
        "contexts": "2048",
        "answers": "128",
        "fleets": "1",
        "sequences": "4096",
    },
    "validation": {"measurements": "training.csv", "kind": "training"},
}
"""The quickest question of each notebook: what it asks for is a name, not an answer."""


def without_drawings(node):
    """Check that drawings are well-formed, and leave their outlines out: they hold no text."""
    for cell in node.cells:
        for output in cell.get("outputs", []):
            if "image/svg+xml" in output.data:
                ElementTree.fromstring(output.data["image/svg+xml"])
                output.data["image/svg+xml"] = BLANK


@pytest.fixture(scope="module", params=ASKED)
def reports(request, place):
    """Execute a notebook once; return its report as PDF and as HTML."""
    notebook = report.find(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        if request.param in ("overview", "hpc"):
            patch.setenv("GPUSPEC_DATA", str(place / "data"))
        values = report.check_parameters(notebook, ASKED[request.param])
        patch.setattr(validation, "KINDS", ("training",))  # the others take ten seconds
        done = executed(notebook.node, values)
    made = {"html": report.typeset(done, notebook, values, "html", {"date": DAY})}
    if request.param not in DRAWN:
        without_drawings(done)
    made["pdf"] = report.typeset(done, notebook, values, "pdf", {"date": DAY})
    return made | {"shows": request.param not in UNNAMED}


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
    text = "".join(page.extract_text() for page in pages)
    whole = packed(text.replace("-\n", ""))  # a word may be parted at the end of a line
    assert packed(NAME) in packed(text) or packed(NAME) in whole or not reports["shows"]
    assert "EXECUTED" not in packed(text)


def test_the_page_has_no_live_element(reports):
    page = Page(reports["html"].decode())
    text = packed(page.text)
    assert packed(NAME) in text or not reports["shows"]
    assert text.count("onerror=alert(1)>") >= text.count(packed(NAME))
    assert not page.tags & {"script", "iframe", "object", "embed", "form", "base", "svg"}
    assert not page.handlers
    assert all(link.startswith(("#", "https://", "http://", "data:image/")) for link in page.links)


def test_every_notebook_is_tried():
    assert {report.find(name).path for name in ASKED} == {n.path for n in report.notebooks()}


def test_a_browser_runs_and_fetches_nothing(reports, browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(reports["html"])
    asked, said = [], []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    text = packed(page.locator("body").inner_text())
    page.close()
    assert packed(NAME) in text or not reports["shows"]
    assert not said
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
