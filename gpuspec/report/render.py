"""Typeset a document: pandoc reads the Markdown, Typst makes the pages."""

import base64
import json
import tempfile
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from gpuspec.report.compose import Document
from gpuspec.report.text import plain

TEMPLATES = Path(__file__).resolve().parent / "templates"

# What JupyterLab understands in a Markdown cell, and raw blocks for figures and tables.
_MARKDOWN = "gfm+tex_math_dollars+raw_attribute+smart"
_FACES = ("Regular", "It", "Semibold", "SemiboldIt", "Bold", "BoldIt", "Light")


def pdf(document: Document) -> bytes:
    """Return the report as a PDF; the same document gives the same bytes."""
    import typst

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for figure in document.figures:
            (folder / figure["file"]).write_bytes(base64.b64decode(figure["base64"]))
        figures = [{k: f[k] for k in ("file", "caption", "alt")} for f in document.figures]
        data: dict[str, Any] = {"title": plain(document.title), "language": document.language}
        data["answer_first"] = document.answer_first
        data |= {**document.facts, "figures": figures, "tables": document.tables}
        (folder / "data.json").write_text(json.dumps(data), "utf-8")
        (folder / "style.typ").write_text((TEMPLATES / "style.typ").read_text("utf-8"), "utf-8")
        main = _pandoc(document, "typst", "report.typ", folder, {})
        (folder / "main.typ").write_text(main, "utf-8")
        midnight = datetime.fromisoformat(document.facts["date"]).replace(tzinfo=UTC)
        try:
            content: bytes = typst.compile(
                folder / "main.typ",
                root=folder,
                font_paths=_fonts(),
                format="pdf",
                timestamp=int(midnight.timestamp()),
            )
        except typst.TypstError as error:
            raise RuntimeError(f"typesetting failed: {error.message}") from error
    return content


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
        "asked": _asked(facts["asked"], label),
        "toc-title": escape(label["Contents"]),
        "lang": document.language,
    }
    with tempfile.TemporaryDirectory() as name:
        return _pandoc(document, "html5", "report.html", Path(name), variables).encode()


def _pandoc(
    document: Document, to: str, template: str, folder: Path, variables: dict[str, str]
) -> str:
    import pypandoc

    settings: dict[str, Any] = {
        "template": str(TEMPLATES / template),
        "filters": [{"type": "lua", "path": str(TEMPLATES / "tidy.lua")}],
        "metadata-files": [str(folder / "metadata.json")],
        "variables": variables,
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
    text: str = pypandoc.convert_text(
        document.body, to, format=_MARKDOWN, extra_args=[f"--defaults={defaults}"]
    )
    return text


@cache
def _fonts() -> Any:
    """Load the text's faces, and Chinese ones for what they lack; nothing of the system's."""
    import font_source_sans_pro
    import noto_cjk_sans_otc
    import typst

    sans = Path(font_source_sans_pro.font_directory)
    with tempfile.TemporaryDirectory() as name:
        for face in _FACES:
            (Path(name) / f"{face}.otf").symlink_to(sans / f"SourceSansPro-{face}.otf")
        chinese = Path(str(noto_cjk_sans_otc.FONT_PATH)).parent
        return typst.Fonts(include_system_fonts=False, font_paths=[Path(name), chinese])


def _fact_list(facts: dict[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items()
    )


def _asked(asked: list[dict[str, str]], label: dict[str, str]) -> str:
    if not asked:
        nothing = label["Nothing but the defaults; this notebook takes no parameters."]
        return f"<p>{escape(nothing)}</p>"
    head = "".join(
        f'<th scope="col">{escape(label[n])}</th>' for n in ("Parameter", "Value", "Meaning")
    )
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
