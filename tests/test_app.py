"""The page for a browser: what it asks, what a visitor can reach, and itself in Chromium."""

import asyncio
import html
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyter_client.session import utcnow
from pypdf import PdfReader
from tornado.web import HTTPError

from gpuspec.app import question as asking
from gpuspec.app.answers import ANSWER, FLIPS, TITLES, answer, tab
from gpuspec.app.question import Question, field_of, keep, read_question, told
from gpuspec.app.serve import Kernels
from gpuspec.base import files
from gpuspec.base.ask import asked
from gpuspec.base.errors import InputError
from gpuspec.decision.scenario import DecisionQuestion
from gpuspec.views.language import translator

ROOT = Path(__file__).parents[1]
MS = int(os.environ.get("GPUSPEC_BROWSER_MS", "120000"))
QUICK = {"simulation": "md", "gpu_hours": "800", "deadline": "20d"}
"""A question that is answered in a fraction of a second."""
ENGLISH = re.compile(r"(?<![\w./-])[A-Za-z]?[a-z]{2,}(?: [a-z]{2,}){2,}")
"""A run of three English words."""
MARKUP = "<img src=x onerror=alert(1)>"
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048,
    "num_hidden_layers": 20,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "intermediate_size": 5632,
    "vocab_size": 32000,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}
YAML = """\
name: "{name}"
workloads:
  - {{kind: hpc, name: "{name}", workload: md, gpu_hours: 900, deadline_days: 30}}
"""


# --- what it asks ---------------------------------------------------------------------------------


def test_every_field_of_the_question_is_asked():
    shown = {name for names in (*asking.WORKS.values(), asking.COMMON) for name in names}
    assert shown == set(asking.fields())
    assert shown | set(asking.ASKED_OTHERWISE) == {f.name for f in asked(DecisionQuestion)}
    assert set(asking.SELDOM) <= shown


@pytest.mark.parametrize("kind", asking.WORKS)
def test_what_stands_in_the_boxes_at_first_asks_for_that_kind_of_work(kind):
    s = Question(asking.START[kind]).scenario
    assert " and ".join(asking.SHOWN[w.kind] for w in s.workloads) == kind


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_says_what_the_command_says(command, language):
    question, shown = Question(QUICK, language=language), {}
    decision = answer(question.scenario, language, lambda part: shown.update({part.name: part}))
    shown |= {name: tab(decision, name, language) for name in TITLES}
    assert set(shown) == {ANSWER, *TITLES}
    assert all(part.whole for part in shown.values())
    words = question.command.split()
    assert words[:2] == ["gpuspec", "plan"]
    said = command(*words[1:])
    assert said.returncode == 0
    text = bare(html.unescape(re.sub("<[^>]*>", "", shown[ANSWER].html)))
    paragraphs = said.stdout.split("\n\n")[1:5]
    assert "A100" in paragraphs[1]
    assert [p for p in paragraphs if bare(p) not in text] == []
    assert "data:image/svg+xml;base64," in shown[FLIPS].html


def bare(text):
    """Return a text without blanks: a page sets them between words of two scripts."""
    return "".join(text.split())


@pytest.mark.parametrize("kind", asking.WORKS)
def test_a_chinese_page_holds_no_english_sentence(kind):
    stated = asking.START[kind] | ({"budget": "900 USD/month"} if kind == "service" else {})
    shown = []
    decision = answer(Question(stated, language="zh").scenario, "zh", shown.append)
    shown += [tab(decision, name, "zh") for name in TITLES if name != FLIPS or kind == "simulation"]
    texts = [html.unescape(re.sub(r"<[^>]*>", " ", part.html)) for part in shown]
    assert all(re.search("[\u4e00-\u9fff]", text) for text in texts)
    assert [found for text in texts for found in ENGLISH.findall(text)] == []


def test_the_file_and_the_blanks_say_what_is_asked():
    question = Question(QUICK)
    again = read_question(question.yaml.encode())
    assert again.workloads == question.scenario.workloads
    over = Question({"gpu_hours": "100"}, again)
    assert over.scenario.workloads[0].gpu_hours == 100
    assert over.scenario.workloads[0].workload == "md"
    assert over.command == "gpuspec plan question.yaml --gpu-hours 100"
    taken = Question({"model": "70B", "users": "10"}).taken()
    assert (taken["use_case"], taken["horizon_months"], taken["currency"]) == ("chat", "36", "USD")


