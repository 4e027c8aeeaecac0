"""Rollouts: ratios, both reward timings, statistics, groups, seeds, refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.vector import VectorWrapper
from gymnasium.wrappers.vector import NormalizeReward
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from textgym.agents import A2C, PPO, as_vec_env, kl_shaped
from textgym.agents.rollouts.vec_env_adapter import TextVecEnv
from textgym.token_env import TokenEnv

MakeEnv = Callable[..., Any]
MANY_ENDS = (2, 7, 11, 20, 40, 41, 43)  # four of seven end an episode


class Watch(BaseCallback):
    """Takes notes at the end of each rollout, before the update."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        """Note what `look(agent)` gives."""
        super().__init__()
        self.look, self.seen = look, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.seen.append(self.look(self.model))


def log_ratios(agent: Any) -> float:
    """Largest |log ratio| of the first minibatch, as SB3's `train` would see it."""
    agent.policy.set_training_mode(True)
    batch = next(agent.rollout_buffer.get(agent.batch_size))
    with th.no_grad():
        values, log_probs, _ = agent.policy.evaluate_actions(batch.observations, batch.actions)
    assert float((values - batch.old_values).abs().max()) < 1e-3
    return float((log_probs - batch.old_log_prob).abs().max())


def logged(agent: Any) -> dict[str, Any]:
    return dict(agent.logger.name_to_value)


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


class Plain(VectorWrapper):
    """Stands between, so that rewards must come by step."""


def buffer_of(agent: Any) -> dict[str, np.ndarray]:
    names = ("actions", "rewards", "log_probs", "step_values", "advantages")
    return {name: getattr(agent.rollout_buffer, name).copy() for name in names}


def test_deferred_equals_step(make_text_env: MakeEnv) -> None:
    found = []
    for wrap in (lambda env: env, Plain):
        env = make_text_env(actions=MANY_ENDS)
        agent = PPO("TransformerPolicy", wrap(env), n_steps=9, seed=0)
        watch = Watch(lambda a: (buffer_of(a), logged(a), list(a.ep_info_buffer), a.samples))
        agent.learn(6 * 9 * 2, callback=watch)
        found.append(watch.seen)
    for (arrays, metrics, infos, samples), (others, theirs, those, them) in zip(
        *found, strict=True
    ):
        assert arrays["actions"].tolist() == others["actions"].tolist()
        for name, array in arrays.items():
            np.testing.assert_allclose(array, others[name], atol=1e-4, err_msg=name)
        for name in ("score", "kl", "reward", "response_tokens", "eos_rate", "episodes"):
            assert metrics[f"rollout/{name}"] == pytest.approx(
                theirs[f"rollout/{name}"], abs=1e-4
            ), name
        assert [i["r"] for i in infos] == pytest.approx([i["r"] for i in those], abs=1e-4)
        assert [s.response for s in samples] == [s.response for s in them]
        assert [s.score for s in samples] == pytest.approx([s.score for s in them])
    assert "time/settle_tokens_per_second" in found[0][0][1]
    assert "time/settle_tokens_per_second" not in found[1][0][1]


def test_rewards_hold_both_halves(make_text_env: MakeEnv) -> None:
    env = make_text_env(kl_coef=0.25)
    agent = PPO("TransformerPolicy", env, n_steps=7, seed=0)
    watch = Watch(lambda a: buffer_of(a))
    agent.learn(1, callback=watch)
    assert env.reward_timing == "step"
    twin = make_text_env(kl_coef=0.25)
    twin.reset(seed=0)
    buffer = watch.seen[0]
    rewards = np.stack([twin.step(buffer["actions"][:, t])[1] for t in range(7)], axis=1)
    shaped = kl_shaped(rewards, buffer["log_probs"], 0.25)
    np.testing.assert_allclose(buffer["rewards"], shaped, atol=1e-4)


def test_reward_timing_is_put_back_after_an_error(make_text_env: MakeEnv) -> None:
    env = make_text_env()

    class Fails(BaseCallback):
        def _on_step(self) -> bool:
            raise RuntimeError("stop here")

    agent = PPO("TransformerPolicy", env, n_steps=5, seed=0)
    with pytest.warns(RuntimeWarning, match="discarded"), pytest.raises(RuntimeError, match="here"):
        agent.learn(100, callback=Fails())
    assert env.reward_timing == "step"


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


