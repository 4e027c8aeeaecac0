"""A whole response, or a whole turn, as one action."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from gymnasium.utils.env_checker import check_env

from tests.textgym.wrappers.conftest import EOS, SAY_A, A, B, responses
from tests.two_turns import ENV_ID as TWO_TURNS
from textgym.wrappers import (
    MessageAction,
    OneHotObservation,
    PotentialShaping,
    RecordEpisodes,
    TextObservation,
)

WORDS = ("a", "b", "")


def test_a_message_is_its_tokens_one_after_the_other() -> None:
    """Every response, against the same tokens written one by one; paid the same, ended the same."""
    message, plain = MessageAction(gym.make(SAY_A)), gym.make(SAY_A)
    for response in responses():
        first = message.reset(seed=1)[0], plain.reset(seed=1)[0]
        np.testing.assert_array_equal(*first)
        total, terminated = 0.0, False
        for action in response:
            assert not terminated
            observation, reward, terminated, _, info = plain.step(action)
            total += reward
        text = " ".join(WORDS[action] for action in response).strip()
        seen, paid, ended, truncated, told = message.step(text)
        np.testing.assert_array_equal(seen, observation)
        assert paid == pytest.approx(total) and ended and terminated and not truncated
        assert told.pop("message_ids") == info["response_ids"] and told == info


def test_a_message_that_is_too_long_is_cut_by_the_cap() -> None:
    env = MessageAction(gym.make(SAY_A))
    env.reset(seed=0)
    _, _, terminated, _, info = env.step("b b b a a")
    assert terminated and info["finish_reason"] == "length" and info["message_ids"] == (B, B, B)


def test_one_action_is_one_turn_where_the_environment_answers() -> None:
    env = MessageAction(gym.make(TWO_TURNS))
    _, start = env.reset(seed=0)
    observation, first, terminated, _, info = env.step("a")
    # A, the end token, and the other side's answer "x"; log pi_ref of both tokens is added up.
    begun = start["prompt_length"]
    assert observation[begun : begun + 4].tolist() == [2, 6, 4, 7] and not terminated
    assert info["message_ids"] == (2, 6) and info["ref_log_prob"] == pytest.approx(first / 0.5)
    _, _, terminated, _, info = env.step("b")
    assert terminated and info["finish_reason"] == "solved" and info["message_ids"] == (3, 6)


def test_the_sum_is_that_of_the_steps_with_a_reference() -> None:
    """The KL half of two tokens, by hand: 0.5 times the sum of both log-probabilities."""
    env, plain = MessageAction(gym.make(TWO_TURNS)), gym.make(TWO_TURNS)
    env.reset(seed=3)
    plain.reset(seed=3)
    steps = [plain.step(action) for action in (1, 0)]  # "b a", which fills the turn
    _, reward, _, _, info = env.step("b a")
    assert info["ref_log_prob"] == pytest.approx(sum(s[4]["ref_log_prob"] for s in steps))
    assert reward == pytest.approx(0.5 * info["ref_log_prob"])


def test_as_tokens_what_stands_behind_the_end_counts_for_nothing() -> None:
    env = MessageAction(gym.make(SAY_A), form="tokens")
    assert env.action_space == gym.spaces.MultiDiscrete([3, 3, 3])
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(np.array([0, 2, 1]))
    assert terminated and info["message_ids"] == (A, EOS) and reward == pytest.approx(0.9)


def test_an_algorithm_for_whole_responses_learns_to_say_a() -> None:
    """A bandit of 27 arms for unmodified PPO; at random the mean is near a half."""

    def make() -> gym.Env:
        return MessageAction(OneHotObservation(gym.make(SAY_A)), form="tokens")

    agent = stable_baselines3.PPO(
        "MlpPolicy", make(), n_steps=64, batch_size=64, learning_rate=3e-3, seed=0, device="cpu"
    )
    agent.learn(1_024)
    env, rewards = make(), []
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        rewards.append(env.step(agent.predict(observation, deterministic=True)[0])[1])
    assert np.mean(rewards) == pytest.approx(0.9)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_text_goes_in_and_text_comes_out(tiny_model_folder: Path, tiny_reward_folder: Path) -> None:
    env = MessageAction(TextObservation(gym.make("RLHF-Summarize-v0", **models(locals()))))
    check_env(env)
    prompt, _ = env.reset(seed=0)
    text, _, terminated, _, info = env.step("my friend said that")
    # A space is put between a prompt that ends in none and a message that begins with none.
    assert text == f"{prompt} my friend said that" and info["response"] == " my friend said that"
    assert terminated and info["finish_reason"] == "eos"


def models(folders: dict[str, Any]) -> dict[str, Any]:
    return {
        "reference_model": str(folders["tiny_model_folder"]),
        "reward_model": str(folders["tiny_reward_folder"]),
        "max_prompt_tokens": 60,
        "max_new_tokens": 24,
        "device": "cpu",
    }


def test_a_whole_reply_may_be_one_token() -> None:
    env = MessageAction(gym.make("PromptBandit-v0"))
    env.reset(seed=0)
    core = env.unwrapped
    replies = [core.tokenizer.decode([token]) for token in core.action_tokens]
    for index, reply in enumerate(replies):
        env.reset(seed=0)
        assert env.step(reply)[4]["message_ids"] == (int(core.action_tokens[index]),)


def test_rows_side_by_side() -> None:
    envs = gym.make_vec(
        SAY_A, num_envs=2, vectorization_mode="sync", wrappers=[TextObservation, MessageAction]
    )
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space
    _, rewards, terminated, _, _ = envs.step(("a", "b b"))
    np.testing.assert_allclose(rewards, [0.9, -0.2])
    assert terminated.all()


def test_what_is_refused_changes_nothing() -> None:
    env = MessageAction(gym.make(SAY_A, min_new_tokens=2))
    with pytest.raises(gym.error.ResetNeeded):
        env.reset(seed=0)
        env.step("a b b")
        env.step("a")
    observation, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match="expected symbols among .*, got 'word'"):
        env.step("a word")
    with pytest.raises(ValueError, match=r"tokens \[0\] of 'a p' are no actions"):
        env.step("a p")
    with pytest.raises(ValueError, match="expected a text, got 3"):
        env.step(3)
    with pytest.raises(ValueError, match="action 2 is masked"):
        env.step("a")  # the end comes too early
    np.testing.assert_array_equal(env.unwrapped.get_state().ids[0], observation)
    assert env.step("a b")[4]["response"] == "a b"
    tokens = MessageAction(gym.make(SAY_A), form="tokens")
    tokens.reset(seed=0)
    with pytest.raises(ValueError, match=r"expected \(3,\) integers, got \[0, 1\]"):
        tokens.step([0, 1])


@pytest.mark.parametrize("refused", ["c", "c > c", "c c c d e", "> c c c"])
def test_wrappers_inside_see_nothing_of_what_is_refused(refused: str, tmp_path: Path) -> None:
    """Four tokens close a turn here, ">" may not come first or third."""

    def make(file: str) -> Any:
        inner = gym.make("Probe-Constant-v0", action_mask=f"{__name__}:no_sign_at_even_places")
        return MessageAction(RecordEpisodes(PotentialShaping(inner, word_count), tmp_path / file))

    told, plain = make("told.jsonl"), make("plain.jsonl")
    told.reset(seed=0)
    plain.reset(seed=0)
    if len(refused.split()) < 5:
        with pytest.raises(ValueError, match="leaves its turn open|is masked"):
            told.step(refused)
        results = told.step("c c d c"), plain.step("c c d c")
    else:  # what stands behind the cap is not looked at
        results = told.step(refused), plain.step("c c c d")
    assert results[0][1] == results[1][1] == pytest.approx(0.75)  # sums of differences vanish
    assert results[0][4] == results[1][4]
    lines = [(tmp_path / name).read_text("utf-8") for name in ("told.jsonl", "plain.jsonl")]
    assert lines[0] == lines[1] and len(json.loads(lines[0])["actions"]) == 4


def no_sign_at_even_places(
    ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
) -> np.ndarray:
    """Forbid action 0 at the first and third place of a response."""
    allowed = np.ones((len(ids), 6), dtype=bool)
    allowed[(lengths - prompt_lengths) % 2 == 0, 0] = False
    return allowed


def word_count(episodes: Any) -> list[float]:
    return [float(len(episode.response.split())) for episode in episodes]


def test_a_refused_turn_asks_nobody_and_leaves_what_was_said() -> None:
    """In the second turn: the first one and its answer stay as they are."""
    env = MessageAction(gym.make(TWO_TURNS), form="tokens")
    env.reset(seed=0)
    end = int(np.flatnonzero(env.unwrapped.action_tokens == 6)[0])
    env.step(np.array([0, end]))
    before = env.unwrapped.get_state()
    with pytest.raises(ValueError, match=r"action must lie in \[0, .*got -1 in row 0"):
        env.step(np.array([0, -1]))
    after = env.unwrapped.get_state()
    for name in ("ids", "lengths", "num_actions", "turn_starts", "rewards"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert env.step(np.array([1, end]))[4]["finish_reason"] == "solved"


FAULTS: list[Any] = []


def faulty_score(episodes: Any) -> list[float]:
    """Give what `FAULTS` holds, or raise it, one for each call; 1 when there is nothing left."""
    fault = FAULTS.pop(0) if FAULTS else 1.0
    if isinstance(fault, BaseException):
        raise fault
    return [fault for _ in episodes]


@pytest.mark.parametrize("fault", [float("nan"), float("inf"), OSError("down"), KeyboardInterrupt])
@pytest.mark.parametrize("inner", [None, TextObservation, OneHotObservation])
def test_after_an_error_of_the_reward_a_message_may_be_tried_again(inner: Any, fault: Any) -> None:
    """Paid, told and recorded as if there had been no error, and the next prompt is the same."""
    FAULTS.clear()
    kwargs: Any = {"reward": f"{__name__}:faulty_score", "kl_coef": 0.3}
    faulty = gym.make("Probe-Copy-v0", **kwargs)
    plain = MessageAction(gym.make("Probe-Copy-v0", **kwargs))
    env = MessageAction(faulty if inner is None else inner(faulty))
    env.reset(seed=4)
    plain.reset(seed=4)
    before = env.unwrapped.get_state()
    FAULTS.append(fault() if isinstance(fault, type) else fault)
    with pytest.raises((ValueError, OSError, KeyboardInterrupt)):
        env.step("a b c")
    after = env.unwrapped.get_state()
    for name in ("ids", "lengths", "num_actions", "turn_starts", "rewards", "ended"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert not FAULTS
    assert env.step("a b c")[1:] == plain.step("a b c")[1:]
    assert env.reset()[1] == plain.reset()[1]


def test_wrappers_inside_that_remember_need_a_reset_after_an_error(tmp_path: Path) -> None:
    """Else a recording would hold the tokens twice, and a potential be of another text."""
    file = tmp_path / "told.jsonl"
    inner = gym.make("Probe-Constant-v0", reward=f"{__name__}:faulty_score", kl_coef=0.0)
    env = MessageAction(RecordEpisodes(PotentialShaping(inner, word_count), file))
    env.reset(seed=0)
    FAULTS[:] = [float("nan")]
    with pytest.raises(ValueError, match="gave nan"):
        env.step("c c d c")
    for _ in range(2):
        with pytest.raises(gym.error.ResetNeeded, match="an error came while the last message"):
            env.step("c c d c")
    env.reset(seed=0)
    assert env.step("d d d c")[1] == pytest.approx(1.0)  # sums of differences vanish
    (line,) = file.read_text("utf-8").splitlines()
    assert json.loads(line)["actions"] == [4, 4, 4, 3]


def test_half_a_message_is_no_episode() -> None:
    """An error before the last token, in a wrapper inside: the core itself would go on."""
    calls = []

    def raises_once(episodes: Any) -> list[float]:
        calls.append(len(episodes))
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return word_count(episodes)

    env = MessageAction(PotentialShaping(gym.make("Probe-Constant-v0"), raises_once))
    env.reset(seed=0)
    with pytest.raises(RuntimeError, match="out of memory"):
        env.step("c c c c")
    assert not env.unwrapped.get_state().ended[0]
    with pytest.raises(gym.error.ResetNeeded):
        env.step("c c c c")
    env.reset(seed=0)
    assert env.step("c c c c")[1] == pytest.approx(1.0)


def test_a_turn_that_nothing_can_close() -> None:
    env = MessageAction(gym.make("Probe-Constant-v0"))
    core = env.unwrapped
    assert not set(core.eos_ids) & set(core.action_tokens.tolist())
    env.reset(seed=0)
    word = core.tokenizer.decode([int(core.action_tokens[0])])
    with pytest.raises(ValueError, match=f"1 tokens leaves its turn open.*{core.max_new_tokens}"):
        env.step(word)
    assert env.step(" ".join([word] * core.max_new_tokens))[2]


def test_what_cannot_be_wrapped() -> None:
    with pytest.raises(ValueError, match="expected a single text environment"):
        MessageAction(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match=r"form must be one of \('text', 'tokens'\), got 'ids'"):
        MessageAction(gym.make(SAY_A), form="ids")


def test_tags_are_messages() -> None:
    env = MessageAction(gym.make("RLHF-NER-v0", device="cpu"))
    core = env.unwrapped
    env.reset(seed=0)
    tags = [core.tokenizer.decode([token]) for token in core.action_tokens]
    assert env.step(tags[1])[4]["message_ids"] == (int(core.action_tokens[1]),)
