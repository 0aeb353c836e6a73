"""Open the page in Chromium: how long until the first answer, and until the answer to a change.

    python benchmarks/app.py [--write]

The server is warm, as it is between visitors. Prints a table; with ``--write`` into docs/app.md.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "app.md"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
CHANGES = [
    ("Users", ("210", "400", "1500", "3000")),
    ("OSL", ("250", "300", "500")),
    ("Owned", ("2 x A100", "8 x A100")),
    ("Budget", ("30000/month", "60000/month")),
    ("Model", ("Llama-3.1-8B", "Qwen2.5-32B")),
]
SIMULATIONS = [("GPU hours", ("500", "900", "2000"))]


def settled(page):
    """Wait for the answer of page 1 to what stands in the boxes."""
    page.locator(".gpuspec-answer:not(.gpuspec-old)", has_text="You asked").wait_for()


def changed(page, label, value):
    """Return the seconds from a change to its answer."""
    box = page.get_by_label(label, exact=True)
    box.fill(value)
    start = time.perf_counter()
    box.press("Enter")
    page.locator(".gpuspec-answer.gpuspec-old").wait_for()
    settled(page)
    return time.perf_counter() - start


def warm(address):
    """Wait until the server's kernels have answered."""
    while True:
        try:
            urllib.request.urlopen(f"{address}/nothing", timeout=2)
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.3)
    time.sleep(float(os.environ.get("WARM_S", "40")))


def measured(address):
    """Return the seconds of each kind of step."""
    found = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for visit in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(300_000)
            start = time.perf_counter()
            page.goto(address)
            settled(page)
            found.setdefault("opening the page, to its answer", []).append(
                time.perf_counter() - start
            )
            time.sleep(float(os.environ.get("WARM_S", "40")))
            if visit < 2:
                page.close()
        for label, values in CHANGES:
            told = f"a service: another value of {label}"
            found[told] = [changed(page, label, value) for value in values]
        page.get_by_label("Kind of work").select_option(label="Simulation")
        page.locator(".gpuspec-answer:not(.gpuspec-old)", has_text="simulation").wait_for()
        for label, values in SIMULATIONS:
            told = f"a simulation: another value of {label}"
            found[told] = [changed(page, label, value) for value in values]
        browser.close()
    return found


def main():
    """Serve, measure, print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as place:
        server = subprocess.Popen(
            [sys.executable, "-m", "gpuspec.app.serve", f"--port={port}"],
            cwd=place,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )
        try:
            address = f"http://127.0.0.1:{port}"
            warm(address)
            found = measured(address)
        finally:
            server.terminate()
            server.wait(30)
    lines = ["| Step | Median, s | Longest, s | Tries |", "|---|---|---|---|"]
    for step, seconds in found.items():
        middle, most = statistics.median(seconds), max(seconds)
        lines.append(f"| {step} | {middle:.1f} | {most:.1f} | {len(seconds)} |")
    load = os.getloadavg()[0]
    lines.append(f"\nOn {os.cpu_count()} cores that others used as well (load {load:.1f}).")
    text = "\n".join(lines)
    print(text)
    if "--write" in sys.argv:
        marks = re.compile(r"(?<=<!-- app -->\n).*?(?=<!-- /app -->)", re.S)
        DOCS.write_text(marks.sub(lambda _: f"{text}\n", DOCS.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
