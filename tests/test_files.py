"""One door in: every file, name and value that a person brings is read in bounds, or refused."""

import json
import os
import resource
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from gpuspec.base import documents
from gpuspec.base.ask import Range
from gpuspec.base.documents import from_json, from_yaml, read_document
from gpuspec.base.errors import InputError, UnknownNameError, brief
from gpuspec.base.files import (
    MOST_NODES,
    bounded,
    check_text,
    check_writable,
    path_of,
    read_text,
    write_atomically,
)
from gpuspec.base.rows import MOST_CELL, csv_rows
from gpuspec.catalog import gpus
from gpuspec.catalog.models import model_from_config
from gpuspec.decision.scenario import scenario
from gpuspec.evidence.validation import validate
from gpuspec.topics.cost.prices.quotes import read_quotes
from gpuspec.topics.mig import MigQuestion, pack, tenant_options

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "tests/fixtures/report_sample.ipynb"
BASE = (
    "name: mine\nworkloads:\n- {kind: inference, name: chat, model: Llama-3.1-8B, concurrency: 8}\n"
)
BOMB = ", ".join(
    ["&b0 [x,x,x,x,x,x,x,x,x,x]"]
    + [f"&b{i} [{', '.join([f'*b{i - 1}'] * 10)}]" for i in range(1, 9)]
)


def tenants_question(path):
    return MigQuestion.ask(tenants=path, gpus="H100", solver_seconds=1)


READERS = {
    "config.json": model_from_config,
    "s.yaml": scenario,
    "s.json": scenario,
    "t.csv": tenants_question,
    "q.csv": read_quotes,
    "q.yaml": read_quotes,
    "m.csv": validate,
    "gpus.csv": lambda path: gpus(Path(path).parent),
}
"""What reads each kind of file."""


def refused(call, *args):
    """Return the one sentence with which a call refuses its arguments."""
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        call(*args)
    said = str(caught.value)
    assert len(said) <= 600
    assert said.isprintable()
    assert ": " in said
    assert "is not valid; " in said
    assert time.process_time() - start < 10
    return said


# --- regular files in UTF-8 ----------------------------------------------------------------------


