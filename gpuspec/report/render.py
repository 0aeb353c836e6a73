"""Typeset a document: pandoc reads the Markdown, Typst makes the pages."""

import atexit
import base64
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path

from gpuspec.report.compose import FRONT, QUESTION, Document
from gpuspec.report.faces import font_faces
from gpuspec.report.output import workplace
from gpuspec.views.columns import headings
from gpuspec.views.markdown import plain

_TYPESETTING = str(Path(__file__).with_name("typesetting.py"))
_ONE_AT_A_TIME = threading.Lock()
TEMPLATES = Path(__file__).resolve().parent / "templates"

MOST_SECONDS = 120
"""Time that the typesetting may take; a report of forty pages takes three seconds."""
_FRONT_START, _FRONT_END = "<!-- front starts -->", "<!-- front ends -->"
_FACES = "/* faces */"
_QUESTION_START, _QUESTION_END = "<!-- question starts -->", "<!-- question ends -->"
# What JupyterLab understands in a Markdown cell, but nothing raw: names come from files.
_MARKDOWN = "gfm+tex_math_dollars+smart-raw_html-raw_attribute-emoji"


def pdf(document: Document) -> bytes:
    """Return the report as a PDF; the same document gives the same bytes."""
    with workplace() as folder:
        for figure in document.figures:
            (folder / figure["file"]).write_bytes(base64.b64decode(figure["base64"]))
        figures = [{k: f[k] for k in ("file", "caption", "alt")} for f in document.figures]
        data: dict[str, object] = {"title": plain(document.title), "language": document.language}
        data |= {"answered_first": document.answered_first}
        data |= {**document.facts, "figures": figures, "tables": document.tables}
        data |= {"glossary": document.glossary}
        (folder / "data.json").write_text(json.dumps(data), "utf-8")
        (folder / "style.typ").write_text((TEMPLATES / "style.typ").read_text("utf-8"), "utf-8")
        below = {"below": "yes"} if document.answered_first else {}
        main = _pandoc(document, "typst", "report.typ", folder, below)
        (folder / "main.typ").write_text(main, "utf-8")
        midnight = datetime.fromisoformat(document.facts["date"]).replace(tzinfo=UTC)
        _typeset(folder, int(midnight.timestamp()))
        return (folder / "report.pdf").read_bytes()


@cache
def _typesetter(process_id: int) -> "subprocess.Popen[str]":
    """Start the process that typesets for one of ours: it loads the fonts once."""
    child = subprocess.Popen(
        [sys.executable, "-P", _TYPESETTING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, child)
    return child


def prepare() -> None:
    """Have the typesetter load its fonts while a notebook runs."""
    _typesetter(os.getpid())


def _end(child: "subprocess.Popen[str]") -> str:
    """End a typesetter; return what it said last, or its exit code."""
    _typesetter.cache_clear()
    child.kill()
    said = child.communicate()[1].split("\n")
    return next((line for line in reversed(said) if line.strip()), f"exit code {child.returncode}")


def _typeset(folder: Path, timestamp: int) -> None:
    """Run Typst in a process that can be ended, one document at a time."""
    with _ONE_AT_A_TIME:
        problem = _problem(_typesetter(os.getpid()), folder, timestamp)
    if problem:
        raise RuntimeError(f"typesetting failed: {problem}")


def _problem(child: "subprocess.Popen[str]", folder: Path, timestamp: int) -> str:
    """Return what a typesetter answers, empty where it is done; one that takes long is ended."""
    assert child.stdin is not None  # both are pipes
    assert child.stdout is not None
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    watch = threading.Timer(MOST_SECONDS, stop)
    watch.start()
    line, said = "", ""
    try:
        child.stdin.write(json.dumps([str(folder), timestamp, MOST_SECONDS + 5]) + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except BrokenPipeError:
        pass  # it has ended before
    finally:
        watch.cancel()
        said = "" if line else _end(child)  # on Ctrl-C too: its answer would be the next one's
    if late.is_set():
        raise RuntimeError(f"typesetting took more than {MOST_SECONDS} seconds")
    return str(json.loads(line)) if line else said


def html(document: Document) -> bytes:
    """Return the report as one HTML file that refers to nothing outside it."""
    facts = document.facts
    label = facts["labels"]
    variables = {
        "kicker": escape(label["gpuspec report"]),
        "pagetitle": escape(plain(document.title)),
        "facts": _fact_list(
            {label["Date"]: facts["date"], label["Data"]: facts["data"]}
            | {label["Made with"]: " · ".join(facts["made_with"])}
        ),
        "footer": escape(f"gpuspec {facts['version']} · {facts['data']}"),
        "asked-title": escape(label["What was asked"]),
        "asked": _asked(facts["asked"], label) + _paragraph(facts["rest"]),
        "toc-title": escape(label["Contents"]),
        "lang": document.language,
    }
    with workplace() as folder:
        page = _pandoc(document, "html5", "report.html", folder, variables)
    page = _moved(page, _FRONT_START, _FRONT_END, FRONT)
    if document.answered_first:
        page = _moved(page, _QUESTION_START, _QUESTION_END, QUESTION)
    return page.replace(_FACES, font_faces(page), 1).encode()


def _moved(page: str, start: str, end: str, to: str) -> str:
    """Move what stands between two marks of the template to a mark in the body."""
    before, _, rest = page.partition(start)
    part, _, after = rest.partition(end)
    return (before + after).replace(to, part, 1)


def _pandoc(
    document: Document, to: str, template: str, folder: Path, variables: dict[str, str]
) -> str:
    settings: dict[str, object] = {
        "template": str(TEMPLATES / template),
        "filters": [{"type": "lua", "path": str(TEMPLATES / "tidy.lua")}],
        "metadata-files": [str(folder / "metadata.json")],
        "variables": variables,
        "sandbox": True,
        "standalone": True,
        "table-of-contents": True,
        "toc-depth": 3 if to == "html5" else 2,
        "number-sections": True,
        "wrap": "preserve",
        "html-math-method": {"method": "mathml"},
    }
    opening = {"title": document.title, "question": document.question + "\n"}
    (folder / "metadata.json").write_text(json.dumps(opening), "utf-8")
    defaults = folder / "defaults.json"
    defaults.write_text(json.dumps(settings), "utf-8")
    line = [_pandoc_path(), f"--from={_MARKDOWN}", f"--to={to}", f"--defaults={defaults}"]
    try:
        done = subprocess.run(
            line,
            input=document.body.encode(),
            capture_output=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"pandoc took more than {MOST_SECONDS} seconds") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise RuntimeError(f"pandoc failed: {said or f'exit code {done.returncode}'}")
    text = done.stdout.decode()
    for token, shown in document.blocks.items():
        place = token if to == "typst" else f"<p>{token}</p>"
        text = text.replace(place, shown[to])
    return text


@cache
def _pandoc_path() -> str:
    import pypandoc

    return str(pypandoc.get_pandoc_path())


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _fact_list(facts: dict[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items()
    )


def _asked(asked: list[dict[str, str]], label: dict[str, str]) -> str:
    if not asked:
        return ""
    heads = headings("parameter", "value", "meaning")
    head = "".join(f'<th scope="col">{escape(label[n])}</th>' for n in heads)
    lines = []
    for row in asked:
        value = escape(row["value"])
        if row["changed"]:
            value = f"<b>{value}</b> <small>({escape(row['changed'])})</small>"
        lines.append(
            f'<tr><th scope="row"><code>{escape(row["name"])}</code></th>'
            f"<td>{value}</td><td>{escape(row['meaning'])}</td></tr>"
        )
    body = "".join(lines)
    return f'<table class="asked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
