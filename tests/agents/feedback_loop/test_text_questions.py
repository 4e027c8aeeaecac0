"""Which responses are asked about, and how a question is written down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from textgym.agents.feedback_loop.text_questions import chosen_groups, question
from textgym.rewards.ensemble_rule import EnsembleRule
from textgym.rewards.learned_ensemble import EnsembleReward
from textgym.types import Episode, Prompt


def episode(number: int, prompt_id: int = 0) -> Episode:
    return Episode(
        prompt=Prompt(text="Q:", prompt_id=prompt_id),
        prompt_ids=(1, 2),
        response_ids=(number,),
        response=str(number),
        finish_reason="eos",
        gold_score=0.1 * number,
    )


class Reads:
    """A reward model that says a number for each response."""

    name = "model"
    shares_tokenizer = True

    def __init__(self, says: dict[int, float]) -> None:  # noqa: D107
        self.says = says

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        return np.array([self.says[e.response_ids[0]] for e in episodes], dtype=np.float32)


PAIRS = [[episode(0), episode(1)], [episode(2), episode(3)], [episode(4), episode(5)]]
SINGLES = [[episode(number)] for number in range(6)]
# The members agree on all but response 3; the pair (4, 5) is the widest.
FIRST = Reads({0: 0.0, 1: 1.0, 2: 0.0, 3: 2.0, 4: 0.0, 5: 3.0})
SECOND = Reads({0: 0.0, 1: 1.0, 2: 0.0, 3: -2.0, 4: 0.0, 5: 3.0})
ENSEMBLE = EnsembleReward([FIRST, SECOND], EnsembleRule())  # type: ignore[list-item]


def test_what_is_most_wanted_is_asked() -> None:
    generator = np.random.default_rng(0)
    assert chosen_groups(PAIRS, 1, "disagreement", ENSEMBLE, generator) == [PAIRS[1]]
    assert chosen_groups(SINGLES, 1, "disagreement", ENSEMBLE, generator) == [SINGLES[3]]
    assert chosen_groups(PAIRS, 1, "spread", ENSEMBLE, generator) == [PAIRS[2]]
    # Before the first reward all are as good as any other.
    drawn = [chosen_groups(PAIRS, 1, "spread", None, generator)[0][0] for _ in range(60)]
    assert {e.response_ids[0] for e in drawn} == {0, 2, 4}
    drawn = [chosen_groups(PAIRS, 1, "random", ENSEMBLE, generator)[0][0] for _ in range(60)]
    assert {e.response_ids[0] for e in drawn} == {0, 2, 4}


def test_disagreement_needs_an_ensemble() -> None:
    with pytest.raises(ValueError, match="needs an ensemble, got Reads: give more members"):
        chosen_groups(PAIRS, 1, "disagreement", FIRST, np.random.default_rng(0))


def test_a_question_holds_all_that_a_record_needs() -> None:
    def ask(number: int, group: list[Episode], seed: int = 0) -> object:
        generator = np.random.default_rng(seed)
        return question(
            "comparison", group, "run", number, generator, fingerprint="abc", temperature=0.7
        )

    asked = question(
        "comparison",
        PAIRS[1],
        "run",
        4,
        np.random.default_rng(0),
        fingerprint="abc",
        temperature=0.7,
    )
    assert asked.query_id.startswith("run-4-")
    first, second = asked.responses
    assert (first.token_ids, second.token_ids) == ((2,), (3,)) and first.prompt is second.prompt
    assert first.prompt.token_ids == (1, 2) and first.gold_score == pytest.approx(0.2)
    assert {r.policy_fingerprint for r in asked.responses} == {"abc"}
    assert first.sampling == {"temperature": 0.7}
    ids = {ask(4, PAIRS[1]).query_id, ask(5, PAIRS[1]).query_id, ask(4, PAIRS[0]).query_id}  # type: ignore[attr-defined]
    assert len(ids) == 3 and asked.query_id in ids  # same run, number and content: same question
    orders = {ask(1, PAIRS[0], seed).shown_order for seed in range(20)}  # type: ignore[attr-defined]
    assert orders == {(0, 1), (1, 0)}
