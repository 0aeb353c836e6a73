"""The interactive side, in a real browser: JupyterLab runs a notebook and its sliders move."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "google-chrome")) if p), None)
PANELS = {
    "00_overview": "FLOP a byte",
    "01_memory": "concurrency",
    "02_training": "tokens",
    "03_serving": "concurrency",
    "04_hpc": "host share",
    "05_networks": "sequences per gpu",
    "06_mig": "load",
    "07_cost": "used hours share",
    "08_decision": "concurrency",
    "09_upgrade": "owned nodes",
    "10_claims": "GPUs",
    "11_validation": "missed by",
}
SECONDS = int(os.environ.get("GPUSPEC_BROWSER_MS", "120000"))

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab over copies of the notebooks; the address, token included."""
    place = tmp_path_factory.mktemp("lab")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = place / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Cells outside the window stay in the page.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    options = [f"--ServerApp.port={port}", "--IdentityProvider.token=test", "--no-browser"]
    extra = ["--allow-root", f"--ServerApp.root_dir={place}"]
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


def _wait_for(url):
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(f"{url} does not answer")


@pytest.mark.parametrize("name", PANELS)
def test_a_slider_moves_the_picture(lab, name):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(SECONDS)
        page.goto(f"{lab}/lab/tree/{name}.ipynb?token=test&reset")
        page.locator(".jp-Notebook").wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        panel = page.locator(".jp-OutputArea-output:has(.widget-box)").last
        picture = panel.locator("svg").first
        panel.scroll_into_view_if_needed()
        picture.wait_for()
        width = picture.bounding_box()["width"]
        assert 400 < width <= panel.bounding_box()["width"] + 1  # drawn whole, not clipped
        before = picture.inner_html()
        slider = panel.locator(".widget-hslider", has_text=PANELS[name])
        shown = slider.locator(".widget-readout").inner_text()
        slider.locator(".noUi-handle").press("ArrowRight")
        page.wait_for_function(
            "([slider, shown]) => slider.innerText.trim() !== shown",
            arg=[slider.locator(".widget-readout").element_handle(), shown],
        )
        page.wait_for_function(
            "([panel, before]) => panel.querySelector('svg').innerHTML !== before",
            arg=[panel.element_handle(), before],
        )
        assert not panel.locator("text=Traceback").count()
        browser.close()
