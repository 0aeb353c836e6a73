"""Feed the command line what people should not: is every answer an exit 0 or one sentence?

    python benchmarks/fuzz.py [COUNT] [--first SEED] [--workers N] [--minutes M] [--kinds a,b]

Each case follows from its seed: files (config.json, scenarios, tenants, quotes, measurements,
tables of GPUSPEC_DATA) and options of every command, made from good ones by a few changes. A
worker runs them in its own process. A case fails with a traceback, an exit other than 0, 2 or 3,
a message of several lines or over 600 characters, over 10 s of CPU time or 1 GB of memory.
Notebooks are not executed: a report ends where it would start its kernel.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any
from unittest import mock

import yaml

ROOT = Path(__file__).resolve().parents[1]
MOST_SECONDS, MOST_BYTES, MOST_MESSAGE = 10.0, 2**30, 600
WALL_SECONDS = 240.0
"""After which a worker is ended: other work may have taken the machine."""
_WORDS = """
nan inf -inf -1 0 1 7 1e308 -1e308 1e-320 1e9 1e18 0.5 010 0x1f 1:30 1_000 true no null ~
٣ ² 2026-02-30 2026-11-24 0000-00-00 H100 A100 Llama-3.1-70B bf16 fp8 all none example
article-b $\\frac$ `#panic()`{=typst} <script> %s {} [] [1] {a:1} a=b , ; = . .. / // \\
/dev/zero /dev/full /dev/null /dev ~nosuchuser/x http://a/b.csv config.json a.ipynb
a/b.pdf x.pdf x.png -- - @x *x &x !x |
"""
WORDS = tuple(_WORDS.split())
TEXTS = (*WORDS, "", " ", "\t", "é" * 40, "a b", "a" * 300, "9" * 400, "9" * 5000, "[" * 3000)
TEXTS += (
    "x\x1by",
    "a\nb",
    "\u202ex",
    "\ud800",
    "a" * 70_000,
    "1" + "0" * 30,
    "-0",
    "+5",
    "H100," * 900,
)
NUMBERS: tuple[Any, ...] = (-1, 0, 1, 2, 7, 64, 10**6, 10**9, 10**18, 10**40, 10**400, 0.5, -0.5)
NUMBERS += (1e-320, 1e-9, 1e15, 1e308, float("nan"), float("inf"), True, False, None)
PLACES = {
    "name": "mine",
    "objective": "time",
    "horizon_months": "24",
    "today": "2026-11-24",
    "budget.monthly_usd": "2e5",
    "limits.gpus": "512",
    "allow.gpus": "A100,H200",
    "allow.weights": "[fp8]",
    "allow.modes": "spot",
    "prices.quotes": "H100:spot=1.5",
    "prices.drift": "down",
    "workloads[0].isl": "3000",
    "workloads[0].name": "first",
    "workloads[0].model": "Llama-3.1-8B",
    "workloads[0].growth": "0.1",
    "owned": "[{gpu: H100, count: 8}]",
}
ODD_PLACES = ("workloads[²].isl", "workloads[9].isl", "", "[0]", "a.b.c", "owned[0]", "k" * 3000)
COLUMNS = {
    "tenants": "name model weights kv workload isl osl concurrency copies request_rate ttft_s "
    "tpot_s memory_gib gpu_share bandwidth_share media",
    "quotes": "gpu mode price currency provider region as_of gpus_per_node minimum lead_months "
    "after_term",
}


class Maker:
    """Makes the case of one seed."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.files: dict[str, bytes] = {}
        self.environment: dict[str, str] = {}

    def value(self, depth: int = 0) -> Any:
        """Return any value of JSON."""
        r = self.r
        if depth < 3 and r.random() < 0.2:
            inner = [self.value(depth + 1) for _ in range(r.randrange(4))]
            return inner if r.random() < 0.5 else {r.choice(TEXTS[:60]): v for v in inner}
        return r.choice(NUMBERS) if r.random() < 0.5 else r.choice(TEXTS)

    def changed(self, content: Any, times: int) -> Any:
        """Change, drop or add values anywhere in nested dicts and lists."""
        for _ in range(times):
            at = content
            while isinstance(at, dict | list) and at:
                key = self.r.choice(list(at) if isinstance(at, dict) else range(len(at)))
                if isinstance(at[key], dict | list) and at[key] and self.r.random() < 0.8:
                    at = at[key]
                    continue
                change = self.r.random()
                if change < 0.1:
                    del at[key]
                elif change < 0.2 and isinstance(at, dict):
                    at[self.r.choice(TEXTS)] = self.value()
                else:
                    at[key] = self.value()
                break
        return content

    def damaged(self, content: bytes) -> bytes:
        """Damage bytes, or put something else altogether in their place."""
        r, size = self.r, len(content)
        kind = r.randrange(12)
        at, to = sorted((r.randrange(size + 1), r.randrange(size + 1)))
        if kind < 3:
            flipped = bytearray(content)
            for _ in range(r.randrange(1, 8)):
                flipped[r.randrange(size)] = r.randrange(256)
            return bytes(flipped)
        bomb = b"".join(
            b"&b%d [%s], " % (i, b", ".join([b"*b%d" % (i - 1)] * 10)) for i in range(1, 9)
        )
        return [
            content[:at],
            content[:at] + content[at:to] * 2 + content[to:],
            content[:at] + content[to:],
            b"\xef\xbb\xbf" + content,
            content.decode("utf-8", "replace").encode("utf-16"),
            content[:at] + r.choice(TEXTS).encode("utf-8", "surrogatepass") + content[at:],
            r.choice([b"[" * 100_000, b'{"a":' * 50_000, b"\x1f\x8b" + content, b"", b"\x00" * 99]),
            b"a: [&b0 [x,x,x,x,x,x,x,x,x,x], " + bomb + b"]\n" + content,
            content[:at] + b"\n" + content[at:] * r.choice([1, 200]),
        ][kind - 3]

    def put(self, name: str, content: bytes) -> str:
        """Keep a file, damaged one time in four; return its name."""
        if content and self.r.random() < 0.25:
            content = self.damaged(content)
        self.files[name] = content
        return name

    # --- kinds -----------------------------------------------------------------------------

    def config(self) -> list[str]:
        """Return a command that reads a config.json."""
        path = self.r.choice(sorted((ROOT / "tests/fixtures/configs").glob("*.json")))
        content = self.changed(json.loads(path.read_text("utf-8")), self.r.randrange(4))
        name = self.put("config.json", json.dumps(content).encode("utf-8", "surrogatepass"))
        command = self.r.choice(["estimate", "estimate", "train"])
        return [command, name, *(["--counts", "64"] if command == "train" else [])]

    def scenario(self) -> list[str]:
        """Return a command that reads a scenario, whose plan is not made."""
        path = self.r.choice(sorted((ROOT / "data/scenarios").glob("*.yaml")))
        content = yaml.safe_load(path.read_text("utf-8"))
        if self.r.random() < 0.1:
            content["workloads"] *= self.r.choice([2, 2000])
        content = self.changed(content, self.r.randrange(4))
        if self.r.random() < 0.5:
            text = json.dumps(content, default=str)
            return ["plan", self.put("s.json", text.encode("utf-8", "surrogatepass"))]
        text = yaml.safe_dump(content)
        return ["plan", self.put("s.yaml", text.encode("utf-8", "surrogatepass"))]

    def path(self) -> list[str]:
        """Return a plan with values by path."""
        given = []
        for _ in range(self.r.randrange(1, 4)):
            place, good = self.r.choice(list(PLACES.items()))
            place = self.r.choice(ODD_PLACES) if self.r.random() < 0.1 else place
            value = self.r.choice(TEXTS) if self.r.random() < 0.3 else good
            given.append(f"{place}={value}")
        return ["plan", self.r.choice(["article-b", "small-team"]), *_listed("-p", given)]

    def plan(self) -> list[str]:
        """Return a plan or an upgrade that is made in full."""
        args = self.scenario() if self.r.random() < 0.5 else self.path()
        return ["upgrade", args[1]] if self.r.random() < 0.3 else args

    def table(self, rows: list[dict[str, Any]], columns: list[str]) -> bytes:
        """Return a CSV text of rows, some cells changed."""
        for _ in range(self.r.randrange(4)):
            row = self.r.choice(rows)
            value = self.r.choice(NUMBERS) if self.r.random() < 0.4 else self.r.choice(TEXTS)
            row[self.r.choice(columns)] = "" if value is None else value
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows * (5000 if self.r.random() < 0.01 else 1))
        return text.getvalue().encode("utf-8", "surrogatepass")

    def tenants(self) -> list[str]:
        """Return a command that packs tenants."""
        columns = COLUMNS["tenants"].split()
        rows = _rows(ROOT / "data/examples/tenants.csv", self.r, 4)
        for place, row in enumerate(rows):
            row["name"] = f"tenant-{place}"
        return ["mig", self.put("t.csv", self.table(rows, columns)), "--seconds", "1"]

    def quotes(self) -> list[str]:
        """Return a command that reads quotes."""
        rows: list[dict[str, Any]] = [
            {"gpu": "H100", "mode": "spot", "price": 1.5, "currency": "USD"},
            {"gpu": "A100", "mode": "own-server", "price": 150000, "as_of": "2026-10-01"},
        ]
        if self.r.random() < 0.4:
            content = yaml.safe_dump(self.changed(rows, self.r.randrange(4))).encode(
                "utf-8", "replace"
            )
            return ["prices", "H100", "--quotes", self.put("q.yaml", content)]
        content = self.table(rows, COLUMNS["quotes"].split())
        return ["prices", "H100", "--quotes", self.put("q.csv", content)]

    def validate(self) -> list[str]:
        """Return a comparison with measurements of any kind."""
        kind = self.r.choice(["inference", "training", "collectives", "hpc"])
        rows = _rows(ROOT / f"data/measurements/{kind}.csv", self.r, 5)
        name = self.put("m.csv", self.table(rows, list(rows[0])))
        return ["validate", name, "--kind", kind]

    def data(self) -> list[str]:
        """Return a command that reads a person's own tables."""
        name = self.r.choice(["gpus", "models", "servers", "links"])
        rows = _rows(ROOT / f"data/{name}.csv", self.r, 2)
        if self.r.random() < 0.5:
            rows[0]["id"] = "mine-1"
        self.put(f"{name}.csv", self.table(rows, list(rows[0])))
        self.environment["GPUSPEC_DATA"] = "."
        device = "mine-1" if name == "gpus" else "H100"
        network = "mine-1" if name == "models" else "Llama-3.1-8B"
        return self.r.choice([["list", name], ["estimate", network, "--gpu", device]])

    def options(self) -> list[str]:
        """Return any command with any options."""
        from gpuspec.cli import main

        name = self.r.choice(sorted(set(main.commands) - {"plan", "upgrade"}))
        good = {
            "estimate": "Llama-3.1-8B",
            "images": "SDXL",
            "train": "Llama-3.1-8B",
            "list": "gpus",
        }
        good |= {"report": "memory", "params": "memory", "reports": "memory", "validate": "m.csv"}
        args = [name]
        for parameter in main.commands[name].params:
            if parameter.param_type_name == "argument":
                odd = self.r.random() < 0.25
                args.append(self.r.choice(TEXTS) if odd or name not in good else good[name])
            elif self.r.random() < 0.25 and parameter.name not in ("help", "debug"):
                args.append(self.r.choice(parameter.opts))
                args += [] if parameter.is_flag else [self.r.choice(TEXTS)]
        return args


