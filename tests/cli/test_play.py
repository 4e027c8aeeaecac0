"""A person's response, token by token; the list of environments."""

from __future__ import annotations

import io
import math
import re

import gymnasium as gym
import pytest

import textgym  # noqa: F401  (registers the environments)
from tests import two_turns
from textgym.cli.main import main
from textgym.cli.play import play_response
from textgym.envs_registry.exact_kl import ExactKLTables
from textgym.envs_registry.specs import ENVIRONMENTS

PROBE = "Probe-ExactKL-v0"
A, B, EOS = 1, 2, 5


def log_prob(tables, state, token):
    logits = tables.reference_logits((0, *state))
    return float(logits[token] - math.log(sum(math.exp(x) for x in logits)))


def test_a_typed_response_is_paid_token_by_token():
    env = gym.make(PROBE)
    env.reset(seed=0)
    tokens, end = play_response(env, "a b")
    tables = ExactKLTables(0)
    expected = [
        log_prob(tables, (), A),
        log_prob(tables, (A,), B),
        log_prob(tables, (A, B), EOS),
    ]
    assert [token.ref_log_prob for token in tokens] == pytest.approx(expected)
    rewards = [0.1 * value for value in expected]
    rewards[-1] += tables.scores[A, B, EOS]
    assert [token.reward for token in tokens] == pytest.approx(rewards, abs=1e-6)
    assert "".join(token.piece for token in tokens) == "a b <eos>"
    assert end["finish_reason"] == "eos"


def test_a_response_ends_at_the_cap():
    env = gym.make(PROBE)
    env.reset(seed=0)
    tokens, end = play_response(env, "a b a b a b")
    assert len(tokens) == 4
    assert end["finish_reason"] == "length"


def test_a_token_that_is_no_action_is_named():
    env = gym.make(PROBE, action_tokens="1-3,5")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="'d' .token 4. is no action"):
        play_response(env, "d")


def test_lines_from_a_pipe_are_answers(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("a b\nc\n"))
    assert main(["play", PROBE, "--prompt-id", "0"]) == 0
    text = capsys.readouterr().out
    assert text.count("<bos>") == 3
    assert len(re.findall(r"score -?\d+\.\d{3}", text)) == 2
    assert "3 tokens  ended by eos" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Probe-ExactKl-v0"], "unknown environment .*did you mean 'Probe-ExactKL-v0'"),
        ([PROBE, "--env-kwarg", "table_sed=3"], "did you mean 'table_seed'"),
        ([PROBE, "--env-kwarg", "table_seed=x"], "table_seed: expected INT, got 'x'"),
        ([PROBE, "--env-kwarg", "kl_coef=-1"], "kl_coef.*-1"),
        ([PROBE, "--env-kwarg", "kl_coef"], "expected name=value, got 'kl_coef'"),
        (
            ["RLHF-MultiObjective-v0", "--env-kwarg", "vector_reward=True"],
            "expected an environment that pays one number a step",
        ),
        ([PROBE, "--prompt-id", "9"], "prompt_id must be an integer in .0, 1., got 9"),
    ],
)
def test_bad_input_is_one_line(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["play", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_a_word_that_is_no_symbol_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("zebra\n"))
    assert main(["play", PROBE]) == 2
    assert "'zebra'" in capsys.readouterr().err


def test_envs_lists_every_environment(capsys):
    assert main(["envs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ENVIRONMENTS)
    for row, line in zip(ENVIRONMENTS, lines, strict=True):
        assert line.split()[0] == row.id
        assert row.summary in line


def test_envs_verbose_lists_the_arguments(capsys):
    assert main(["envs", "--verbose"]) == 0
    text = capsys.readouterr().out
    assert "table_seed=INT" in text
    assert "[default: 0.05]" in text


def test_a_conversation_is_played_turn_by_turn(monkeypatch, capsys):
    two_turns.register()
    monkeypatch.setattr("sys.stdin", io.StringIO("a b a\nb\n\n"))
    assert main(["play", two_turns.ENV_ID, "--prompt-id", "0", "--seed", "0"]) == 0
    shown = capsys.readouterr().out
    # The cap of two tokens ends the first turn; what was typed behind it is not written.
    assert "your response> x\nyour response>" in shown
    assert "4 tokens  ended by solved" in shown and "score 0.600" in shown


def test_a_conversation_may_be_left(monkeypatch, capsys):
    two_turns.register()
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n\n"))
    assert main(["play", two_turns.ENV_ID, "--seed", "0"]) == 0
    assert "score" not in capsys.readouterr().out
    env = gym.make(two_turns.ENV_ID)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="a response that ends the episode, got 'a'"):
        play_response(env, "a")
