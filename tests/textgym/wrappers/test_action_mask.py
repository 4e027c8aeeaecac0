"""Masks in the observation."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.textgym.wrappers.conftest import SAY_A
from textgym.wrappers import (
    ActionMaskObservation,
    MessageAction,
    OneHotObservation,
    TextObservation,
    VectorActionMaskObservation,
)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_the_mask_is_that_of_the_state() -> None:
    env = ActionMaskObservation(gym.make(SAY_A, min_new_tokens=2))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert observation["action_mask"].tolist() == [1, 1, 0]
    assert env.step(0)[0]["action_mask"].tolist() == [1, 1, 0]
    assert env.step(0)[0]["action_mask"].tolist() == [1, 1, 1]
    last = env.step(2)[0]
    assert last in env.observation_space and last["action_mask"].tolist() == [1, 1, 1]
    check_env(ActionMaskObservation(gym.make(SAY_A)))


def test_a_seen_film_is_masked_for_whoever_reads_observations() -> None:
    env = ActionMaskObservation(OneHotObservation(gym.make(SAY_A)), keys=("obs", "mask"))
    assert set(env.reset(seed=0)[0]) == {"obs", "mask"}
    films = gym.make("RLHF-Recommend-v0", device="cpu")
    masked = ActionMaskObservation(films)
    before = masked.reset(seed=0)[0]["action_mask"]
    film = int(np.flatnonzero(before)[0])
    after = masked.step(film)[0]["action_mask"]
    assert before[film] == 1 and after[film] == 0 and after.sum() == before.sum() - 1


def test_rows_and_last_observations() -> None:
    envs = VectorActionMaskObservation(gym.make_vec(SAY_A, num_envs=2, min_new_tokens=1))
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    assert observation["action_mask"].tolist() == [[1, 1, 0]] * 2
    envs.step(np.array([0, 0]))
    observation, _, _, _, infos = envs.step(np.array([2, 0]))
    assert observation["action_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]  # row 0 begins anew
    final = infos["final_obs"][0]
    assert final in envs.single_observation_space and final["action_mask"].tolist() == [1, 1, 1]


def test_torchrl_masks_by_it() -> None:
    pytest.importorskip("torchrl", reason="extra `algorithms`")
    from torchrl.envs import ActionMask, GymWrapper, TransformedEnv
    from torchrl.envs.utils import check_env_specs

    base = GymWrapper(ActionMaskObservation(gym.make(SAY_A, min_new_tokens=2)))
    env = TransformedEnv(base, ActionMask())
    check_env_specs(env)
    for _ in range(10):  # a masked action would raise
        env.rollout(max_steps=6, break_when_any_done=False)


def test_tianshou_masks_by_it() -> None:
    pytest.importorskip("tianshou", reason="extra `algorithms`")
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Net

    def make() -> gym.Env:
        inner = OneHotObservation(gym.make(SAY_A, min_new_tokens=2))
        return ActionMaskObservation(inner, keys=("obs", "mask"))

    env = make()
    net = Net(state_shape=env.observation_space["obs"].shape, action_shape=3, hidden_sizes=[8])
    policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space, eps_training=1.0)
    collector = Collector(
        policy, DummyVectorEnv([make] * 2), VectorReplayBuffer(400, 2), exploration_noise=True
    )
    collector.reset()
    assert collector.collect(n_episode=40).returns.shape == (40,)  # a masked action would raise


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a text environment"):
        ActionMaskObservation(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match=r"two different names such as .*, got \('obs', 'obs'\)"):
        VectorActionMaskObservation(gym.make_vec(SAY_A), keys=("obs", "obs"))
    with pytest.raises(ValueError, match="a mask is of Discrete actions, got AnyText|got Text"):
        ActionMaskObservation(MessageAction(TextObservation(gym.make(SAY_A))))
