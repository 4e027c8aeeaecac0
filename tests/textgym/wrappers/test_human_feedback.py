"""The wrapper: what steps pay, what infos hold, Box and Discrete actions, rows that share."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_sb3_env
from stable_baselines3.common.vec_env import DummyVecEnv

from textgym.feedback.segment_feedback import SegmentFeedback, SegmentFeedbackConfig
from textgym.wrappers import HumanFeedback, TrueReward


class Counting(gym.Env):
    """Terminates after five steps; the observation counts them, step k truly pays k."""

    observation_space = spaces.Box(0.0, 10.0, (1,), np.float32)

    def __init__(  # noqa: D107
        self, action_space: spaces.Space, limit: int = 5, is_cut: bool = False
    ) -> None:
        self.action_space, self.limit, self.is_cut = action_space, limit, is_cut
        self.steps = 0

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {"own": 1}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.steps += 1
        is_over = self.steps == self.limit
        seen = self._seen()
        return seen, float(self.steps), is_over and not self.is_cut, is_over and self.is_cut, {}

    def _seen(self) -> np.ndarray:
        return np.array([self.steps], dtype=np.float32)


class ObservationAndAction:
    """Rewards ten times the observation before the step, plus the action's (first) number."""

    version = 5

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        firsts = actions if actions.ndim == 1 else actions[:, 0]
        return 10 * observations[:, 0] + firsts


def feedback(**config: Any) -> SegmentFeedback:
    return SegmentFeedback(SegmentFeedbackConfig(**{"segment_length": 2, **config}))


ACTIONS = [
    (spaces.Discrete(3), 2, 2.0),
    (spaces.Box(-1, 1, (2,), np.float32), np.array([0.5, -1.0], dtype=np.float32), 0.5),
]


@pytest.mark.parametrize(("space", "action", "paid"), ACTIONS, ids=["Discrete", "Box"])
def test_an_episode(space: spaces.Space, action: Any, paid: float) -> None:
    shared = feedback()
    env = HumanFeedback(Counting(space), shared)
    observation, info = env.reset(seed=0)
    assert info == {"own": 1, "reward_ready": False, "reward_model_version": 0}
    for number in range(1, 4):
        observation, reward, _, _, info = env.step(action)
        assert (reward, info["true_reward"]) == (0.0, float(number))
        assert (info["reward_ready"], info["reward_model_version"]) == (False, 0)
        assert "gold_score" not in info and observation in env.observation_space
    shared.predictor = ObservationAndAction()
    _, reward, _, _, info = env.step(action)
    # Paid for what was seen before the action, at once under the new model.
    assert (reward, type(reward)) == (30.0 + paid, float)
    assert (info["reward_ready"], info["reward_model_version"]) == (True, 5)
    terminated, info = env.step(action)[2::2]
    assert terminated and info["gold_score"] == 1 + 2 + 3 + 4 + 5
    segments = shared.pool.all()
    assert [s.observations[:, 0].tolist() for s in segments] == [[0, 1], [2, 3], [4]]
    assert [s.true_rewards.tolist() for s in segments] == [[1, 2], [3, 4], [5]]
    assert [s.terminated for s in segments] == [False, False, True]
    assert np.array_equal(np.atleast_1d(segments[2].actions[0]), np.atleast_1d(action))


def test_truncation_is_no_end() -> None:
    shared = feedback()
    env = HumanFeedback(Counting(spaces.Discrete(3), limit=3, is_cut=True), shared)
    env.reset()
    infos = [env.step(0)[4] for _ in range(3)]
    assert infos[-1]["gold_score"] == 6.0
    assert [segment.terminated for segment in shared.pool.all()] == [False]


def test_segment_length_1_asks_about_every_action() -> None:
    shared = feedback(segment_length=1)
    env = HumanFeedback(Counting(spaces.Discrete(3)), shared)
    env.reset()
    for _ in range(5):
        env.step(1)
    assert len(shared.pool) == 5


def test_observations_and_actions_of_any_flat_space() -> None:
    class Odd(Counting):
        observation_space = spaces.Dict(  # type: ignore[assignment]
            {"place": spaces.Discrete(3), "x": spaces.Box(0, 9, (2,), np.float32)}
        )

        def _seen(self) -> Any:
            return {"place": 2, "x": np.array([self.steps, 0], dtype=np.float32)}

    shared = feedback(segment_length=1)
    env = HumanFeedback(Odd(spaces.MultiDiscrete([2, 3])), shared)
    env.reset()
    env.step(np.array([1, 2]))
    (segment,) = shared.pool.all()
    assert segment.observations.tolist() == [[0, 0, 1, 0, 0]]
    assert segment.actions.tolist() == [[0, 1, 0, 0, 1]]
    with pytest.raises(ValueError, match="the action space must flatten to an array, got Sequence"):
        HumanFeedback(Counting(spaces.Sequence(spaces.Discrete(2))))


def test_the_true_reward_can_be_paid_again() -> None:
    env = TrueReward(HumanFeedback(Counting(spaces.Discrete(3)), feedback()))
    env.reset()
    assert [env.step(0)[1] for _ in range(3)] == [1.0, 2.0, 3.0]


def test_rows_share_questions_and_reward() -> None:
    shared = feedback()
    makers = [lambda: HumanFeedback(Counting(spaces.Discrete(3)), shared)] * 3
    for envs in (DummyVecEnv(makers), gym.vector.SyncVectorEnv(makers)):
        shared.pool.clear()
        shared.predictor = None
        envs.reset()
        for _ in range(2):
            rewards = np.asarray(envs.step(np.array([0, 1, 2]))[1])
        assert rewards.tolist() == [0, 0, 0] and len(shared.pool) == 3
        shared.predictor = ObservationAndAction()
        assert np.asarray(envs.step(np.array([0, 1, 2]))[1]).tolist() == [20.0, 21.0, 22.0]


def test_stock_ppo_learns_on_it() -> None:
    shared = feedback()
    shared.predictor = ObservationAndAction()
    space = spaces.Box(-1, 1, (2,), np.float32)
    agent = PPO("MlpPolicy", HumanFeedback(Counting(space), shared), n_steps=16, batch_size=8)
    agent.learn(32)
    assert agent.num_timesteps == 32


@pytest.mark.parametrize("space", [case[0] for case in ACTIONS], ids=["Discrete", "Box"])
def test_both_libraries_check_it_without_a_warning(space: spaces.Space) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_sb3_env(HumanFeedback(Counting(space)))
        # Gymnasium's own warns of any wrapper, and of environments that have no id.
        for expected in ("The environment .* is different", "Not able to test alternative render"):
            warnings.filterwarnings("ignore", f".*{expected}")
        check_gymnasium_env(HumanFeedback(Counting(space)))


def test_wrappers_load_no_torch() -> None:
    code = "import sys, textgym.wrappers; assert not {'torch', 'sqlalchemy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