@pytest.mark.parametrize("name", READERS)
def test_only_regular_files_in_utf_8_of_a_bounded_size_are_read(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    assert "not a device or a pipe" in refused(READERS[name], path) or name == "gpus.csv"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "not a device or a pipe" in refused(READERS[name], path) or name == "gpus.csv"
    path.unlink()
    path.write_bytes(BASE.encode("utf-16"))
    assert "UTF-16" in refused(READERS[name], path)
    path.write_bytes(b"\x1f\x8b\x08" + bytes(99))
    assert "compressed" in refused(READERS[name], path)
    path.write_bytes(b"a,b\nc,\xff\n")
    assert "line 2 is not in UTF-8" in refused(READERS[name], path)
    with path.open("wb") as file:
        file.truncate(2**27)
    assert "bytes" in refused(READERS[name], path)
    if name != "gpus.csv":
        path.unlink()
        path.mkdir()
        assert "folder" in refused(READERS[name], path)


@pytest.mark.parametrize("name", [n for n in READERS if n != "gpus.csv"])
@pytest.mark.parametrize(
    "path",
    [
        "~nosuchuser/{}",
        "https://example.com/{}",
        "a\ud800{}",
        "a\x1b{}",
        "x" * 300 + "{}",
        "n/" * 3000 + "{}",
    ],
)
def test_a_name_that_no_file_can_have_is_refused(name, path):
    refused(READERS[name], path.format(name))


def test_a_byte_order_mark_is_fine(tmp_path):
    (tmp_path / "s.yaml").write_text("\ufeff" + BASE, "utf-8")
    assert scenario(tmp_path / "s.yaml").name == "mine"


# --- YAML and JSON -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + "workloads: []\n", "line 4 repeats the key 'workloads'"),
        (BASE.replace("concurrency: 8", "concurrency: 8, isl: 1, isl: 2"), "line 3 repeats"),
        (BASE.replace("concurrency: 8", "concurrency: 010"), "line 3: write 010 as a plain"),
        (BASE + "horizon_months: 030\n", "line 4: write 030"),
        (BASE + "horizon_months: 0x1f\n", "line 4: write 0x1f"),
        (BASE.replace("concurrency: 8", "concurrency: 8, isl: 1:30"), "line 3: write 1:30"),
        (
            BASE + "horizon_months: true\n",
            "horizon_months: True is not valid; give a whole number from 1 to 120",
        ),
        (BASE.replace("concurrency: 8", "concurrency: true"), "workloads[0].concurrency: True"),
        (BASE + "today: 0\n", "today: 0 is not valid; write a day such as"),
        (BASE + 'today: "0"\n', "today: '0' is not valid; write a day such as"),
        (BASE + "today: 2026-02-30\n", "line 4: 2026-02-30 is no day"),
        (BASE + "budget: {monthly_usd: .nan}\n", "no finite number"),
        (BASE + "budget: {monthly_usd: 1e999}\n", "no finite number"),
        (BASE + "budget: {monthly_usd: " + "9" * 5000 + "}\n", "at most 40 digits"),
        (BASE + "a: " + "[" * 3000, "nested at most 64 deep"),
        (BASE + "x: !!python/object/apply:os.system [ls]\n", "leave out the tag"),
        (BASE + "--- {}\n", "begins a second document"),
        (BASE + "*x: 1\n", "no such anchor"),
        (BASE + "budget: &x {capital_usd: *x}\n", "nested at most 64 deep"),
        (BASE + "1: 2\n", "key that is no text"),
        (BASE.replace("chat", '"a\\x1bb"'), "U+001B"),
        (BASE.replace("chat", '"a\\nb"'), "U+000A"),
        (BASE.replace("name: mine", 'name: "a\\0"'), "U+0000"),
        (BASE + "k" * 900 + ": 1\n", "known: name, objective"),
    ],
)
def test_what_a_scenario_would_mean_otherwise_is_refused_with_its_place(tmp_path, text, said):
    (tmp_path / "s.yaml").write_text(text, "utf-8")
    assert said in refused(scenario, tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b": {"c": 1},\n "a": 2}', "line 3 repeats the key 'a'"),
        ('{"a\\u0062": 1, "ab": 2}', "line 1 repeats the key 'ab'"),
        ('{"a": NaN}', "NaN"),
        ('{"a": [-Infinity]}', "Infinity"),
        ('{"a": 1e999}', "finite"),
        ('{"a": ' + "9" * 5000 + "}", "5,000 digits"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("[" + "0," * 10**6 + "0]", "more values"),
        ('{"a": "\\u001b"}', "U+001B"),
        ('{"a": "\\ud800"}', "U+D800"),
    ],
)
def test_what_json_would_mean_otherwise_is_refused_with_its_place(tmp_path, text, said):
    (tmp_path / "s.json").write_text(text, "utf-8")
    assert said in refused(read_document, "scenario", tmp_path / "s.json", 2**24)


def test_keys_and_brackets_inside_texts_are_texts():
    text = '{"a": "{[\\"a\\": ", "b": {"a": [1, {"a": null}]}}'
    assert from_json("x", text, "x") == json.loads(text)


def test_what_the_loader_of_yaml_says_of_good_files_is_what_we_say(tmp_path):
    text = """
    a: [1, -2, 3.5, 1_000, 1.5e+3, ~, null, yes, off, "010", '1:30', x y, 2026-11-24]
    b: {c: , d: |
      two
      lines
      , e: &anchor {f: 1}, g: *anchor}
    """.replace(", d: |\n      two\n      lines\n      ", "")
    assert from_yaml("x", text, "x") == yaml.safe_load(text)
    for path in (ROOT / "data/scenarios").glob("*.yaml"):
        raw = path.read_text("utf-8")
        assert from_yaml("x", raw, "x") == yaml.safe_load(raw)


@pytest.mark.parametrize(
    "place",
    [
        "horizon_months: [{}]",
        "budget: {{capital_usd: [{}]}}",
        "prices: {{quotes: [{{gpu: H100, mode: spot, price: [{}]}}]}}",
        "owned: [{{gpu: [{}], count: 1}}]",
    ],
)
def test_an_alias_bomb_is_refused_at_once(tmp_path, place):
    text = BASE + place.format(BOMB) + "\n"
    (tmp_path / "s.yaml").write_text(text, "utf-8")
    assert f"{MOST_NODES:,} values" in refused(scenario, tmp_path / "s.yaml")
    assert f"{MOST_NODES:,} values" in refused(scenario, yaml.safe_load(text))


