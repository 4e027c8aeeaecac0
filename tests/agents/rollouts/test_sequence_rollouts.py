"""Rollouts: ratios, values, KL, groups, seeds, statistics, single precision and half."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from tests.agents.rollouts.watching import MANY_ENDS, MakeEnv, Watch, log_ratios, logged
from textgym.agents import A2C, PPO
from textgym.token_env import TokenEnv


@pytest.mark.parametrize(("temperature", "min_new_tokens"), [(1.0, 0), (0.7, 3)])
def test_first_ratio_is_one_in_every_rollout(
    make_text_env: MakeEnv, temperature: float, min_new_tokens: int
) -> None:
    env = make_text_env(temperature=temperature, min_new_tokens=min_new_tokens)
    agent = PPO(
        "TransformerPolicy", env, n_steps=9, batch_size=30, n_epochs=2, learning_rate=3e-3, seed=0
    )
    watch = Watch(log_ratios)
    agent.learn(6 * 9 * 3, callback=watch)
    assert len(watch.seen) == 3 and max(watch.seen) < 1e-4


def values_step_by_step(agent: Any) -> float:
    """Largest difference of stored values from those of each observation read on its own."""
    buffer, largest = agent.rollout_buffer, 0.0
    for index, (row, start, stop, _) in enumerate(buffer.segments):
        context = buffer.ids[buffer.offsets[index] : buffer.offsets[index + 1]]
        obs = np.full((stop - start, buffer.width), buffer.empty_id, np.int64)
        for place, length in enumerate(buffer.positions[row, start:stop]):
            obs[place, :length] = context[:length]
        with th.no_grad():
            alone = agent.policy.predict_values(obs).flatten().numpy()
        largest = max(largest, float(np.abs(alone - buffer.step_values[row, start:stop]).max()))
    return largest


def value_after_the_rollout(agent: Any) -> float:
    """Largest difference of open rows' last advantages from r + V(next) - V."""
    buffer, open_rows = agent.rollout_buffer, ~agent.rollout_buffer.is_end[:, -1]
    assert open_rows.any()
    with th.no_grad():
        following = agent.policy.predict_values(agent._last_obs).flatten().numpy()
    expected = buffer.rewards[:, -1] + following - buffer.step_values[:, -1]
    return float(np.abs(expected - buffer.advantages[:, -1])[open_rows].max())


def test_a_separate_value_models_values_are_those_of_each_observation(
    make_text_env: MakeEnv, tiny_reward_folder: Any
) -> None:
    agent = PPO(
        "TransformerPolicy",
        make_text_env(),
        n_steps=8,
        learning_rate=3e-3,
        seed=0,
        policy_kwargs={"value": "separate", "value_init": str(tiny_reward_folder)},
    )
    watch = Watch(lambda agent: (values_step_by_step(agent), value_after_the_rollout(agent)))
    agent.learn(6 * 8 * 2, callback=watch)
    assert len(watch.seen) == 2 and np.max(watch.seen) < 1e-4
    assert float(np.abs(agent.rollout_buffer.step_values).max()) > 1e-2


@pytest.mark.parametrize(("temperature", "min_new_tokens"), [(1.0, 0), (0.7, 3), (2.0, 0)])
def test_kl_is_zero_at_the_start(
    make_text_env: MakeEnv, temperature: float, min_new_tokens: int
) -> None:
    env = make_text_env(temperature=temperature, min_new_tokens=min_new_tokens)
    agent = PPO("TransformerPolicy", env, n_steps=12, seed=0)
    watch = Watch(logged)
    agent.learn(1, callback=watch)
    assert watch.seen[0]["rollout/kl"] == pytest.approx(0.0, abs=1e-4)
    assert watch.seen[0]["rollout/reward"] == pytest.approx(
        watch.seen[0]["rollout/score"], abs=1e-4
    )


def test_a_subset_of_actions_has_kl_zero_too(make_text_env: MakeEnv) -> None:
    env = make_text_env(actions=(2, 5, 7, 40, 41))
    agent = PPO("TransformerPolicy", env, n_steps=12, seed=0)
    watch = Watch(lambda a: (logged(a)["rollout/kl"], log_ratios(a)))
    agent.learn(6 * 12 * 2, callback=watch)
    assert watch.seen[0][0] == pytest.approx(0.0, abs=1e-4)
    assert max(ratio for _, ratio in watch.seen) < 1e-4


