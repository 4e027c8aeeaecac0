"""Episodes per second of training: our PPO against TRL's RLOO.

One batch is a rollout of about 128 episodes, its rewards (reward model and reference), and four
epochs of four optimiser steps. Both train the bundled model on the same posts with the same reward
function and the same KL weight, in float32, with equally many optimiser steps per batch. PPO also
trains a value head on the same model; RLOO samples two responses to each prompt. TRL comes with the
optional `benchmarks` extra; without it there is nothing to compare with, and the benchmark says so.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.callbacks import BaseCallback

import textgym.agents
from benchmarks.end_to_end_trl import RLOOContender, RLOOWork, is_installed
from benchmarks.report import CLOCKS, parse_arguments, print_table, write_json
from benchmarks.rollout_models import ENV_ID

# Few rows and many steps: each row ends a batch with a segment that is cut, whose prompt is read
# again in the next.
NUM_ROWS = 16
WORK = RLOOWork(num_episodes=128, num_epochs=4, num_minibatches=4)
QUICK_WORK = RLOOWork(num_episodes=64, num_epochs=4, num_minibatches=4)
SKIPPED = "TRL is not installed (pip install 'textgym[benchmarks]'): skipped, nothing was measured"


class Counter(BaseCallback):
    """Counts episodes that ended and batches that were trained on.

    Attributes:
        num_episodes: Episodes that ended.
        num_batches: Rollouts.
    """

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__()
        self.num_episodes = self.num_batches = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer: Any = self.locals["rollout_buffer"]
        self.num_episodes += int(buffer.is_end.sum())
        self.num_batches += 1


class PPOContender:
    """Our PPO with as many episodes and optimiser steps per batch as `work` says."""

    def __init__(self, env: Any, work: RLOOWork, num_rows: int, device: str) -> None:
        """Measure how long responses are, so that a rollout holds `num_episodes` of them.

        Args:
            env: The (wrapped) vector environment.
            work: Sizes of one batch.
            num_rows: Its rows.
            device: Where models run.
        """
        self.env, self._work, self._num_rows, self._device = env, work, num_rows, device
        self.agent = self._agent(n_steps=2 * env.unwrapped.max_new_tokens)
        self._learn(1)
        mean_length = mean(episode["l"] for episode in self.agent.ep_info_buffer)
        self.n_steps = max(1, round(mean_length * work.num_episodes / num_rows))
        self.agent = self._agent(self.n_steps)

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

    def _agent(self, n_steps: int) -> Any:
        return textgym.agents.PPO(
            "TransformerPolicy",
            self.env,
            learning_rate=1e-6,
            n_steps=n_steps,
            batch_size=n_steps * self._num_rows // self._work.num_minibatches,
            n_epochs=self._work.num_epochs,
            device=self._device,
            seed=0,
            policy_kwargs={"value": "shared"},
        )


def measure(
    ours: PPOContender,
    theirs: RLOOContender,
    work: RLOOWork,
    num_batches: int,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[dict[str, float]]]:
    """Let both train in turn, after one unmeasured round; figures of each round by contender."""
    rounds: dict[str, list[dict[str, float]]] = {"PPO": [], "TRL RLOO": []}
    for index in range(repeats + 1):
        # What one has left behind is not cleared away in the other's time.
        gc.collect()
        counter, seconds, steps = ours.run(num_batches, clock)
        episodes = num_batches * work.num_episodes
        gc.collect()
        other = theirs.seconds_of(num_batches, clock)
        if not index:
            continue
        rounds["PPO"].append(
            {
                "episodes_per_second": counter.num_episodes / seconds,
                "episodes_per_batch": counter.num_episodes / counter.num_batches,
                "steps_per_batch": steps / counter.num_batches,
            }
        )
        rounds["TRL RLOO"].append(
            {
                "episodes_per_second": episodes / other,
                "episodes_per_batch": float(work.num_episodes),
                "steps_per_batch": float(work.num_steps),
            }
        )
    return rounds


def ratio_of(rounds: dict[str, list[dict[str, float]]]) -> float:
    """Return the median over rounds of PPO's episodes per second over RLOO's."""
    name = "episodes_per_second"
    pairs = zip(rounds["PPO"], rounds["TRL RLOO"], strict=True)
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
    env: Any = gym.make_vec(ENV_ID, num_envs=NUM_ROWS, device=args.device)
    with tempfile.TemporaryDirectory() as folder:
        ours = PPOContender(env, work, NUM_ROWS, args.device)
        theirs = RLOOContender(env.unwrapped, work, Path(folder))
        rounds = measure(ours, theirs, work, num_batches, args.repeats, CLOCKS[args.clock])
    ratios = {"ppo_over_trl_rloo": ratio_of(rounds)}
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
