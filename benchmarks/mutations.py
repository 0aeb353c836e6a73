"""Put one error at a time into the formulas and tell which of them the fast tests notice.

python benchmarks/mutations.py                     all rows of mutations.csv
python benchmarks/mutations.py memory-1 training   one row, or the rows of a part
python benchmarks/mutations.py --draw 30 --seed 1  30 new random rows of the table, to be read first
python benchmarks/mutations.py --check             only look up the texts and the tests of all rows

A row replaces a unique text of a file by another. Each is applied in a temporary copy of the tree,
one after the other; the tests run up to the first failure, the quickest first: numbers worked out
by hand, predictions of measured cases, then the tests of the part. Notebooks never run. A text
that has moved to another file is found there; one that is gone or no longer unique is an error of
the table, as is a test file that does not exist: nothing runs before they are mended.
"""

import argparse
import ast
import csv
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".csv")
NUMBERS = {
    "mig": "cost",
    "plan": "decision",
    "upgrade": "decision",
    "most": "decision",
    "worth": "decision",
    "asking": "decision",
    "quotes": "decision",
    "api": "cost",
    "export": "models",
    "running": "decision",
    "catalog": "models",
    "validation": "memory",
}
"""Parts whose numbers stand under another name in ``tests/formulas``."""
FIRST = ("tests/formulas", "tests/test_predictions.py")
THEN = {
    "memory": ("formulas_memory", "topic_memory", "catalog_formats"),
    "roofline": ("formulas_serving", "topic_serving"),
    "serving": ("formulas_serving", "formulas_serving_queue", "formulas_images", "topic_serving"),
    "training": ("formulas_training", "topic_training"),
    "posttraining": ("topic_posttraining",),
    "links": ("topic_networks", "formulas_training"),
    "hpc": ("topic_hpc",),
    "cost": ("topic_cost", "topic_cost_prices"),
    "mig": ("topic_mig",),
    "validation": ("topic_validation_tables",),
    "plan": (
        "asking",
        "decision_core",
        "decision_loads",
        "decision_scenario",
        "ways",
        "decision_plan",
    ),
    "upgrade": ("decision_upgrade", "ways"),
    "most": ("decision_most",),
    "worth": ("decision_worth", "api_prices"),
    "asking": ("asking",),
    "quotes": ("topic_cost_prices", "decision_request"),
    "api": ("api_prices", "decision_api"),
    "export": ("catalog_export_class",),
    "running": ("running",),
    "catalog": ("catalog",),
    "models": ("catalog_models", "catalog_models_config", "catalog_formats"),
}
"""Parts, and the tests of each beside the quick ones: ``tests/test_NAME.py``."""
DRAWN = {
    "memory": "memory",
    "roofline": "roofline.py",
    "serving": "serving",
    "links": "networks",
    "training": "training",
    "hpc": "hpc",
    "mig": "mig",
    "cost": "cost",
}
"""Formulas into which random errors go: part and its place in ``gpuspec/formulas``."""
SETTINGS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
"""Plugins take four times as long to load as the formulas with their numbers."""
LIMIT_S = 180
"""Seconds of one error: beyond them it has made a loop endless, which is noticed too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", help="ids or parts; all rows unless given")
    parser.add_argument("--draw", type=int, default=0, help="print so many random rows and stop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="only look up texts and tests")
    parser.add_argument("--quick", action="store_true", help="leave out the tests of the part")
    parser.add_argument("--more", nargs="*", default=[], help="further test files, run second")
    asked = parser.parse_args()
    with TABLE.open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    if asked.draw:
        csv.writer(sys.stdout, lineterminator="\n").writerows(drawn(asked.draw, asked.seed, known))
        return
    rows = [r for r in known if not asked.which or {r["id"], r["part"]} & set(asked.which)]
    if faults := missing(rows):
        sys.exit("\n".join(faults))
    if asked.check:
        print(f"{len(rows)} rows: every text is there once, and so are the tests of every part")
        return
    with tempfile.TemporaryDirectory() as folder:
        survived = judged(rows, copied(Path(folder)), asked.more, asked.quick)
    summary(rows, survived)
    sys.exit(len(survived) > 0.1 * len(rows))


def missing(rows: list[dict[str, str]]) -> list[str]:
    """Return what keeps rows from being tried: texts, and files of tests, that are not there."""
    faults = []
    for row in rows:
        try:
            place(row, ROOT)
        except LookupError as error:
            faults.append(f"{row['id']}: {error}")
    names = {name for row in rows for stage in stages(row["part"]) for name in stage}
    return faults + [
        f"no such tests: {name}" for name in sorted(names) if not (ROOT / name).exists()
    ]


def copied(folder: Path) -> Path:
    """Copy what tests need; returns the root of the copy."""
    for name in ("gpuspec", "data", "tests", "tools", "docs", "notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("*.*"):
        if file.is_file():
            shutil.copy(file, folder)
    return folder


def judged(rows: list[dict[str, str]], root: Path, more: list[str], quick: bool) -> list:
    """Apply each row, run its tests, print what came out; returns the rows that nothing noticed."""
    for extra in more:
        shutil.copy(extra, root / "tests")
    extras = [f"tests/{Path(extra).name}" for extra in more]
    survived = []
    for row in [{"id": "none", "part": "", "breaks": "nothing"}, *rows]:
        start = time.perf_counter()
        path, text = place(row, root) if row["part"] else (None, "")
        if path:
            path.write_text(text.replace(row["old"], row["new"]), encoding="utf-8")
        failed = first_failure(root, row["part"], extras, quick)
        if path:
            path.write_text(text, encoding="utf-8")
        elif failed:
            sys.exit(f"the tests fail without an error: {failed}")
        seconds = time.perf_counter() - start
        if path and not failed:
            survived.append(row)
        verdict = "killed" if failed else "SURVIVED" if path else "passes"
        print(f"{row['id']:14} {verdict:9} {seconds:5.1f} s  {row['breaks']}  {failed}", flush=True)
    return survived


def place(row: dict[str, str], root: Path) -> tuple[Path, str]:
    """Find the only file that holds the text of a row: where the table says, or elsewhere."""
    stated, everywhere = root / row["file"], sorted((root / "gpuspec").rglob("*.py"))
    for files in ([stated] if stated.is_file() else [], everywhere):
        texts = {file: file.read_text(encoding="utf-8") for file in files}
        found = {file: text for file, text in texts.items() if row["old"] in text}
        if len(found) == 1:
            file, text = found.popitem()
            if text.count(row["old"]) == 1:
                return file, text
    raise LookupError(f"not once in the package: {row['old']}")


def stages(part: str) -> list[list[str]]:
    """Return the tests of a part, the quickest first; without a part those of all."""
    quick = list(FIRST)
    if not part:
        return [quick]
    own = f"tests/formulas/test_{NUMBERS.get(part, part)}_numbers.py"
    return [[own], quick, [f"tests/test_{name}.py" for name in THEN[part]]]


def first_failure(root: Path, part: str, extras: list[str], quick: bool) -> str:
    """Run the tests up to the first failure and return its name; empty where all pass."""
    for place, files in enumerate(stages(part)[: 2 if quick else 3]):
        failed = failure(root, [*files, *(extras if place == 1 else ())])
        if failed:
            return failed
    return ""


def failure(root: Path, files: list[str]) -> str:
    """Run some test files up to the first failure and return its name; empty where all pass."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    command = [sys.executable, "-m", "pytest", *options, *files]
    try:
        ran = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), **SETTINGS},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return "time limit"
    if not ran.returncode:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", ran.stdout, re.MULTILINE)
    return failed.group(1) if failed else f"pytest ended with {ran.returncode}"