@pytest.mark.parametrize(
    ("values", "box"),
    [
        ({"users": "many"}, "users"),
        ({"users": "5", "concurrency": "3"}, "concurrency"),
        ({"model": "70B", "budget": "much"}, "budget"),
        ({"model": "Lama-3.1-70B"}, "model"),
        ({"model": "70B", "owned": "8 x Z100"}, "owned"),
        ({"tokens": "1B", "deadline": "yesterday"}, "deadline"),
        ({"model": "70B", "users": "5", "isl": "10000000"}, "isl"),
        ({"images_per_s": "1.000"}, "images_per_s"),
        ({"image_model": "Llama-3.1-8B"}, "image_model"),
        ({"tenants": "3 x Lama-3.2-1B"}, "tenants"),
        ({"tenants": "name,model,isl;a,Llama-3.2-1B,-4"}, "tenants"),
        ({"simulation": "md", "model": "8B"}, "model"),
    ],
)
def test_an_error_stands_beside_its_box_in_both_languages(values, box):
    with pytest.raises(InputError) as error:
        assert Question(values).scenario
    assert field_of(error.value) == box
    english, chinese = (told(error.value, translator(name)) for name in ("en", "zh"))
    assert "is not valid" in english
    assert "无效" in chinese


HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "10 kB": "x" * 10240,
    "emoji": "🤖🚀",
    "negative": "-5",
    "overflow": "1e309",
    "no number": "nan",
    "digits": "9" * 5000,
    "control": "\x00a",
    "template": "{0}{name}%s",
    "path": "../../etc/passwd",
}


def _read_whole(question):
    """Read a question and the prices that it brings, which are read when they are needed."""
    assert question.scenario.prices.own is not None


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_in_any_box_is_an_error_beside_that_box(text, tmp_path, monkeypatch):
    monkeypatch.setenv(files.CONFINED, str(tmp_path))
    for kind, names in asking.WORKS.items():
        for name in (*names, *asking.COMMON):
            if asking.fields()[name].choices:  # chosen from a list, not typed
                continue
            with pytest.raises(InputError) as error:
                _read_whole(Question(asking.START[kind] | {name: text}))
            assert field_of(error.value) == name, (kind, name)
            for language in ("en", "zh"):
                assert len(told(error.value, translator(language))) < 500


# --- what is brought ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"a" * (asking.MOST_QUESTION_BYTES + 1),
        b"\xff\xfe\x00",
        b"- 1",
        b"name: !!python/object/apply:os.system [id]",
        b"name: a\nworkloads: [" + b"{kind: hpc}," * (asking.MOST_WORKS + 1) + b"]",
        b"a: &a [1]\nb: &b [*a,*a,*a]\nc: [*b,*b,*c]",
        YAML.format(name="a").encode() + b"prices: {file: /etc/passwd}",
        YAML.format(name="a").encode() + b"prices: {quotes: /etc/passwd}",
        b"name: a\nworkloads: [{kind: inference, name: a, model: /etc/passwd, users: 3}]",
    ],
)
def test_a_hostile_file_is_refused_at_the_door(content, tmp_path, monkeypatch):
    monkeypatch.setenv(files.CONFINED, str(tmp_path))
    with pytest.raises(InputError) as error:
        answer(Question({}, read_question(content)).scenario, "en", print)
    assert "root:" not in str(error.value)


def test_a_config_is_kept_under_a_name_of_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(files.CONFINED, str(tmp_path))
    assert keep("model", json.dumps(CONFIG).encode(), tmp_path, 1) == "own-model.json"
    assert Question({"model": "own-model.json", "users": "9"}).scenario.workloads[0].users == 9
    with pytest.raises(InputError, match="at most"):
        keep("model", b" " * (asking.MOST_CONFIG_BYTES + 1), tmp_path, 2)
    assert keep("tenants", b"name,model,copies\na,Llama-3.2-1B,3\n", tmp_path, 2) == (
        "own-tenants-2.csv"
    )
    question = Question({"tenants": "own-tenants-2.csv"})
    assert read_question(question.yaml.encode()).workloads == question.scenario.workloads
    assert question.scenario.workloads[0].table[0]["copies"] == "3"


def test_no_other_file_is_read_and_none_is_told_to_be_there(tmp_path, monkeypatch):
    inside, outside = tmp_path / "in", tmp_path / "secret.json"
    inside.mkdir()
    outside.write_text("{}")
    (inside / "link.json").symlink_to(outside)
    monkeypatch.setenv(files.CONFINED, str(inside))
    said = []
    for path in (outside, inside / "link.json", tmp_path / "nothing.json"):
        with pytest.raises(InputError) as error:
            files.read_text("model", path, 100)
        said.append(error.value.valid)
    assert set(said) == {"there is no such file"}
    monkeypatch.delenv(files.CONFINED)
    assert files.read_text("model", outside, 100) == "{}"


def test_what_is_typed_is_text_in_the_answer():
    s, shown = read_question(YAML.format(name=MARKUP).encode()), []
    answer(s, "en", shown.append)
    assert any("&lt;img src=x" in part.html for part in shown)
    assert not any("<img src=x" in part.html for part in shown)


