"""The page itself: a form of the question's fields, the answer beside it, and what to take away."""

import asyncio
import base64
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W

from gpuspec.app.answers import ANSWER, FLIPS, PARTS, TITLES, Part, answer, tab
from gpuspec.app.question import (
    BROUGHT,
    COMMON,
    FILE,
    SELDOM,
    SHOWN,
    START,
    WORKS,
    Question,
    field_of,
    fields,
    keep,
    label_of,
    read_question,
    told,
)
from gpuspec.app.work import Work
from gpuspec.base import files
from gpuspec.base.ask import Asked
from gpuspec.base.errors import InputError
from gpuspec.base.rows import csv_text
from gpuspec.catalog import table_rows
from gpuspec.decision.decide import Decision
from gpuspec.views.display import ShownTable
from gpuspec.views.language import languages, translator

WAIT_S = 0.15
"""How long further changes are waited for, such as those of somebody who tabs through boxes."""
REST_S = 2.0
"""How long an answer must stand before the tabs that nobody has opened are worked out too, so that
all of its tables can be taken away."""
REPORT_S = 300.0
"""How long the report may take."""
OF_LANGUAGES = {"en": "English", "zh": "中文"}
ABOUT = (
    "Which GPUs to buy or rent, how many, at what cost, and how sure that is. Change anything on "
    "the left; what you leave blank is taken as the grey text says, and the answer names it."
)
LISTS: dict[str, Callable[[], Iterable[str]]] = {
    "model": lambda: (str(r["name"]) for r in table_rows("models") if r["kind"] == "llm"),
    "use_case": lambda: (str(r["id"]) for r in table_rows("use-cases")),
    "simulation": lambda: (str(r["id"]) for r in table_rows("workloads")),
    "regions": lambda: (str(r["id"]) for r in table_rows("regions")),
    "image_model": lambda: (str(r["id"]) for r in table_rows("image-models")),
}
"""Names to choose from, beside what may be typed."""


class Box:
    """A field of the question: its control, what it means, and what is wrong with it."""

    def __init__(self, field: Asked) -> None:
        self.field, self.name = field, field.name
        self.control = _control(field)
        self.hint, self.error = W.HTML(), W.HTML()
        self.view = W.VBox([self.control, self.hint, self.error])
        self.view.add_class("gpuspec-field")
        self.error.add_class("gpuspec-error")
        self.hint.add_class("gpuspec-hint")

    def say(self, words: Callable[..., str]) -> None:
        """Put the box into a language."""
        self.control.description = words(label_of(self.name))
        unit = f" [{words(self.field.unit)}]" if self.field.unit else ""
        self.hint.value = escape(words(self.field.help) + unit)
        if self.field.choices:
            chosen = self.control.value
            named = [(words(choice), choice) for choice in self.field.choices]
            self.control.options = [self.control.options[0], *named]
            self.control.value = chosen

    @property
    def value(self) -> str:
        """What is typed or chosen; empty for blank."""
        return str(self.control.value or "").strip()

    def take(self, text: str, words: Callable[..., str]) -> None:
        """Say what counts where the box is blank."""
        if isinstance(self.control, W.Dropdown):
            blank = f"({words(text)})" if text else "–"
            if self.control.options[0][0] != blank:
                chosen = self.control.value
                self.control.options = [(blank, ""), *self.control.options[1:]]
                self.control.value = chosen
        else:
            self.control.placeholder = text

    def wrong(self, sentence: str) -> None:
        """Show what is wrong, or nothing."""
        self.error.value = f'<span role="alert">{escape(sentence)}</span>' if sentence else ""
        (self.view.add_class if sentence else self.view.remove_class)("gpuspec-wrong")


def _control(field: Asked) -> W.Widget:
    """Return the control of a field, as its record says: a list of a few, else free text."""
    if field.choices:
        return W.Dropdown(options=[("–", ""), *((c, c) for c in field.choices)], value="")
    if field.name in LISTS:
        names = list(dict.fromkeys(LISTS[field.name]()))
        return W.Combobox(options=names, continuous_update=False, value="")
    return W.Text(continuous_update=False, value="")


