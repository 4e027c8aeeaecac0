"""Type the response yourself: see it token by token with its rewards, its score and its gold.

One line answers the prompt that is shown, then the next prompt follows. Where the environment
answers in the middle of an episode, one line is one turn. An empty line, or the end of the input,
stops. Rewards are what an agent would be paid: kl_coef times the log-probability
that the reference model gives the token, plus the score at the end.

Examples:
  textgym play RLHF-Summarize-v0
  textgym play RLHF-Summarize-v0 --prompt-id 7 --env-kwarg split=validation
  echo "my friend lied to me." | textgym play RLHF-Summarize-v0
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.cli.environment import add_env_arguments, env_kwargs, load_quietly
from textgym.env_parts import require_one_reward
from textgym.rendering import token_pieces
from textgym.types import Prompt


@dataclass(frozen=True, kw_only=True)
class PlayedToken:
    """One token of the response and what the environment paid for it."""

    piece: str
    reward: float
    ref_log_prob: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym play`."""
    add_env_arguments(parser, positional=True)
    parser.add_argument("--prompt-id", type=int, help="the first prompt; by default a random one")
    parser.add_argument("--seed", type=int, help="seeds the draw of prompts")


def run(args: argparse.Namespace) -> int:
    """Play until the input ends."""
    load_quietly()
    env = gym.make(args.env, **env_kwargs(args.env, args.env_kwarg))
    require_one_reward(env.unwrapped)
    options = None if args.prompt_id is None else {"prompt_id": args.prompt_id}
    _, info = env.reset(seed=args.seed, options=options)
    while True:
        sys.stdout.write(f"\n{info['prompt']}\n")
        text = _read_line("your response> ")
        if not text:
            break
        tokens, end, is_over = play_turn(env, text)
        while not is_over:
            sys.stdout.write(f"{last_reply(env)}\n")
            text = _read_line("your response> ")
            if not text:
                break
            more, end, is_over = play_turn(env, text)
            tokens += more
        if not is_over:
            break
        core: Any = env.unwrapped
        sys.stdout.write(report(tokens, end, core.task.prompts[end["prompt_id"]]))
        _, info = env.reset()
    env.close()
    return 0


def play_response(env: gym.Env, text: str) -> tuple[list[PlayedToken], dict[str, Any]]:
    """Write `text` and an end token into a fresh episode, until it ends.

    Returns:
        The tokens that were written, and the final info.

    Raises:
        ValueError: A token of the text is no action of the environment, or is masked, or the
            episode goes on.
    """
    tokens, info, is_over = play_turn(env, text)
    if not is_over:
        raise ValueError(f"expected a response that ends the episode, got {text!r}")
    return tokens, info


def last_reply(env: gym.Env) -> str:
    """Return what the environment said behind the last action, decoded."""
    core: Any = env.unwrapped
    state = core.get_state()
    start = int(np.flatnonzero(state.is_action[0])[-1]) + 1
    text: str = core.tokenizer.decode(state.ids[0, start : int(state.lengths[0])].tolist())
    return text.strip("\n")


def play_turn(env: gym.Env, text: str) -> tuple[list[PlayedToken], dict[str, Any], bool]:
    """Write `text` and an end token, until the environment answers or the episode ends.

    Returns:
        The tokens that were written, the last info, and whether the episode has ended.

    Raises:
        ValueError: A token of the text is no action of the environment, or is masked, or no turn
            ended.
    """
    core: Any = env.unwrapped
    ids = [*core.tokenizer.encode(" " + text.strip()), *core.eos_ids[:1]]
    action_of = {int(token): action for action, token in enumerate(core.action_tokens)}
    played = []
    info: dict[str, Any] = {}
    for token, piece in zip(ids, token_pieces(core.tokenizer, ids), strict=True):
        if token not in action_of:
            raise ValueError(f"{piece!r} (token {token}) is no action of this environment")
        _, reward, terminated, truncated, info = env.step(action_of[token])
        paid = PlayedToken(piece=piece, reward=float(reward), ref_log_prob=info.get("ref_log_prob"))
        played.append(paid)
        if terminated or truncated or _has_answered(core):
            return played, info, terminated or truncated
    raise ValueError(
        f"the response {text!r} has {len(ids)} tokens and did not end the episode; this "
        "environment has no end token, so write as many tokens as it wants"
    )


def _has_answered(core: Any) -> bool:
    state = core.get_state()
    return not state.is_action[0, int(state.lengths[0]) - 1]


def report(tokens: list[PlayedToken], end: dict[str, Any], prompt: Prompt) -> str:
    """Return the table of tokens and rewards, the scores, and what a human wrote."""
    lines = [f"  {'token':24} {'reward':>9} {'log pi_ref':>11}"]
    for token in tokens:
        log_prob = "" if token.ref_log_prob is None else f"{token.ref_log_prob:11.3f}"
        lines.append(f"  {token.piece!r:24} {token.reward:+9.4f} {log_prob}")
    lines.append(f"  {'sum':24} {sum(token.reward for token in tokens):+9.4f}")
    facts = [f"score {end['score']:.3f}"]
    if end.get("gold_score") is not None:
        facts.append(f"gold {end['gold_score']:.3f}")
    facts += [f"{len(tokens)} tokens", f"ended by {end['finish_reason']}"]
    terms = ", ".join(f"{name} {value:+.4f}" for name, value in end["reward_terms"].items())
    lines += ["  " + "  ".join(facts), f"  last reward = {terms}"]
    lines += [f"  a human wrote: {text}" for text in prompt.references[:1]]
    return "\n".join(lines) + "\n"


def _read_line(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        sys.stdout.write("\n")
        return ""
