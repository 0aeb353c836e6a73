"""Try the laws of a decision on random scenarios, and write a small file for each that breaks one.

    python benchmarks/decisions.py [COUNT] [--first SEED] [--each MANY] [--laws a,b] [--files DIR]

Scenarios and laws are those of ``tests/test_decision_laws.py``. Printed: for each law how often it
was tried, how often it was broken by more than a thousandth, and the worst. For each violation a
YAML file in DIR that says as little as still breaks the law.
"""

import argparse
import math
import random
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests")]

import laws  # noqa: E402
from laws import LAWS, TOLERANCE, Law, tried  # noqa: E402
from scenarios import Plain, Sticky, seeded, shrunk  # noqa: E402

MOST_SECONDS = 300
"""Of the processor, after which a law counts as broken: a decision that never comes is none."""


def _late(*_: object) -> None:
    raise TimeoutError(f"no answer in {MOST_SECONDS} s of the processor")


class Broken(NamedTuple):
    """A law that is broken: by how much, by what change, and the file that shows it."""

    law: str
    seed: int
    share: float
    change: str
    scenario: Plain

    def text(self) -> str:
        """Return the file, with what is wrong as its first lines."""
        said = "an answer comes or goes, or other GPUs"
        said = said if self.share == math.inf else f"{self.share:.2%}"
        head = (
            f"# {self.law}, change: {self.change or 'none'}; broken by {said}; seed {self.seed}\n"
        )
        return head + yaml.safe_dump(self.scenario, sort_keys=False, default_flow_style=None)


def smallest(law: Law, scenario: Plain, pick: Sticky, share: float, seconds: float) -> Plain:
    """Return a scenario that says as little as still breaks the law."""
    least = TOLERANCE if share < math.inf else 1e300

    def broken(less: Plain) -> bool:
        try:
            found = tried(law, less, pick)
        except Exception:
            return False
        return found is not None and found > least

    return shrunk(scenario, broken, seconds)


def run(given: argparse.Namespace) -> list[Broken]:
    """Try the laws; print the table; return what is broken."""
    chosen = [law for law in LAWS if not given.laws or law.__name__ in given.laws.split(",")]
    shares, broken, start = defaultdict(list), [], time.monotonic()
    for seed in range(given.first, given.first + given.count):
        if time.monotonic() - start > 60 * given.minutes:
            break
        scenario = seeded(seed)
        for law in random.Random(seed).sample(chosen, min(given.each, len(chosen))):
            pick = Sticky((law.__name__, seed))
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
            try:
                share = tried(law, scenario, pick)
            except Exception:
                print(f"seed {seed}, {law.__name__}, {pick.label}: {scenario}", flush=True)
                traceback.print_exc()
                share = math.inf
            signal.setitimer(signal.ITIMER_PROF, 0)
            if share is None:
                continue
            shares[law.__name__].append(share)
            if share > TOLERANCE:
                less = smallest(law, scenario, pick, share, given.shrink)
                final = tried(law, less, pick)
                broken.append(Broken(law.__name__, seed, final or share, pick.label, less))
                keep(broken[-1], given.files)
    table(shares)
    return broken


def keep(found: Broken, folder: str) -> None:
    """Print a violation, and write its file."""
    print(found.text(), flush=True)
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{found.law}-{found.seed}.yaml").write_text(found.text(), "utf-8")


def table(shares: Mapping[str, list[float]]) -> None:
    """Print law, checks, how many are broken, and the worst."""
    print(f"{'law':20} {'checks':>7} {'broken':>7} {'worst':>9}")
    for law in LAWS:
        found = shares.get(law.__name__, [])
        many, worst = sum(s > TOLERANCE for s in found), max(found, default=0.0)
        print(f"{law.__name__:20} {len(found):7,} {many:7,} {worst:9.2%}")
    every = [share for found in shares.values() for share in found]
    print(f"{'all':20} {len(every):7,} {sum(s > TOLERANCE for s in every):7,}")


def main() -> int:
    """Run with the options of the command line."""
    signal.signal(signal.SIGPROF, _late)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--each", type=int, default=len(LAWS), help="laws that a scenario is tried on"
    )
    parser.add_argument("--laws", default="", help="names, commas between; all where empty")
    parser.add_argument("--files", default="", help="folder for the files of violations")
    parser.add_argument("--shrink", type=float, default=30.0, help="seconds for making one small")
    parser.add_argument("--coarse", action="store_true", help="with few draws, as the tests do")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no scenario after them")
    given = parser.parse_args()
    laws.HOW.update({"samples": 200, "loads": 8} if given.coarse else {})
    return 1 if run(given) else 0


if __name__ == "__main__":
    sys.exit(main())