def summary(rows: list, survived: list) -> None:
    """Print killed of tried, by part and in all."""
    parts, left = Counter(r["part"] for r in rows), Counter(r["part"] for r in survived)
    for part, count in parts.items():
        print(f"{part:10} {count - left[part]:3} of {count}")
    share = 1 - len(survived) / max(len(rows), 1)
    print(f"{'all':10} {len(rows) - len(survived):3} of {len(rows)} killed: {share:.0%}")


# --- random errors -----------------------------------------------------------------------------


def drawn(count: int, seed: int, known: list[dict[str, str]]) -> list[tuple[str, ...]]:
    """Return random rows: a line of a formula, changed in one place, over all parts alike."""
    chance, taken = random.Random(seed), {row["old"] for row in known}
    texts = {p: p.read_text(encoding="utf-8") for p in sorted((ROOT / "gpuspec").rglob("*.py"))}
    package = "\n".join(texts.values())
    pool: dict[str, list[tuple[Path, str, str, str]]] = {part: [] for part in DRAWN}
    for part, name in DRAWN.items():
        at = ROOT / "gpuspec" / "formulas" / name
        for path in [path for path in texts if path.is_relative_to(at)]:
            found = [(path, *error) for error in errors(texts[path])]
            pool[part] += [f for f in found if package.count(f[1]) == 1 and f[1] not in taken]
    rows, numbers = [], Counter()
    places = list(pool)
    while len(rows) < count:
        part = places[len(rows) % len(places)]
        path, old, new, what = chance.choice(pool[part])
        pool[part] = [p for p in pool[part] if p[1] != old]
        numbers[part] += 1
        name = f"{part}-r{numbers[part]}"
        rows.append((name, part, path.relative_to(ROOT).as_posix(), old, new, what))
    return rows


