"""What every peer's script does: read cases, answer each, write values and times."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any


def tell(answer: Callable[[dict[str, Any]], Any]) -> None:
    """Read a JSON list of cases from standard input; write [value, seconds it took] of each.

    The value is null, and the reason goes to standard error, where `answer` raises. What a tool
    prints goes to standard error, so that standard output holds the answers alone.
    """
    told = []
    for case in json.load(sys.stdin):
        start = time.perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                value = answer(case)
        except Exception as error:
            print(f"{case['case_id']}: {error!r}", file=sys.stderr)
            value = None
        told.append([value, time.perf_counter() - start])
    json.dump(told, sys.stdout)
