"""A thousand questions: nothing is lost, nothing is silent, the same bytes after a restart."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path
from pkgutil import resolve_name

import psutil
import pytest
import yaml
from distributed import LocalCluster
from pypdf import PdfReader

from gpuspec.base.errors import InputError
from gpuspec.base.rows import plain_cell
from gpuspec.base.spread import FORKS, spread
from gpuspec.batch import run as batches
from gpuspec.batch.edition import edition
from gpuspec.batch.questions import questions
from gpuspec.batch.run import Batch
from gpuspec.batch.store import Store
from gpuspec.batch.work import Order
from gpuspec.crew.cluster import done_in_parallel
from gpuspec.crew.hand import Done, Hand, Job, end_zygote, zygote_of
from gpuspec.evidence.learning import learn

ROOT = Path(__file__).parents[1]
DAY = "2026-11-30"
TABLE = """name,model,users,request-rate,quotes
=1+1,Llama-3.1-8B,200,,
../../<b>up</b>,Llama-3.1-8B,,2,mine.csv
nobody,Foo-9B,10,,
thief,Llama-3.1-8B,,2,../mine.csv
"""


def answered(folder, *words, command="batch", **env):
    return subprocess.run(
        [sys.executable, "-P", "-m", "gpuspec", command, *map(str, words), "--date", DAY],
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


def test_an_answer_follows_what_was_learnt_and_not_the_language_of_a_worker(tmp_path):
    rows = (Path(__file__).parent / "fixtures" / "measurements.csv").read_text().splitlines()
    (tmp_path / "mine.csv").write_text("\n".join(rows[:2]))
    learn([str(tmp_path / "mine.csv")], str(tmp_path / "own"))
    place = ["small-team", "-o", "out", "--workers", 1]
    for words, env, fresh in [
        ([], {}, 1), ([], {"GPUSPEC_CALIBRATION": "own", "LANG": "zh_CN.UTF-8"}, 1),
        (["--calibration", "own"], {}, 0), ([], {}, 0),
    ]:  # fmt: skip
        done = answered(tmp_path, *place, *words, "--json", **env)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        told = json.loads(done.stdout)
        assert told["made"] == fresh
        found = json.loads((tmp_path / "out" / told["answers"][0]["decision"]).read_text())
        assert ("calibrated_with" in found) == bool(words or env)
        assert found["recommendation"]["plan"].isascii()
    answered(tmp_path, *place, "--calibration", "own")
    for words, env, learnt in [
        ([], {}, True), ([], {"GPUSPEC_CALIBRATION": ""}, False), ([], {}, False),
        (["--calibration", "own"], {}, True), ([], {}, True),
    ]:  # fmt: skip
        done = answered(tmp_path, "out", *words, "--workers", 1, command="watch", **env)
        assert "0 of 1 answers flipped" in done.stdout, done.stderr
        key = json.loads((tmp_path / "out" / "run.json").read_text())["answers"][0]["decision"]
        found = json.loads((tmp_path / "out" / "decisions" / f"{key}.json").read_text())
        assert ("calibrated_with" in found) == learnt
    (tmp_path / "own").rename(tmp_path / "moved")
    done = answered(tmp_path, "out", command="watch")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "own" in done.stderr


def _epoch():
    return str(int(time.mktime(time.strptime(f"{DAY} UTC", "%Y-%m-%d %Z")) - time.timezone))


def test_a_second_run_makes_only_what_is_missing_or_stale(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(asked[0])
    made = []

    def done(jobs, *_):
        made.extend(job.arguments[0].question.name for job in jobs)
        yield from ()

    monkeypatch.setattr("gpuspec.batch.run.done_in_parallel", done)
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


def below():
    """Return the zygotes of this process, and their forks."""
    zygotes = [p for p in psutil.Process().children() if "zygote.py" in " ".join(p.cmdline())]
    return zygotes, [fork for zygote in zygotes for fork in zygote.children()]


@pytest.mark.parametrize("which", ["a fork", "the zygote and its forks", "all but the zygote"])
def test_a_process_that_is_killed_loses_nothing(which):
    jobs = [Job(f"{i}", "time:sleep", (0.4,), 20) for i in range(12)]
    found, killed = {}, []
    for job, done in done_in_parallel(jobs, 2):
        if not found:
            zygotes, forks = below()
            killed = {"a fork": forks[-1:], "the zygote and its forks": zygotes + forks}.get(
                which, forks
            )
            for one in killed:
                one.kill()
        found[job.key] = done
    assert killed
    assert len(found) == 12
    assert not any(done.error for done in found.values())
    assert below() == ([], [])


def test_jobs_begin_in_the_order_in_which_they_are_given():
    names = [f"{7 * place % 11}" for place in range(11)]
    jobs = [Job(name, "time:sleep", (0.05,), 20) for name in names]
    assert [job.key for job, _ in done_in_parallel(jobs, 1)] == names


def test_jobs_end_with_the_one_who_asks_for_them_and_no_other_machine_can_reach_them():
    start = time.monotonic()
    jobs = [Job(f"{i}", "time:sleep", (0.1 if i == 0 else 60,), 90) for i in range(9)]
    with closing(done_in_parallel(jobs, 2)) as found:
        next(found)
        ports = [c.laddr.ip for c in psutil.Process().net_connections() if c.status == "LISTEN"]
        assert {*ports} <= {"127.0.0.1"}
    assert time.monotonic() - start < 50
    assert below() == ([], [])


HARMS = [
    (("os:abort", ()), "ended from outside"),
    (("time:sleep", (60,)), "more than 0.5 s"),
    (("builtins:bytearray", (2**36,)), "more memory"),
    (("math:sqrt", (-1,)), "domain"),
]


@pytest.fixture
def hands():
    """Give hands, and end them and what forks for them."""
    made = []

    def make(warm=()):
        made.append(Hand(warm))
        return made[-1]

    yield make
    for hand in made:
        hand.drop()
        end_zygote(hand.warm)


def test_a_job_that_does_harm_is_named_and_the_next_one_is_done(hands):
    hand = hands()
    for (target, arguments), said in HARMS:
        done = hand.do(Job("bad", target, arguments, 0.5), 2**30)
        assert said in done.error
        assert not hand.do(Job("good", "os:getpid", (), 20), 2**30).error
    first = hand.do(Job("good", "os:getpid", (), 20), 2**30).value
    os.kill(first, signal.SIGKILL)
    assert hand.do(Job("good", "os:getpid", (), 20), 2**30).value != first


def where_parts_are_made():
    """Return how many processes make the parts of a job, and whether this one may be forked."""
    return len(set(spread(lambda _: os.getpid(), range(4)))), os.environ.get(FORKS)


@pytest.mark.parametrize("outside", ["1", None])
def test_a_job_stays_in_its_process_beside_the_others(monkeypatch, outside, hands):
    monkeypatch.setenv(FORKS, outside) if outside else monkeypatch.delenv(FORKS, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    hand = hands()
    done = hand.do(Job("parts", f"tests.test_batch:{where_parts_are_made.__name__}", (), 60), 0)
    assert done.value == (1, ""), done.error


def test_a_report_comes_from_a_kernel_that_was_forked(tmp_path, hands):
    (question,) = questions(["small-team"])
    order = Order(question, "a" * 32, edition(), date(2026, 11, 30), str(tmp_path), "zh")
    hand = hands(batches.WARM_REPORTS)
    done = hand.do(Job("report", "gpuspec.batch.work:reported", (order,), 200), 0)
    assert not done.error
    text = "".join(p.extract_text() for p in PdfReader(tmp_path / f"reports/{'a' * 32}.pdf").pages)
    assert "次优方案" in text
    assert "2026-11-30" in text
    below = psutil.Process(zygote_of(hand.warm).process.pid).children()
    kernels = [one for one in below if one.pid != hand.fork.pid]
    assert not psutil.wait_procs(kernels, timeout=20)[1]


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


def test_a_run_killed_in_the_middle_ends_with_the_same_bytes(asked, tmp_path):
    folder, _, _ = asked
    words = [sys.executable, "-P", "-m", "gpuspec", "batch", "questions.csv", "small-team"]
    words += ["-o", str(tmp_path / "out"), "--date", DAY, "--workers", "1"]
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    started = subprocess.Popen(words, cwd=folder, env={**os.environ, "PYTHONPATH": path})
    end = time.monotonic() + 200
    while not list((tmp_path / "out").glob("decisions/*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    below = psutil.Process(started.pid).children(recursive=True)
    started.kill()
    started.wait()
    assert not psutil.wait_procs(below, timeout=30)[1]
    first = contents(tmp_path / "out")
    assert 0 < sum(name.startswith("decisions") for name in first) < 3
    done = answered(folder, "questions.csv", "small-team", "-o", tmp_path / "out", "--workers", 1)
    assert "kept)" in done.stdout
    again, whole = contents(tmp_path / "out"), contents(folder / "out")
    names = {name for name in whole if name.startswith(("decisions", "prices"))}
    assert {name: again[name] for name in names} == {name: whole[name] for name in names}
    assert {name for name in again if name.startswith(("decisions", "prices"))} == names


def test_an_object_store_is_a_folder_as_good(monkeypatch):
    store = Store("memory://questions")
    store.write("a.yaml", (ROOT / "data" / "scenarios" / "small-team.yaml").read_bytes())
    monkeypatch.setattr("gpuspec.batch.run.done_in_parallel", inline)
    batch = Batch(("memory://questions",), "memory://answers", day=date(2026, 11, 30))
    ran = batches.run(batch)
    assert [row["feasible"] for row in ran.rows] == ["true"]
    assert batches.run(batch).kept == 1
    answers = Store("memory://answers")
    assert answers.names() == ["decisions", "prices", "run.json", "summary.csv"]
    told = json.loads(answers.read(ran.rows[0]["decision"], 2**20))
    assert told["recommendation"]["plan"] == ran.rows[0]["plan"]


def inline(jobs, *_):
    for job in jobs:
        resolve_name(job.target)(*job.arguments)
        yield job, Done()


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "", "a//b", "s3://x/y", "a\nb"])
def test_no_name_leads_out_of_a_store(tmp_path, name):
    for store in (Store(str(tmp_path / "in")), Store("memory://in")):
        with pytest.raises(InputError):
            store.write(name, b"x")
    assert not list(tmp_path.rglob("*"))


def test_a_scheduler_elsewhere_does_the_work_and_its_end_is_said():
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as elsewhere:
        jobs = [Job(f"{i}", "time:sleep", (0.2,), 20) for i in range(40)]
        found = done_in_parallel(jobs, 0, elsewhere.scheduler_address)
        assert not next(found)[1].error
        elsewhere.close()
        with pytest.raises(ConnectionError):
            list(found)
    with pytest.raises(InputError, match="no scheduler answers"):
        next(done_in_parallel(jobs, 0, "tcp://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.csv", "-o", "out"), "there is no such file"),
        (("small-tem", "-o", "out"), "did you mean small-team"),
        (("bad.csv", "-o", "out"), "did you mean users"),
        (("small-team", "-o", "bad.csv"), "bad.csv is a file"),
        (("small-team", "-o", "out", "--workers", 9999), "give 1 to 256"),
        (("small-team", "-o", "s3x://y/z"), "cannot be reached"),
    ],
)
def test_what_cannot_be_used_is_said_before_any_work(command, tmp_path, words, said):
    (tmp_path / "bad.csv").write_text("name,usrs\na,5\n")
    done = command("batch", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bucket_takes_the_answers_that_a_folder_takes(asked, tmp_path, monkeypatch):
    """Against a server that speaks S3; runs where moto, with its server, and s3fs are installed."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    s3fs = pytest.importorskip("s3fs")
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "ENDPOINT_URL": f"http://{host}:{port}",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    folder, _, _ = asked
    try:
        system = s3fs.S3FileSystem(skip_instance_cache=True)
        for bucket in ("questions", "answers"):
            system.mkdir(bucket)
        for name in ("questions.csv", "mine.csv"):
            system.pipe_file(f"questions/in/{name}", (folder / name).read_bytes())
        words = ("s3://questions/in/questions.csv", "-o", "s3://answers/out", "--workers", 1)
        done = answered(folder, *words)
        assert "2 of 4 answered (2 made, 0 kept)" in done.stdout, done.stderr
        assert "(0 made, 2 kept)" in answered(folder, *words).stdout
        system.get("answers/out", str(tmp_path / "out"), recursive=True)
    finally:
        server.stop()
    here, there = contents(folder / "out"), contents(tmp_path / "out")
    answers = {name for name in there if name.startswith(("decisions", "prices"))}
    assert len(answers) == 4
    assert {name: there[name] for name in answers} == {name: here[name] for name in answers}


