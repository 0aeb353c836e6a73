"""How long many decisions and reports take, on how many workers, and in how much memory.

    python benchmarks/batch.py                  1,000 decisions, 100 reports, on 1 and 2 workers
    python benchmarks/batch.py decisions 100    so many of them, on one worker and on two
    python benchmarks/batch.py decisions 60 reports 10 --write      both, into docs/scale.md
    python benchmarks/batch.py profile 40       where the time of a decision goes

From the times that each task took alone follows, on paper, the schedule of 64 workers (tasks.csv).

Wall-clock times want an idle machine. Elsewhere processor seconds say more, and how much faster two
workers are follows from the share of the time in which a worker has work, whether it runs or waits
for a processor that somebody else has. Memory is what each process has to itself (PSS).
"""

import cProfile
import csv
import heapq
import json
import os
import pstats
import random
import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil

DOCS = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
MODELS = ("Llama-3.1-8B", "70B", "Qwen2.5-32B", "Qwen2.5-72B", "Mistral-7B", "7B", "14B", "32B")
MODELS += ("DeepSeek-V3", "GPT-OSS-120B", "Qwen3-30B-A3B")
KINDS = ("service",) * 4 + ("job",) * 3 + ("both", "simulation")
FIELDS = ["name", "model", "users", "concurrency", "request-rate", "use-case", "isl", "osl"]
FIELDS += ["tokens", "deadline", "tuning", "simulation", "gpu-hours", "budget", "owned", "regions"]
FIELDS += ["horizon-months"]
TARGET_S = {"decisions": 300.0, "reports": 360.0}
DAY = date(2026, 11, 30)
POLL_S = 0.2


def question(pick: random.Random, number: int) -> dict[str, str]:
    """Return a question as a customer asks it, in a row of a table."""
    kind, row = pick.choice(KINDS), {"name": f"customer {number}"}
    if kind != "simulation":
        row["model"] = pick.choice(MODELS)
    if kind in ("service", "both"):
        load = pick.choice(("users", "users", "concurrency", "request-rate"))
        row[load] = str(
            {
                "users": round(10 ** pick.uniform(1.5, 4)),
                "concurrency": round(10 ** pick.uniform(0.5, 2.7)),
                "request-rate": round(10 ** pick.uniform(-1, 1), 2),
            }[load]
        )
        row["use-case"] = pick.choice(("chat", "chat", "rag", "code-completion", "summarising"))
        if load != "users" and pick.random() < 0.5:
            del row["use-case"]
            row |= {"isl": pick.choice(("512", "1024", "4096")), "osl": pick.choice(("128", "512"))}
    if kind in ("job", "both"):
        row["tokens"] = f"{10 ** pick.uniform(7.5, 9.7):.2g}"
        row["deadline"] = pick.choice(("3d", "7d", "2 weeks", "30d"))
        row["tuning"] = pick.choice(("full", "lora", "lora", "qlora"))
    if kind == "simulation":
        row["simulation"] = pick.choice(("md", "cfd", "genomics", "dft"))
        row["gpu-hours"] = str(round(10 ** pick.uniform(2, 4.3)))
        row["deadline"] = "30d"
    if pick.random() < 0.4:
        row["budget"] = pick.choice(("30000/month", "100k/month", "1.5M", "2M capital"))
    if pick.random() < 0.3:
        row["owned"] = pick.choice(("8xA100", "16xA100", "8xA100, 8xH100"))
    if pick.random() < 0.2:
        row["regions"] = pick.choice(("US", "China", "Europe"))
    if pick.random() < 0.4:
        row["horizon-months"] = pick.choice(("12", "24", "48"))
    return row


def table(path: Path, count: int) -> None:
    """Write a table of questions."""
    pick = random.Random(20261130)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="")
        writer.writeheader()
        writer.writerows(question(pick, number) for number in range(1, count + 1))


class Watched:
    """Runs a command; says its seconds, those of processors, and the most memory of a worker."""

    def __init__(self, words: list[str], folder: Path) -> None:
        start = time.perf_counter()
        process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True)
        spent: dict[int, float] = {}
        at_work: dict[int, float] = {}
        loaded = start
        self.memory_mib: list[float] = []
        root = psutil.Process(process.pid)
        while process.poll() is None:
            self._look(root, spent, at_work)
            loaded = loaded if at_work else time.perf_counter()
            time.sleep(POLL_S)
        self.working_s = time.perf_counter() - loaded
        self.row: list[str] = []
        self.said = process.stderr.read() if process.stderr else ""
        self.code, self.wall_s = process.returncode, time.perf_counter() - start
        self.cpu_s, self.at_work_s = sum(spent.values()), sum(at_work.values())

    def _look(
        self, root: psutil.Process, spent: dict[int, float], at_work: dict[int, float]
    ) -> None:
        memory = 0.0
        for one in [root, *root.children(recursive=True)]:
            try:
                times = one.cpu_times()
                spent[one.pid] = times.user + times.system
                if root.pid not in (one.pid, one.ppid()):  # neither the command nor what forks
                    at_work[one.pid] = _at_work_s(one.pid)
                memory += one.memory_full_info().pss / 2**20 if one.pid != root.pid else 0.0
            except (psutil.Error, OSError):
                continue
        self.memory_mib.append(memory)


def _at_work_s(pid: int) -> float:
    """Return the seconds for which a process ran, or waited for a processor."""
    ran_ns, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return (int(ran_ns) + int(waited_ns)) / 1e9


