"""What settling asks of the reward and the reference: once, and no more than it needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from textgym.config import TextEnvConfig
from textgym.prompts import PromptList
from textgym.reference import AllowedOf, ResponseSequence, TableReference
from textgym.rewards.functions import FunctionReward
from textgym.task import TextTask
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv

TOKENIZER = SymbolTokenizer(["p", "q", "a", "b", "<eos>"])
A, EOS = 2, 4


class Judge:
    """Counts its calls and what it was asked."""

    def __init__(self) -> None:
        """Start uncalled."""
        self.calls: list[list[str]] = []
        self.is_gone = False

    def __call__(self, episodes: Sequence[Episode]) -> list[float]:
        self.calls.append([e.response for e in episodes])
        if self.is_gone and any(len(e.response_ids) == 2 for e in episodes):
            raise ConnectionError("judge gone")
        return [float(len(e.response_ids)) for e in episodes]


class CountingReference(TableReference):
    """A flat reference that remembers which sequences it was asked for."""

    def __init__(self) -> None:
        """Start unasked."""
        super().__init__(lambda state: np.zeros(TOKENIZER.vocab_size))
        self.asked: list[int] = []

    def sequence_log_probs(
        self,
        sequences: Sequence[ResponseSequence],
        temperature: float = 1.0,
        allowed_of: AllowedOf | None = None,
    ) -> list[np.ndarray]:
        self.asked.append(len(sequences))
        return super().sequence_log_probs(sequences, temperature, allowed_of)


def make(judge: Judge, reference: CountingReference, **kwargs: int) -> TokenVectorEnv:
    def build(config: TextEnvConfig) -> TextTask:
        return TextTask(
            config=config,
            prompts=PromptList(["p", "q"]),
            tokenizer=TOKENIZER,
            reward=FunctionReward(judge, "judge", config.reward_workers),
            make_reference=lambda num_rows, width: reference,
            eos_ids=TOKENIZER.eos_ids,
            action_tokens=np.arange(5),
        )

    sizes = {"max_prompt_tokens": 1, "max_new_tokens": 4, **kwargs}
    envs = TokenVectorEnv(build, 3, reward_timing="deferred", **sizes)
    envs.reset(seed=0)
    return envs


def test_the_reward_is_asked_once_and_only_about_what_ended() -> None:
    judge, reference = Judge(), CountingReference()
    envs = make(judge, reference)
    for actions in ([A, EOS, A], [EOS, A, A], [A, A, A]):
        envs.step(np.array(actions))
    assert judge.calls == [] and reference.asked == []
    rewards = envs.settle_rewards()
    # Rows 0 and 1 ended once each; the segments that go on, row 2's among them, are not scored.
    assert judge.calls == [["a", ""]] or judge.calls == [["", "a"]]
    assert reference.asked == [5]
    log_prob = 0.05 * np.log(1 / 5)
    scores = np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(rewards, scores + log_prob, rtol=1e-6)


def test_nothing_ended_asks_no_reward() -> None:
    judge, reference = Judge(), CountingReference()
    envs = make(judge, reference)
    envs.step(np.array([A, A, A]))
    envs.settle_rewards()
    assert judge.calls == [] and reference.asked == [3]


def test_a_judge_that_was_gone_is_asked_again_on_threads() -> None:
    judge = Judge()
    envs = make(judge, CountingReference(), reward_workers=3)
    for actions in ([A, EOS, A], [EOS, A, A]):
        envs.step(np.array(actions))
    judge.is_gone = True
    with pytest.raises(RuntimeError, match=r"'judge' failed for prompt_id \d+ \(response 'a'\)"):
        envs.settle_rewards()
    judge.is_gone = False
    rewards = envs.settle_rewards()
    assert [s.score for s in envs.settled_episodes] == [1.0, 2.0]
    assert rewards.shape == (2, 3)


def test_workers_must_be_a_number_above_0() -> None:
    with pytest.raises(ValueError, match="reward_workers must be an integer of at least 1, got 0"):
        TextEnvConfig(reward_workers=0)
