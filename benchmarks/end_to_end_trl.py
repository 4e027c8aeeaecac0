"""TRL's RLOO on the same model, prompts and reward function; needs the `benchmarks` extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgym.rewards.learned import RewardModel


def is_installed() -> bool:
    """Return whether TRL can be imported."""
    return importlib.util.find_spec("trl") is not None


@dataclass(frozen=True, kw_only=True)
class RLOOWork:
    """How much TRL is asked to do, equal to what PPO does.

    Attributes:
        num_episodes: Episodes of one batch.
        num_epochs: Passes over it.
        num_minibatches: Optimiser steps of one pass.
        num_generations: Responses to each prompt, at least 2: RLOO compares them.
    """

    num_episodes: int
    num_epochs: int
    num_minibatches: int
    num_generations: int = 2

    @property
    def num_steps(self) -> int:
        """Optimiser steps of one batch."""
        return self.num_epochs * self.num_minibatches


class RLOOContender:
    """Trains a fresh copy of the environment's reference model, a batch at a time."""

    def __init__(self, env: Any, work: RLOOWork, folder: Path) -> None:
        """Take the models, prompts and lengths of an (unwrapped) vector environment.

        Args:
            env: The environment.
            work: Sizes of one batch.
            folder: Where TRL may write.
        """
        self._env, self._work, self._folder = env, work, folder
        config = env.config
        self._reward = RewardModel(
            config.reward_model, env.tokenizer, config.device, config.dtype
        ).scorer
        self._draw = np.random.default_rng(0)

    def seconds_of(self, num_batches: int, clock: Callable[[], float]) -> float:
        """Return the seconds of `num_batches` batches: generation, rewards and updates."""
        trainer, watch = self._trainer(num_batches, clock)
        trainer.train()
        return watch.seconds

    def reward(
        self, prompts: Sequence[str], completion_ids: Sequence[Sequence[int]], **others: Any
    ) -> list[float]:
        """Score responses as the environment does: the same model, ids and batching."""
        encode = self._env.tokenizer.encode
        sequences = [
            [*encode(prompt), *ids] for prompt, ids in zip(prompts, completion_ids, strict=True)
        ]
        return self._reward.score_ids(sequences).tolist()

    def _trainer(self, num_batches: int, clock: Callable[[], float]) -> tuple[Any, Any]:
        from trl import RLOOTrainer

        watch = _stopwatch(clock)
        trainer = RLOOTrainer(
            model=self._env.config.reference_model,
            reward_funcs=self.reward,
            args=self._config(num_batches),
            train_dataset=self._prompts(num_batches),
            processing_class=self._env.tokenizer.hf,
            callbacks=[watch],
        )
        return trainer, watch

    def _config(self, num_batches: int) -> Any:
        from trl import RLOOConfig

        work = self._work
        return RLOOConfig(
            output_dir=str(self._folder),
            per_device_train_batch_size=work.num_episodes // work.num_minibatches,
            steps_per_generation=work.num_minibatches,
            num_iterations=work.num_epochs,
            num_generations=work.num_generations,
            max_steps=num_batches * work.num_steps,
            max_completion_length=self._env.max_new_tokens,
            beta=self._env.kl_coef,
            learning_rate=1e-6,
            model_init_kwargs={"dtype": "float32"},
            use_cpu=self._env.config.device == "cpu",
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to=[],
            logging_steps=work.num_steps,
            disable_tqdm=True,
        )

    def _prompts(self, num_batches: int) -> Any:
        from datasets import Dataset

        count = num_batches * self._work.num_episodes // self._work.num_generations
        ids = self._draw.integers(0, len(self._env.task.prompts), count)
        return Dataset.from_list([{"prompt": self._env.task.prompts[int(i)].text} for i in ids])


def _stopwatch(clock: Callable[[], float]) -> Any:
    """Return a callback that times training without the trainer's setup, in `seconds`."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        """Times from the first batch to the last step."""

        seconds = 0.0

        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            """Start."""
            self.seconds = -clock()

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            """Stop."""
            self.seconds += clock()

    return Stopwatch()