def run(kind: str, count: int, workers: int, folder: Path) -> Watched:
    """Answer so many questions on so many workers, from nothing."""
    words = [sys.executable, str(Path(__file__).resolve()), "answer", kind, str(workers)]
    table(folder / "questions.csv", count)
    done = Watched(words, folder)
    steady = done.memory_mib[len(done.memory_mib) // 4 :] or [0.0]
    half = len(steady) // 2
    done.row = [f"{count:,} {kind}", f"{workers}", f"{done.wall_s:.0f}", f"{done.cpu_s:.0f}"]
    done.row += [f"{done.cpu_s / count:.2f}", f"{max(steady) / workers:.0f}"]
    done.row += [f"{sum(part) / max(len(part), 1) / workers:.0f}" for part in
                 (steady[:half], steady[half:])]  # fmt: skip
    print(" | ".join(done.row), f"exit code {done.code}", flush=True)
    for line in done.said.splitlines():
        if line.startswith("gpuspec: "):
            print(f"  {line}")
    return done


def bars(kind: str, count: int) -> tuple[list[list[str]], list[str]]:
    """Print the times on one worker and on two, and whether they keep the bars."""
    with tempfile.TemporaryDirectory() as name:
        one, two = (run(kind, count, workers, Path(name)) for workers in (1, 2))
        busy = [ran.at_work_s / ran.working_s for ran in (one, two)]
        bar = TARGET_S[kind] * count / {"decisions": 1000, "reports": 100}[kind]
        said = "kept" if two.wall_s <= bar else "missed"
        faster = busy[1] / busy[0] * one.cpu_s / two.cpu_s
        told = (
            f"Two workers on {kind} would do {faster:.2f} times what one does on an idle machine: "
            f"one has work for {busy[0]:.0%} of the time, of two each for {busy[1] / 2:.0%}, "
            f"and an answer takes {two.cpu_s / one.cpu_s:.2f} times the processor seconds."
        )
        print(f"  {told} {one.wall_s / two.wall_s:.2f} times by the clock; {bar:.0f} s: {said}")
        paper = schedule(64, Path(name) / f"times-{kind}-1.json", Path("tasks.csv"))
    return [one.row, two.row], [told, paper]


def answer(kind: str, workers: int) -> None:
    """Answer the questions of the current folder, and write how long each task took."""
    from gpuspec.batch.run import Batch, Told, run

    took: list[float] = []

    def tell(told: Told) -> None:
        took.append(told.seconds)

    out = f"out-{kind}-{workers}"
    ran = run(Batch(("questions.csv",), out, kind == "reports", day=DAY, workers=workers), tell)
    Path(f"times-{kind}-{workers}.json").write_text(json.dumps(took))
    for name, problem in ran.failed:
        print(f"gpuspec: {name}: {problem}", file=sys.stderr)
    sys.exit(bool(ran.failed))


def schedule(workers: int, times: Path, written: Path) -> str:
    """Say how long a schedule of more workers takes, from the times that each task took."""
    took = [float(seconds) for seconds in json.loads(times.read_text())]
    ends = [0.0] * workers
    rows = []
    for task, seconds in enumerate(took):
        start = heapq.heappop(ends)
        rows.append((task, start, start + seconds))
        heapq.heappush(ends, start + seconds)
    with written.open("w", newline="") as file:
        csv.writer(file).writerows([("task", "start_s", "end_s"), *rows])
    whole, longest = max(ends), max(took)
    said = (
        f"On paper, with those times, {workers} workers do {len(took):,} tasks in {whole:.0f} s, "
        f"{sum(took) / whole:.0f} times one; the longest takes {longest:.0f} s."
    )
    print(f"  {said}")
    return said


def write(found: list[tuple[list[list[str]], list[str]]]) -> None:
    """Put what was measured into docs/scale.md."""
    heads = ["answers", "workers", "s", "s of processors", "each", "MiB a worker at most"]
    heads += ["first half", "second half"]
    rows = [heads, ["---"] * len(heads), *(row for table, _ in found for row in table)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(line for _, said in found for line in said)]
    lines += [f"({os.cpu_count()} cores, others at work on them: load {os.getloadavg()[0]:.1f}.)"]
    marks = re.compile(r"(?<=<!-- batch -->\n).*?(?=<!-- /batch -->)", re.S)
    text = "\n".join(lines) + "\n"
    DOCS.write_text(marks.sub(lambda _: text, DOCS.read_text("utf-8")), "utf-8")


def profile(count: int) -> None:
    """Print where the time of decisions goes."""
    from gpuspec.batch.questions import questions
    from gpuspec.batch.work import stated
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.record import plan_record

    def all_of_them() -> None:
        for one in asked:
            with one.placed() as given:
                plan_record(decide(stated(given)))

    with tempfile.TemporaryDirectory() as name:
        table(Path(name) / "questions.csv", count)
        asked = questions([f"{name}/questions.csv"])
    profiler = cProfile.Profile()
    profiler.runcall(all_of_them)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("gpuspec|run", 45)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Do what the words say."""
    what, *more = [word for word in sys.argv[1:] if word != "--write"] or ["all"]
    if what == "profile":
        profile(int(more[0]) if more else 40)
    elif what == "answer":
        answer(more[0], int(more[1]))
    else:
        wanted = {"decisions": "1000", "reports": "100"}
        if what != "all":
            wanted = dict(zip([what, *more[1::2]], more[::2], strict=True))
        found = [bars(kind, int(count)) for kind, count in wanted.items()]
        if "--write" in sys.argv:
            write(found)


if __name__ == "__main__":
    main()
