"""What feedback costs."""

from __future__ import annotations

import math

import pytest

from textgym.feedback import PromptText, Query, Response
from textgym.feedback.prices import Budget, Prices

PROMPT = PromptText(text="Q:")
A, B = (Response(prompt=PROMPT, text=t, token_ids=ids) for t, ids in (("a", (1, 2)), ("b", (3,))))


def test_prices_by_kind_and_length() -> None:
    prices = Prices(score=2.0, ranking=0.5, action=0.1)
    assert prices.of(Query(kind="score", prompt=PROMPT, responses=(A,))) == pytest.approx(2.2)
    assert prices.of(Query(kind="ranking", prompt=PROMPT, responses=(A, B, A))) == pytest.approx(2)
    assert prices.of(Query(kind="demonstration", prompt=PROMPT)) == 1
    assert prices.cheapest() == 1.0


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1"])
def test_bad_prices(value: object) -> None:
    with pytest.raises(ValueError, match="the price language must be a finite number"):
        Prices(language=value)  # type: ignore[arg-type]


def test_a_budget_that_cannot_buy_one_label_is_refused() -> None:
    with pytest.raises(ValueError, match="budget 1.5 cannot buy one label: the cheapest costs 2"):
        Budget(
            1.5, Prices(score=4, comparison=3, ranking=1, language=9, correction=8, demonstration=2)
        )
    assert Budget(2.0, Prices(score=2, comparison=3)).left == 2
    for bad in (math.nan, -1.0, math.inf):
        with pytest.raises(ValueError, match="budget must be a finite number of at least 0"):
            Budget(bad, Prices())
    assert Budget(0.0, Prices(score=0)).reserve(0.0)


def test_money_is_reserved_released_and_spent() -> None:
    budget = Budget(1.0, Prices(score=0.1))
    assert all(budget.reserve(0.1) for _ in range(10))  # 10 times 0.1 is a little below 1
    assert not budget.reserve(0.1)
    budget.release(0.1)
    budget.pay(0.05)
    assert budget.left == pytest.approx(0.05)
    assert Budget(None, Prices()).reserve(1e9)
