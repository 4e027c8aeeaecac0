"""What an agent takes from its environment and sets in it: KL weight, temperature, groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agents.rollouts.watching import MakeEnv, Watch, logged
from textgym.agents import PPO


def test_groups_are_those_of_the_environment_that_is_set(
    make_text_env: MakeEnv, tmp_path: Path
) -> None:
    agent = PPO("TransformerPolicy", make_text_env(num_envs=6), n_steps=2, seed=0)
    assert agent.rollout_buffer.group_size == 1
    agent.save(tmp_path / "agent")
    grouped = make_text_env(num_envs=6, group_size=3)
    for other in (agent, PPO.load(tmp_path / "agent")):
        other.set_env(grouped)
        assert other.rollout_buffer.group_size == 3
    assert PPO.load(tmp_path / "agent", env=grouped).rollout_buffer.group_size == 3


def test_adaptive_control_moves_the_environments_weight(make_text_env: MakeEnv) -> None:
    env = make_text_env()
    agent = PPO(
        "TransformerPolicy", env, n_steps=12, kl_coef=0.2, kl_target=1.0, kl_horizon=100.0, seed=0
    )
    watch = Watch(lambda a: (env.kl_coef, logged(a)))
    agent.learn(1, callback=watch)
    now, metrics = watch.seen[0]
    used, episodes = metrics["rollout/kl_coef"], metrics["rollout/episodes"]
    # KL is 0, so the clipped error is -0.2.
    assert used == 0.2 and now == pytest.approx(0.2 * (1 - 0.2 * episodes / 100.0))
    assert agent.kl_controller.kl_coef == now


def test_a_falling_weight_begins_high_and_ends_at_the_environments_own(
    make_text_env: MakeEnv,
) -> None:
    env = make_text_env(kl_coef=0.1)
    agent = PPO("TransformerPolicy", env, n_steps=6, n_epochs=1, kl_start=1.0, seed=0)
    assert env.kl_coef == 1.0
    watch = Watch(lambda a: (logged(a)["rollout/kl_coef"], env.kl_coef))
    agent.learn(4 * 36, callback=watch)
    # Of four rollouts the first is played at 1; after a quarter of training it is 1 - 1.5 / 4.
    assert [used for used, _ in watch.seen] == pytest.approx([1.0, 0.625, 0.25, 0.1])
    assert [after for _, after in watch.seen] == pytest.approx([0.625, 0.25, 0.1, 0.1])
    with pytest.raises(ValueError, match="kl_start or kl_target, got both: 1.0 and 6.0"):
        PPO("TransformerPolicy", env, kl_start=1.0, kl_target=6.0)


def test_settings_are_read_back_before_each_rollout(make_text_env: MakeEnv) -> None:
    env = make_text_env()
    agent = PPO("TransformerPolicy", env, n_steps=6, temperature=0.8, seed=0)
    assert env.temperature == agent.policy.temperature == 0.8
    agent.learn(1)
    env.set_temperature(1.3)
    env.set_kl_coef(0.5)
    watch = Watch(lambda a: logged(a)["rollout/kl_coef"])
    agent.learn(1, callback=watch, reset_num_timesteps=False)
    assert agent.policy.temperature == 1.3 and watch.seen == [0.5]
