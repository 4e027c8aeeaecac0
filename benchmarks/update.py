"""Update speed: one PPO epoch over packed segments against one forward per time step.

Stable-Baselines3's own PPO, unmodified, holds every time step as an observation of its own and so
runs the model over each prefix; the same policy class with the same weights evaluates it. Ours
packs segments and runs the model once over each. Both get the same transitions: prompts of 64
tokens, responses of 48, the same minibatch size and so the same number of optimiser steps.

Before timing, both take one full-batch step from the same data with weights that have moved since
the data were played: losses and the weights afterwards must agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger

import textgym.agents
from benchmarks.report import (
    CLOCKS,
    median_ratio,
    paired_rates,
    parse_arguments,
    print_table,
    write_json,
)
from textgym.agents.policies import TransformerPolicy
from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer
from textgym.agents.rollouts.vec_env_adapter import as_vec_env

ENV_ID = "RLHF-Summarize-v0"
PROMPT_TOKENS, RESPONSE_TOKENS = 64, 48
LOSSES = ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction")
TOLERANCE = 1e-4
# How far the weights move between playing and the compared step, relative to their size.
DRIFT = 0.02


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """One rollout in which every row plays exactly one episode.

    Attributes:
        ids: (N, P + T) int64, prompts and responses without an end token.
        rewards: (T, N) float32.
        empty_id: Marker of empty cells.
        prompt_tokens: P.
    """

    ids: np.ndarray
    rewards: np.ndarray
    empty_id: int
    prompt_tokens: int

    @classmethod
    def drawn(
        cls, num_rows: int, vocab_size: int, prompt_tokens: int, response_tokens: int
    ) -> Transitions:
        """Draw ids and rewards; what the tokens are does not matter to the work."""
        rng = np.random.default_rng(0)
        ids = rng.integers(10, vocab_size, (num_rows, prompt_tokens + response_tokens))
        rewards = rng.normal(size=(response_tokens, num_rows)).astype(np.float32)
        return cls(ids=ids, rewards=rewards, empty_id=vocab_size, prompt_tokens=prompt_tokens)

    def observation(self, step: int, width: int) -> np.ndarray:
        """Return the (N, width) observation that step `step` acts on."""
        obs = np.full((len(self.ids), width), self.empty_id, dtype=np.int64)
        filled = self.prompt_tokens + step
        obs[:, :filled] = self.ids[:, :filled]
        return obs


class Contenders:
    """Our PPO and SB3's with the same weights and the same rollout in their buffers."""

    def __init__(
        self,
        num_rows: int,
        device: str,
        *,
        batch_size: int,
        env_id: str = ENV_ID,
        model: str | None = None,
        prompt_tokens: int = PROMPT_TOKENS,
        response_tokens: int = RESPONSE_TOKENS,
    ) -> None:
        """Build both and fill their buffers; `model` None is the environment's reference."""
        sizes = {"max_prompt_tokens": prompt_tokens, "max_new_tokens": response_tokens}
        env = gym.make_vec(env_id, num_envs=num_rows, device=device, **sizes)
        core: Any = env.unwrapped
        arguments: dict[str, Any] = {
            "env": as_vec_env(env),
            "n_steps": response_tokens,
            "batch_size": batch_size,
            "n_epochs": 1,
            "learning_rate": 1e-4,
            "gamma": 1.0,
            "gae_lambda": 0.95,
            "vf_coef": 0.1,
            "max_grad_norm": 1.0,
            "seed": 0,
            "device": device,
            "policy_kwargs": {"model": model or core.config.reference_model, "value": "shared"},
        }
        self.ours = textgym.agents.PPO("TransformerPolicy", **arguments)
        self.stock = stable_baselines3.PPO(TransformerPolicy, **arguments)
        for agent in (self.ours, self.stock):
            agent.set_logger(Logger(folder=None, output_formats=[]))
        self.share_weights()
        self.rollout = Transitions.drawn(num_rows, core.vocab_size, prompt_tokens, response_tokens)
        self._fill()

    def share_weights(self) -> None:
        """Give the stock agent our weights."""
        self.stock.policy.load_state_dict(self.ours.policy.state_dict())

    def move_weights(self) -> None:
        """Move all weights a little, the same way for both, so that ratios leave 1."""
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.ours.policy.parameters():
                noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
                parameter += DRIFT * noise * (parameter.abs().mean() + 1e-3)
        self.share_weights()

    def _fill(self) -> None:
        rollout, buffer = self.rollout, self.ours.rollout_buffer
        num_steps, num_rows = rollout.rewards.shape
        zeros, is_start = np.zeros(num_rows, np.float32), np.ones(num_rows, bool)
        buffer.reset()
        for step in range(num_steps):
            buffer.add(
                rollout.observation(step, buffer.width),
                rollout.ids[:, rollout.prompt_tokens + step],
                rollout.rewards[step],
                is_start if step == 0 else ~is_start,
                zeros,
                zeros,
                dones=is_start if step == num_steps - 1 else ~is_start,
                prompt_lengths=np.full(num_rows, rollout.prompt_tokens),
            )
        self._evaluate(buffer)
        buffer.compute_returns_and_advantage(zeros, is_start)
        self._fill_stock(buffer)

    def _evaluate(self, buffer: SequenceRolloutBuffer) -> None:
        """Put the policy's own log-probs and values into our buffer."""
        everything = np.arange(len(buffer.segments))
        batch = buffer.pack(everything)
        with torch.no_grad():
            values, log_probs, _ = self.ours.policy.evaluate_actions(
                batch.observations, batch.actions
            )
        buffer.overwrite(everything, log_probs=log_probs.cpu().numpy(), values=values.cpu().numpy())

    def _fill_stock(self, ours: SequenceRolloutBuffer) -> None:
        rollout, buffer = self.rollout, self.stock.rollout_buffer
        assert isinstance(buffer, RolloutBuffer)
        num_steps, num_rows = rollout.rewards.shape
        buffer.reset()
        for step in range(num_steps):
            buffer.add(
                rollout.observation(step, ours.width),
                ours.actions[:, step],
                ours.rewards[:, step],
                np.full(num_rows, step == 0),
                torch.as_tensor(ours.step_values[:, step]),
                torch.as_tensor(ours.log_probs[:, step]),
            )
        buffer.compute_returns_and_advantage(torch.zeros(num_rows), np.ones(num_rows, bool))

    def epochs(self, agent: Any, count: int) -> Callable[[], int]:
        """Return `count` epochs of `agent` as a piece of work that gives its transitions."""

        def work() -> int:
            for _ in range(count):
                agent.train()
            return count * self.rollout.rewards.size

        return work

    def compared_step(self) -> dict[str, dict[str, float]]:
        """Let both take one full-batch step from moved weights.

        Returns:
            "ours", "stock" and "difference": loss to number; "difference" also has "weights", the
            largest difference of a weight after the step.
        """
        self.move_weights()
        found: dict[str, dict[str, float]] = {}
        for name, agent in (("ours", self.ours), ("stock", self.stock)):
            agent.batch_size = self.rollout.rewards.size
            agent.train()
            logged = agent.logger.name_to_value
            found[name] = {loss: float(logged[f"train/{loss}"]) for loss in LOSSES}
        difference = {loss: abs(found["ours"][loss] - found["stock"][loss]) for loss in LOSSES}
        pairs = zip(self.ours.policy.parameters(), self.stock.policy.parameters(), strict=True)
        difference["weights"] = max(float((a - b).detach().abs().max()) for a, b in pairs)
        return {**found, "difference": difference}