def test_a_scenario_of_thousands_of_workloads_is_refused_at_once(tmp_path):
    line = BASE.splitlines()[2]
    text = "name: x\nworkloads:\n" + "".join(
        line.replace("chat", f"c{i}") + "\n" for i in range(3000)
    )
    (tmp_path / "s.yaml").write_text(text, "utf-8")
    assert "workloads: a list of 3,000" in refused(scenario, tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("allow.precisions", [], "allow.weights"),
        ("workloads[0].kind", ["inference"], "workloads[0].kind"),
        ("workloads[²].isl", 3, "workloads[²].isl"),
        ("workloads[-1].isl", 3, "workloads[-1].isl"),
        (".", 1, "."),
        ("", 1, ""),
        ("a." * 100, 1, "a." * 100),
        ("budget.monthly_usd", 10**400, "budget.monthly_usd"),
        ("name", "a\ud800", "name"),
        ("workloads[0].isl", True, "workloads[0].isl"),
    ],
)
def test_a_change_by_path_is_refused_with_its_place(path, value, field):
    with pytest.raises(InputError) as caught:
        scenario(yaml.safe_load(BASE), {path: value})
    assert caught.value.field == field
    assert len(str(caught.value)) <= 600


def test_a_config_with_control_characters_in_its_name_is_refused(tmp_path):
    source = json.loads((ROOT / "tests/fixtures/configs/qwen3-8b.json").read_text("utf-8"))
    for name in ("a\x1bb", "a\nb", "a\u2028b"):
        assert "control character" in refused(model_from_config, source | {"_name_or_path": name})
    text = json.dumps(source)
    path = tmp_path / "config.json"
    path.write_text('{"hidden_size": 1,\n' + text[1:], "utf-8")
    assert "line 2 repeats the key 'hidden_size'" in refused(model_from_config, path)
    path.write_text('{"time_step_limit": [0.0, Infinity],' + text[1:], "utf-8")
    assert model_from_config(path).hidden == source["hidden_size"]  # some published files say so


# --- CSV -----------------------------------------------------------------------------------------


def test_a_bad_row_has_its_line_and_loses_no_other():
    long, longer = "z" * (MOST_CELL + 1), "w" * 140_000
    text = f'a,b\n1,2\n\n3,4,5\n"x" y,1\n{long},1\n{longer},1\n\x1b,1\n6\n7,8\n'
    columns, rows = csv_rows("file", text, "m.csv")
    assert columns == ["a", "b"]
    assert [(r.line, r.cells["a"]) for r in rows if not r.problem] == [
        (2, "1"),
        (9, "6"),
        (10, "7"),
    ]
    assert [r.line for r in rows if r.problem] == [4, 5, 6, 7, 8]
    exact = csv_rows("file", "a,b\n6\n", "m.csv", exact=True)[1]
    assert exact[0].problem == "a row has 2 cells, this one 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line names columns"),
        ("a,a\n", "each column once"),
        ("a,\n", "each column once"),
        ("b\n1\n", "lacks a"),
        (",".join(f"c{i}" for i in range(600)) + ",a\n", "500 at most"),
        ("a\n" + "1\n" * 11, "at most 10 rows"),
        ('"a\n', "cannot be read"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(text, said):
    assert said in refused(lambda: csv_rows("file", text, "m.csv", ["a"], most=10))


@pytest.mark.parametrize("row", ["a,Llama-3.1-8B,1e9", "a,Llama-3.1-8B,1e18", "a,Llama-3.1-8B,1e6"])
def test_no_load_of_a_tenant_takes_all_memory(tmp_path, row):
    (tmp_path / "t.csv").write_text("name,model,request_rate\n" + row + "\n", "utf-8")

    def packed():
        asked = tenants_question(tmp_path / "t.csv")
        pack(asked, tenant_options(asked))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of all tests so far, in KiB
    refused(packed)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < max(before, 2**19) + 2**18


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,model\n" + "a,Llama-3.1-8B\n" * 10**5, "at most 2,000 rows"),
        ("name,model,concurrency\na,Llama-3.1-8B," + "9" * 400 + "\n", "tenant a: concurrency"),
        ("name,model,isl\na,Llama-3.1-8B,٣\n", "give a whole number from 1 to 10,000,000"),
        ("name,model,isl\na,Llama-3.1-8B,1_000\n", "tenant a: isl: '1_000'"),
        ("name,model\n" + "a" * 131_073 + ",Llama-3.1-8B\n", "131,073 characters"),
        ("name,model\na\x1bb,Llama-3.1-8B\n", "U+001B"),
        ('name,model\n"a\nb",Llama-3.1-8B\n', "U+000A"),
        ("name,model\na,Llama-3.1-8B,9\n", "line 2"),
    ],
)
def test_a_cell_of_a_tenant_is_refused_with_its_place(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text, "utf-8")
    assert said in refused(tenants_question, tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.csv", "gpu,mode,price\nH100,spot,1\nH100,spot,dear\n", "line 3 price: 'dear'"),
        ("q.csv", "gpu,mode,price,as_of\nH100,spot,1,2026-02-30\n", "2026-02-30 is no day"),
        ("q.csv", "gpu,mode,price,provider\nH100,spot,1,a\x07\n", "U+0007"),
        ("q.csv", "gpu,mode,price,gpus_per_node\nH100,spot,1,2.5\n", "whole number"),
        ("q.yaml", "- {gpu: H100, mode: spot, price: 010}\n", "write 010"),
        ("q.yaml", "- {gpu: H100, mode: spot, price: true}\n", "price: True"),
        ("q.yaml", "- {gpu: H100, mode: spot, price: [1]}\n", "a list of 1"),
        ("q.yaml", "- {gpu: H100, mode: spot, price: 1}\n" * 6000, "at most 5,000"),
    ],
)
def test_a_quote_is_refused_with_its_place(tmp_path, name, text, said):
    (tmp_path / name).write_text(text, "utf-8")
    assert said in refused(read_quotes, str(tmp_path / name))