def errors(text: str) -> list[tuple[str, str, str]]:
    """Return (line, changed line, what changed) for every place of a function that can be wrong."""
    found, lines = [], text.splitlines()
    tree = ast.parse(text)
    bodies = [n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in f.body]
    for node in (inner for body in bodies for inner in ast.walk(body)):
        for part, new, what in changes(node, text):
            if part.lineno != part.end_lineno:
                continue
            line = lines[part.lineno - 1]
            raw = line.encode()
            changed = raw[: part.col_offset] + new.encode() + raw[part.end_col_offset :]
            found.append((line.strip(), changed.decode().strip(), what))
    return found


SWAPPED = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*"}
OTHER = {"minimum": "maximum", "maximum": "minimum", "ceil": "floor", "floor": "ceil"}


def changes(node: ast.AST, text: str) -> list[tuple[ast.AST, str, str]]:
    """Return (part of the text, new text, what changed) for a node."""
    if isinstance(node, ast.Attribute) and node.attr in OTHER:
        owner = ast.get_source_segment(text, node.value)
        return [(node, f"{owner}.{OTHER[node.attr]}", f"{OTHER[node.attr]} for {node.attr}")]
    if not isinstance(node, ast.BinOp) or type(node.op) not in SWAPPED:
        return []
    left, right = (ast.get_source_segment(text, side) or "" for side in (node.left, node.right))
    if "0" in (left, right) or "0 *" in left + right:  # only gives the result its shape
        return []
    sign = SWAPPED[type(node.op)]
    found = [
        (node, f"({left}) {sign} ({right})", f"{sign} for another sign"),
        (node, f"({left})", "right side dropped"),
    ]
    for side in (node.left, node.right):
        if isinstance(side, ast.Constant) and type(side.value) in (int, float):
            whole = type(side.value) is int and side.value < 4
            new = side.value + 1 if whole else side.value * 2
            if abs(side.value) > 1e-9:  # smaller ones only keep divisors from 0
                found.append((side, repr(new), f"{new} for {side.value}"))
    return found


if __name__ == "__main__":
    main()
