"""Whole episodes: exact counts, no preference for short ones, the same numbers in every mode."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.rollout import rollout
from textgym.task import TextTask
from textgym.token_env import TokenEnv
from textgym.tokenizer import SymbolTokenizer
from textgym.vector_env import TokenVectorEnv

PROMPTS = ("a", "b", "c a", "b b")
A, B, C, EOS = range(4)
LONG = 6
KL_COEF = 0.1


class CountsB:
    """Scores a response by its number of b's."""

    name = "b"

    def __call__(self, episodes):
        return np.array([e.response.split().count("b") for e in episodes], dtype=np.float32)


def reference_logits(state):
    return [0.5, 1.0, 0.0, 0.1 * len(state)]


def build_task(config):
    tokenizer = SymbolTokenizer(["a", "b", "c", "<eos>"])
    tokens = np.arange(4)
    return TextTask(
        config=config,
        prompts=PromptList(PROMPTS),
        tokenizer=tokenizer,
        reward=CountsB(),
        action_tokens=tokens,
        eos_ids=tokenizer.eos_ids,
        make_reference=lambda rows, width: TableReference(reference_logits),
    )


KWARGS = {"max_prompt_tokens": 2, "max_new_tokens": LONG, "kl_coef": KL_COEF}


def single():
    return TokenEnv(build_task, **KWARGS)


def vector(num_envs=3, **changes):
    return TokenVectorEnv(build_task, num_envs=num_envs, **{**KWARGS, **changes})


def short_after_a(observation):
    """Write EOS at once where the prompt begins with "a", else b until the cap."""
    return np.where(np.asarray(observation)[..., 0] == A, EOS, B)


def echo(observation):
    """A deterministic policy whose responses have many lengths: depends on the whole state."""
    observation = np.atleast_2d(observation)
    lengths = (observation < 4).sum(axis=1)
    sums = np.where(observation < 4, observation, 0).sum(axis=1)
    return (sums * 7 + lengths * 3) % 4


def log_prob(state, action):
    logits = np.array(reference_logits(state))
    return logits[action] - np.log(np.exp(logits).sum())


def check(episode):
    state = list(episode.prompt_ids)
    expected = []
    for token in episode.response_ids:
        expected.append(log_prob(state, token))
        state.append(token)
    assert episode.ref_log_probs == pytest.approx(expected, abs=1e-6)
    paid = KL_COEF * np.array(expected)
    paid[-1] += episode.score
    assert episode.rewards == pytest.approx(paid, abs=1e-6)
    assert sum(episode.reward_terms.values()) == pytest.approx(episode.rewards[-1], abs=1e-6)
    assert episode.prompt.text == PROMPTS[episode.prompt.prompt_id]


@pytest.mark.parametrize("make", [single, vector])
@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_gives_exactly_n_whole_episodes(make, n):
    episodes = rollout(make(), None, n, seed=0)
    assert len(episodes) == n
    for episode in episodes:
        check(episode)
        ended_by_itself = episode.response_ids[-1] == EOS
        assert ended_by_itself or len(episode.response_ids) == LONG


def test_a_random_rollout_is_seeded():
    first, second = rollout(vector(), None, 9, seed=5), rollout(vector(), None, 9, seed=5)
    assert first == second
    assert rollout(vector(), None, 9, seed=6) != first


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_short_episodes_are_not_preferred(mode):
    episodes = rollout(vector(num_envs=8, autoreset_mode=mode), short_after_a, 400, seed=0)
    share_short = np.mean([len(episode.response_ids) == 1 for episode in episodes])
    # One prompt in four begins with "a"; among the first 400 to finish, more would be short.
    assert share_short == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
@pytest.mark.parametrize("num_envs", [1, 3, 16])
def test_chosen_prompts_are_answered_in_order(mode, num_envs):
    prompt_ids = [3, 0, 0, 2, 1, 3, 1]
    env = vector(num_envs=num_envs, autoreset_mode=mode)
    episodes = rollout(env, echo, len(prompt_ids), prompt_ids=prompt_ids)
    assert [episode.prompt.prompt_id for episode in episodes] == prompt_ids
    alone = rollout(single(), lambda o: int(echo(o)[0]), len(prompt_ids), prompt_ids=prompt_ids)
    for episode, expected in zip(episodes, alone, strict=True):
        check(episode)
        assert episode.response_ids == expected.response_ids
        assert episode.rewards == pytest.approx(expected.rewards, abs=1e-6)
        assert episode.reward_terms == pytest.approx(expected.reward_terms, abs=1e-6)


