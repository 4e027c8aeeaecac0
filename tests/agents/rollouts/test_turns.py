"""Learning where the environment answers in the middle of an episode.

What it says is context: segments hold it, no loss asks for it, and advantages pass over it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium.vector import VectorWrapper
from stable_baselines3.common.callbacks import BaseCallback

from tests import two_turns
from tests.two_turns import ACTION_TOKENS, EMPTY, X, Y
from textgym.agents import PPO
from textgym.agents.evaluation.before_after import BeforeAfter, comparison_table
from textgym.agents.evaluation.episode_metrics import episode_metrics
from textgym.agents.evaluation.held_out import Evaluation, response_log_probs
from textgym.agents.policies.packed_evaluation import PackedGroup
from textgym.episode_list import EpisodeList
from textgym.rollout import rollout
from textgym.token_env import TokenEnv
from textgym.turns import split_turns
from textgym.vector_env import TokenVectorEnv

N_ENVS, N_STEPS, KL_COEF, GAMMA, LAMBDA = 6, 11, 0.3, 0.9, 0.8
MODEL = "scratch:layers=1,width=16,heads=2"


def make_env(num_envs: int = N_ENVS, **changes: Any) -> TokenVectorEnv:
    settings = {**two_turns.DEFAULTS, "kl_coef": KL_COEF, **changes}
    return TokenVectorEnv(two_turns.make_build_task(), num_envs, **settings)


def make_agent(env: Any, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "n_steps": N_STEPS,
        "batch_size": 20,
        "learning_rate": 1e-2,
        "gamma": GAMMA,
        "gae_lambda": LAMBDA,
        "policy_kwargs": {"model": MODEL},
        "seed": 0,
        "device": "cpu",
    }
    return PPO("TransformerPolicy", env, **{**settings, **changes})


class AtRolloutEnd(BaseCallback):
    """Calls `look(agent)` after each rollout, before the update."""

    def __init__(self, look: Any) -> None:
        """Keep what it gives."""
        super().__init__()
        self.look, self.seen = look, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.seen.append(self.look(self.model))


def learned(env: Any, look: Any, rollouts: int = 3, **changes: Any) -> list[Any]:
    watch = AtRolloutEnd(look)
    make_agent(env, **changes).learn(N_ENVS * N_STEPS * rollouts, callback=watch)
    return watch.seen


def first_ratio(agent: Any) -> float:
    agent.policy.set_training_mode(True)
    batch = next(agent.rollout_buffer.get(None))
    with th.no_grad():
        values, log_probs, _ = agent.policy.evaluate_actions(batch.observations, batch.actions)
    assert float((values - batch.old_values).abs().max()) < 1e-5
    return float((log_probs - batch.old_log_prob).abs().max())


@pytest.mark.parametrize("decode", ["auto", "static", "full"])
def test_first_ratios_are_one(decode: str) -> None:
    policy_kwargs = {"model": MODEL, "decode": decode}
    found = learned(make_env(), first_ratio, policy_kwargs=policy_kwargs)
    assert len(found) == 3 and max(found) < 1e-5


def test_first_ratios_are_one_in_groups_that_share_a_prompt() -> None:
    env = make_env(group_size=3)
    found = learned(env, first_ratio)
    assert len(found) == 3 and max(found) < 1e-5
    seeds = env.get_state().reply_seeds
    assert len(set(seeds.tolist())) == N_ENVS  # the same prompt, but other answers


def contents(agent: Any) -> dict[str, Any]:
    buffer = agent.rollout_buffer
    names = ("ids", "offsets", "segments", "positions", "actions", "is_end", "rewards")
    found = {name: getattr(buffer, name).copy() for name in names}
    found |= {name: getattr(buffer, name).copy() for name in ("step_values", "advantages")}
    batch = next(buffer.get(None))
    found["packed"] = {name: part.numpy() for name, part in batch.observations.items()}
    found["packed_actions"] = batch.actions.numpy()
    open_rows = agent._last_obs
    with th.no_grad():
        found["last_values"] = agent.policy.predict_values(open_rows).flatten().numpy()
    return found


def test_segments_hold_the_environments_words_as_context_only() -> None:
    answered = 0
    for found in learned(make_env(), contents):
        ids, is_action = found["packed"]["ids"], found["packed"]["is_action"]
        tokens = np.array(ACTION_TOKENS)[found["packed_actions"]]
        assert is_action.sum() == N_ENVS * N_STEPS
        assert ids[is_action].tolist() == tokens.tolist()
        behind_prompt = np.arange(ids.shape[1]) >= found["packed"]["prompt_lengths"][:, None]
        said = behind_prompt & np.isin(ids, (X, Y))
        answered += int(said.sum())
        assert not (said & is_action).any()
        # All else behind the prompt are actions, of this rollout or an earlier one.
        assert np.isin(ids[behind_prompt & ~said & (ids != EMPTY)], ACTION_TOKENS).all()
    assert answered > 20


def test_no_loss_asks_for_an_environments_word(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent(make_env())
    asked: list[np.ndarray] = []
    inner = agent.policy._evaluate_group

    def watching(group: PackedGroup) -> Any:
        known = group.positions + 1 < group.ids.shape[1]  # nobody reads the last action itself
        cells = group.rows[known], group.positions[known] + 1
        own = th.tensor(ACTION_TOKENS)[group.actions]
        assert th.equal(group.ids[cells], own[known])
        asked.append(own.numpy())
        return inner(group)

    monkeypatch.setattr(agent.policy, "_evaluate_group", watching)
    agent.learn(N_ENVS * N_STEPS * 3)
    assert len(np.concatenate(asked)) == N_ENVS * N_STEPS * 3 * agent.n_epochs
    assert set(np.concatenate(asked).tolist()) == set(ACTION_TOKENS)


def test_advantages_pass_over_what_the_environment_says() -> None:
    """GAE by hand: the value behind an action is that of the next state with a choice."""
    found = learned(make_env(), contents)[1]
    rewards, values, is_end = found["rewards"], found["step_values"], found["is_end"]
    expected = np.zeros_like(rewards)
    for row in range(N_ENVS):
        following, later = found["last_values"][row], 0.0
        for step in reversed(range(N_STEPS)):
            goes_on = 0.0 if is_end[row, step] else 1.0
            delta = rewards[row, step] + GAMMA * goes_on * following - values[row, step]
            later = delta + GAMMA * LAMBDA * goes_on * later
            expected[row, step], following = later, values[row, step]
    np.testing.assert_allclose(found["advantages"], expected, atol=1e-5)
    gaps = np.diff(found["positions"].astype(int), axis=1)[~is_end[:, :-1]]
    assert set(gaps.tolist()) == {1, 2, 3}  # an action, and up to two words


def test_values_are_those_of_the_states_with_the_answers_in_them() -> None:
    def difference(agent: Any) -> float:
        buffer, largest = agent.rollout_buffer, 0.0
        for index, (row, start, stop, _) in enumerate(buffer.segments):
            context = buffer.ids[buffer.offsets[index] : buffer.offsets[index + 1]]
            for step in range(start, stop):
                length = buffer.positions[row, step]
                obs = np.full((1, buffer.width), buffer.empty_id)
                obs[0, :length] = context[:length]
                with th.no_grad():
                    alone = float(agent.policy.predict_values(obs))
                largest = max(largest, abs(alone - float(buffer.step_values[row, step])))
        return largest

    assert max(learned(make_env(), difference)) < 1e-5


class Plain(VectorWrapper):
    """Stands between, so that rewards must come by step."""


def test_deferred_rewards_are_the_steps_rewards() -> None:
    names = ("actions", "rewards", "advantages", "ids", "positions")

    def look(agent: Any) -> list[np.ndarray]:
        return [getattr(agent.rollout_buffer, name).copy() for name in names]

    deferred, by_step = (learned(env, look) for env in (make_env(), Plain(make_env())))
    for one, other in zip(deferred, by_step, strict=True):
        for name, first, second in zip(names, one, other, strict=True):
            np.testing.assert_allclose(first, second, atol=1e-4, err_msg=name)


def test_log_probs_of_whole_episodes_leave_the_environments_words_out() -> None:
    agent = make_agent(make_env())
    agent.learn(N_ENVS * N_STEPS)
    episodes = rollout(make_env(), agent, 12, seed=0)
    found = response_log_probs(agent.policy, episodes, np.array(ACTION_TOKENS), EMPTY)
    for episode, log_probs in zip(episodes, found, strict=True):
        assert len(log_probs) == len(episode.action_ids)
        state, expected = list(episode.prompt_ids), []
        for turn in split_turns(episode.response_ids, episode.response_is_action):
            for token in turn.ids:
                obs = np.full((1, agent.policy.width), EMPTY)
                obs[0, : len(state)] = state
                if turn.is_action:
                    with th.no_grad():
                        choice = agent.policy.get_distribution(th.as_tensor(obs)).distribution
                    expected.append(float(choice.logits[0, ACTION_TOKENS.index(token)]))
                state.append(token)
        np.testing.assert_allclose(log_probs, expected, atol=1e-5)


def test_how_conversations_ended_is_measured_and_shown() -> None:
    episodes = rollout(make_env(), None, 40, seed=0)
    shares = {r: sum(e.finish_reason == r for e in episodes) / 40 for r in ("solved", "given_up")}
    metrics = episode_metrics(episodes)
    assert {r: metrics[f"ended_{r}"].mean for r in shares} == pytest.approx(shares)
    assert metrics["length"].mean == np.mean([len(e.action_ids) for e in episodes])
    solved = [e for e in episodes if e.finish_reason == "solved"]
    before, after = (
        Evaluation(metrics=episode_metrics(e), episodes=e, reference_episodes=e, judge=None)
        for e in (EpisodeList(episodes), EpisodeList(solved))
    )
    table = comparison_table(BeforeAfter(before=before, after=after), ("length",))
    lines = {line.split("  ")[0]: line for line in table.splitlines()}
    assert "1.000" in lines["ended 'solved'"]
    assert lines["ended 'given_up'"].split()[-1] == "-"


def test_ppo_finds_the_best_conversation() -> None:
    env = make_env(16, kl_coef=0.0)
    agent = make_agent(env, n_steps=16, batch_size=64, gamma=1.0, gae_lambda=0.95)
    agent.learn(16 * 16 * 16)
    single = TokenEnv(two_turns.make_build_task(), **two_turns.DEFAULTS)
    episodes = rollout(single, agent, 30, seed=5, deterministic=True)
    # Two tokens a turn and the other letter: nothing is worth more than 1 - 0.4.
    assert {e.finish_reason for e in episodes} == {"solved"}
    assert [e.score for e in episodes] == pytest.approx([0.6] * 30)