# --- the kernels of visitors ---------------------------------------------------------------------


@pytest.fixture
def kernels(monkeypatch):
    """Return a manager of kernels that were used so many seconds ago; those ended are noted."""
    manager, now = Kernels(most=5, cull_idle_timeout=900), utcnow()
    manager.ended = []
    states = {
        "left": ("idle", 901, 1),
        "used": ("idle", 899, 1),
        "working": ("busy", 5000, 1),
        "never opened": ("idle", 61, 0),
        "opening": ("idle", 59, 0),
    }
    for name, (state, quiet_s, pages) in states.items():
        seen = now - timedelta(seconds=quiet_s)
        manager._kernels[name] = SimpleNamespace(last_activity=seen, execution_state=state)
        manager._kernel_connections[name] = pages

    async def shut(name):
        manager.ended.append(name)

    monkeypatch.setattr(manager, "shutdown_kernel", shut)
    return manager


def test_kernels_that_nobody_uses_end_and_others_stay(kernels, monkeypatch):
    for name in list(kernels._kernels):
        asyncio.run(kernels.cull_kernel_if_idle(name))
    assert kernels.ended == ["left", "never opened"]
    monkeypatch.setattr(kernels, "warm", lambda: {"left"})  # waits for a visitor
    asyncio.run(kernels.cull_kernel_if_idle("left"))
    assert kernels.ended == ["left", "never opened"]


def test_no_kernel_is_started_beyond_the_limit(kernels, monkeypatch):
    assert kernels.full
    with pytest.raises(HTTPError) as error:
        asyncio.run(kernels.start_kernel())
    assert error.value.status_code == 503
    monkeypatch.setattr(kernels, "warm", lambda: {"used"})
    assert not kernels.full


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(browser, tmp_path_factory):
    """Serve the page to one visitor at a time; its address."""
    place = tmp_path_factory.mktemp("app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = ["--VoilaConfiguration.default_pool_size=1", "--Kernels.most=1"]
    one += [f"--port={port}", "--Voila.port_retries=0"]
    server = subprocess.Popen(
        [sys.executable, "-m", "gpuspec.app.serve", *one],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=(place / "log").open("w"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.getenv("PYTHONPATH", "")])},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/nothing", server, place / "log")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url, server, log):
    while server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
        except urllib.error.HTTPError:
            return  # it answers: there is no such page
        except OSError:
            time.sleep(0.25)
    raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(served, browser):
    """Open the page once, as one visitor; its first answer is there."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(MS)
    page.foreign = []
    page.on("request", lambda r: None if _own(r.url, served) else page.foreign.append(r.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    page.goto(served)
    _answer(page, "200 users")
    return page


def _own(url, served):
    return url.startswith((served, served.replace("http", "ws"), "data:", "blob:"))


def _answer(page, text):
    """Wait until the answer holds a text and is no longer grey."""
    page.locator(".gpuspec-answer:not(.gpuspec-old)", has_text=text).wait_for()


def _type(page, label, text):
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")


def _error(page, label):
    """Return what stands below a box."""
    field = page.locator(".gpuspec-field", has=page.get_by_label(label, exact=True))
    field.get_by_role("alert").wait_for()
    return field.get_by_role("alert").inner_text()


def _serious(page):
    """Return what axe-core calls serious or worse."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    grave = [v for v in found if v["impact"] in ("serious", "critical")]
    return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in grave]