KINDS = {
    "config": 20, "scenario": 20, "path": 9, "plan": 3, "tenants": 7, "quotes": 8, "validate": 10,
    "data": 8, "options": 25,
}  # fmt: skip


def _listed(option: str, values: list[str]) -> list[str]:
    return [text for value in values for text in (option, value)]


def _rows(path: Path, r: random.Random, count: int) -> list[dict[str, Any]]:
    if path not in _READ:
        with path.open(encoding="utf-8", newline="") as file:
            _READ[path] = list(csv.DictReader(file))
    return [dict(r.choice(_READ[path])) for _ in range(count)]


_READ: dict[Path, list[dict[str, Any]]] = {}


def case_of(seed: int, kinds: list[str]) -> tuple[str, list[str], Maker]:
    """Return the kind, the arguments and the files of a seed."""
    maker = Maker(seed)
    kind = maker.r.choices(kinds, [KINDS[k] for k in kinds])[0]
    args = [text.replace("\0", "") for text in getattr(maker, kind)()]
    return kind, args, maker


# --- running -------------------------------------------------------------------------------------


def _ended(*_: Any, **__: Any) -> None:
    raise SystemExit(0)


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def run(seed: int, kinds: list[str]) -> dict[str, Any]:
    """Run one case in this process, in an empty folder."""
    from gpuspec.cli import main
    from gpuspec.decision import plan
    from gpuspec.report import many, one

    kind, args, maker = case_of(seed, kinds)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code, trace = 0, ""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # peak memory counts from here
    patches = [mock.patch.object(one, "execute", _ended)]
    patches.append(mock.patch.object(many, "ProcessPoolExecutor", _ended))
    if kind in ("scenario", "path"):
        patches.append(mock.patch.object(plan, "decide", _ended))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(mock.patch.dict(os.environ, maker.environment))
        for patch in patches:
            stack.enter_context(patch)
        for name, content in maker.files.items():
            Path(name).write_bytes(content)
        start = time.process_time()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main(args)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except BaseException:
            code, trace = -1, traceback.format_exc()
    found = {"seed": seed, "kind": kind, "code": code, "cpu_s": time.process_time() - start}
    err.flush()
    said = err.buffer.getvalue().decode("utf-8", "replace")
    return found | {"peak": _peak_bytes(), "said": said[:2000], "long": len(said), "trace": trace}


