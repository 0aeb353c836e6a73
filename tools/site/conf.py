"""How Sphinx makes the site; tools/write_site.py calls it, once for each language."""

import json
import posixpath
import re
from itertools import pairwise
from pathlib import Path

import font_source_sans_pro
from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.search.en import SearchEnglish

FACES = ("Regular", "It", "Semibold", "Bold")

project = "gpuspec"
html_title = "gpuspec"
extensions = ["myst_nb"]
nb_execution_mode = "off"
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
suppress_warnings = ["myst.header"]  # a notebook's first heading need not be of level one
html_theme = "furo"
html_static_path = [
    "static",
    *(f"{font_source_sans_pro.font_directory}/SourceSansPro-{face}.otf" for face in FACES),
]
templates_path = ["templates"]
html_favicon = "static/icon.svg"
html_css_files = ["gpuspec.css"]
html_js_files = ["local.js"]
html_copy_source = html_show_copyright = html_show_sphinx = False
html_use_index = False
html_math_renderer = "mathml"
html_search_language = "pairs"
html_context = {"names": ""}
html_theme_options = {"top_of_page_buttons": []}
html_sidebars = {
    "**": [
        "sidebar/scroll-start.html",
        "sidebar/brand.html",
        "language.html",
        "sidebar/search.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
_HAN = r"[\u3400-\u9fff]"
_PIECE = re.compile(f"{_HAN}+|[^\\u3400-\\u9fff]+")


class Pairs(SearchEnglish):
    """English words by their stem, Chinese by every two neighbouring characters.

    All pairs of a query must stand on a page, which finds any word without a dictionary of words.
    """

    lang = "pairs"
    language_name = "English"
    js_splitter_code = r"""
function splitQuery(query) {
  return query.split(/[^\p{L}\p{N}_]+/gu).flatMap((word) =>
    (word.match(/[\u3400-\u9fff]+|[^\u3400-\u9fff]+/g) ?? []).flatMap((piece) =>
      /[\u3400-\u9fff]/.test(piece) && piece.length > 1
        ? [...piece.slice(1)].map((_, i) => piece.slice(i, i + 2))
        : [piece]));
}
"""

    def split(self, text):
        """Words of a page, each character and each pair of neighbours of a Chinese one."""
        pieces = (piece for word in super().split(text) for piece in _PIECE.findall(word))
        return [term for piece in pieces for term in _terms(piece)]


def _terms(piece):
    if not re.match(_HAN, piece):
        return [piece]
    return [*piece, *map("".join, pairwise(piece))]


def _formula(self, node, block):
    self.body.append(tex2mathml(node.astext(), as_block=block))
    raise SkipNode


def _switch(app, name, template, context, doctree):
    """Say where the other language of a page is: its page there, or else the first one."""
    names = json.loads(Path(context["names"]).read_text())
    chinese = app.config.language.startswith("zh")
    other = "en" if chinese else "zh"
    page = name if name in names[other] else "index"
    root = posixpath.relpath(".", posixpath.dirname(name) or ".")
    place = f"{root}/../{page}.html" if chinese else f"{root}/zh/{page}.html"
    code, title = ("en", "English") if chinese else ("zh", "中文")
    link = f'<a href="{posixpath.normpath(place)}" hreflang="{code}" lang="{code}">{title}</a>'
    context["switch"] = f'<p class="language">{link}</p>'
    if "body" in context:
        context["body"] = context["switch"] + context["body"]


def setup(app):
    """Formulas as MathML, which browsers draw by themselves; the search; the language switch."""
    app.add_search_language(Pairs)
    app.add_lexer("csv", TextLexer)
    app.add_html_math_renderer(
        "mathml",
        (lambda self, node: _formula(self, node, False), None),
        (lambda self, node: _formula(self, node, True), None),
    )
    app.connect("html-page-context", _switch)