@pytest.mark.parametrize("value", ["many", "-3", "nan", "1e400", "\x1b", "x" * 20_000])
def test_a_bad_cell_of_a_measurement_loses_its_row_alone(tmp_path, value):
    rows = pd.read_csv(ROOT / "tests/fixtures/measurements.csv", dtype=str, keep_default_na=False)
    rows["requests"] = ["", "", value, *[""] * (len(rows) - 3)]
    rows.to_csv(tmp_path / "m.csv", index=False)
    found = validate(tmp_path / "m.csv")
    assert found.skipped["line"].tolist() == [4]
    assert "requests" in found.skipped["reason"][0]
    assert len(found.skipped["reason"][0]) <= 600
    assert len(found.rows) == 29


def test_a_number_of_a_table_has_an_end(tmp_path):
    for value in ("9" * 400, "1e300", "-1e300"):
        (tmp_path / "gpus.csv").write_text(f"id,sm_count\nh100-sxm-80,{value}\n", "utf-8")
        assert "sm_count" in refused(gpus, tmp_path)


# --- messages ------------------------------------------------------------------------------------


def test_a_message_never_walks_through_a_value():
    deep = []
    for _ in range(40):
        deep = [deep, deep]  # 2^40 values, were it written out
    assert brief(deep) == "a list of 2"
    for value in (deep, "x" * 10**6, 10**5000, {"a": deep}, object(), b"x" * 999, None, "a\nb"):
        said = str(InputError("f" * 9000 + "\x1b", value, "v\n" * 9000))
        assert len(said) <= 600
        assert said.isprintable()
    known = [f"name-{i}" * 9 for i in range(99)]
    assert len(str(UnknownNameError("k" * 999, "name-1" * 999, known))) <= 600
    assert len(str(UnknownNameError("k" * 999, ["a"], known))) <= 600


def test_numbers_are_plain_digits_within_ends():
    share = Range(0, 10)
    assert Range(0, 1e4).read("1.5e3", False) == 1500
    assert share.read("7", True) == 7
    for text in ("nan", "inf", "1_0", "٣", "0x1", "", "-1", "11", "9" * 5000, "1e9999", "1 2"):
        assert "from 0 to 10" in refused(share.read, text, False)
    assert "above 0" in refused(Range(0, 10, above=True).read, "0", False)
    assert "whole number" in refused(share.read, "1.5", True)


def test_texts_and_trees_are_bounded():
    assert check_text("x", "a\n\tb 模型 é") == "a\n\tb 模型 é"
    refused(check_text, "x", "a\x85b")
    refused(lambda: check_text("x", "a\tb", lines=False))
    assert bounded("x", {"a": [1, "b", None, 2.5]}) == {"a": [1, "b", None, 2.5]}
    assert "a.b[1]" in refused(bounded, "x", {"a": {"b": [0, float("nan")]}})
    assert "a key must be a text" in refused(bounded, "x", {1: 2})


