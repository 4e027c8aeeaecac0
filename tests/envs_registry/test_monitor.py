"""RLHF-Monitor-v0: remarks, exact stopping by brute force, readers, and the play of words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO as StockPPO

import textgym  # noqa: F401
from textgym.agents.ppo import PPO
from textgym.envs_registry.draws import FastDraws
from textgym.envs_registry.monitor_streams.gold import EarlyAndRight, decision_of
from textgym.envs_registry.monitor_streams.readers import best_reading, hasty_reading, told
from textgym.envs_registry.monitor_streams.remarks import (
    NUM_REMARKS,
    NUM_WORDS,
    POLARITIES,
    polarity_of,
    write_remark,
)
from textgym.envs_registry.monitor_streams.stopping import (
    REMARK_RATES,
    beliefs,
    best_value,
    decides,
    right_decision,
)
from textgym.envs_registry.monitor_streams.streams import HastyReadings, MonitorStreams
from textgym.types import Episode, Prompt

ID = "RLHF-Monitor-v0"
WAIT, NEGATIVE, NEUTRAL, POSITIVE = range(4)


def episode(response: str, prompt: Prompt) -> Episode:
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=(2,), response=response, finish_reason="eos"
    )


def gold(response: str, prompt: Prompt) -> float:
    return float(EarlyAndRight()([episode(response, prompt)])[0])


def stream_of(label: str) -> Prompt:
    return Prompt(prompt_id=0, text="t", facts={"label": label})


def test_remarks_say_what_they_should() -> None:
    rng = FastDraws(np.random.SeedSequence(0))
    for polarity in POLARITIES:
        remarks = [write_remark("phone", polarity, rng) for _ in range(100)]
        assert {polarity_of(remark) for remark in remarks} == {polarity}
        assert all(len(remark) == 4 for remark in remarks)
    assert polarity_of(["the", "bed", "isn't", "great"]) == "negative"
    assert polarity_of(["the", "bed", "wasn't", "awful"]) == "positive"
    assert polarity_of(["the", "bed", "isn't", "square"]) == "neutral"


def test_beliefs_by_hand() -> None:
    assert beliefs((0, 0, 0)) == pytest.approx([1 / 3] * 3)
    # One positive remark: .15, .2 and .62 of .97.
    assert beliefs((0, 0, 1)) == pytest.approx([0.15 / 0.97, 0.2 / 0.97, 0.62 / 0.97])


def value_of(policy_depth: int) -> float:
    """Value of deciding behind a fixed number of remarks, every sequence enumerated."""
    total = 0.0
    for said in product(range(3), repeat=policy_depth):
        joint = [np.prod([REMARK_RATES[label][s] for s in said]) / 3 for label in range(3)]
        total += max(joint) * right_decision(4 * policy_depth)
    return total


def test_optimum_is_above_every_fixed_depth() -> None:
    fixed = [value_of(depth) for depth in range(NUM_REMARKS + 1)]
    assert fixed[0] == pytest.approx(1 / 3)
    assert best_value() > max(fixed)
    assert best_value() == pytest.approx(0.7533, abs=1e-4)


def test_optimum_by_enumeration_of_streams() -> None:
    """The value of the rule `decides`, summed over all 3 x 729 streams, is `best_value()`."""
    total = 0.0
    for said in product(range(3), repeat=NUM_REMARKS):
        num_words, decision = best_reading([POLARITIES[s] for s in said])
        label = POLARITIES.index(decision)
        total += np.prod(REMARK_RATES[label][list(said)]) / 3 * right_decision(num_words)
    assert total == pytest.approx(best_value(), abs=1e-12)


def test_last_counts_decide() -> None:
    assert decides((6, 0, 0)) and decides((2, 2, 2))
    assert not decides((0, 0, 0))


def test_gold_by_hand() -> None:
    prompt = stream_of("positive")
    assert gold("<positive>", prompt) == 1.0
    assert gold("<wait> the<wait> bed<positive>", prompt) == pytest.approx(0.99)
    assert gold("<wait> the<negative>", prompt) == 0.0
    assert gold("<wait> the" * 24, prompt) == 0.0
    assert decision_of("<wait> the<neutral>") == "neutral" and decision_of("<wait>") is None


def test_streams_carry_their_truth() -> None:
    source = MonitorStreams(0, "train")
    labels = []
    for index in range(300):
        facts = source[index].facts
        assert len(facts["words"]) == NUM_WORDS
        remarks = [facts["words"][i : i + 4] for i in range(0, NUM_WORDS, 4)]
        assert [polarity_of(remark) for remark in remarks] == facts["polarities"]
        labels.append(facts["label"])
    assert all(70 <= labels.count(polarity) <= 130 for polarity in POLARITIES)


def test_splits_share_no_stream() -> None:
    found = [
        {" ".join(MonitorStreams(0, split)[i].facts["words"]) for i in range(300)}
        for split in ("train", "validation", "test")
    ]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


def test_the_best_reader_earns_the_optimum_and_haste_less() -> None:
    best, hasty = MonitorStreams(0, "train"), HastyReadings(0, "train")
    of_best = [gold(best[i].references[0], best[i]) for i in range(2000)]
    of_hasty = [gold(hasty[i].references[0], hasty[i]) for i in range(2000)]
    assert np.mean(of_best) == pytest.approx(best_value(), abs=0.03)
    assert 0.4 < np.mean(of_hasty) < 0.6


def test_readings_as_text() -> None:
    assert told(["a", "b"], 1, "neutral") == "<wait> a<neutral>"
    num_words, decision = hasty_reading(["positive"] * 6, FastDraws(np.random.SeedSequence(1)))
    assert num_words in range(4, 25, 4) and decision in POLARITIES


def test_waiting_brings_words_and_a_decision_ends() -> None:
    env: Any = gym.make(ID, device="cpu")
    env.reset(options={"prompt_id": 2})
    core = env.unwrapped
    prompt = core.task.prompts[2]
    length = core.get_state().lengths[0]
    for word in prompt.facts["words"][:3]:
        obs, _, ended, _, _ = env.step(WAIT)
        assert not ended
        assert core.tokenizer.decode(obs[length : core.get_state().lengths[0]]) == f"<wait> {word}"
        length = core.get_state().lengths[0]
    right = 1 + POLARITIES.index(prompt.facts["label"])
    _, _, ended, _, info = env.step(right)
    assert ended and info["finish_reason"] == "decided"
    assert info["gold_score"] == pytest.approx(0.985)


def test_waiting_for_ever_is_missed() -> None:
    env = gym.make(ID, reward="gold", kl_coef=0.0, device="cpu")
    env.reset(seed=0)
    for step in range(NUM_WORDS + 1):
        _, reward, ended, _, info = env.step(WAIT)
        assert ended == (step == NUM_WORDS)
    assert info["finish_reason"] == "missed" and reward == 0.0


def test_best_known_action_plays_the_reference() -> None:
    env: Any = gym.make(ID, device="cpu")
    for prompt_id in range(5):
        env.reset(options={"prompt_id": prompt_id})
        ended, info = False, {}
        while not ended:
            _, _, ended, _, info = env.step(env.unwrapped.best_known_action())
        assert info["response"] == env.unwrapped.task.prompts[prompt_id].references[0]


def test_the_reward_model_ranks_the_best_reader_above_deciding_blindly() -> None:
    env: Any = gym.make(ID, split="validation", device="cpu").unwrapped

    def mean_score(policy: Callable[[], int]) -> float:
        scores = []
        for prompt_id in range(60):
            env.reset(options={"prompt_id": prompt_id})
            ended = False
            while not ended:
                _, _, ended, _, info = env.step(policy())
            scores.append(info["score"])
        return float(np.mean(scores))

    best = mean_score(env.best_known_action)
    assert all(best > mean_score(lambda a=a: a) + 0.3 for a in (NEGATIVE, NEUTRAL, POSITIVE))


def test_reference_action_follows_the_reference() -> None:
    """A share of sampled actions agrees with what the reference's log-probability says."""
    env: Any = gym.make(ID, device="cpu")
    env.reset(seed=1)
    env.step(WAIT)
    drawn = np.bincount([env.unwrapped.reference_action() for _ in range(400)], minlength=4) / 400
    state = env.unwrapped.get_state()
    for action in range(4):
        env.unwrapped.set_state(state)
        probability = np.exp(env.step(action)[4]["ref_log_prob"])
        assert drawn[action] == pytest.approx(probability, abs=0.08)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="expected no dataset, got 'x.jsonl'"):
        gym.make(ID, dataset="x.jsonl")
    with pytest.raises(ValueError, match="the actions of RLHF-Monitor-v0 are fixed"):
        gym.make(ID, action_tokens="3")


def test_prompt_of_ones_own_has_no_words() -> None:
    env = gym.make(ID, device="cpu")
    env.reset(options={"prompt": "Remarks on a hotel:"})
    _, _, ended, _, info = env.step(WAIT)
    assert ended and info["finish_reason"] == "missed" and "gold_score" not in info


def test_agents_play() -> None:
    agent = PPO("TransformerPolicy", ID, n_envs=4, n_steps=32, batch_size=64, n_epochs=1)
    agent.learn(128)
    assert agent.num_timesteps == 128
    stock = StockPPO("MlpPolicy", gym.make(ID), n_steps=16, batch_size=16, device="cpu")
    stock.learn(16)
    assert stock.num_timesteps == 16