def require_equal(compared: dict[str, dict[str, float]]) -> None:
    """Raise ValueError unless the losses agree to `TOLERANCE`."""
    for loss in LOSSES:
        if not compared["difference"][loss] <= TOLERANCE:
            raise ValueError(
                f"{loss} must agree to {TOLERANCE}, got {compared['ours'][loss]!r} over segments "
                f"and {compared['stock'][loss]!r} per time step"
            )


def main() -> None:
    """Compare losses, measure, print the tables, write the JSON."""
    args = parse_arguments(__doc__ or "", repeats=(3, 2))
    started = time.perf_counter()
    compared = Contenders(4, args.device, batch_size=192).compared_step()
    num_rows, batch_size = (8, 192) if args.quick else (16, 384)
    both = Contenders(num_rows, args.device, batch_size=batch_size)
    names = "over segments", "per time step (stock SB3)"
    rates = paired_rates(
        # One epoch of ours is too short beside one of the other's for a noisy clock.
        {names[0]: both.epochs(both.ours, 10), names[1]: both.epochs(both.stock, 1)},
        args.repeats,
        CLOCKS[args.clock],
    )
    ratios = {"update_over_per_step": median_ratio(rates, *names)}
    print_table(
        "the same full-batch step",
        ("number", "over segments", "per time step", "difference"),
        [
            (n, compared["ours"][n], compared["stock"][n], f"{compared['difference'][n]:.1e}")
            for n in LOSSES
        ]
        + [("largest difference of a weight", "", "", f"{compared['difference']['weights']:.1e}")],
    )
    print_table(
        f"one PPO epoch, {num_rows} episodes of {PROMPT_TOKENS} + {RESPONSE_TOKENS} tokens, "
        f"minibatches of {batch_size}: transitions per second",
        ("contender", "median", "slowest", "fastest"),
        [(n, float(np.median(r)), min(r), max(r)) for n, r in rates.items()],
    )
    print_table("ratios, median over rounds", ("ratio", "value"), list(ratios.items()))
    details = {
        "transitions_per_second": rates,
        "losses": compared,
        "rows": num_rows,
        "batch_size": batch_size,
        "seconds": time.perf_counter() - started,
    }
    write_json(args.json, "update", ratios, details)
    require_equal(compared)


if __name__ == "__main__":
    main()