def test_withheld_rewards_give_the_same_episodes_and_the_timing_is_put_back():
    env = vector()
    bare = rollout(env, echo, 10, seed=1)
    assert env.reward_timing == "step"
    wrapped = rollout(gym.wrappers.vector.RecordEpisodeStatistics(vector()), echo, 10, seed=1)
    assert [e.response_ids for e in bare] == [e.response_ids for e in wrapped]
    for ours, theirs in zip(bare, wrapped, strict=True):
        assert ours.rewards == pytest.approx(theirs.rewards, abs=1e-5)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_rows_that_wait_for_their_group_are_not_counted(mode):
    env = vector(num_envs=4, group_size=2, autoreset_mode=mode)
    rng = np.random.default_rng(0)
    episodes = rollout(env, lambda o: rng.integers(4, size=len(o)), 12, seed=0)
    assert len(episodes) == 12
    for episode in episodes:
        check(episode)


class Recorder:
    """An agent that notes what `predict` is given."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self.calls = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.calls.append((observation.shape, state, episode_start.copy(), deterministic))
        return echo(observation), len(self.calls)


def test_an_agent_gets_its_state_and_the_starts():
    agent = Recorder()
    episodes = rollout(single(), agent, 2, seed=0, deterministic=True)
    lengths = [len(episode.response_ids) for episode in episodes]
    assert [call[1] for call in agent.calls] == [None, *range(1, sum(lengths))]
    starts = [bool(call[2][0]) for call in agent.calls]
    assert np.flatnonzero(starts).tolist() == [0, lengths[0]]
    assert all(call[3] for call in agent.calls)
    assert agent.calls[0][0] == (1, 2 + LONG)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        rollout(single(), None, -1)
    with pytest.raises(ValueError, match="expected n=2 prompt ids, got 1"):
        rollout(single(), None, 2, prompt_ids=[0])
    with pytest.raises(ValueError, match="policy must"):
        rollout(single(), "greedy", 1)


def test_other_environments_are_refused():
    with pytest.raises(ValueError, match="expected a TokenEnv"):
        rollout(gym.make("CartPole-v1"), None, 1)
    with pytest.raises(ValueError, match="expected a TokenEnv"):
        rollout(gym.vector.SyncVectorEnv([single]), None, 1)
    with pytest.raises(ValueError, match="expected a TokenEnv.*'Probe-ExactKL-v0'"):
        rollout("Probe-ExactKL-v0", None, 1)
    deferred = vector(reward_timing="deferred")
    with pytest.raises(ValueError, match="got 'deferred'"):
        rollout(gym.wrappers.vector.RecordEpisodeStatistics(deferred), None, 1)
    assert len(rollout(deferred, None, 2, seed=0)) == 2
    assert deferred.reward_timing == "deferred"


def test_an_episode_cut_by_a_wrapper_is_refused():
    env = gym.wrappers.TimeLimit(single(), max_episode_steps=2)
    with pytest.raises(ValueError, match="cut after 2 steps"):
        rollout(env, lambda o: B, 1)


def test_notebook_view_colours_tokens_and_escapes_text():
    episodes = rollout(vector(), echo, 3, seed=0)
    page = episodes._repr_html_()
    assert page.count("<tr>") == 4
    n_tokens = sum(len(episode.response_ids) for episode in episodes)
    assert page.count("<span") == n_tokens
    assert "&lt;eos&gt;" in rollout(single(), lambda o: EOS, 1)._repr_html_()
    assert f"reward {episodes[0].rewards[0]:+.4f}" in page
    assert type(episodes[:2]) is type(episodes)
    one = episodes[0]._repr_html_()
    assert one.count("<tr>") == 2 and one.count("<span") == len(episodes[0].response_ids)
