"""How long many decisions and reports take, on how many workers, and in how much memory.

    python benchmarks/batch.py                  1,000 decisions, 100 reports, on 1 and 2 workers
    python benchmarks/batch.py decisions 100    so many of them, on one worker and on two
    python benchmarks/batch.py reports 20
    python benchmarks/batch.py profile 40       where the time of a decision goes

From the times that each task took alone follows, on paper, the schedule of 64 workers (tasks.csv).

Wall-clock times want an idle machine; processor seconds and the ratio of the two runs say more on a
busy one. Memory is what each process has to itself (PSS).
"""

import cProfile
import csv
import heapq
import json
import pstats
import random
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil

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
        self.memory_mib: list[float] = []
        root = psutil.Process(process.pid)
        while process.poll() is None:
            self._look(root, spent)
            time.sleep(POLL_S)
        self.said = process.stderr.read() if process.stderr else ""
        self.code, self.wall_s = process.returncode, time.perf_counter() - start
        self.cpu_s = sum(spent.values())

    def _look(self, root: psutil.Process, spent: dict[int, float]) -> None:
        memory = 0.0
        for one in [root, *root.children(recursive=True)]:
            try:
                times = one.cpu_times()
                spent[one.pid] = times.user + times.system
                memory += one.memory_full_info().pss / 2**20 if one.pid != root.pid else 0.0
            except (psutil.Error, OSError):
                continue
        self.memory_mib.append(memory)


def run(kind: str, count: int, workers: int, folder: Path) -> Watched:
    """Answer so many questions on so many workers, from nothing."""
    words = [sys.executable, __file__, "answer", kind, str(workers)]
    table(folder / "questions.csv", count)
    done = Watched(words, folder)
    steady = done.memory_mib[len(done.memory_mib) // 4 :] or [0.0]
    half = len(steady) // 2
    print(
        f"{count:,} {kind} on {workers}: {done.wall_s:.0f} s, {done.cpu_s:.0f} s of processors "
        f"({done.cpu_s / count:.2f} each), {max(steady) / workers:.0f} MiB a worker at most, "
        f"{sum(steady[half:]) / max(len(steady) - half, 1) / workers:.0f} in the second half after "
        f"{sum(steady[:half]) / max(half, 1) / workers:.0f}, exit code {done.code}",
        flush=True,
    )
    for line in done.said.splitlines():
        if line.startswith("gpuspec: "):
            print(f"  {line}")
    return done


def bars(kind: str, count: int) -> None:
    """Print the times on one worker and on two, and whether they keep the bars."""
    with tempfile.TemporaryDirectory() as name:
        one, two = (run(kind, count, workers, Path(name)) for workers in (1, 2))
        bar = TARGET_S[kind] * count / {"decisions": 1000, "reports": 100}[kind]
        said = "kept" if two.wall_s <= bar else "missed"
        print(f"  two workers {one.wall_s / two.wall_s:.2f} times one; {bar:.0f} s on two: {said}")
        schedule(64, Path(name) / f"times-{kind}-1.json", Path("tasks.csv"))


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


def schedule(workers: int, times: Path, written: Path) -> None:
    """Print how long a schedule of more workers takes, from the times that each task took."""
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
    print(f"  on paper, {workers} workers: {len(took):,} tasks in {whole:.0f} s "
          f"({sum(took) / whole:.0f} times one; the longest takes {longest:.0f} s)")  # fmt: skip


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
    what, *more = sys.argv[1:] or ["all"]
    if what == "all":
        bars("decisions", 1000)
        bars("reports", 100)
    elif what == "profile":
        profile(int(more[0]) if more else 40)
    elif what == "answer":
        answer(more[0], int(more[1]))
    else:
        bars(what, int(more[0]))


if __name__ == "__main__":
    main()