def faults(found: dict[str, Any]) -> list[str]:
    """Return what is wrong with the outcome of a case."""
    said = found["said"]
    wrong = {
        "traceback": bool(found["trace"]) or "Traceback" in said,
        f"exit {found['code']}": found["code"] not in (0, 2, 3),
        "long message": found["long"] > MOST_MESSAGE,
        "several lines": found["code"] == 2 and said.strip().count("\n") > 0,
        "slow": found["cpu_s"] > MOST_SECONDS,
        "memory": found["peak"] > MOST_BYTES,
    }
    return [name for name, is_so in wrong.items() if is_so]


def work(kinds: list[str]) -> None:
    """Run the seeds of stdin; one line of JSON each on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
    told = sys.stdout
    for line in sys.stdin:
        print(json.dumps(run(int(line), kinds)), file=told, flush=True)


class Worker:
    """A process that runs cases, and is replaced where one never ends."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        self.process: subprocess.Popen[str] | None = None

    def ask(self, seed: int) -> dict[str, Any]:
        """Return what came of a seed."""
        if self.process is None:
            command = [sys.executable, __file__, "--work", "--kinds", ",".join(self.kinds)]
            pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
            self.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=nothing, text=True
            )
        assert self.process.stdin
        assert self.process.stdout
        timer = Timer(WALL_SECONDS, self.process.kill)
        timer.start()
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        timer.cancel()
        if line:
            return json.loads(line)
        code, self.process = self.process.wait(), None
        kind = case_of(seed, self.kinds)[0]
        blank = {"said": "", "long": 0, "trace": "the worker died", "peak": 0}
        return {"seed": seed, "kind": kind, "code": code, "cpu_s": WALL_SECONDS, **blank}


