"""Rewards by name, weighted sums, metrics and users' functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textgym.rewards.base import score_episodes
from textgym.rewards.functions import FunctionReward
from textgym.rewards.lookup import reward_named
from textgym.types import Episode, Prompt


def episode(response: str, *references: str, reason: str = "eos") -> Episode:
    ids = tuple(range(len(response.split()) + (reason == "eos")))
    prompt = Prompt(prompt_id=3, text="p", references=references)
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=ids, response=response, finish_reason=reason
    )


class Constant:
    def __init__(self, name: str, value: float) -> None:
        """Score every episode with `value`."""
        self.name, self.value = name, value

    def __call__(self, episodes: Any) -> np.ndarray:
        return np.full(len(episodes), self.value, dtype=np.float32)


def test_weighted_sums_show_their_terms() -> None:
    reward = reward_named(
        "0.5*model - 2*length + gold",
        gold=Constant("gold", 4.0),
        make_model=lambda: Constant("model", 3.0),
    )
    batch = score_episodes(reward, [episode("a b"), episode("a", reason="length")])
    assert {name: terms.tolist() for name, terms in batch.terms.items()} == {
        "model": [1.5, 1.5],
        "length": [-4.0, -2.0],
        "gold": [4.0, 4.0],
    }
    assert (
        batch.scores.tolist()
        == [1.5, 3.5]
        == reward([episode("a b"), episode("a", reason="length")]).tolist()
    )


def test_a_single_name_is_the_reward_itself() -> None:
    gold = Constant("gold", 1.0)
    assert reward_named("gold", gold=gold) is gold
    assert list(score_episodes(reward_named("2e0*gold", gold=gold), [episode("")]).terms) == [
        "gold"
    ]


def test_metrics_take_the_best_reference() -> None:
    both = [episode("the cat sat", "a dog", "the cat sat"), episode("x", "the cat")]
    for name in ("rouge", "rouge1", "rouge2", "rougeL", "chrf"):
        assert reward_named(name)(both).tolist() == [
            pytest.approx(1.0),
            pytest.approx(0.0, abs=0.1),
        ]
    four = [episode("the cat sat down", "the cat sat down")]
    assert reward_named("bleu")(four)[0] == pytest.approx(1.0)
    # 2 of 3 words in order: precision 2/3, recall 2/2, F1 = 0.8
    assert reward_named("rouge")([episode("the black cat", "the cat")])[0] == pytest.approx(0.8)
    with pytest.raises(ValueError, match="'rouge' needs references, got none for prompt_id 3"):
        reward_named("rouge")([episode("a")])


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("modle", "did you mean 'model'"),
        ("gold", "this one has none"),
        ("model", "needs reward_model=..., a folder or hub name"),
        ("", "a name or a sum"),
        ("length + + rouge", "a name or a sum"),
        ("length rouge", "a name or a sum"),
        ("0.5*", "a name or a sum"),
        ("length+length", "must name each reward once, got 'length' twice"),
        ("nope.nope:f", "cannot import the module of 'nope.nope:f'"),
    ],
)
def test_bad_expressions_are_named(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reward_named(expression)


def test_functions_must_return_one_number_each() -> None:
    short = FunctionReward(lambda episodes: [1.0], "short")
    with pytest.raises(ValueError, match=r"'short' must return shape \(2,\), got \(1,\)"):
        score_episodes(short, [episode("a"), episode("b")])
    words = FunctionReward(lambda episodes: ["good"], "words")  # type: ignore[list-item]
    with pytest.raises(ValueError, match="'words' must return 1 numbers, got"):
        score_episodes(words, [episode("a")])
