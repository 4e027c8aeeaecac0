"""Episodes per second of training: our PPO against TRL's RLOO.

One batch is a rollout of about 128 episodes, two to each prompt, its rewards (reward model and
reference), and four epochs of four optimiser steps. Both train the bundled model on the same posts
with the same reward function and the same KL weight, in float32, with equally many optimiser steps
per batch. PPO also trains a value head on the same model. Beside it: PPO with a prompt of its own
for each response, which RLOO cannot do, and which has nothing to share. TRL comes with the optional
`benchmarks` extra; without it there is nothing to compare with, and the benchmark says so.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.callbacks import BaseCallback

import textgym.agents
from benchmarks.end_to_end_trl import RLOOContender, RLOOWork, is_installed
from benchmarks.report import CLOCKS, parse_arguments, print_table, write_json
from benchmarks.rollout_models import ENV_ID

# Each row ends a batch with a segment that is cut, whose prompt is read again in the next: few rows
# and many steps, where prompts are not shared.
NUM_ROWS, NUM_ROWS_OF_PAIRS = 16, 32
WORK = RLOOWork(num_episodes=128, num_epochs=4, num_minibatches=4)
QUICK_WORK = RLOOWork(num_episodes=64, num_epochs=4, num_minibatches=4)
PAIRS, SINGLES, TRL = "PPO", "PPO, a prompt each", "TRL RLOO"
SKIPPED = "TRL is not installed (pip install 'textgym[benchmarks]'): skipped, nothing was measured"


class Counter(BaseCallback):
    """Counts episodes that ended and batches that were trained on.

    Attributes:
        num_episodes: Episodes that ended.
        num_batches: Rollouts.
        num_transitions: Tokens that were trained on.
    """

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__()
        self.num_episodes = self.num_batches = self.num_transitions = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer: Any = self.locals["rollout_buffer"]
        # A row that waits for the other of its pair ends nothing.
        self.num_episodes += int((buffer.is_end & buffer.is_valid).sum())
        self.num_transitions += buffer.n_transitions
        self.num_batches += 1


class PPOContender:
    """Our PPO with as many episodes and optimiser steps per batch as `work` says."""

    def __init__(self, env: Any, work: RLOOWork, num_rows: int, device: str) -> None:
        """Measure how often episodes end, so that a rollout holds `num_episodes` of them.

        Args:
            env: The (wrapped) vector environment.
            work: Sizes of one batch.
            num_rows: Its rows.
            device: Where models run.
        """
        self.env, self._work, self._num_rows, self._device = env, work, num_rows, device
        warm_up = 2 * env.unwrapped.max_new_tokens
        self.agent = self._agent(warm_up, batch_size=warm_up * num_rows)
        self._learn(1)  # the rows begin together; in the next rollout they no longer do
        found = self._learn(1)
        share = work.num_episodes / max(1, found.num_episodes)
        self.n_steps = max(1, round(warm_up * share))
        batch_size = max(1, round(found.num_transitions * share / work.num_minibatches))
        self.agent = self._agent(self.n_steps, batch_size)

    def run(self, num_batches: int, clock: Callable[[], float]) -> tuple[Counter, float, int]:
        """Train on some batches; returns what was counted, the seconds and the optimiser steps."""
        before, start = self.num_optimizer_steps, clock()
        counter = self._learn(num_batches)
        return counter, clock() - start, self.num_optimizer_steps - before

    @property
    def num_optimizer_steps(self) -> int:
        """Steps that the optimiser took so far."""
        state = self.agent.policy.optimizer.state
        return int(next(iter(state.values()))["step"]) if state else 0

    def _learn(self, num_batches: int) -> Counter:
        counter = Counter()
        self.agent.learn(
            num_batches * self.agent.n_steps * self._num_rows,
            callback=counter,
            reset_num_timesteps=False,
        )
        return counter

    def _agent(self, n_steps: int, batch_size: int) -> Any:
        return textgym.agents.PPO(
            "TransformerPolicy",
            self.env,
            learning_rate=1e-6,
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=self._work.num_epochs,
            device=self._device,
            seed=0,
            policy_kwargs={"value": "shared"},
        )


def measure(
    ours: dict[str, PPOContender],
    theirs: RLOOContender,
    work: RLOOWork,
    num_batches: int,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[dict[str, float]]]:
    """Let all train in turn, after one unmeasured round; figures of each round by contender."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in (*ours, TRL)}
    for _ in range(repeats + 1):
        for name, contender in ours.items():
            # What one has left behind is not cleared away in another's time.
            gc.collect()
            counter, seconds, steps = contender.run(num_batches, clock)
            rounds[name].append(
                {
                    "episodes_per_second": counter.num_episodes / seconds,
                    "episodes_per_batch": counter.num_episodes / counter.num_batches,
                    "steps_per_batch": steps / counter.num_batches,
                }
            )
        gc.collect()
        seconds = theirs.seconds_of(num_batches, clock)
        rounds[TRL].append(
            {
                "episodes_per_second": num_batches * work.num_episodes / seconds,
                "episodes_per_batch": float(work.num_episodes),
                "steps_per_batch": float(work.num_steps),
            }
        )
    return {name: found[1:] for name, found in rounds.items()}


def ratio_of(rounds: dict[str, list[dict[str, float]]], contender: str) -> float:
    """Return the median over rounds of a contender's episodes per second over RLOO's."""
    name = "episodes_per_second"
    pairs = zip(rounds[contender], rounds[TRL], strict=True)
    return median(ours[name] / theirs[name] for ours, theirs in pairs)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    args = parse_arguments(__doc__ or "", argv, repeats=(3, 1))
    if not is_installed():
        print(SKIPPED)
        write_json(args.json, "end_to_end", {}, {"skipped": SKIPPED})
        return 0
    torch.manual_seed(0)
    work, num_batches = (QUICK_WORK, 1) if args.quick else (WORK, 2)
    shapes = {PAIRS: (NUM_ROWS_OF_PAIRS, work.num_generations), SINGLES: (NUM_ROWS, 1)}
    envs: dict[str, Any] = {
        name: gym.make_vec(ENV_ID, num_envs=rows, group_size=size, device=args.device)
        for name, (rows, size) in shapes.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        ours = {n: PPOContender(env, work, env.num_envs, args.device) for n, env in envs.items()}
        theirs = RLOOContender(envs[SINGLES].unwrapped, work, Path(folder))
        rounds = measure(ours, theirs, work, num_batches, args.repeats, CLOCKS[args.clock])
    ratios = {
        "ppo_over_trl_rloo": ratio_of(rounds, PAIRS),
        "ppo_a_prompt_each_over_trl_rloo": ratio_of(rounds, SINGLES),
    }
    columns = ("episodes_per_second", "episodes_per_batch", "steps_per_batch")
    print_table(
        f"{ENV_ID}, batches of {work.num_episodes} episodes, {work.num_epochs} epochs, median",
        ("contender", "episodes per second", "episodes per batch", "optimiser steps per batch"),
        [(n, *(median(r[c] for r in found) for c in columns)) for n, found in rounds.items()],
    )
    print_table("ratios, median over rounds", ("ratio", "value"), list(ratios.items()))
    write_json(args.json, "end_to_end", ratios, {"clock": args.clock, "rounds": rounds})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
