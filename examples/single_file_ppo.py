"""PPO on a language model in one file: nothing hidden, to be read from top to bottom.

The environment is an ordinary Gymnasium vector environment; an action is one token. What differs
from PPO on a game:

1. Acting. `SlotDecoder` keeps the keys and values of all that was said so far for each row, so a
   step of the language model computes one token, not the whole text again.
2. Reward. The reward model scores the finished response, and straying from the reference model
   costs `kl_coef * (log pi - log pi_ref)` at each token. The environment knows pi_ref and pays its
   half, in one batch when asked to settle; only the agent knows pi: `kl_shaped` pays the other.
3. Learning. A causal model gives the states of all steps of a sequence in one forward, so the
   update runs it once per sequence, not once per time step.

    python examples/single_file_ppo.py --steps 200000

Shape letters: T steps of a rollout, N rows of the environment, L width of an observation, A
actions, S sequences, M tokens of a minibatch, D width of the hidden states.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import textgym  # noqa: F401  (registers the environments)
from textgym.agents import kl_shaped
from textgym.models.loading import copy_causal_lm
from textgym.models.sampling import action_logits, log_probs_of, sample
from textgym.models.slot_decoder import SlotDecoder

LINE = (
    "{tokens:9,} tokens  score {score:6.3f}  gold {gold:6.3f}  KL {kl:5.2f}  "
    "length {length:4.1f}  {speed:6,.0f} tokens/s  first |ratio - 1| {off:.0e}"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What can be set from the command line; as our PPO with value="shared"."""

    env_id: str = "RLHF-Summarize-v0"
    steps: int = 180_000  # tokens written in all, over all rows
    num_envs: int = 64
    n_steps: int = 0  # steps of each row between updates; 0 for twice the longest response
    learning_rate: float = 1e-3  # at the start; falls linearly to a tenth
    n_epochs: int = 2
    batch_size: int = 6144  # tokens of a minibatch, roughly
    gamma: float = 1.0  # the score is worth the same however long the response
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    vf_coef: float = 0.1
    max_grad_norm: float = 1.0
    seed: int = 0
    output: str = ""  # folder for the trained model, e.g. for `textgym evaluate`


