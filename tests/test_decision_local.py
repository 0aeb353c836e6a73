"""The currency of an answer follows its reader, unless one is asked for."""

import pytest

from gpuspec.decision.scenario import DecisionQuestion

CHINA = {"scenario": None, "users": 50}


@pytest.mark.parametrize(
    ("language", "stated", "currency"),
    [
        ("zh", {"regions": "China"}, "CNY"),
        ("zh", {"regions": "China", "currency": "USD"}, "USD"),
        ("zh", {"regions": "China, US"}, "USD"),
        ("zh", {}, "USD"),
        ("en", {"regions": "China"}, "USD"),
        ("zh", {"regions": "China", "scenario": "article-b", "users": None}, "CNY"),
    ],
)
def test_readers_in_china_get_yuan(language, stated, currency):
    asked = DecisionQuestion.ask(**(CHINA | stated), language=language).stated
    assert asked.prices.currency == currency
