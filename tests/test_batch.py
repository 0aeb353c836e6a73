"""A thousand questions: nothing is lost, nothing is silent, the same bytes after a restart."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import psutil
import pytest
import yaml

from gpuspec.base.rows import plain_cell
from gpuspec.batch import run as batches
from gpuspec.batch.run import Batch
from gpuspec.crew.cluster import done_in_parallel
from gpuspec.crew.hand import Hand, Job

ROOT = Path(__file__).parents[1]
DAY = "2026-11-30"
TABLE = """name,model,users,request-rate,quotes
=1+1,Llama-3.1-8B,200,,
../../<b>up</b>,Llama-3.1-8B,,2,mine.csv
nobody,Foo-9B,10,,
thief,Llama-3.1-8B,,2,../mine.csv
"""


def answered(folder, *words, **env):
    return subprocess.run(
        [sys.executable, "-P", "-m", "gpuspec", "batch", *map(str, words), "--date", DAY],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        | env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Questions of a table and of a file, most of them good, answered once."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "questions.csv").write_text(TABLE)
    (folder / "mine.csv").write_text("gpu,mode,price\nH100,on-demand,1.5\n")
    (folder / "big.yaml").write_text(yaml.safe_dump(hundred_works()))
    done = answered(folder, "questions.csv", "small-team", "big.yaml", "-o", "out",
                    "--workers", 2, "--timeout", 25, "--memory", 900)  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((folder / "out" / "summary.csv").read_text())))
    return folder, done, {plain_cell(row["name"]): row for row in rows}


def hundred_works():
    """Return a scenario that takes minutes."""
    works = [
        {"kind": "inference", "name": f"w{i}", "model": "Llama-3.1-70B", "isl": 1000 + i}
        | {"osl": 100, "concurrency": 50 + i, "growth": 0.05}
        for i in range(100)
    ]
    return {"name": "big", "workloads": works}


def test_each_question_has_its_answer_or_its_reason(asked):
    _, done, rows = asked
    assert done.returncode == 1
    assert "3 of 6 answered" in done.stdout
    assert not rows["=1+1"]["problem"]
    assert "Foo-9B" in rows["nobody"]["problem"]
    assert "beside the question" in rows["thief"]["problem"]
    assert "more than 25 s" in rows["big"]["problem"] or "memory" in rows["big"]["problem"]
    last = done.stderr.splitlines()[-3:]
    assert {line.split(": ")[1] for line in last} == {"nobody", "thief", "big"}
    assert not any((asked[0] / "out").rglob("*up*"))


def test_no_name_is_run_by_a_spreadsheet(asked):
    folder, _, _ = asked
    text = (folder / "out" / "summary.csv").read_text()
    assert "\n'=1+1," in text


def test_an_answer_is_what_plan_prints(asked, command):
    folder, _, rows = asked
    told = command("plan", "small-team", "--json", SOURCE_DATE_EPOCH=_epoch())
    assert (folder / "out" / rows["small-team"]["decision"]).read_text() == told.stdout
    line = ("--model", "Llama-3.1-8B", "--request-rate", 2, "--quotes", folder / "mine.csv")
    told = command("plan", *line, "--json", SOURCE_DATE_EPOCH=_epoch())
    assert (folder / "out" / rows["../../<b>up</b>"]["decision"]).read_text() == told.stdout


def _epoch():
    return str(int(time.mktime(time.strptime(f"{DAY} UTC", "%Y-%m-%d %Z")) - time.timezone))


def test_a_second_run_makes_only_what_is_missing_or_stale(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(asked[0])
    made = []

    def done(jobs, *_):
        made.extend(job.arguments[0].question.name for job in jobs)
        return iter(())

    monkeypatch.setattr("gpuspec.crew.cluster.done_in_parallel", done)
    before = contents("out")
    batch = Batch(("questions.csv", "small-team"), "out", day=date(2026, 11, 30))
    assert batches.run(batch).kept == 3
    assert made == ["nobody"]
    Path("mine.csv").write_text("gpu,mode,price\nH100,on-demand,1.6\n")
    made.clear()
    batches.run(batch)
    assert made == ["../../<b>up</b>", "nobody"]
    Path("mine.csv").write_text("gpu,mode,price\nH100,on-demand,1.5\n")
    assert set(before) <= set(contents("out")) | {"run.json"}


def worker(job, harm, *, seconds=20.0):
    """Do a job by two workers of which `harm` is done to one; return what became of the others."""
    jobs = [Job(f"{i}", "time:sleep", (0.4,), 20) for i in range(12)]
    found, hurt = {}, False
    for one, done in done_in_parallel([*jobs, job] if job else jobs, 2):
        found[one.key] = done
        if not hurt and harm:
            hurt = True
            harm()
    return found


def test_a_worker_that_is_killed_loses_nothing():
    killed = []

    def kill():
        below = psutil.Process().children(recursive=True)
        workers = [p for p in below if "spawn_main" in " ".join(p.cmdline())]
        workers[-1].kill()
        killed.append(workers[-1].pid)

    found = worker(None, kill)
    assert killed
    assert len(found) == 12
    assert not any(done.error for done in found.values())


HARMS = [
    (("os:abort", ()), "ended from outside"),
    (("time:sleep", (60,)), "more than 0.5 s"),
    (("builtins:bytearray", (2**36,)), "more memory"),
    (("math:sqrt", (-1,)), "domain"),
]


def test_a_job_that_does_harm_is_named_and_the_next_one_is_done():
    hand = Hand(())
    for (target, arguments), said in HARMS:
        done = hand.do(Job("bad", target, arguments, 0.5), 2**30)
        assert said in done.error
        assert not hand.do(Job("good", "os:getpid", (), 20), 2**30).error
    first = hand.do(Job("good", "os:getpid", (), 20), 2**30).value
    os.kill(first, signal.SIGKILL)
    assert hand.do(Job("good", "os:getpid", (), 20), 2**30).value != first
    hand.drop()
    hand.own.close()


def test_a_full_disk_is_named(tmp_path):
    (tmp_path / "q.csv").write_text("name,model,users\nchat,Llama-3.1-8B,50\n")
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
    script += (
        f"from gpuspec.cli import main; main(['batch', 'q.csv', '-o', 'out', '--date', '{DAY}'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 1
    assert "chat: " in done.stderr
    assert "cannot be written" in done.stderr
    assert not list((tmp_path / "out").rglob("decisions/*"))


def test_watch_names_the_price_that_flips_an_answer(tmp_path, command, monkeypatch):
    (tmp_path / "q.csv").write_text(
        'name,model,request-rate,gpus,quotes\nchat,Llama-3.1-8B,2,"A100,H100",mine.csv\n'
    )
    prices = "gpu,mode,price\nH100,on-demand,{h100}\nA100,on-demand,1.8\n"
    (tmp_path / "mine.csv").write_text(prices.format(h100=0.9))
    words = ("--date", DAY, "--workers", 1)
    assert command("batch", "q.csv", "-o", "out", *words).returncode == 0
    assert "0 of 1 answers flipped" in command("watch", "out", *words).stdout
    (tmp_path / "mine.csv").write_text(prices.format(h100=9))
    done = command("watch", "out", *words, "--json")
    flip = json.loads(done.stdout)["flips"][0]
    assert "H100" in flip["before"]
    assert "A100" in flip["after"]
    assert flip["why"] == "h100-sxm-80 on-demand: 0.9 to 9 USD an hour"
    assert "h100-sxm-80" in (tmp_path / "out" / "changes.csv").read_text()
