"""Write the static site: pages of docs/, the notebooks as stored, in English and Chinese.

    python tools/write_site.py [FOLDER]     (default: site/)

The pages of each language are put side by side with their links made relative to the site, then
Sphinx makes HTML of them; at the end every link of every page is followed, in both languages.
Nothing is executed, and neither building nor reading needs a network.
"""

import json
import os
import posixpath
import re
import shutil
import sys
import tempfile
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import nbformat
from sphinx.cmd.build import build_main

from gpuspec.report.story import story_in
from gpuspec.views.language import say, speak

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent / "site"
LANGUAGES = ("en", "zh")
HOME = {"en": "README.md", "zh": "README.zh.md"}
PREFIX = {"en": "", "zh": "zh/"}
CODE = {"en": "en", "zh": "zh_CN"}
SECTIONS = {
    "en": ("Notebooks", "How numbers are made, what can be asked", "Contributing"),
    "zh": ("笔记本", "数字从何而来，可以问什么", "参与"),
}
PROMPTS = {"en": ("▸ code", "▾ code"), "zh": ("▸ 代码", "▾ 代码")}
STORED = (
    "以下为仓库中保存的结果，其中的句子和图上的文字为英文；"
    "`gpuspec report {name} --lang zh` 给出中文报告。"
)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]*)(?P<part>#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```[ ]*$)", re.M | re.S)


def pages_of(language):
    """Repository's path to name in the site, for every page of a language."""
    home = ROOT / HOME[language]
    folder = ROOT / "docs" / ("" if language == "en" else language)
    suffix = home.name.removeprefix("README")
    found = {home.name: "index"} if home.exists() else {}
    if (ROOT / f"CONTRIBUTING{suffix}").exists():
        found[f"CONTRIBUTING{suffix}"] = "CONTRIBUTING"
    for path in sorted(folder.glob("*.md")):
        found[path.relative_to(ROOT).as_posix()] = f"docs/{path.stem}"
    return found


class Stage:
    """The sources of both languages, and what they link to, in a folder for Sphinx."""

    def __init__(self, sources, site):
        self.sources, self.site = sources, site
        self.notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
        self.pages = {language: pages_of(language) for language in LANGUAGES}
        for pages in self.pages.values():
            pages.update({f"notebooks/{p.name}": f"notebooks/{p.stem}" for p in self.notebooks})

    def fill(self):
        for language in LANGUAGES:
            speak(language)
            for source, name in list(self.pages[language].items()):
                if source.endswith(".ipynb"):
                    self._write(language, f"{name}.ipynb", self._notebook(source, language))
                else:
                    text = (ROOT / source).read_text("utf-8")
                    text = self._linked(text, source, name, language)
                    if name == "index":
                        text += self._contents(language)
                    self._write(language, f"{name}.md", text)
            if "index" not in self.pages[language].values():
                title = "# gpuspec\n" + self._contents(language)
                self._write(language, "index.md", title)
        speak("en")

    def _write(self, language, name, text):
        path = self.sources / language / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def _contents(self, language):
        """What stands in the menu: pages in the order in which the first page names them."""
        pages = self.pages[language]
        home = ROOT / HOME[language]
        text = home.read_text("utf-8") if home.exists() else ""
        named = [posixpath.normpath(found["target"]) for found in _LINK.finditer(text)]
        # A list of everything names pages in an order; what stands alone before it does not.
        order = {page: at for at, page in enumerate(named)}
        docs = [page for page in pages if page.startswith("docs/")]
        docs.sort(key=lambda page: (order.get(page, len(order)), page))
        inner = ("adding-", "house", "json", "running")
        own = [p for p in docs if Path(p).name.startswith(inner)]
        parts = (
            [page for page in pages if page.endswith(".ipynb")],
            [page for page in docs if page not in own],
            [page for page in pages if page.startswith("CONTRIBUTING")] + own,
        )
        trees = ""
        for title, part in zip(SECTIONS[language], parts, strict=True):
            if part:
                names = "\n".join(pages[page] for page in part)
                trees += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{names}\n```\n"
        return trees

    def _linked(self, text, source, name, language):
        def link(found):
            if not found["target"]:
                return found[0]
            path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["target"]))
            part = found["part"] or ""
            if not (ROOT / path).exists():
                sys.exit(f"{source}: the link to '{found['target']}' leads to nothing")
            if found["image"]:
                copied = self.sources / language / path
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, copied)
                return f"![{found['text']}]({relative(path, name)})"
            if path in self.pages[language]:
                inside = self.pages[language][path] + Path(path).suffix
                return f"[{found['text']}]({relative(inside, name)}{part})"
            target = relative(self._elsewhere(path), PREFIX[language] + name)
            return f'<a href="{quote(target)}{part}">{found["text"]}</a>'

        pieces = _FENCED.split(text)
        pieces[::2] = [_LINK.sub(link, piece) for piece in pieces[::2]]
        return "".join(pieces)

    def _elsewhere(self, path):
        """Where in the site a page of another language, a file or a folder lies."""
        for language, pages in self.pages.items():
            if path in pages:
                return f"{PREFIX[language]}{pages[path]}.html"
        if (ROOT / path).is_dir():
            files = sorted(p for p in (ROOT / path).iterdir() if p.is_file())
            places = [self._elsewhere(f"{path}/{file.name}") for file in files]
            name = f"files/{path}/index"
            items = [
                f'- <a href="{quote(relative(place, name))}">{file.name}</a>'
                for file, place in zip(files, places, strict=True)
            ]
            head = "---\norphan: true\n---\n"
            self._write("en", f"{name}.md", f"{head}# {path}\n\n" + "\n".join(items) + "\n")
            self.pages["en"][path] = name
            return f"{name}.html"
        place = f"files/{path}" + ("" if Path(path).suffix else ".txt")
        (self.site / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, self.site / place)
        return place

    def _notebook(self, source, language):
        """A stored notebook, code folded, pictures as files with caption and text for the blind."""
        node = nbformat.read(ROOT / source, 4)
        node.cells = [c for c in node.cells if "interactive" not in c.metadata.get("tags", [])]
        stem = Path(source).stem
        pictures = self.site / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        count = 0
        for cell in node.cells:
            if cell.cell_type == "markdown":
                if language != "en":
                    cell.source = story_in(cell.source, say)
                continue
            cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
            for output in cell.outputs:
                data = output.get("data", {})
                if "text/html" in data:  # the search would read neighbouring cells as one word
                    data["text/html"] = re.sub(r"(?=</t[dh]>)", " ", data["text/html"])
                if "image/svg+xml" in data:
                    count += 1
                    place = f"pictures/{stem}-{count}.svg"
                    (self.site / place).write_text(data["image/svg+xml"], "utf-8")
                    about = output.metadata.get("gpuspec", {})
                    caption = say(about.get("caption", ""))
                    address = relative(place, f"{PREFIX[language]}notebooks/{stem}")
                    output.data = {
                        "text/html": f'<figure><img loading="lazy" src="{address}" '
                        f'alt="{escape(about.get("alt", ""))}">'
                        f"<figcaption>{escape(caption)}</figcaption></figure>"
                    }
        if language != "en":
            told = STORED.format(name=stem.partition("_")[2])
            node.cells.insert(1, nbformat.v4.new_markdown_cell(told, id="stored"))
        return nbformat.writes(node)


def relative(target, page):
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def build(site):
    """Make the site in a folder; the exit code of Sphinx, or of the check of the links."""
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        sources = Path(name)
        stage = Stage(sources, site)
        stage.fill()
        names = sources / "names.json"
        names.write_text(json.dumps({k: sorted(v.values()) for k, v in stage.pages.items()}))
        for language in LANGUAGES:
            made = sources / "made" / language / "html"  # MyST-NB writes beside it
            code = build_main(
                ["-q", "-W", "--keep-going", "-c", str(HERE), "-d", str(made.parent / "trees")]
                + ["-D", f"language={CODE[language]}", "-D", f"html_context.names={names}"]
                + ["-D", f"nb_code_prompt_show={PROMPTS[language][0]}"]
                + ["-D", f"nb_code_prompt_hide={PROMPTS[language][1]}"]
                + [str(sources / language), str(made)]
            )
            if code:
                return code
            unread = shutil.ignore_patterns(".buildinfo", "objects.inv")
            shutil.copytree(made, site / PREFIX[language], dirs_exist_ok=True, ignore=unread)
    wrong = broken_links(site)
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return int(bool(wrong))


class Page(HTMLParser):
    """What a page links to and fetches, and the places of it that have a name."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names = [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        """Keep the addresses and the name of a tag."""
        self.names.update(value for name, value in attrs if name == "id")
        self.links += [(tag, value or "") for name, value in attrs if name in ("href", "src")]


def broken_links(site):
    """Sentences about links that lead to nothing, and about what a page would fetch elsewhere."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    wrong = []
    for path, page in pages.items():
        at = path.relative_to(site).as_posix()
        for tag, link in page.links:
            address = urlsplit(link)
            place = (path.parent / unquote(address.path)).resolve() if address.path else path
            named = pages[place].names if place in pages else ()
            if address.scheme or address.netloc:
                if tag != "a" and address.scheme != "data":
                    wrong.append(f"{at}: fetches '{link}'")
            elif not place.is_file():
                wrong.append(f"{at}: the link to '{link}' leads to nothing")
            elif address.fragment and unquote(address.fragment) not in named:
                wrong.append(f"{at}: the link to '{link}' names no place of that page")
    return wrong


if __name__ == "__main__":
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve()))