def test_a_stopped_rollout_can_go_on(make_text_env: MakeEnv) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        agent.learn(100, callback=lambda *_: agent.num_timesteps < 2 * 6)
    assert agent.num_timesteps == 2 * 6
    # The two tokens played per row are not forgotten: with full responses, rows end after 4 more.
    watch = Watch(lambda a: {info["l"] for info in a.ep_info_buffer})
    agent.learn(1, callback=watch, reset_num_timesteps=False)
    assert max(watch.seen[0]) == 6


def test_groups_drop_waiting_steps(make_text_env: MakeEnv) -> None:
    env = make_text_env(num_envs=6, group_size=3, actions=MANY_ENDS)
    agent = PPO("TransformerPolicy", env, n_steps=14, seed=0)
    watch = Watch(lambda a: (a.rollout_buffer.n_transitions, log_ratios(a), list(a.ep_info_buffer)))
    agent.learn(6 * 14 * 2, callback=watch)
    for n_transitions, ratio, _ in watch.seen:
        assert 0 < n_transitions < 6 * 14
        assert ratio < 1e-4
    assert max(info["l"] for info in watch.seen[-1][2]) <= 6


def test_same_seed_same_run_and_global_generators_untouched(make_text_env: MakeEnv) -> None:
    found = []
    for seed in (0, 0, 1):
        before = th.get_rng_state().clone(), np.random.get_state()[1].tolist()
        agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, batch_size=20, seed=seed)
        agent.learn(6 * 6 * 2)
        assert th.equal(before[0], th.get_rng_state())
        assert before[1] == np.random.get_state()[1].tolist()
        found.append(th.nn.utils.parameters_to_vector(agent.policy.parameters()))
    assert th.equal(found[0], found[1])
    assert not th.equal(found[0], found[2])


def test_stepwise_environments(make_text_task: Callable[..., Any]) -> None:
    """`Env` and `DummyVecEnv` have no deferred rewards and no vector infos."""
    settings = {"max_prompt_tokens": 12, "max_new_tokens": 6, "kl_coef": 0.1}

    def make() -> TokenEnv:
        return TokenEnv(make_text_task(), min_new_tokens=2, **settings)

    for env in (make(), VecMonitor(DummyVecEnv([make, make]))):
        agent = PPO("TransformerPolicy", env, n_steps=14, n_epochs=1, seed=0)
        watch = Watch(lambda a: (logged(a)["rollout/kl"], log_ratios(a)))
        agent.learn(29, callback=watch)
        assert watch.seen[0][0] == pytest.approx(0.0, abs=1e-4)
        assert max(ratio for _, ratio in watch.seen) < 1e-4


@pytest.mark.parametrize("dtype", ["bfloat16", "bfloat16-weights"])
def test_bfloat16_recomputes_old_log_probs(make_text_env: MakeEnv, dtype: str) -> None:
    agent = PPO(
        "TransformerPolicy",
        make_text_env(),
        n_steps=8,
        batch_size=None,
        seed=0,
        policy_kwargs={"dtype": dtype},
    )

    def look(a: Any) -> float:
        batch = a.rollout_buffer.pack(np.arange(len(a.rollout_buffer.segments)))
        with th.no_grad():
            _, log_probs, _ = a.policy.evaluate_actions(batch.observations, batch.actions)
        return float((log_probs - batch.old_log_prob).abs().max())

    watch = Watch(look)
    agent.learn(6 * 8 * 2, callback=watch)
    assert len(watch.seen) == 2 and max(watch.seen) < 1e-4


def test_a2c_learns_through_the_same_rollouts(make_text_env: MakeEnv) -> None:
    agent = A2C("TransformerPolicy", make_text_env(), seed=0)
    assert agent.n_steps == 12
    agent.learn(6 * 12 * 2, log_interval=1)
    assert agent.num_timesteps == 144 and agent._n_updates == 2


def test_metrics_of_the_update(make_text_env: MakeEnv) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, batch_size=18, seed=0)
    dumped: dict[str, Any] = {}

    class Keep(Logger):
        def dump(self, step: int = 0) -> None:
            dumped.update(self.name_to_value)
            super().dump(step)

    agent.set_logger(Keep(None, []))
    norms: list[float] = []

    def note(optimizer: Any, *_: Any) -> None:
        clipped = [p.grad.norm() for g in optimizer.param_groups for p in g["params"]]
        norms.append(float(th.stack(clipped).norm()))

    agent.policy.optimizer.register_step_pre_hook(note)
    agent.max_grad_norm = 1e9
    agent.learn(6 * 6 * 2)
    assert dumped["train/grad_norm"] == pytest.approx(np.mean(norms[: len(norms) // 2]), rel=1e-4)
    assert dumped["time/update_tokens_per_second"] > 0
    assert dumped["train/entropy_loss"] < 0 and "train/explained_variance" in dumped