# --- outputs -------------------------------------------------------------------------------------


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "x", Path("/dev/full")):
        refused(check_writable, "output", path)
    assert "/dev/full/x" in refused(write_atomically, Path("/dev/full/x"), b"x")
    name = path_of("output", tmp_path / ("x" * 251 + ".pdf"))
    write_atomically(name, b"x")  # 255 bytes are allowed, and no more
    assert name.read_bytes() == b"x"
    refused(path_of, "output", tmp_path / ("x" * 252 + ".pdf"))
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["report", SAMPLE, "-o", "x" * 252 + ".pdf"], "output"),
        (["report", SAMPLE, "-o", "~nosuchuser/x.pdf"], "home folder"),
        (["report", SAMPLE, "-p", "context=" + "9" * 5000], "context"),
        (["report", "~nosuchuser/x.ipynb"], "home folder"),
        (["report", "/dev/zero/x.ipynb"], "no such file"),
        (["reports", "memory", "-w", "-3"], "workers: -3"),
        (["reports", "memory", "-o", "~nosuchuser"], "home folder"),
        (["plan", "small-team", "-p", "today=2026-02-30"], "no day of the calendar"),
        (["plan", "small-team", "-p", "budget.monthly_usd=" + "9" * 5000], "40 digits"),
        (["plan", "small-team", "-p", "workloads[²].isl=3"], "workloads[²].isl"),
        (["plan", "small-team", "-p", ".=1"], "give a place"),
        (["plan", "small-team", "-p", "x=" + "[" * 3000], "nested"),
        (["plan", "small-team", "-p", "allow.precisions=[]"], "allow.weights"),
        (["plan", "small-team", "-p", "k" * 5000 + "=1"], "is not valid"),
        (["plan", "/dev/zero"], "device"),
        (["mig", "/dev/zero"], "device"),
        (["validate", "http://localhost/m.csv"], "address"),
        (
            ["validate", ROOT / "tests/fixtures/measurements.csv", "--picture", "a/../~"],
            "end it in",
        ),
        (["estimate", "k" * 5000 + ".json"], "too long"),
        (["x" * 5000], "is unknown"),
    ],
)
def test_wrong_input_is_exit_2_and_one_sentence(command, args, said):
    done = command(*args)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) <= 601
    assert said in done.stderr


# --- kernels -------------------------------------------------------------------------------------


def test_files_of_the_current_folder_neither_run_nor_change_a_report(process, tmp_path):
    clean, hostile, home = tmp_path / "clean", tmp_path / "hostile", tmp_path / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    for folder in (clean, hostile, startup, home / ".config" / "matplotlib"):
        folder.mkdir(parents=True)
    mark = "open({!r} + '/RAN-' + __name__, 'w').close()"
    names = "numpy pandas matplotlib gpuspec sitecustomize usercustomize IPython ipykernel yaml"
    for name in names.split():
        (hostile / f"{name}.py").write_text(mark.format(str(tmp_path)), "utf-8")
    (startup / "00-first.py").write_text(mark.format(str(tmp_path)), "utf-8")
    (home / "start.py").write_text(mark.format(str(tmp_path)), "utf-8")
    for folder in (hostile, home / ".config" / "matplotlib"):
        (folder / "matplotlibrc").write_text("font.size: 30\naxes.facecolor: red\n", "utf-8")
    for name in ("ipython_kernel_config.py", "jupyter_config.py", "ipython_config.py"):
        (hostile / name).write_text(mark.format(str(tmp_path)), "utf-8")
    env = {"SOURCE_DATE_EPOCH": "1795478400"}
    odd = {"HOME": str(home), "PYTHONSTARTUP": str(home / "start.py"), "MPLBACKEND": "svg"}
    for folder, more in ((clean, {}), (hostile, odd)):
        output = tmp_path / f"{folder.name}.pdf"
        done = process("report", SAMPLE, "-o", output, "--quiet", cwd=folder, **env, **more)
        assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.glob("RAN-*"))
    assert (tmp_path / "clean.pdf").read_bytes() == (tmp_path / "hostile.pdf").read_bytes()


def test_a_slow_start_of_a_kernel_is_tried_once_more(monkeypatch):
    from gpuspec import report

    execute = sys.modules["gpuspec.report.execute"]
    tried = []

    def slow(notebook, *_):
        tried.append(notebook)
        raise execute.NotebookError("x: Kernel didn't respond in 60 seconds")

    monkeypatch.setattr(execute, "_executed", slow)
    with pytest.raises(execute.NotebookError):
        execute.execute(report.find(SAMPLE), {}, lambda *_: None)
    assert len(tried) == 2


def test_read_text_says_what_it_is(tmp_path):
    assert "no such file" in refused(read_text, "x", tmp_path / "none", 9)
    assert "give the name of a file" in refused(read_text, "x", " ", 9)


def test_a_valid_json_text_is_read_once(monkeypatch):
    monkeypatch.setattr(documents, "_check_json", lambda *_: pytest.fail("read again"))
    text = "[" * 64 + "]" * 64
    assert documents.from_json("x", text, "y")
    assert documents.from_json("x", '{"a": [{"a": "[{"}], "b": 2}', "y")["b"] == 2