def test_a_scheduler_that_is_killed_loses_nothing_that_is_finished(asked, tmp_path):
    folder, _, _ = asked
    place = [sys.executable, "-P", "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    told = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen([*place, "--port", "0", "--scheduler-file", str(told)])
    until(told.exists)
    place[3] = "distributed.cli.dask_worker"
    path = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    more = ["--scheduler-file", str(told), "--nthreads", "1", "--local-directory", str(tmp_path)]
    worker = subprocess.Popen([*place, *more], env=path)
    try:
        address = json.loads(told.read_text())["address"]
        words = ["questions.csv", "small-team", "-o", str(tmp_path / "out"), "--date", DAY]
        started = subprocess.Popen(
            [sys.executable, "-P", "-m", "gpuspec", "batch", *words, "--scheduler", address],
            cwd=folder,
            env=path,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: list((tmp_path / "out").glob("decisions/*.json")))
        scheduler.kill()
        said = started.communicate(timeout=120)[1]
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    assert started.returncode == 1
    assert said.splitlines()[-1].startswith("gpuspec: the scheduler is gone; ")
    done = answered(folder, "questions.csv", "small-team", "-o", tmp_path / "out", "--workers", 1)
    assert "3 of 5 answered" in done.stdout
    assert "(3 made" not in done.stdout
    again, whole = contents(tmp_path / "out"), contents(folder / "out")
    names = {name for name in again if name.startswith(("decisions", "prices"))}
    assert len(names) == 6
    assert {name: again[name] for name in names} == {name: whole[name] for name in names}


def until(holds, seconds=200):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()


def test_a_question_that_takes_all_memory_is_named(tmp_path):
    done = answered(tmp_path, "article-b", "-o", "out", "--memory", 2)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "gpuspec: article-b: it took more memory than a job may"