class Page:
    """The page; `view` is what a notebook shows."""

    def __init__(self, language: str = "en") -> None:
        self.folder = _folder()
        self.work, self.say = Work(), translator(language)
        self.base: Any = None
        self.uploads = 0
        self.settling = False
        self.tables: dict[str, ShownTable] = {}
        self.decision: Decision | None = None
        self.due: list[str] = []
        """Tabs of the decision that are still to be made."""
        self.question: Question | None = None
        self.boxes = {name: Box(field) for name, field in fields().items()}
        self.language = W.Dropdown(
            options=[(OF_LANGUAGES.get(name, name), name) for name in languages()], value=language
        )
        self.kind = W.Dropdown(options=list(WORKS), value="service")
        self.brought = {
            name: W.FileUpload(accept=suffix, multiple=False, icon="")
            for name, (_, suffix, _) in BROUGHT.items()
        }
        self.load = W.FileUpload(accept=".yaml,.yml", multiple=False, icon="")
        self.unload, self.pdf, self.further = W.Button(), W.Button(), W.Button()
        self.all = False
        self.head, self.loaded, self.wrong = W.HTML(), W.HTML(), W.HTML()
        self.busy, self.saved, self.links = W.HTML(), W.HTML(), W.HTML()
        self.shown = {name: W.HTML() for name in PARTS}
        self.waiting = {name: W.HTML() for name in TITLES}
        self.tabs = W.Tab([W.VBox([self.waiting[name], self.shown[name]]) for name in TITLES])
        self.view = self._laid_out()
        self._fill(START[self.kind.value])
        self._say()
        self._watch()
        self.change()

    # --- how it looks ---------------------------------------------------------------------------

    def _laid_out(self) -> W.Widget:
        named: dict[W.Widget, str] = {
            self.head: "head",
            self.busy: "busy",
            self.wrong: "error",
            self.shown[ANSWER]: "answer",
            self.saved: "saved",
            self.links: "links",
            self.tabs: "tabs",
            self.loaded: "hint",
        }
        for widget, name in named.items():
            widget.add_class(f"gpuspec-{name}")
        works = list(dict.fromkeys(name for names in WORKS.values() for name in names))
        self.of_work = W.VBox([self.boxes[name].view for name in works if name not in COMMON])
        for name, upload in self.brought.items():
            control, *rest = self.boxes[name].view.children
            self.boxes[name].view.children = (control, upload, *rest)
        self.common = W.VBox([self.boxes[name].view for name in COMMON])
        files_ = W.VBox([self.further, self.load, self.unload])
        form = W.VBox([self.loaded, self.kind, self.of_work, self.common, files_])
        away = W.VBox([W.HBox([self.pdf]), self.saved, self.links])
        found = W.VBox([self.busy, self.wrong, self.shown[ANSWER], away, self.tabs])
        columns = W.HBox([form, found])
        top = W.HBox([self.head, self.language])
        for box, name in ((form, "form"), (found, "found"), (columns, "columns"), (top, "top")):
            box.add_class(f"gpuspec-{name}")
        for box, name in ((away, "away"), (files_, "files")):
            box.add_class(f"gpuspec-{name}")
        view = W.VBox([top, columns])
        view.add_class("gpuspec-page")
        return view

    def _say(self) -> None:
        """Put all that is fixed into the language."""
        say = self.say
        lang = escape(self.language.value, quote=True)
        self.head.value = f'<h1 lang="{lang}">gpuspec</h1><p lang="{lang}">{escape(say(ABOUT))}</p>'
        self.language.description = "Language / 语言"
        kind = self.kind.value
        self.kind.options = [(_headed(say(name)), name) for name in WORKS]
        self.kind.value = kind
        self.kind.description = say("Kind of work")
        self.brought["model"].description = say("Your own model: a config.json")
        self.brought["tenants"].description = say("A table of your own: a CSV file")
        self.load.description = say("Load a question (YAML)")
        self.unload.description = say("Leave the loaded question")
        self.pdf.description = say("Make the report (PDF)")
        self.tabs.titles = [say(title) for title in TITLES.values()]
        for box in self.boxes.values():
            box.say(say)
        self._say_loaded()

    def _say_loaded(self) -> None:
        self.unload.layout.display = None if self.base else "none"
        self.kind.disabled = bool(self.base)
        text = "Loaded: {name}. What you type stands over it; what is blank is as the file says."
        said = self.say(text, name=self.base.name) if self.base else ""
        self.loaded.value = escape(said)
        self.further.description = self.say("Fewer fields" if self.all else "All fields")
        visible = self.visible
        for name, box in self.boxes.items():
            shown = name in visible and (self.all or name not in SELDOM or bool(box.value))
            box.view.layout.display = None if shown else "none"

    @property
    def visible(self) -> tuple[str, ...]:
        """Names of the fields that the page shows."""
        if self.base is None:
            works = list(WORKS[self.kind.value])
            trains = bool(self.boxes["ai_share"].value) or "ai_share" not in works
            return (*(name for name in works if trains or name != "model"), *COMMON)
        kinds = {w.kind for w in self.base.workloads}
        works = [name for kind, work in SHOWN.items() if kind in kinds for name in WORKS[work]]
        works = [name for name in works if name != "ai_share"]
        if not kinds & {"inference", "training"}:
            works = [name for name in works if name != "model"]
        return (*dict.fromkeys(works), *COMMON)

    # --- what happens ---------------------------------------------------------------------------

    def _watch(self) -> None:
        for box in self.boxes.values():
            box.control.observe(lambda _: self.change(), names="value")
        self.kind.observe(self._kind_chosen, names="value")
        self.language.observe(self._language_chosen, names="value")
        for name, upload in self.brought.items():
            upload.observe(partial(self._file_brought, name), names="value")
        self.boxes["ai_share"].control.observe(lambda _: self._say_loaded(), names="value")
        self.load.observe(self._question_brought, names="value")
        self.unload.on_click(lambda _: self._based(None))
        self.pdf.on_click(lambda _: self._report())
        self.tabs.observe(self._looked_at, names="selected_index")
        self.further.on_click(lambda _: self._all_fields(not self.all))

    def _fill(self, values: dict[str, str]) -> None:
        self.settling = True
        for name, box in self.boxes.items():
            if name in values and not box.value:
                box.control.value = values[name]
        self.settling = False

    def _kind_chosen(self, _: object) -> None:
        if not self.settling and self.kind.value:
            self._fill(START[self.kind.value])
            self._say_loaded()
            self.change()

    def _language_chosen(self, _: object) -> None:
        self.say = translator(self.language.value)
        self.settling = True
        self._say()
        self.settling = False
        self.change()

    def _all_fields(self, every: bool) -> None:
        self.all = every
        self._say_loaded()

    def _file_brought(self, field: str, change: dict[str, Any]) -> None:
        for brought in change["new"]:
            try:
                number = self.uploads = self.uploads + 1
                file = keep(field, bytes(brought["content"]), self.folder, number)
            except InputError as error:
                self._refuse(error, brought=True)
                return
            self.boxes[field].control.value = file

    def _question_brought(self, change: dict[str, Any]) -> None:
        for brought in change["new"]:
            try:
                self._based(read_question(bytes(brought["content"])))
            except InputError as error:
                self._refuse(error, brought=True)

    def _based(self, base: Any) -> None:
        """Ask over a file, or without one: the boxes begin anew."""
        self.base, self.settling = base, True
        for box in self.boxes.values():
            box.control.value = ""
        self.settling = False
        self._fill({} if base else START[self.kind.value])
        self._say_loaded()
        self.change()

    def change(self) -> None:
        """Answer what stands in the boxes now."""
        if self.settling:
            return
        names, known = self.visible, self.boxes
        values = {name: known[name].value for name in names if known[name].value}
        question = Question(values, self.base, self.language.value)
        self.decision, self.due = None, []
        self._greyed(True)
        self._settled("")
        self.busy.value = self._busy(self.say("Working …"))
        self.work.begin(lambda put: self._answer(question, put), WAIT_S)

    def _answer(self, question: Question, put: Callable[[Callable[[], None]], None]) -> None:
        """Answer a question, beside the loop; what is shown is put there."""

        def run() -> None:
            taken = question.taken()
            put(lambda: self._asked(question, taken))

            def show(part: Part) -> None:
                put(lambda: self._show(part))

            decision = answer(question.scenario, question.language, show)
            put(lambda: self._decided(decision))

        self._sure(run, put)

    def _sure(self, run: Callable[[], None], put: Callable[[Callable[[], None]], None]) -> None:
        """Run something beside the loop, and say what is wrong where it fails."""
        try:
            run()
        except InputError as error:
            put(lambda error=error: self._refuse(error))  # type: ignore[misc]
        except TimeoutError:
            text = "This question takes longer than a page may: answer it with the command line."
            put(lambda: self._settled(self.say(text)))
        except Exception:
            text = "This question could not be answered, which is a fault of gpuspec."
            put(lambda: self._settled(self.say(text)))
            raise

    def _decided(self, decision: Decision) -> None:
        """The answer is there; the tab that is open follows."""
        self._settled("")
        self.decision, self.due = decision, list(TITLES)
        self._looked_at()

    def _looked_at(self, _: object = None) -> None:
        """Work out the tab that is open, then, where the answer stands, the others; what would flip
        the answer only where it is looked at.
        """
        decision, language = self.decision, self.language.value
        open_ = list(TITLES)[self.tabs.selected_index or 0]
        seen = open_ in self.due
        names = [open_] if seen else [name for name in self.due if name != FLIPS]
        for name, waiting in self.waiting.items():
            due = name in self.due and (name == open_ or name != FLIPS)
            waiting.value = self._busy(self.say("Working …")) if due else ""
        if decision is None or not names:
            return

        def run(put: Callable[[Callable[[], None]], None]) -> None:
            for name in names:
                put(partial(self._show, tab(decision, name, language)))
            put(self._looked_at)

        wait_s = 0.0 if seen else REST_S
        self.work.begin(lambda put: self._sure(lambda: run(put), put), wait_s)

    def _asked(self, question: Question, taken: dict[str, str]) -> None:
        """The question is one: say what counts where boxes are blank."""
        self.question, self.tables = question, {}
        self.wrong.value = self.saved.value = ""
        for name, box in self.boxes.items():
            box.wrong("")
            box.take(taken.get(name, ""), self.say)
        self._links()

    def _show(self, part: Part) -> None:
        lang = escape(self.language.value, quote=True)
        more = "" if part.whole else self._busy(self.say("More is being worked out …"))
        self.shown[part.name].value = f'{more}<div lang="{lang}">{part.html}</div>'
        self.shown[part.name].remove_class("gpuspec-old")
        if part.name == ANSWER:
            self.busy.value = ""
        else:
            self.due.remove(part.name)
            self.waiting[part.name].value = ""
        self.tables |= dict(part.tables)
        if part.tables:
            self._links()

    def _settled(self, fault: str) -> None:
        for widget in (self.busy, *self.waiting.values()):
            widget.value = ""
        self.wrong.value = f'<span role="alert">{escape(fault)}</span>' if fault else ""

    def _refuse(self, error: InputError, brought: bool = False) -> None:
        """Show an error beside its field; the old answer stays, in grey unless what is asked is as
        it was, as where a file that was brought is left aside.
        """
        if not brought:
            self._settled("")
            self._greyed(True)
        name, sentence = field_of(error), told(error, self.say)
        at = name if name in self.visible else ""
        if at in SELDOM and not self.boxes[at].value:
            self._all_fields(True)
        for box in self.boxes.values():
            box.wrong(sentence if box.name == at else "")
        if not at:
            self._settled(f"{error.field}: {sentence}" if error.field else sentence)

    def _greyed(self, old: bool) -> None:
        for widget in self.shown.values():
            (widget.add_class if old else widget.remove_class)("gpuspec-old")

    def _busy(self, text: str) -> str:
        return f'<p class="busy" role="status"><span class="turning"></span>{escape(text)}</p>'

    # --- what is taken away ---------------------------------------------------------------------

    def _links(self) -> None:
        """Offer the question as a file and as a command line, and every table that is shown."""
        if self.question is None:
            return
        say, asked = self.say, self.question
        found = [_link(FILE, asked.yaml, "text/yaml", say("The question (YAML)"))]
        if asked.base:
            loaded = _link(FILE, asked.base_yaml, "text/yaml", say("The loaded question"))
            found.insert(0, loaded)
        for name, shown in self.tables.items():
            rows = [dict(zip(shown.columns, row, strict=True)) for row in shown.rows]
            text = "\ufeff" + csv_text(shown.columns, rows)
            file = f"gpuspec-{name}.csv"
            found.append(_link(file, text, "text/csv", file, shown.caption))
        given = say("The same answer on the command line:")
        lines = f"<p>{escape(given)}</p><pre tabindex='0'>{escape(asked.command)}</pre>"
        head = escape(say("Tables (CSV) and the question"))
        self.links.value = f"{lines}<p>{head}{say(': ')}{' · '.join(found)}</p>"

    def _report(self) -> None:
        if self.question is None or self.pdf.disabled:
            return
        self.pdf.disabled = True
        self.saved.value = self._busy(self.say("The report is being written …"))
        asyncio.get_running_loop().create_task(self._written(self.question))

    async def _written(self, asked: Question) -> None:
        """Write the report in a process of its own, and offer it."""
        target = self.folder / "gpuspec.pdf"
        files.write_atomically(self.folder / FILE, asked.yaml.encode())
        words = [sys.executable, "-P", "-m", "gpuspec", "report", "decision", "--quiet"]
        words += ["-p", f"scenario={FILE}", "--lang", asked.language, "-o", target.name]
        pipe = asyncio.subprocess.PIPE
        target.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            *words, cwd=self.folder, stdout=pipe, stderr=pipe, stdin=asyncio.subprocess.DEVNULL
        )
        try:
            await asyncio.wait_for(process.communicate(), REPORT_S)
        except TimeoutError:
            process.kill()
        self.pdf.disabled = False
        if asked is not self.question:
            self.saved.value = ""
        elif target.exists():
            label = self.say("Save the report ({size} kB)", size=target.stat().st_size // 1000)
            self.saved.value = _link(target.name, target.read_bytes(), "application/pdf", label)
        else:
            text = self.say("The report could not be written.")
            self.saved.value = f'<span role="alert">{escape(text)}</span>'


def _headed(text: str) -> str:
    return text[:1].upper() + text[1:]


def _link(name: str, content: str | bytes, kind: str, label: str, about: str = "") -> str:
    """Return a link that saves a file; the page itself holds its content."""
    data = content.encode() if isinstance(content, str) else content
    code = base64.b64encode(data).decode()
    of, title = escape(name, quote=True), escape(about, quote=True)
    return (
        f'<a download="{of}" title="{title}" href="data:{kind};base64,{code}">{escape(label)}</a>'
    )


def _folder() -> Path:
    """Make the folder of a visitor, and let nothing else be read from now on."""
    folder = tempfile.mkdtemp(prefix="gpuspec-")
    os.chdir(folder)
    os.environ[files.CONFINED] = folder
    return Path(folder)


def show() -> W.Widget:
    """Return the page, for the notebook that Voilà serves."""
    return Page().view
