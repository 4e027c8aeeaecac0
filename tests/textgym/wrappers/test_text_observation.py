"""Text instead of token ids."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.textgym.wrappers.conftest import SAY_A
from tests.two_turns import ENV_ID as TWO_TURNS
from textgym.wrappers import OneHotObservation, TextObservation, VectorTextObservation
from textgym.wrappers.text_space import CHARACTERS_PER_TOKEN, AnyText


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_prompt_and_response_so_far() -> None:
    env = TextObservation(gym.make(SAY_A))
    check_env(env)
    assert env.reset(options={"prompt_id": 1})[0] == "p p"
    assert env.step(1)[0] == "p p b"
    assert env.step(2)[0] == "p p b"  # the end token has no text


def test_what_the_environment_answers_is_in_it() -> None:
    env = TextObservation(gym.make(TWO_TURNS))
    env.reset(options={"prompt_id": 0})
    env.step(0)
    assert env.step(2)[0] == "p a x"


def test_rows_and_last_observations() -> None:
    envs = VectorTextObservation(gym.make_vec(SAY_A, num_envs=2))
    texts, _ = envs.reset(options={"prompt_id": np.array([0, 1])})
    assert texts == ("p", "p p") and texts in envs.observation_space
    texts, _, _, _, infos = envs.step(np.array([0, 1]))
    assert texts == ("p a", "p p b") and "final_obs" not in infos
    texts, _, terminated, _, infos = envs.step(np.array([2, 1]))
    assert terminated.tolist() == [True, False] and texts[1] == "p p b b"
    assert infos["final_obs"][0] == "p a" and texts[0] in ("p", "p p")


def test_the_space_holds_every_alphabet_up_to_a_length() -> None:
    space = AnyText(2)
    assert "ñandú\n\t東" in space and "" in space and 3 not in space
    assert "x" * (2 * CHARACTERS_PER_TOKEN) in space
    assert "x" * (2 * CHARACTERS_PER_TOKEN + 1) not in space
    assert space.sample() in space and space == AnyText(2)


def test_what_cannot_be_wrapped() -> None:
    with pytest.raises(ValueError, match="expected a text environment"):
        TextObservation(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match=r"expected token ids, .*got Box\(0.0, 1.0"):
        TextObservation(OneHotObservation(gym.make(SAY_A)))
    with pytest.raises(ValueError, match="expected a text environment"):
        VectorTextObservation(gym.make_vec("CartPole-v1", num_envs=2))
