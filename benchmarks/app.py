"""Open the page in Chromium: how long until the first answer, and until the answer to a change.

    python benchmarks/app.py [--write]

The server is warm, as it is between visitors. Beside the seconds of the clock stand those that
processors worked, of the server with its kernels and of the browser: where others use the machine
as well, these say more. Prints a table; with ``--write`` into docs/app.md, and takes the picture of
the page that stands there.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "app.md"
PICTURE = ROOT / "docs" / "images" / "app.png"
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


def worked(process):
    """Return the seconds that processors worked for a process and those that it started."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += sum(one.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def timed(step, server):
    """Take a step; return its seconds by the clock, of the server, and of the browser."""
    of = [server, psutil.Process()]
    others = [worked(server), worked(of[1]) - worked(server)]
    start = time.perf_counter()
    step()
    seconds = time.perf_counter() - start
    ours = worked(server)
    return seconds, ours - others[0], worked(of[1]) - ours - others[1]


def changed(page, label, value):
    """Change a box, and wait for its answer."""
    box = page.get_by_label(label, exact=True)
    box.fill(value)
    box.press("Enter")
    page.locator(".gpuspec-answer.gpuspec-old").wait_for()
    settled(page)


def warm(address, server):
    """Wait until the server's kernels have answered: until it is there, and at rest."""
    while True:
        try:
            urllib.request.urlopen(f"{address}/nothing", timeout=2)
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.3)
    before = -1.0
    while (now := worked(server)) - before > 0.15 or len(server.children()) < 2:
        before = now
        time.sleep(3.0)


def measured(address, server):
    """Return what each kind of step took, once for each try."""
    found = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def opened(page):
            page.goto(address)
            settled(page)

        for visit in range(4):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(300_000)
            took = timed(lambda page=page: opened(page), server)
            found.setdefault("opening the page, to its answer", []).append(took)
            warm(address, server)
            if visit < 3:
                page.close()

        if "--write" in sys.argv:
            page.screenshot(path=PICTURE)

        def tried(told, label, value):
            took = timed(lambda: changed(page, label, value), server)
            found.setdefault(told, []).append(took)
            time.sleep(3.0)

        for label, values in CHANGES:
            for value in values:
                tried(f"a service: another value of {label}", label, value)
        page.get_by_label("Kind of work").select_option(label="Simulation")
        page.locator(".gpuspec-answer:not(.gpuspec-old)", has_text="simulation").wait_for()
        for label, values in SIMULATIONS:
            for value in values:
                tried(f"a simulation: another value of {label}", label, value)
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
            process = psutil.Process(server.pid)
            warm(address, process)
            found = measured(address, process)
        finally:
            server.terminate()
            server.wait(30)
    lines = [
        "| Step | Least, s | Longest, s | Server works, s | Browser works, s | Tries |",
        "|---|---|---|---|---|---|",
    ]
    for step, tries in found.items():
        clock, server_, browser = zip(*tries, strict=True)
        least = " | ".join(f"{s:.1f}" for s in (min(clock), max(clock), min(server_), min(browser)))
        lines.append(f"| {step} | {least} | {len(tries)} |")
    load = os.getloadavg()[0]
    lines.append(f"\nOn {os.cpu_count()} cores that others used as well (load {load:.1f}).")
    text = "\n".join(lines)
    print(text)
    if "--write" in sys.argv:
        marks = re.compile(r"(?<=<!-- app -->\n).*?(?=<!-- /app -->)", re.S)
        DOCS.write_text(marks.sub(lambda _: f"{text}\n", DOCS.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