class CutAfter(VectorWrapper):
    """Truncates every row at step 3, as a user's wrapper might; rows end together."""

    def __init__(self, env: Any) -> None:
        """Count steps."""
        super().__init__(env)
        self.steps = 0

    def step(self, actions: Any) -> Any:
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        self.steps += 1
        if self.steps % 3 == 0:
            running = ~terminated
            info["final_obs"] = np.array(
                [obs[i] if running[i] else info["final_obs"][i] for i in range(len(obs))] + [None],
                dtype=object,
            )[:-1]
            info["_final_obs"] = np.ones(len(obs), bool)
            truncated = running
        return obs, rewards, terminated, truncated, info


def test_truncated_episodes_bootstrap_in_one_batch(make_text_env: MakeEnv) -> None:
    env = CutAfter(make_text_env(min_new_tokens=4))
    agent = PPO("TransformerPolicy", env, n_steps=3, gamma=0.9, gae_lambda=1.0, seed=0)
    with th.no_grad():
        agent.policy.value_head.bias.fill_(2.0)
    watch = Watch(lambda a: (buffer_of(a), a.rollout_buffer.is_end.copy()))
    agent.learn(1, callback=watch)
    arrays, is_end = watch.seen[0]
    assert is_end[:, 2].all()
    # KL is 0 at the start and no score is paid, so the cut step's reward is gamma * V = 1.8.
    np.testing.assert_allclose(arrays["rewards"][:, 2], 0.9 * 2.0, atol=1e-4)
    np.testing.assert_allclose(arrays["advantages"][:, 2], 1.8 - 2.0, atol=1e-4)


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


def test_normalised_rewards_are_refused(make_text_env: MakeEnv) -> None:
    normalised = VecNormalize(TextVecEnv(make_text_env()), norm_obs=False)
    with pytest.raises(ValueError, match="VecNormalize"):
        PPO("TransformerPolicy", normalised)
    with pytest.raises(ValueError, match="NormalizeReward"):
        PPO("TransformerPolicy", NormalizeReward(make_text_env()))


def test_normalised_rewards_of_single_environments_are_refused() -> None:
    def make() -> gym.Env:
        return gym.wrappers.NormalizeReward(gym.make("Probe-ExactKL-v0"))

    for env in (make(), DummyVecEnv([make])):
        with pytest.raises(ValueError, match="rows without NormalizeReward"):
            PPO("TransformerPolicy", env)


def test_foreign_environments_and_policies_are_refused(make_text_env: MakeEnv) -> None:
    with pytest.raises(ValueError, match="text environment"):
        PPO("TransformerPolicy", "MountainCar-v0", n_envs=2)
    with pytest.raises(ValueError, match="unknown"):
        PPO("MlpPolicy", make_text_env())
    with pytest.raises(TypeError, match="got 3"):
        PPO("TransformerPolicy", 3)


def test_environments_left_deferred(make_text_env: MakeEnv) -> None:
    env = make_text_env(reward_timing="deferred")
    with pytest.raises(ValueError, match="deferred"):
        as_vec_env(env)
    agent = PPO("TransformerPolicy", env, n_steps=6, seed=0)
    agent.learn(1)
    assert env.reward_timing == "deferred"
    assert gym.vector.VectorEnv in type(env).__mro__


def test_a_fresh_critic_on_a_shared_trunk_begins_at_the_mean_return(make_text_env: MakeEnv) -> None:
    """A score far from 0 is no reason to pull the trunk: the head's bias starts there."""
    env = CutAfter(make_text_env(min_new_tokens=4, kl_coef=0.0))
    agent = PPO("TransformerPolicy", env, n_steps=3, gamma=0.5, gae_lambda=0.7, seed=0)

    def note(a: PPO) -> tuple[Any, ...]:
        bias = float(a.policy.value_head.bias.item())
        return buffer_of(a), a.rollout_buffer.is_end.copy(), bias

    env.step = lambda actions, step=env.step: _paid(step(actions), 8.0)  # type: ignore[method-assign]
    watch = Watch(note)
    agent.learn(1, callback=watch)
    arrays, is_end, bias = watch.seen[0]
    assert is_end[:, 2].all()
    # Each row pays 8, 8, 8 and is cut: 8 + 4 + 2, 8 + 4 and 8 follow the steps.
    assert bias == pytest.approx((14 + 12 + 8) / 3, abs=1e-3)
    np.testing.assert_allclose(arrays["step_values"], bias, atol=1e-3)
    # Behind the cut the critic's word is paid; its advantage, then the ones before by hand.
    last = 8 + 0.5 * bias - bias
    np.testing.assert_allclose(arrays["advantages"][:, 2], last, atol=1e-3)
    np.testing.assert_allclose(arrays["advantages"][:, 1], last + 0.5 * 0.7 * last, atol=1e-3)


def _paid(result: Any, reward: float) -> Any:
    obs, rewards, *rest = result
    return obs, np.full_like(rewards, reward), *rest
