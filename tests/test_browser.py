"""The interactive side, in a real browser: JupyterLab runs a notebook and its sliders move."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PANELS = {
    "00_overview": ("FLOP a byte", "200"),
    "01_memory": ("concurrency", "200"),
    "02_training": ("tokens", "3e11"),
    "03_serving": ("concurrency", "200"),
    "04_hpc": ("host share", "0.33"),
    "05_networks": ("sequences per gpu", "7"),
    "06_mig": ("load factor", "1.7"),
    "07_cost": ("used hours share", "0.37"),
    "08_decision": ("concurrency", "200"),
    "09_upgrade": ("owned nodes", "3"),
    "10_claims": ("GPUs", ""),
    "11_validation": ("missed by", "0.07"),
}
"""A control of each panel, and a number to type into it; a slider where there is none."""
OPEN = """async path => {
    const open = {path, kernel: window.sharedKernel};
    const opened = await jupyterapp.commands.execute('docmanager:open', open);
    await opened.sessionContext.ready;
    window.sharedKernel ??= opened.sessionContext.session.kernel.model;
}"""
"""Opens a notebook in a tab of its own, until its kernel is there: the one of the first, which has
loaded every package; its names are forgotten."""
SECONDS = int(os.environ.get("GPUSPEC_BROWSER_MS", "120000"))

pytestmark = pytest.mark.usefixtures("browser")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab over copies of the notebooks; the address, token included."""
    place = tmp_path_factory.mktemp("lab")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        node = nbformat.read(path, 4)
        node.cells = list(_needed(node.cells))
        nbformat.write(node, place / path.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = place / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Cells outside the window stay in the page.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    options = [f"--ServerApp.port={port}", "--IdentityProvider.token=test", "--no-browser"]
    extra = ["--expose-app-in-browser", "--allow-root", f"--ServerApp.root_dir={place}"]
    folders = {"JUPYTER_CONFIG_DIR": str(place), "JUPYTERLAB_SETTINGS_DIR": str(place / "settings")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, *extra],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **folders},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token=test")
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _needed(cells):
    """Yield what a panel takes: no names before it, parameters, imports and question, the panel."""
    yield nbformat.v4.new_code_cell("%reset -f")
    code = [cell for cell in cells if cell.cell_type == "code"]
    yield from code[:2]
    yield from (cell for cell in code if "interactive" in cell.metadata.get("tags", []))


def _wait_for(url):
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(f"{url} does not answer")


@pytest.fixture(scope="module")
def page(browser, lab):
    """Open JupyterLab in a browser, once."""
    context = browser.new_context(viewport={"width": 1400, "height": 1600}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(f"{lab}/lab?token=test&reset")
    page.wait_for_function("window.jupyterapp")
    page.evaluate("jupyterapp.restored")
    return page


def _pushed(page, slider):
    """Move a slider by a step, until what it shows has changed."""
    shown = slider.locator(".widget-readout").inner_text()
    slider.locator(".noUi-handle").press("ArrowRight")
    page.wait_for_function(
        "([slider, shown]) => slider.innerText.trim() !== shown",
        arg=[slider.locator(".widget-readout").element_handle(), shown],
        polling=200,
    )


@pytest.mark.parametrize("name", PANELS)
def test_a_control_moves_the_picture(page, name):
    page.evaluate(OPEN, f"{name}.ipynb")
    opened = page.locator(".jp-NotebookPanel:visible")
    opened.locator(".jp-Notebook").wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    panel = opened.locator(".jp-OutputArea-output:has(.widget-box)").last
    picture = panel.locator("svg").first
    panel.scroll_into_view_if_needed()
    picture.wait_for()
    width = picture.bounding_box()["width"]
    assert 400 < width <= panel.bounding_box()["width"] + 1  # drawn whole, not clipped
    before = picture.inner_html()
    label, number = PANELS[name]
    if number:
        box = panel.get_by_label(label, exact=True)
        box.fill(number)
        box.press("Enter")
    else:
        _pushed(page, panel.locator(".widget-hslider", has_text=label))
    page.wait_for_function(
        "([panel, before]) => panel.querySelector('svg').innerHTML !== before",
        arg=[panel.element_handle(), before],
        polling=200,
    )
    assert not panel.locator("text=Traceback").count()