def main() -> None:
    """Run the cases and print counts by kind, and each one that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no case after them")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    kinds = given.kinds.split(",")
    if given.work:
        work(kinds)
        return
    seeds, results, lock = iter(range(given.first, given.first + given.count)), [], Lock()

    end = time.monotonic() + 60 * given.minutes

    def loop() -> None:
        worker = Worker(kinds)
        while True:
            with lock:
                seed = next(seeds, None)
            if seed is None or time.monotonic() > end:
                return
            found = worker.ask(seed)
            with lock:
                results.append(found)
                if faults(found):
                    tell(found, kinds)

    threads = [Thread(target=loop, daemon=True) for _ in range(given.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary(results)
    sys.exit(not results or any(map(faults, results)))


def tell(found: dict[str, Any], kinds: list[str]) -> None:
    """Print a case that failed, with what makes it again."""
    _, args, maker = case_of(found["seed"], kinds)
    shown = " ".join(text[:60] if text.isprintable() else repr(text[:60]) for text in args)
    print(f"seed {found['seed']} ({', '.join(faults(found))}): gpuspec {shown}", flush=True)
    for name, content in maker.files.items():
        print(f"    {name}: {content[:300]!r}")
    last = (found["trace"] or found["said"]).strip().splitlines()[-3:]
    print(f"    {found['cpu_s']:.1f} s, {found['peak'] / 2**20:.0f} MiB: {' | '.join(last)[:500]}")


def summary(results: list[dict[str, Any]]) -> None:
    """Print one line a kind."""
    heads = ("cases", "exit 0", "exit 2", "faults", "most s", "most MiB")
    print("kind      ", *(f"{head:>8}" for head in heads))
    for kind in (*KINDS, "all"):
        mine = [r for r in results if kind in (r["kind"], "all")]
        if mine:
            codes = Counter(r["code"] for r in mine)
            slow, peak = max(r["cpu_s"] for r in mine), max(r["peak"] for r in mine) / 2**20
            bad = sum(bool(faults(r)) for r in mine)
            counts = (len(mine), codes[0], codes[2], bad, f"{slow:.1f}", f"{peak:.0f}")
            print(f"{kind:10}", *(f"{count:>8}" for count in counts))


if __name__ == "__main__":
    main()
