"""`benchmarks.end_to_end`: equal work on both sides; without TRL nothing is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from benchmarks import end_to_end
from benchmarks.end_to_end import Counter, PPOContender
from benchmarks.end_to_end_trl import RLOOContender, RLOOWork, is_installed
from benchmarks.rollout_models import ENV_ID, Subject, model_arguments
from textgym.types import Episode

TOY = Subject(
    name="toy",
    config={"model_type": "gpt2", "vocab_size": 1536, "n_layer": 1, "n_embd": 32, "n_head": 2},
)
WORK = RLOOWork(num_episodes=8, num_epochs=2, num_minibatches=2)
ROWS, T = 2, 5


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Any]:
    paths = model_arguments(TOY, tmp_path)
    made = gym.make_vec(ENV_ID, num_envs=ROWS, device="cpu", max_new_tokens=T, **paths)
    yield made
    made.close()


def test_a_batch_holds_the_episodes_and_optimiser_steps_it_should(env: Any) -> None:
    contender = PPOContender(env, WORK, ROWS, "cpu")
    # Random weights hardly ever end: every response is about as long as the cap.
    assert contender.n_steps == pytest.approx(T * WORK.num_episodes / ROWS, abs=2)
    clock = iter([10.0, 13.0, 20.0, 21.0])
    counter, seconds, steps = contender.run(2, lambda: next(clock))
    assert (counter.num_batches, seconds) == (2, 3.0)
    assert steps == 2 * WORK.num_steps == 2 * 2 * 2
    assert abs(counter.num_episodes - 2 * WORK.num_episodes) <= 4
    assert contender.run(1, lambda: next(clock))[2] == WORK.num_steps


def test_trl_scores_what_the_environment_scores(env: Any, tmp_path: Path) -> None:
    inner = env.unwrapped
    contender = RLOOContender(inner, WORK, tmp_path)
    prompts = [inner.task.prompts[i] for i in range(3)]
    responses = [[5, 6, 7], [9], [8, 8, 2]]
    episodes = [
        Episode(
            prompt=prompt,
            prompt_ids=tuple(inner.tokenizer.encode(prompt.text)),
            response_ids=tuple(ids),
            response=inner.tokenizer.decode(ids),
            finish_reason="length",
        )
        for prompt, ids in zip(prompts, responses, strict=True)
    ]
    found = contender.reward([prompt.text for prompt in prompts], responses)
    assert np.allclose(found, inner.task.reward(episodes), atol=1e-6)
    assert len(set(found)) == 3


class FakeOurs:
    def run(self, num_batches: int, clock: Any) -> tuple[Counter, float, int]:
        counter = Counter()
        counter.num_episodes, counter.num_batches = 12 * num_batches, num_batches
        return counter, 3.0, 16 * num_batches


class FakeTheirs:
    def __init__(self) -> None:
        """Write down what each round takes, the unmeasured one first."""
        self.seconds = iter([1000.0, 8.0, 4.0, 16.0])

    def seconds_of(self, num_batches: int, clock: Any) -> float:
        return next(self.seconds)


def test_figures_by_hand_without_the_first_round() -> None:
    theirs: Any = FakeTheirs()
    ours: Any = {"PPO": FakeOurs(), "other": FakeOurs()}
    rounds = end_to_end.measure(ours, theirs, WORK, 2, 3, lambda: 0.0)
    ppo = {"episodes_per_second": 8.0, "episodes_per_batch": 12.0, "steps_per_batch": 16.0}
    assert rounds["PPO"] == rounds["other"] == [ppo] * 3
    assert [r["episodes_per_second"] for r in rounds["TRL RLOO"]] == [2.0, 4.0, 1.0]
    assert {r["steps_per_batch"] for r in rounds["TRL RLOO"]} == {4.0}
    assert end_to_end.ratio_of(rounds, "other") == 4.0


def test_without_trl_it_says_so_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(end_to_end, "is_installed", lambda: False)
    assert end_to_end.main(["--quick", "--json", str(tmp_path / "e.json")]) == 0
    assert "TRL is not installed (pip install 'textgym[benchmarks]')" in capsys.readouterr().out
    content = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert content["ratios"] == {} and "skipped" in content["details"]


@pytest.mark.skipif(not is_installed(), reason="TRL is not installed")
def test_trl_takes_the_same_number_of_steps(env: Any, tmp_path: Path) -> None:
    contender = RLOOContender(env.unwrapped, WORK, tmp_path / "trl")
    trainer, watch = contender._trainer(2, iter([1.0, 4.0]).__next__)
    assert len(trainer.train_dataset) * WORK.num_generations == 2 * WORK.num_episodes
    trainer.train()
    assert trainer.state.global_step == 2 * WORK.num_steps
    assert watch.seconds == 3.0
    assert trainer.model.dtype == torch.float32
