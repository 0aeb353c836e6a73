"""The story of a Chinese report: what the catalogue must hold, and what a reader finds."""

import base64
import datetime
import io
import re
from pathlib import Path

import measure_chinese
import pypandoc
import pytest
import shell
import write_messages
from pypdf import PdfReader

from gpuspec import report
from gpuspec.cli import main
from gpuspec.cli.common import Command
from gpuspec.report import compose
from gpuspec.report.execute import execute
from gpuspec.report.story import meaning_in, story_in
from gpuspec.views import TEXT_IN_PICTURES, language
from gpuspec.views.columns import heading_in
from gpuspec.views.language import translator

SAMPLE = Path(__file__).parent / "fixtures" / "report_sample.ipynb"
ITEM = "Never divide a sparse figure by a dense one."
ZH = translator("zh")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Execute the sample once and typeset it in a language."""
    notebook = report.find(SAMPLE)
    node = execute(notebook, {"context": 16384}, lambda *_: None, text_in_pictures=True)
    day = datetime.date(2026, 11, 24)
    return lambda kind, language: report.typeset(
        node, notebook, {"context": 16384}, kind, {"date": day, "language": language}
    )


def test_every_heading_is_translated():
    assert write_messages.missing(write_messages.required()) == []


def test_no_entry_of_the_story_is_dead():
    assert write_messages.dead() == []


def test_every_sentence_that_code_says_is_translated():
    assert len(write_messages.said()) > 500
    assert write_messages.missing(write_messages.said()) == []


def test_captions_and_labels_that_code_writes_are_found_by_their_shape():
    assert len(write_messages.written()) > 60
    assert write_messages.shapeless(write_messages.written()) == []


def test_fields_of_both_languages_agree():
    said = {m.id: m.string for m in write_messages.catalogue() if m.id and not m.locations}
    differ = {i: s for i, s in said.items() if write_messages.fields(i) != write_messages.fields(s)}
    assert differ == {}


def test_the_catalogue_is_read_as_babel_reads_it():
    path = write_messages.CATALOGUE
    read = {text: said for _, text, said in language._entries(path.read_text("utf-8"))}
    assert read == {str(m.id): str(m.string) for m in write_messages.catalogue() if m.id}


@pytest.mark.parametrize("name", ["overview", "memory"])
def test_a_notebook_that_speaks_chinese_shows_hardly_any_english(name, monkeypatch):
    monkeypatch.setenv(TEXT_IN_PICTURES, "1")
    notebook = report.find(name)
    with language.speaking("zh"):
        shown = shell.executed(notebook.node, {})
    document = compose.compose(shown, notebook, {}, False, "zh", datetime.date(2026, 11, 30))
    texts = [document.title, document.question, document.body]
    for table in document.tables:
        texts += [
            str(table["caption"]),
            *table["columns"],
            *(c for row in table["rows"] for c in row),
        ]
    for figure in document.figures:
        drawn = base64.b64decode(figure["base64"]).decode()
        texts += [figure["caption"], figure["alt"], *re.findall(r"<text[^>]*>([^<]*)", drawn)]
    assert measure_chinese.share(texts) < measure_chinese.MOST
    assert measure_chinese.share([*texts, "Nothing of this has a translation. " * 60]) > 0.05


def test_what_is_written_is_found_whole_and_by_its_shape():
    assert ZH("bought") == "购买"
    assert ZH("weights alone are 61.4 GiB too large") == "单是权重就超出 61.4 GiB"
    assert ZH("A100 turns at 153 FLOP per byte; H100 turns at 295 FLOP per byte") == (
        "A100 的转折点在每字节 153 FLOP; H100 的转折点在每字节 295 FLOP"
    )
    assert ZH("my own words") == "my own words"
    assert ZH("{count} GPUs", count=8) == "8 张 GPU"


@pytest.mark.parametrize(
    ("variables", "spoken"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "GPUSPEC_LANG": "zh"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_environment_says_which_language_is_spoken(variables, spoken, monkeypatch):
    for name in language._ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    language.speak(None)
    assert language.spoken() == spoken
    with language.speaking("en"):
        assert language.say("bought") == "bought"


@pytest.mark.parametrize("name", [n for n, c in main.commands.items() if isinstance(c, Command)])
def test_every_command_refuses_in_chinese_and_has_the_common_options(name, command):
    done = command(name, "--no-such-option", GPUSPEC_LANG="zh")
    assert done.returncode == 2
    assert done.stderr.startswith("gpuspec: 没有选项")
    assert {"--lang", "--debug"} <= {o for p in main.commands[name].params for o in p.opts}


def test_an_option_outranks_the_environment(command):
    line = ("estimate", "no-such-model-at-all")
    assert "无效" in command(*line, LANG="zh_CN.UTF-8", GPUSPEC_LANG="").stderr
    assert "is not valid" in command(*line, "--lang", "en", LANG="zh_CN.UTF-8").stderr
    assert "无效" in command(*line, "--lang", "zh", GPUSPEC_LANG="en").stderr


def test_a_translation_keeps_formulas_code_links_and_emphasis():
    for message in write_messages.catalogue():
        if message.locations:
            for mark in ("`", "$", "**", "](", "{", "}"):
                assert message.id.count(mark) == message.string.count(mark), message.id


def test_a_chinese_report_tells_its_story_in_chinese(made):
    html = made("html", "zh").decode()
    assert ZH(ITEM) != ITEM
    assert f"<li>{ZH(ITEM)}</li>" in "".join(html.splitlines())
    assert ITEM not in html
    assert "可容请求数" in html
    assert "Requests that fit" not in html.replace("not the requests that fit", "")
    assert "Buy no memory that nothing fills." in html  # has no translation
    pages = PdfReader(io.BytesIO(made("pdf", "zh"))).pages
    assert ZH(ITEM) in "".join("".join(page.extract_text().split()) for page in pages)
    assert ITEM in made("html", "en").decode()


def test_a_translation_runs_nothing(made, monkeypatch):
    bad = '<script>alert(1)</script> `#panic("ran")`{=typst} `<b id=raw>`{=html}'
    words = lambda text, /, **values: bad if text == ITEM else ZH(text, **values)  # noqa: E731
    monkeypatch.setattr(compose, "translator", lambda language: words)
    html = made("html", "zh").decode()
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert "<b id=raw>" not in html
    assert made("pdf", "zh").startswith(b"%PDF")


def test_texts_are_found_one_by_one():
    known = {
        "Head": "题",
        "one two\nthree": "段",
        "first": "甲",
        "second\n  goes on": "乙",
        "B": "丙",
    }
    words = lambda text, /, **_: known.get(text, text)  # noqa: E731
    english = "## Head\n\none two\nthree\n\n- first\n- second\n  goes on\n1. first"
    english += "\n\n| A | B |\n| - | - |"
    chinese = "## 题\n\n段\n\n- 甲\n- 乙\n1. 甲\n\n| A | 丙 |\n| - | - |"
    assert story_in(english, words) == chinese
    assert story_in("```bash\nmake  |x\n\n| y|\n```\n", words) == "```bash\nmake  |x\n\n| y|\n```\n"


def test_a_family_of_columns_keeps_its_name():
    assert heading_in("GPUs: H100", ZH) == "GPU 数：H100"
    assert heading_in("H100 SXM", ZH) == "H100 SXM"


def test_a_meaning_keeps_its_unit():
    assert meaning_in("Prompts of a step [prompts]", lambda text, **_: text.upper()) == (
        "PROMPTS OF A STEP [PROMPTS]"
    )
    assert meaning_in("nothing known [thing]", ZH) == "nothing known [thing]"


def test_no_mark_of_a_translation_is_left_over():
    texts = [m.string for m in write_messages.catalogue() if m.locations]
    markdown = "\n\n".join(text for text in texts if not set("`$") & set(text))
    plain = pypandoc.convert_text(markdown, "html", format="gfm+tex_math_dollars")
    plain = re.sub(r"<[^>]*>", "", plain)
    assert len(plain) > 3000
    assert "*" not in plain
    assert "](" not in plain


def test_the_chinese_readme_has_the_commands_and_figures_of_the_english_one():
    root = Path(__file__).parents[1]
    english, chinese = ((root / n).read_text("utf-8") for n in ("README.md", "README.zh.md"))
    commands = re.compile(r"^(?:make|\.venv/bin/\S+) .*?(?=  +#|$)", re.M)
    assert set(commands.findall(english)) - set(commands.findall(chinese)) == set()
    notebooks = re.compile(r"`notebooks/\w+\.ipynb`")
    assert notebooks.findall(english) == notebooks.findall(chinese)
    counts = [re.search(r"^\| `data/` \|(.*)$", t, re.M)[1] for t in (english, chinese)]
    assert len(set(map(tuple, (re.findall(r"\d[\d,]*\d", c) for c in counts)))) == 1


def test_pages_in_chinese_link_to_what_is_there():
    root = Path(__file__).parents[1]
    for page in (root / "README.zh.md", *(root / "docs" / "zh").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), (page, target)


# One word for one thing: what stands for another is a slip of the translator.
WORDS = {
    "首个 token": ("首字", "首 token", "第一个 token", "首词"),
    "token": ("令牌", "词元"),
    "KV 缓存": ("KV缓存",),
    "输入": ("提示词", "提示长度", "读取提示"),
    "GPU 小时": ("卡时",),
    "每步时间": ("步长",),
    "建议方案": ("推荐方案", "首选方案"),
    "期初投资": ("资本支出",),
    "现有": ("已有的 GPU", "已有设备"),
    "竞价": ("抢占式", "现货"),
    "抽样": ("采样",),
    "延迟": ("时延限制",),
    "吞吐量": ("吞吐率",),
    "数值格式": ("数字格式",),
    "发布者": ("发布方",),
    "节点": ("结点",),
    "遗憾": ("后悔",),
    "您": ("你",),
}


def test_one_thing_has_one_chinese_word():
    root = Path(__file__).parents[1]
    texts = {m.id: str(m.string) for m in write_messages.catalogue() if m.id}
    pages = (root / "README.zh.md", *(root / "docs" / "zh").glob("*.md"))
    texts |= {page.name: page.read_text("utf-8") for page in pages}
    assert sum(word in text for word in WORDS for text in texts.values()) > 300
    for word, others in WORDS.items():
        slips = {where: o for where, text in texts.items() for o in others if o in text}
        assert slips == {}, word
