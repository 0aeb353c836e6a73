"""Make again what the tests hold changes against: predictions, answers, what notebooks show.

python tools/write_predictions.py [--to FOLDER] [predictions] [answers] [notebooks]

Without names all three are made; without a folder they go to tests/, where `git diff` then shows
what a change did: one number a case, a line a plan, a line an artist of a picture.
"""

import argparse
from pathlib import Path

from goldens import answers, fix_day, notebooks, predictions

TESTS = Path(__file__).resolve().parents[1] / "tests"
PARTS = {
    "predictions": (predictions.write, "predictions"),
    "answers": (answers.write, "golden"),
    "notebooks": (notebooks.write, "golden/notebooks"),
}


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all unless given")
    asked.add_argument("--to", type=Path, default=TESTS)
    given = asked.parse_args()
    fix_day()
    for name in given.parts or PARTS:
        if name not in PARTS:
            asked.error(f"{name}: give one of {', '.join(PARTS)}")
        write, folder = PARTS[name]
        write(given.to / folder)


if __name__ == "__main__":
    main()
