"""The dynamics against hand-worked numbers, on tasks small enough to follow by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textgym.config import TextEnvConfig
from textgym.masks import MinNewTokensMask
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.task import TextTask
from textgym.token_mdp import TokenMDP
from textgym.tokenizer import SymbolTokenizer

TOKENIZER = SymbolTokenizer(["p", "q", "a", "b", "<eos>"])
P, Q, A, B, EOS, EMPTY = 0, 1, 2, 3, 4, 5


class CountA:
    """Scores a response by its number of "a"."""

    name = "count"

    def __init__(self) -> None:
        """Remember the sizes of the batches."""
        self.batches: list[int] = []

    def __call__(self, episodes: Any) -> np.ndarray:
        self.batches.append(len(episodes))
        return np.array([e.response.split().count("a") for e in episodes], dtype=np.float32)


def table(state: tuple[int, ...]) -> np.ndarray:
    """Probabilities 1/8, 1/8, 1/4, 1/4, 1/4 after a prompt, uniform later."""
    if state[-1] in (P, Q):
        return np.log([0.125, 0.125, 0.25, 0.25, 0.25])
    return np.zeros(5)


def make_mdp(num_rows: int = 2, mask: bool = False, **changes: Any) -> TokenMDP:
    settings = {"max_prompt_tokens": 2, "max_new_tokens": 3, "kl_coef": 0.5, **changes}
    config = TextEnvConfig(**settings)
    actions = np.arange(5)
    task = TextTask(
        config=config,
        prompts=PromptList(["p", "p q"]),
        tokenizer=TOKENIZER,
        reward=CountA(),
        make_reference=lambda rows, width: TableReference(table),
        eos_ids=(EOS,),
        stop=config.stop_strings,
        action_tokens=actions,
        mask_fn=MinNewTokensMask(2, actions, (EOS,)) if mask else None,
    )
    return TokenMDP(task, num_rows)


def begin(mdp: TokenMDP) -> None:
    mdp.reset(range(len(mdp.rows)), [mdp.task.prompts[i % 2] for i in range(len(mdp.rows))])


def test_ids_rewards_and_ends_by_hand() -> None:
    mdp = make_mdp()
    begin(mdp)
    assert mdp.observation().tolist() == [[P, EMPTY, EMPTY, EMPTY, EMPTY], [P, Q] + [EMPTY] * 3]
    first = mdp.step(np.array([A, EOS]))
    assert mdp.observation().tolist() == [[P, A, EMPTY, EMPTY, EMPTY], [P, Q, EOS, EMPTY, EMPTY]]
    assert first.ended.tolist() == [False, True]
    np.testing.assert_allclose(first.rewards, 0.5 * np.log([0.25, 0.25]))
    episode = first.episodes[1]
    assert (episode.finish_reason, episode.response, episode.response_ids) == ("eos", "", (EOS,))
    assert (episode.score, episode.gold_score) == (0.0, None)
    acting = np.array([True, False])
    mdp.step(np.array([A, 99]), acting)
    last = mdp.step(np.array([B, 99]), acting)
    assert last.episodes[0].finish_reason == "length"
    assert last.episodes[0].response == "a a b"
    kl = 0.5 * np.log(0.2)
    assert last.rewards.tolist() == [pytest.approx(2.0 + kl), 0.0]
    assert last.episodes[0].reward_terms == {"count": 2.0, "kl": pytest.approx(kl)}
    np.testing.assert_allclose(last.episodes[0].rewards, [0.5 * np.log(0.25), kl, 2.0 + kl])
    np.testing.assert_allclose(last.episodes[0].ref_log_probs, np.log([0.25, 0.2, 0.2]))
    assert mdp.rows.is_action.tolist()[0] == [False, True, True, True, False]


def test_temperature_sharpens_the_reference() -> None:
    mdp = make_mdp(1, temperature=0.5)
    begin(mdp)
    squares = np.array([1, 1, 4, 4, 4]) / 14  # p ** (1 / 0.5), normalised
    result = mdp.step(np.array([A]))
    assert result.ref_log_probs is not None
    assert result.ref_log_probs[0] == pytest.approx(np.log(squares[A]))


def test_masks_renormalise_the_reference_and_refuse_actions() -> None:
    mdp = make_mdp(1, mask=True)
    begin(mdp)
    with pytest.raises(ValueError, match="action 4 is masked in row 0"):
        mdp.step(np.array([EOS]))
    result = mdp.step(np.array([A]))
    assert result.ref_log_probs is not None
    assert result.ref_log_probs[0] == pytest.approx(np.log(0.25 / 0.75))


def test_an_action_outside_leaves_every_row_as_it_was() -> None:
    mdp = make_mdp()
    begin(mdp)
    before = mdp.observation()
    for bad in (-1, 5):
        with pytest.raises(ValueError, match=rf"action must lie in \[0, 5\), got {bad} in row 1"):
            mdp.step(np.array([A, bad]))
    assert np.array_equal(mdp.observation(), before)


def test_missing_eos_score_replaces_the_score() -> None:
    mdp = make_mdp(missing_eos_score=-3.0)
    begin(mdp)
    mdp.step(np.array([A, A]))
    mdp.step(np.array([A, A]))
    result = mdp.step(np.array([A, EOS]))
    assert result.episodes[0].score == -3.0
    assert set(result.episodes[0].reward_terms) == {"missing_eos", "kl"}
    assert result.episodes[1].score == 2.0
    assert mdp.task.reward.batches == [1]  # type: ignore[attr-defined]


def test_stop_strings_end_where_they_are_completed() -> None:
    mdp = make_mdp(stop="a b|||b b")
    begin(mdp)
    assert not mdp.step(np.array([A, B])).ended.any()
    result = mdp.step(np.array([B, B]))
    assert [e.finish_reason for e in result.episodes.values()] == ["stop", "stop"]
    assert result.episodes[0].response == "a b"


def test_a_stop_string_in_the_prompt_does_not_end() -> None:
    mdp = make_mdp(stop="p q")
    begin(mdp)
    assert not mdp.step(np.array([A, A])).ended.any()


@pytest.mark.parametrize("settle_every", [1, 2, 5, 100])
def test_deferred_equals_step(settle_every: int) -> None:
    rng = np.random.default_rng(0)
    paying, deferring = make_mdp(3), make_mdp(3, reward_timing="deferred")
    begin(paying)
    begin(deferring)
    paid, settled, scored, episodes = [], [], [], []
    for step in range(23):
        actions = rng.integers(5, size=3)
        one, other = paying.step(actions), deferring.step(actions)
        assert np.array_equal(one.ended, other.ended) and not other.rewards.any()
        assert other.ref_log_probs is None
        assert all(episode.score is None for episode in other.episodes.values())
        paid.append(one.rewards)
        episodes.extend((step, row, e) for row, e in one.episodes.items())
        rows = np.flatnonzero(one.ended).tolist()
        for mdp in (paying, deferring):
            mdp.reset(rows, [mdp.task.prompts[step % 2]] * len(rows))
        if step % settle_every == settle_every - 1 or step == 22:
            offset = sum(len(part) for part in settled)
            rewards, found = deferring.settle()
            assert rewards.dtype == np.float32
            settled.append(rewards)
            scored.extend((offset + s.step, s.row, s.episode) for s in found)
    np.testing.assert_allclose(np.concatenate(settled), np.stack(paid), atol=1e-6)
    assert len(scored) == len(episodes) > 10
    for (step, row, own), (step_2, row_2, other_episode) in zip(episodes, scored, strict=True):
        assert (step, row) == (step_2, row_2)
        assert own.response_ids == other_episode.response_ids
        assert own.reward_terms == pytest.approx(other_episode.reward_terms)
        np.testing.assert_allclose(own.rewards, other_episode.rewards)
        np.testing.assert_allclose(own.ref_log_probs, other_episode.ref_log_probs)


def test_settling_scores_all_ended_episodes_in_one_batch() -> None:
    mdp = make_mdp(4, reward_timing="deferred")
    begin(mdp)
    mdp.step(np.full(4, EOS))
    mdp.reset(range(4), [mdp.task.prompts[0]] * 4)
    mdp.step(np.full(4, EOS))
    _, settled = mdp.settle()
    assert mdp.task.reward.batches == [8]  # type: ignore[attr-defined]
    assert [(s.step, s.row) for s in settled] == [(s, r) for s in (0, 1) for r in range(4)]
    empty, none = mdp.settle()
    assert empty.shape == (0, 4) and none == []


def test_waiting_rows_leave_holes_in_settled_rewards() -> None:
    mdp = make_mdp(reward_timing="deferred")
    begin(mdp)
    mdp.step(np.array([A, EOS]))
    mdp.step(np.array([A, 0]), np.array([True, False]))
    rewards, _ = mdp.settle()
    expected = 0.5 * np.log([[0.25, 0.25], [0.2, 1.0]])
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)
    mdp.step(np.array([EOS, 0]), np.array([True, False]))
    rewards, (settled,) = mdp.settle()
    assert rewards[0].tolist() == [pytest.approx(2.0 + 0.5 * np.log(0.2)), 0.0]
    np.testing.assert_allclose(settled.ref_log_probs, np.log([0.25, 0.2, 0.2]))


def test_deferred_masks_are_built_again() -> None:
    mdp = make_mdp(1, mask=True, reward_timing="deferred")
    begin(mdp)
    for action in (A, B, EOS):
        mdp.step(np.array([action]))
    rewards, _ = mdp.settle()
    half_kl = 0.5 * np.log([0.25 / 0.75, 0.25, 0.2])
    np.testing.assert_allclose(rewards[:, 0], half_kl + [0, 0, 1], rtol=1e-6)


def test_pending_rewards_are_guarded() -> None:
    mdp = make_mdp(reward_timing="deferred")
    begin(mdp)
    mdp.step(np.array([A, A]))
    with pytest.raises(ValueError, match="kl_coef may change between rollouts only"):
        mdp.set_kl_coef(0.1)
    with pytest.raises(ValueError, match="temperature may change"):
        mdp.set_temperature(0.5)
    with pytest.warns(RuntimeWarning, match="1 steps of withheld rewards are discarded"):
        mdp.set_reward_timing("step")
    mdp.set_kl_coef(0.1)
    mdp.set_temperature(0.5)
    assert (mdp.kl_coef, mdp.temperature) == (0.1, 0.5)
    with pytest.raises(ValueError, match="needs reward_timing='deferred'"):
        mdp.settle()
    with pytest.raises(ValueError, match="got 'later'"):
        mdp.set_reward_timing("later")


def test_history_of_an_episode_with_discarded_rewards_is_empty() -> None:
    mdp = make_mdp(1, reward_timing="deferred")
    begin(mdp)
    mdp.step(np.array([A]))
    with pytest.warns(RuntimeWarning):
        mdp.set_reward_timing("step")
    episode = mdp.step(np.array([EOS])).episodes[0]
    assert episode.rewards == () and episode.ref_log_probs == () and episode.score == 1.0


def test_switching_timing_in_the_middle_of_an_episode_keeps_what_is_known() -> None:
    mdp = make_mdp(1)
    begin(mdp)
    mdp.step(np.array([A]))
    mdp.set_reward_timing("deferred")
    mdp.step(np.array([EOS]))
    rewards, (settled,) = mdp.settle()
    assert rewards.shape == (1, 1)
    np.testing.assert_allclose(settled.ref_log_probs, np.log([0.25, 0.2]))
    assert settled.episode.rewards[0] == pytest.approx(0.5 * np.log(0.25))


def test_set_state_keeps_what_was_played_before_pending() -> None:
    mdp = make_mdp(1, reward_timing="deferred")
    begin(mdp)
    mdp.step(np.array([A]))
    state = mdp.get_state([0])
    mdp.step(np.array([EOS]))
    mdp.set_state([0], state)
    mdp.step(np.array([B]))
    rewards, (settled,) = mdp.settle()
    expected = [0.5 * np.log(0.25), 1 + 0.5 * np.log(0.2), 0.5 * np.log(0.2)]
    np.testing.assert_allclose(rewards[:, 0], expected, rtol=1e-6)
    assert settled.step == 1


def test_a_failed_settlement_loses_nothing() -> None:
    mdp = make_mdp(1, reward_timing="deferred")
    begin(mdp)
    mdp.step(np.array([EOS]))
    good = mdp._scorer._reward
    mdp._scorer._reward = lambda episodes: np.array([np.inf])  # type: ignore[assignment]
    mdp._scorer._reward.name = "bad"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="'bad' gave inf"):
        mdp.settle()
    mdp._scorer._reward = good
    assert len(mdp.settle()[1]) == 1


def test_without_a_reference_there_is_only_the_score() -> None:
    mdp = make_mdp(1)
    mdp._reference = None
    begin(mdp)
    assert mdp.step(np.array([A])).ref_log_probs is None
    result = mdp.step(np.array([EOS]))
    assert result.rewards[0] == 1.0
    assert result.episodes[0].reward_terms == {"count": 1.0}
    assert result.episodes[0].ref_log_probs == ()
