"""Potentials leave the order of all responses as it is; sums of them do not: by enumeration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from tests.textgym.wrappers.conftest import SAY_A, responses
from tests.two_turns import ENV_ID as TWO_TURNS
from textgym.agents import PPO
from textgym.testing import Case
from textgym.testing.run_checks import played
from textgym.types import Episode
from textgym.wrappers import PotentialShaping, VectorPotentialShaping, VectorRecordEpisodes

GAMMA = 0.9


def returns(env: gym.Env, gamma: float = 1.0) -> dict[tuple[int, ...], float]:
    """The discounted return of every response to the first prompt."""
    found = {}
    for response in responses():
        env.reset(options={"prompt_id": 0})
        rewards = [env.step(action)[1] for action in response]
        found[response] = sum(gamma**step * reward for step, reward in enumerate(rewards))
    return found


def count_of_b(episodes: Sequence[Episode]) -> list[float]:
    """A potential that has nothing to do with the score, and is 2 at the start."""
    return [2.0 + episode.response.count("b") for episode in episodes]


def best(found: dict[tuple[int, ...], float]) -> tuple[int, ...]:
    return max(found, key=lambda response: found[response])


@pytest.mark.parametrize("gamma", [1.0, GAMMA])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_every_response_gains_the_same(gamma: float, weight: float) -> None:
    plain = returns(gym.make(SAY_A), gamma)
    env = PotentialShaping(gym.make(SAY_A), count_of_b, gamma=gamma, weight=weight)
    shaped = returns(env, gamma)
    for response, value in plain.items():
        assert shaped[response] - value == pytest.approx(-2.0 * weight)
    assert best(shaped) == best(plain)


def test_an_agent_that_discounts_otherwise_is_misled() -> None:
    env = PotentialShaping(gym.make(SAY_A), count_of_b, gamma=1.0)
    gains = {
        r: value - returns(gym.make(SAY_A), GAMMA)[r] for r, value in returns(env, 0.9).items()
    }
    assert max(gains.values()) - min(gains.values()) > 0.3


def test_sums_pay_for_going_on() -> None:
    """Brevity is asked for: "a" and the end, .9. Paid for every prefix, to go on is better."""
    plain = returns(gym.make(SAY_A))
    assert best(plain) == (0, 2) and plain[0, 2] == pytest.approx(0.9)
    right = returns(PotentialShaping(gym.make(SAY_A)))
    assert best(right) == (0, 2)
    wrong = returns(PotentialShaping(gym.make(SAY_A), kind="sum"))
    # "a" .9, "a b" .8, and the score of "a b", .8: 2.5; "a" and the end have .9 + .9.
    assert wrong[0, 1, 2] == pytest.approx(2.5) and wrong[0, 2] == pytest.approx(1.8)
    assert wrong[0, 1, 2] == pytest.approx(max(wrong.values())) and len(best(wrong)) == 3


def test_steps_by_hand() -> None:
    env = PotentialShaping(gym.make(SAY_A))
    env.reset(options={"prompt_id": 0})
    _, reward, _, _, info = env.step(0)  # from "" (0) to "a" (.9)
    assert reward == info["shaping"] == pytest.approx(0.9) and "reward_terms" not in info
    _, reward, _, _, info = env.step(1)  # to "a b" (.8)
    assert reward == pytest.approx(-0.1)
    _, reward, _, _, info = env.step(2)  # the end: the score .8, and the potential .8 is given back
    assert reward == pytest.approx(0.0) and info["score"] == pytest.approx(0.8)
    assert info["reward_terms"] == pytest.approx({"said_a": 0.8, "shaping": -0.8})


def test_terms_sum_to_the_reward_in_several_turns_with_a_reference() -> None:
    case = Case(id=TWO_TURNS, num_steps=60)
    seen = set()
    for found in played(case, PotentialShaping(case.make())):
        if found.is_end:
            terms = found.info["reward_terms"]
            seen |= set(terms)
            assert sum(terms.values()) == pytest.approx(found.reward)
    assert seen == {"solved", "kl", "shaping"}


def test_a_reward_model_scores_what_is_written_so_far(
    tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    kwargs = {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "max_prompt_tokens": 40,
        "max_new_tokens": 2,
        "kl_coef": 0.0,
        "device": "cpu",
    }
    env = PotentialShaping(gym.make("RLHF-Summarize-v0", **kwargs))
    env.reset(seed=0)
    core = env.unwrapped
    start = env._shaping.seen[0]
    first = env.step(40)[1]
    # The same two tokens with the cap at one: the score of the shorter response.
    short = gym.make("RLHF-Summarize-v0", **{**kwargs, "max_new_tokens": 1})
    short.reset(seed=0)
    score = short.step(40)[4]["score"]
    assert first == pytest.approx(score - start, abs=1e-4)
    last = env.step(41)
    assert first + last[1] == pytest.approx(last[4]["score"] - start, abs=1e-4)
    assert core.task.reward.name == "model"


def test_one_call_for_all_rows() -> None:
    calls: list[int] = []

    def counted(episodes: Sequence[Episode]) -> np.ndarray:
        calls.append(len(episodes))
        return np.zeros(len(episodes))

    envs = VectorPotentialShaping(gym.make_vec(SAY_A, num_envs=4), counted)
    envs.reset(seed=0)
    envs.step(np.array([0, 0, 2, 0]))
    assert calls == [4, 3, 1]  # the start, those that go on, the one that begins anew


def test_what_is_refused() -> None:
    env = gym.make(SAY_A)
    with pytest.raises(ValueError, match=r"kind must be one of \('difference', 'sum'\), got 'all'"):
        PotentialShaping(env, kind="all")
    for gamma in (0.0, 1.1):
        with pytest.raises(ValueError, match=rf"gamma must lie in \(0, 1\], got {gamma}"):
            PotentialShaping(env, gamma=gamma)
    with pytest.raises(ValueError, match="expected a text environment"):
        PotentialShaping(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match="expected reward_timing 'step', got 'deferred'"):
        VectorPotentialShaping(gym.make_vec(SAY_A, reward_timing="deferred"))
    broken = PotentialShaping(env, lambda episodes: [float("nan")] * len(episodes))
    with pytest.raises(ValueError, match=r"expected 1 finite potentials, got \[nan\]"):
        broken.reset(seed=0)


def test_a_teacher_is_not_asked_about_every_prefix(
    tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    env = gym.make(
        "RLHF-Summarize-v0",
        reference_model=str(tiny_model_folder),
        reward_model=str(tiny_reward_folder),
        reward="teacher",
        device="cpu",
    )
    with pytest.raises(ValueError, match="somebody would be asked about every unfinished response"):
        PotentialShaping(env)


def test_an_agent_is_paid_at_every_step(tmp_path: Path) -> None:
    """Our PPO defers rewards where it can; what wrappers add it must be given step by step."""
    file = tmp_path / "episodes.jsonl"
    shaped = VectorPotentialShaping(gym.make_vec("Probe-Copy-v0", num_envs=8))
    agent = PPO(
        "TransformerPolicy", VectorRecordEpisodes(shaped, file), preset="probe", seed=0, n_epochs=1
    )
    agent.learn(64)
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert len(lines) >= 16 and any(any(line["rewards"][:-1]) for line in lines)
    for line in lines:
        copied = line["prompt"].split()[:-1]
        said = line["response"].split()
        is_right = [one == other for one, other in zip(copied, said, strict=True)]
        # A third for each right letter as soon as it is said; the last step is paid by the score,
        # and gives the potential back.
        assert line["rewards"][:-1] == pytest.approx([x / 3 for x in is_right[:-1]])
        assert line["rewards"][-1] == pytest.approx(is_right[-1] / 3)
