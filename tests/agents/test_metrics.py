"""Every logged metric stands in the table of docs/algorithms.md, and nothing else does."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from stable_baselines3.common.logger import KVWriter, Logger, configure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import textgym  # noqa: F401  (registers the environments)
from textgym.agents import A2C, PPO, SampleCallback

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "algorithms.md").read_text("utf-8")
NAME = re.compile(r"`([a-z_]+/[a-z_]+)`")


def documented() -> set[str]:
    section = PAGE.split("\n## Metrics\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in NAME.findall(row.split(" | ")[0])}


class Keys(KVWriter):
    """Collects the names that any writer would be given."""

    def __init__(self) -> None:
        """Start empty."""
        self.seen: set[str] = set()

    def write(self, key_values: dict, key_excluded: dict, step: int = 0) -> None:
        self.seen |= set(key_values)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(scope="module")
def logged(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, set[str]]:
    """Return the names that each algorithm logs on a task with gold and deferred rewards."""
    found = {}
    algorithms: dict[str, tuple[Any, dict[str, Any]]] = {
        "PPO": (PPO, {"clip_range_vf": 0.2, "batch_size": 16}),
        "A2C": (A2C, {}),
    }
    for name, (algorithm, arguments) in algorithms.items():
        env = gym.make_vec(
            "RLHF-Summarize-v0",
            num_envs=4,
            reference_model=str(tiny_model_folder),
            reward_model=str(tiny_reward_folder),
            max_prompt_tokens=40,
            max_new_tokens=4,
            device="cpu",
            reward="0.5*model+0.5*teacher",
            teacher="skip_rate=0.5",
            reward_timing="deferred",
        )
        agent = algorithm("TransformerPolicy", env, n_steps=8, seed=0, device="cpu", **arguments)
        writer = Keys()
        agent.set_logger(Logger(None, [writer]))
        agent.learn(4 * 8 * 3, log_interval=1, callback=SampleCallback(every=1))
        found[name] = writer.seen
    return found


def test_what_is_logged_is_documented(logged: dict[str, set[str]]) -> None:
    # A2C's name of the policy loss stands beside PPO's.
    known = documented() | {"train/policy_loss"}
    assert {name for names in logged.values() for name in names} <= known
    assert "(A2C `policy_loss`)" in PAGE


def test_what_is_documented_is_logged(logged: dict[str, set[str]]) -> None:
    assert documented() <= logged["PPO"]


def test_csv_and_tensorboard_get_the_same_numbers(tmp_path: Path) -> None:
    agent = PPO("TransformerPolicy", "Probe-ExactKL-v0", n_envs=4, n_steps=8, seed=0, device="cpu")
    agent.set_logger(configure(str(tmp_path), ["csv", "tensorboard"]))
    agent.learn(4 * 8 * 2)
    with (tmp_path / "progress.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    events = EventAccumulator(str(tmp_path)).Reload()
    for name in ("rollout/score", "rollout/kl", "time/rollout_tokens_per_second"):
        written = [event.value for event in events.Scalars(name)]
        assert written == pytest.approx([float(row[name]) for row in rows], rel=1e-5)


def test_what_one_watches_in_rlhf_is_covered() -> None:
    """Score, gold, KL, its weight, length, EOS rate, entropy, fit, update size, speed by phase."""
    assert {
        "rollout/score",
        "rollout/gold_score",
        "rollout/kl",
        "rollout/kl_coef",
        "rollout/response_tokens",
        "rollout/eos_rate",
        "rollout/entropy",
        "train/explained_variance",
        "train/approx_kl",
        "train/clip_fraction",
        "train/grad_norm",
        "time/rollout_tokens_per_second",
        "time/settle_tokens_per_second",
        "time/update_tokens_per_second",
    } <= documented()
