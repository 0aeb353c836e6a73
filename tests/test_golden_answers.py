"""`plan` and `upgrade` answer the shipped scenarios as they did, number by number.

What is meant is made again by `make predictions`.
"""

from pathlib import Path

import pytest
from goldens import answers
from goldens.compare import alike, differences

STORED = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", answers.names())
@pytest.mark.parametrize("question", answers.QUESTIONS)
def test_the_answer_is_the_stored_one(question, name):
    path = STORED / f"{question}-{name}.json"
    now = answers.written(answers.QUESTIONS[question](name))
    differ = differences(path.name, path.read_text("utf-8"), now)
    if differ:
        pytest.fail(f"{differ}\nif that is meant: make predictions", pytrace=False)


def test_the_last_digit_may_differ_and_nothing_else():
    assert alike("4 x H200, 12,345 USD", "4 x H200, 12,346 USD")
    assert alike('"low": 1.0004e-05', '"low": 1.0003e-05')
    assert not alike("4 x H200", "5 x H200")
    assert not alike("4 x H200, 12,345 USD", "4 x H200, 12,400 USD")
    assert not alike("feasible: 0", "feasible: 1")
    assert not alike("x -1, 2", "x 1, 2")
    assert "+b 3\n" in differences("it", "a 1\nb 2\n", "a 1\nb 3\n") + "\n"
    assert not differences("it", "a 1000\nb 2\n", "a 1001\nb 2\n")