def test_nothing_but_the_page_is_served(page, served):
    for path in ("app.ipynb", "voila/files/app.ipynb", "api/kernels", "api/contents", "voila/tree"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{served}/{path}", timeout=20)
        assert error.value.code == 404, path
    assert "gpuspec.app" not in page.content()
    assert page.foreign == []


def test_a_visitor_runs_no_code(page):
    told_ = page.evaluate(
        """async () => {
        const about = JSON.parse(document.getElementById('jupyter-config-data').textContent);
        const base = location.href.replace('http', 'ws') + 'api/kernels/' + about.kernelId;
        const socket = new WebSocket(base + '/channels?session_id=x');
        const types = [];
        socket.onmessage = ({data}) => types.push(JSON.parse(data).msg_type);
        await new Promise(done => socket.onopen = done);
        const send = (type, channel, content) => socket.send(JSON.stringify({channel, content,
            header: {msg_id: type, session: 'x', username: '', date: '', msg_type: type,
                     version: '5.3'}, parent_header: {}, metadata: {}, buffers: []}));
        const code = {code: 'open("ran", "w")', silent: false, store_history: false,
                      user_expressions: {}, allow_stdin: false};
        send('execute_request', 'shell', code);
        send('debug_request', 'control', {type: 'request', seq: 1, command: 'initialize'});
        send('kernel_info_request', 'shell', {});
        for (let i = 0; i < 100 && !types.includes('kernel_info_reply'); i++)
            await new Promise(done => setTimeout(done, 200));
        socket.close();
        return types;
    }"""
    )
    assert "kernel_info_reply" in told_
    assert not {"execute_reply", "execute_input", "debug_reply"} & set(told_)


def test_one_visitor_more_is_told_to_wait(page, served):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(served, timeout=20)
    assert error.value.code == 503
    assert "All places are taken" in error.value.read().decode()


def test_errors_stand_beside_their_boxes_and_the_old_answer_is_grey(page):
    for label, wrong, good in (
        ("Users", "many", "200"),
        ("Budget", "much", ""),
        ("Model", "Lama-3.1-70B", "70B"),
    ):
        _type(page, label, wrong)
        assert f"'{wrong}' is not valid" in _error(page, label)
        assert page.locator(".gpuspec-answer.gpuspec-old").count() == 1
        assert page.locator(".busy").count() == 0
        _type(page, label, good)
        _answer(page, "200 users")
        assert page.get_by_role("alert").count() == 0


def test_a_simulation_is_asked_with_the_keyboard_alone(page):
    page.get_by_label("Kind of work").focus()
    page.keyboard.type("Sim")
    _answer(page, "simulation")
    box = page.get_by_label("GPU hours")
    for _ in range(12):
        page.keyboard.press("Tab")
        if box.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.type("1234")
    page.keyboard.press("Tab")
    _answer(page, "1,234")
    tabs = page.get_by_role("tab")
    for _ in range(30):
        page.keyboard.press("Tab")
        if tabs.first.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    page.locator("caption", has_text="Break-even values").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_whole_and_accessible(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.gpuspec-page label, .gpuspec-page button,' +
        ' .gpuspec-page input, .gpuspec-page img')].filter(e => e.offsetParent &&
        (e.scrollWidth > e.clientWidth + 1 && e.tagName !== 'INPUT' ||
         e.getBoundingClientRect().right > innerWidth)).map(e => e.outerHTML)"""
    )
    assert wide == []
    assert _serious(page) == []


def test_a_question_is_loaded_and_its_markup_is_text(page):
    page.set_viewport_size({"width": 1280, "height": 900})
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load a question").click()
    content = YAML.format(name=MARKUP).encode()
    chooser.value.set_files({"name": "q.yaml", "mimeType": "text/yaml", "buffer": content})
    _answer(page, MARKUP)
    assert page.locator("img[src=x]").count() == 0
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load a question").click()
    chooser.value.set_files({"name": "q.yaml", "mimeType": "text/yaml", "buffer": b"name: !!x y"})
    page.get_by_text("leave out the tag").wait_for()
    page.get_by_role("button", name="Leave the loaded question").click()
    _answer(page, "simulation")


def test_a_file_of_100_mb_is_refused_and_the_page_lives_on(page, tmp_path):
    huge = tmp_path / "huge.json"
    huge.write_bytes(b'{"a": "' + b"x" * 100_000_000 + b'"}')
    page.get_by_label("Kind of work").select_option(label="Small services on slices")
    _answer(page, "14 small services")
    page.get_by_label("Kind of work").select_option(label="Service")
    _answer(page, "200 users")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Your own model").click()
    chooser.value.set_files(huge)
    assert "at most 1,048,576 bytes" in _error(page, "Model")
    page.get_by_label("Kind of work").select_option(label="Simulation")
    _answer(page, "simulation")


def test_chinese_with_an_own_model_and_what_is_taken_away(page, tmp_path):
    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_label("Language").select_option(label="中文")
    _answer(page, "个月")
    page.get_by_label("任务类型").select_option(label="训练")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="自有模型").click()
    content = json.dumps(CONFIG).encode()
    chooser.value.set_files({"name": "c.json", "mimeType": "application/json", "buffer": content})
    _answer(page, "own-model")
    _type(page, "训练 token 数", "许多")
    assert "无效" in _error(page, "训练 token 数")
    _type(page, "训练 token 数", "20亿")
    _answer(page, "20 亿")
    page.locator("a[download='gpuspec-errors.csv']").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name, mark in (("question.yaml", "2000000000"), ("gpuspec-options.csv", "H100")):
        with page.expect_download() as saved:
            page.locator(f"a[download='{name}']").last.click()
        assert mark in Path(saved.value.path()).read_text("utf-8-sig")
    page.get_by_role("button", name="生成报告").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="保存报告").click()
    pages = PdfReader(io.BytesIO(Path(saved.value.path()).read_bytes())).pages
    first = "".join("".join(p.extract_text().split()) for p in pages[:2])
    assert "20亿" in first
    assert "own-model" in first