class Agent(nn.Module):
    """The policy and its value function: one language model with two heads."""

    def __init__(self, envs: gym.vector.VectorEnv, seed: int) -> None:
        """Copy the environment's reference model, so that the KL starts at 0."""
        super().__init__()
        env = envs.unwrapped
        if env.mask_fn is not None:
            raise ValueError("expected an environment without action mask: it is left out here")
        self.language_model = copy_causal_lm(env.config.reference_model)
        self.device = self.language_model.device
        self.policy_head = self.language_model.get_output_embeddings()
        self.value_head = nn.Linear(self.policy_head.in_features, 1, device=self.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.temperature, self.empty = env.temperature, env.vocab_size
        self.action_tokens = torch.as_tensor(env.action_tokens, device=self.device)
        self.decoder = SlotDecoder(self.language_model, *envs.observation_space.shape)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.n_updates = 0  # tells the decoder that what it keeps is of older weights

    def heads(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read hidden states (M, D): logits of the actions (M, A) float32, and values (M,)."""
        scores = self.policy_head(hidden)
        logits = action_logits(scores, self.action_tokens, temperature=self.temperature)
        return logits, self.value_head(hidden).squeeze(1)

    @torch.no_grad()
    def act(self, obs: np.ndarray) -> list[np.ndarray]:
        """Read (N, L) observations; return actions, their log pi, and values, (N,) each."""
        lengths = (obs != self.empty).sum(axis=1)
        hidden = self.decoder.advance(obs, lengths, weights_version=self.n_updates)  # (N, D)
        logits, values = self.heads(hidden)
        actions = sample(logits, self.generator)
        return [x.cpu().numpy() for x in (actions, log_probs_of(logits, actions), values)]


@dataclass
class Rollout:
    """T steps of N rows."""

    obs: np.ndarray  # (T, N, L) what was acted on
    actions: np.ndarray  # (T, N), like all that follow
    log_probs: np.ndarray  # log pi(a|s) of the policy that acted
    values: np.ndarray
    is_end: np.ndarray
    rewards: np.ndarray  # both halves of the KL penalty included
    last_obs: np.ndarray  # (N, L) after the last step
    last_values: np.ndarray  # (N,) of these
    episodes: list[Any]  # those that ended: score, gold_score, episode


def play(envs: gym.vector.VectorEnv, agent: Agent, obs: np.ndarray, n_steps: int) -> Rollout:
    """Play `n_steps` on from `obs` in every row."""
    steps = []
    for _ in range(n_steps):
        actions, log_probs, values = agent.act(obs)
        next_obs, _, terminated, _, _ = envs.step(actions)  # nothing is ever truncated
        steps.append((obs, actions, log_probs, values, terminated))
        obs = next_obs  # in a row that ended, this is the next prompt
    env, columns = envs.unwrapped, list(map(np.stack, zip(*steps, strict=True)))
    rewards = kl_shaped(env.settle_rewards(), columns[2], env.kl_coef)
    return Rollout(*columns, rewards, obs, agent.act(obs)[2], env.settled_episodes)


def estimate_advantages(rollout: Rollout, config: Config) -> np.ndarray:
    """Return generalised advantage estimates, (T, N) float32."""
    advantages = np.zeros(rollout.rewards.shape, dtype=np.float32)
    next_values, advantage = rollout.last_values, 0.0
    for t in reversed(range(len(advantages))):
        goes_on = 1.0 - rollout.is_end[t]
        delta = rollout.rewards[t] + config.gamma * goes_on * next_values - rollout.values[t]
        advantage = delta + config.gamma * config.gae_lambda * goes_on * advantage
        advantages[t], next_values = advantage, rollout.values[t]
    return advantages


def minibatches(
    rollout: Rollout, advantages: np.ndarray, empty: int, n_batches: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, ...]]:
    """Deal the sequences of a rollout out in a new order; see `update` for what is yielded."""
    cuts = [{0, len(is_end), *(np.flatnonzero(is_end) + 1)} for is_end in rollout.is_end.T]
    pieces = [(row, *piece) for row, cut in enumerate(cuts) for piece in pairwise(sorted(cut))]
    for batch in np.array_split(rng.permutation(pieces), min(n_batches, len(pieces))):
        rows, first, stop = batch.T  # of each sequence: where it stands, from where to where
        # A sequence's last observation holds the earlier ones: each step wrote one token.
        ids = rollout.obs[stop - 1, rows]
        ends = (ids != empty).sum(axis=1)[:, None]
        cells = np.arange(ends.max())
        is_state = (ends - (stop - first)[:, None] <= cells) & (cells < ends)
        ids = np.where(ids == empty, 0, ids)[:, : len(cells)]
        steps = np.concatenate([np.arange(*span) for span in zip(first, stop, strict=True)])
        at = steps, np.repeat(rows, stop - first)
        returns = advantages[at] + rollout.values[at]
        yield ids, is_state, rollout.actions[at], rollout.log_probs[at], advantages[at], returns


def update(
    agent: Agent, optimizer: torch.optim.Optimizer, batch: tuple[np.ndarray, ...], config: Config
) -> float:
    """Take one step on a minibatch; return its largest |ratio - 1|."""
    # ids (S, L), padded on the right, where causal attention never looks; is_state (S, L), True at
    # the token that an action was taken after; the others (M,), in the order of these tokens.
    tensors = (torch.as_tensor(array, device=agent.device) for array in batch)
    ids, is_state, actions, old_log_probs, advantages, returns = tensors
    trunk = agent.language_model.base_model
    hidden = trunk(input_ids=ids, use_cache=False).last_hidden_state[is_state]  # (M, D)
    logits, values = agent.heads(hidden)
    ratio = (log_probs_of(logits, actions) - old_log_probs).exp()
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
    policy_loss = -torch.min(ratio * advantages, clipped * advantages).mean()
    value_loss = (returns - values).square().mean()
    optimizer.zero_grad()
    (policy_loss + config.vf_coef * value_loss).backward()
    nn.utils.clip_grad_norm_(agent.parameters(), config.max_grad_norm)
    optimizer.step()
    agent.n_updates += 1
    return (ratio - 1).abs().max().item()


def main(argv: list[str] | None = None) -> list[dict[str, float]]:
    """Train, print a line per iteration, and return the numbers of those lines."""
    parser = argparse.ArgumentParser(description="PPO on a language model in one file.")
    for field in fields(Config):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(field.default), default=field.default)
    config = Config(**vars(parser.parse_args(argv)))

    envs = gym.make_vec(config.env_id, config.num_envs, reward_timing="deferred")
    env, agent = envs.unwrapped, Agent(envs, config.seed)
    optimizer = torch.optim.Adam(agent.parameters(), lr=config.learning_rate, eps=1e-5)
    rng = np.random.default_rng(config.seed)
    n_steps = config.n_steps or 2 * env.max_new_tokens
    n_tokens = n_steps * config.num_envs
    n_batches = max(1, round(n_tokens / config.batch_size))
    history: list[dict[str, float]] = []
    obs, _ = envs.reset(seed=config.seed)
    for tokens in range(0, config.steps, n_tokens):
        started = time.perf_counter()
        rollout = play(envs, agent, obs, n_steps)
        obs = rollout.last_obs
        advantages = estimate_advantages(rollout, config)
        optimizer.param_groups[0]["lr"] = config.learning_rate * (1 - 0.9 * tokens / config.steps)
        differences = [
            update(agent, optimizer, batch, config)
            for _ in range(config.n_epochs)
            for batch in minibatches(rollout, advantages, agent.empty, n_batches, rng)
        ]
        scores = np.array([each.score for each in rollout.episodes])
        penalty = (scores.sum() - rollout.rewards.sum()) / len(scores)
        numbers = {
            "tokens": tokens + n_tokens,
            "score": scores.mean(),
            "gold": np.array([each.gold_score for each in rollout.episodes], float).mean(),
            "kl": penalty / env.kl_coef if env.kl_coef else np.nan,
            "length": np.mean([len(each.episode.response_ids) for each in rollout.episodes]),
            "speed": n_tokens / (time.perf_counter() - started),
            "off": differences[0],  # 0 but for rounding: acting and learning see the same policy
        }
        print(LINE.format(**numbers), flush=True)
        history.append(numbers)
    if config.output:
        agent.language_model.save_pretrained(config.output)
        env.tokenizer.save(config.output)
    return history


if __name__ == "__main__":
    main()
