"""Episodes of several turns: hand-worked steps, all conversations enumerated, bad replies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests import two_turns
from tests.two_turns import EMPTY, EOS, TOKENIZER, A, B, P, Q, TwoTurns, X, Y
from textgym.config import TextEnvConfig
from textgym.rollout import rollout
from textgym.testing import check_text_env
from textgym.token_env import TokenEnv
from textgym.token_mdp import TokenMDP
from textgym.turns import OpenEpisode, Reply, Turn, episode_turns, split_turns
from textgym.types import Episode, Prompt
from textgym.vector_env import TokenVectorEnv

ACTION = {A: 0, B: 1, EOS: 2}
# The first draw below 2 at the first turn, of the seeds that the tests use.
WORDS = {0: 1 + int(np.random.default_rng((0, 1)).integers(2))}


def make_mdp(responder: Any = None, num_rows: int = 1, **changes: Any) -> TokenMDP:
    settings = {**two_turns.DEFAULTS, **changes}
    return TokenMDP(two_turns.make_build_task(responder)(TextEnvConfig(**settings)), num_rows)


def begin(mdp: TokenMDP, prompt: int = 0, seed: int = 0) -> None:
    count = len(mdp.rows)
    mdp.reset(range(count), [mdp.task.prompts[prompt]] * count, [seed] * count)


def say(mdp: TokenMDP, *tokens: int) -> Any:
    for token in tokens:
        result = mdp.step(np.full(len(mdp.rows), ACTION[token]))
    return result


def test_ids_rewards_and_ends_by_hand() -> None:
    mdp = make_mdp()
    assert mdp.width == 2 + 4 + 3
    begin(mdp)
    first = say(mdp, A)
    assert not first.ended.any() and mdp.rows.lengths.tolist() == [2]
    middle = say(mdp, B)  # the second token ends the turn, "x" is the answer to "a"
    assert mdp.observation().tolist() == [[P, A, B, X, *[EMPTY] * 5]]
    assert not middle.ended.any() and middle.episodes == {}
    assert mdp.rows.is_action[0, :4].tolist() == [False, True, True, False]
    assert (mdp.rows.num_actions[0], mdp.rows.turn_starts[0]) == (2, 4)
    last = say(mdp, B, EOS)
    assert last.ended.tolist() == [True]
    assert mdp.observation().tolist() == [[P, A, B, X, B, EOS, X, EMPTY, EMPTY]]
    episode = last.episodes[0]
    assert episode.response_ids == (A, B, X, B, EOS, X)
    assert episode.response_is_action == (True, True, False, True, True, False)
    assert episode.action_ids == (A, B, B, EOS)
    assert (episode.response, episode.finish_reason) == ("a b x b x", "solved")
    states = [(P,), (P, A), (P, A, B, X), (P, A, B, X, B)]
    logits = [two_turns.table(state) for state in states]
    log_refs = [
        z[ACTION[i]] - np.log(np.exp(z).sum())
        for z, i in zip(logits, episode.action_ids, strict=True)
    ]
    np.testing.assert_allclose(episode.ref_log_probs, log_refs)
    paid = [0.5 * value for value in log_refs]
    paid[-1] += 0.6  # solved, with four tokens
    np.testing.assert_allclose(episode.rewards, paid, atol=1e-6)
    assert episode.reward_terms == {
        "solved": pytest.approx(0.6),
        "kl": pytest.approx(paid[3] - 0.6),
    }


def walk(mdp: TokenMDP, state: Any, found: dict[tuple, tuple[tuple, str]]) -> None:
    """Play every action from a state on, returning to it each time."""
    for action in range(3):
        mdp.set_state([0], state)
        result = mdp.step(np.array([action]))
        if result.ended[0]:
            length = int(mdp.rows.lengths[0])
            ids = tuple(mdp.rows.ids[0, :length].tolist())
            positions = tuple(np.flatnonzero(mdp.rows.is_action[0]).tolist())
            found[ids] = positions, result.episodes[0].finish_reason
        else:
            walk(mdp, mdp.get_state([0]), found)


@pytest.mark.parametrize("prompt", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_every_conversation_is_one_of_the_rules(prompt: int, seed: int) -> None:
    mdp = make_mdp()
    begin(mdp, prompt, seed)
    found: dict[tuple, tuple[tuple, str]] = {}
    walk(mdp, mdp.get_state([0]), found)
    words = 1 + int(np.random.default_rng((seed, 1)).integers(2))
    by_rule = list(two_turns.conversations(((P,), (P, Q))[prompt], words))
    assert found == {ids: (positions, reason) for ids, positions, reason in by_rule}
    assert len(by_rule) == 1 + 6 * 7


def test_the_responder_sees_the_whole_episode_and_nothing_else() -> None:
    seen: list[OpenEpisode] = []

    class Watching(TwoTurns):
        def reply(self, episode: OpenEpisode) -> Reply:
            seen.append(episode)
            return super().reply(episode)

    mdp = make_mdp(Watching(), num_rows=2)
    begin(mdp, prompt=1, seed=0)
    mdp.step(np.array([ACTION[B], ACTION[EOS]]))
    mdp.step(np.array([ACTION[EOS], 0]), np.array([True, False]))
    assert [(e.end, e.num_turns) for e in seen] == [("eos", 1), ("eos", 1)]
    assert seen[0].turns == (Turn(is_action=True, ids=(EOS,)),) and seen[0].prompt_ids == (P, Q)
    mdp.step(np.array([ACTION[A], 0]), np.array([True, False]))
    mdp.step(np.array([ACTION[A], 0]), np.array([True, False]))
    spoken = (
        Turn(is_action=True, ids=(B, EOS)),
        Turn(is_action=False, ids=(Y,) * WORDS[0]),
        Turn(is_action=True, ids=(A, A)),
    )
    assert (seen[2].turns, seen[2].end, seen[2].num_turns) == (spoken, "length", 2)
    assert seen[2].seed == 0 and seen[2].prompt.text == "p q"


def test_the_cap_on_actions_ends_the_turn_and_the_episode() -> None:
    mdp = make_mdp(max_new_tokens=3)
    begin(mdp)
    result = say(mdp, A, EOS, A)
    assert result.episodes[0].finish_reason == "given_up"  # the responder is asked first
    begin(mdp)

    class Talker(TwoTurns):
        def reply(self, episode: OpenEpisode) -> Reply:
            return Reply(ids=(X,))

    mdp = make_mdp(Talker(), max_new_tokens=3)
    begin(mdp)
    episode = say(mdp, A, EOS, A).episodes[0]
    assert (episode.finish_reason, episode.response_ids) == ("length", (A, EOS, X, A, X))


class Sayer(TwoTurns):
    """Says whatever it was given, for ever."""

    said: Any = None

    def replies(self, episodes: Any) -> Any:
        return type(self).said


def saying(*replies: Reply) -> Sayer:
    return type("Sayer", (Sayer,), {"said": list(replies)})()


def test_a_reply_that_no_longer_fits_ends_the_episode_unwritten() -> None:
    mdp = make_mdp(saying(Reply(ids=(Y, Y))), max_new_tokens=8)
    begin(mdp)
    assert not say(mdp, EOS).ended.any()
    episode = say(mdp, EOS).episodes[0]
    assert (episode.finish_reason, episode.response_ids) == ("overflow", (EOS, Y, Y, EOS))
    mdp = make_mdp(saying(Reply(ids=(Y, Y), finish_reason="bored")), max_new_tokens=8)
    begin(mdp)
    assert say(mdp, EOS).episodes[0].finish_reason == "bored"


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ((Reply(ids=(X,) * 4),), "row 0 has 4 tokens, expected at most max_reply_tokens=3"),
        ((Reply(ids=(X, 7)),), r"row 0 must hold ids in \[0, 7\), got 7"),
        ((), "gave 0 replies, expected 1"),
    ],
)
def test_replies_that_cannot_be_written_are_refused(
    replies: tuple[Reply, ...], message: str
) -> None:
    mdp = make_mdp(saying(*replies))
    begin(mdp)
    with pytest.raises(ValueError, match=message):
        say(mdp, EOS)


def test_replies_and_responders_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="token ids or a finish reason, got neither"):
        Reply()
    with pytest.raises(ValueError, match="another word of a-z and '_', got 'Given up'"):
        Reply(finish_reason="Given up")
    with pytest.raises(ValueError, match="max_turn_tokens of the responder must be at least 1"):
        make_mdp(TwoTurns(max_turn_tokens=0))
    with pytest.raises(ValueError, match="at most the responder's max_turn_tokens=2, got 3"):
        make_mdp(min_new_tokens=3)
    prompt = Prompt(prompt_id=0, text="p")
    with pytest.raises(ValueError, match="response_is_action must hold 0 or 2 flags, got 1"):
        Episode(
            prompt=prompt,
            prompt_ids=(P,),
            response_ids=(A, X),
            response="a x",
            finish_reason="solved",
            response_is_action=(True,),
        )


def test_stop_strings_are_sought_in_the_turn_alone() -> None:
    mdp = make_mdp(TwoTurns(max_turn_tokens=3), stop="x b|||b b", max_new_tokens=6)
    begin(mdp)
    say(mdp, A, EOS)
    assert not say(mdp, B).ended.any()  # "x b" lies across the seam
    assert say(mdp, B).episodes[0].response == "a x b b x"


def test_it_keeps_the_contract_of_every_text_environment() -> None:
    two_turns.register()
    check_text_env(two_turns.ENV_ID, num_steps=40)


def test_resets_with_the_same_seed_give_the_same_answers() -> None:
    env = TokenEnv(two_turns.make_build_task(), **two_turns.DEFAULTS)

    def answers(seed: int) -> list[int]:
        found = []
        for episode in range(12):
            env.reset(seed=seed if episode == 0 else None)
            env.step(ACTION[B])
            env.step(ACTION[EOS])
            found.append(int(env.get_state().lengths[0]) - env.prompt_lengths - 2)
        return found

    assert answers(3) == answers(3)
    assert set(answers(3)) == {1, 2} and answers(3) != answers(4)


@pytest.mark.parametrize("num_envs", [None, 3])
def test_rollouts_record_which_tokens_are_actions(num_envs: int | None) -> None:
    build = two_turns.make_build_task()
    env: Any = TokenEnv(build, **two_turns.DEFAULTS)
    if num_envs is not None:
        env = TokenVectorEnv(build, num_envs, **two_turns.DEFAULTS)
    episodes = rollout(env, None, 20, seed=1)
    assert len({len(episode_turns(episode)) for episode in episodes}) > 1
    for episode in episodes:
        assert len(episode.rewards) == len(episode.ref_log_probs) == len(episode.action_ids)
        assert set(episode.action_ids) <= {A, B, EOS}
        others = [i for turn in episode_turns(episode) if not turn.is_action for i in turn.ids]
        assert set(others) <= {X, Y}
    assert "<em>" in episodes._repr_html_()


def test_rendering_gives_the_environments_words_no_colour() -> None:
    env = TokenEnv(two_turns.make_build_task(), render_mode="ansi", **two_turns.DEFAULTS)
    env.reset(seed=0)
    for token in (A, EOS, B, EOS):
        env.step(ACTION[token])
    text = str(env.render())
    assert "finish_reason solved" in text
    assert text.count("\x1b[48;5;") <= 4 and " x" in text


def test_turns_are_cut_where_the_side_changes() -> None:
    assert split_turns((), ()) == ()
    parts = split_turns((A, B, X, EOS), (True, True, False, True))
    assert [(turn.is_action, turn.ids) for turn in parts] == [
        (True, (A, B)),
        (False, (X,)),
        (True, (EOS,)),
    ]
    assert TOKENIZER.decode(list(parts[1].ids)) == "x"


class Worth:
    """Token by token: what a word is worth depends on what the other side said before it."""

    name = "worth"

    def __init__(self, token_aggregate: str) -> None:
        """Add the tokens up, or average them."""
        self.token_aggregate: str | None = token_aggregate

    def __call__(self, episodes: Any) -> np.ndarray:
        raise AssertionError("token rewards are known: no episode has to be read again")

    def token_rewards(self, sequences: Any) -> list[np.ndarray]:
        return [np.array([_worth(s.ids[: p + 1]) for p in s.action_positions]) for s in sequences]

    def new_steps(self, num_rows: int, width: int) -> Worth:
        return self

    def rewards(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return np.array([_worth(row[:end]) for row, end in zip(ids, lengths, strict=True)])


def _worth(ids: np.ndarray) -> float:
    return float(ids[-1]) + 10.0 * float((ids == X).sum()) + 100.0 * float((ids == Y).sum())


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_rewards_by_token_are_those_of_the_actions(aggregate: str) -> None:
    build = two_turns.make_build_task(reward=Worth(aggregate))
    settings = {**two_turns.DEFAULTS, "kl_coef": 0.1, "reward_level": "token"}
    env = TokenEnv(build, **settings)
    env.reset(seed=0)
    worth = [env.step(ACTION[token])[4]["token_reward"] for token in (A, EOS, B)]
    _, _, _, _, info = env.step(ACTION[EOS])
    # One "x" stands before the second turn; the one behind it earns nothing.
    assert [*worth, info["token_reward"]] == [A, EOS, B + 10, EOS + 10]
    total = A + B + 2 * EOS + 20
    assert info["score"] == pytest.approx(total if aggregate == "sum" else total / 4)
    paying = TokenVectorEnv(build, 4, **settings)
    deferring = TokenVectorEnv(build, 4, reward_timing="deferred", **settings)
    paid, settled = [], []
    for envs in (paying, deferring):
        envs.reset(seed=1)
    rng = np.random.default_rng(0)
    for step in range(30):
        actions = rng.integers(0, 3, 4)
        paid.append(paying.step(actions)[1])
        deferring.step(actions)
        if step % 7 == 6:
            settled.append(deferring.settle_rewards())
    settled.append(deferring.settle_rewards())
    np.testing.assert_allclose(np.concatenate(settled), np.stack(paid), atol=1e-3)
