"""What single and vector environments share: construction, public attributes, rendering."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from textgym.config import TextEnvConfig
from textgym.masks import MaskFn
from textgym.mdp_rows import MDPRows
from textgym.process_guard import check_process
from textgym.prompt_choice import PromptChooser
from textgym.rendering import render_ansi, token_pieces
from textgym.rewards.base import needs_facts
from textgym.row_info import end_info
from textgym.task import TextTask
from textgym.token_mdp import TokenMDP
from textgym.tokenizer import Tokenizer
from textgym.types import Episode

TaskBuilder = Callable[[Any], TextTask]
RENDER_MODES = ("ansi", "human")


class EnvParts:
    """Base of both shells; subclasses of them set `task_builder`.

    Attributes:
        config_class: `TextEnvConfig`, or a subclass with arguments of its own.
        default_kwargs: Defaults that differ from the config's.
        takes_any_prompt: Whether `reset` takes a prompt of one's own; otherwise the option
            `prompt` must be the text of one of the task's prompts.
        config: The arguments, models and tokenizer resolved to paths.
        task: What the environment is made of.
    """

    config_class: ClassVar[type[TextEnvConfig]] = TextEnvConfig
    default_kwargs: ClassVar[Mapping[str, Any]] = {}
    takes_any_prompt: ClassVar[bool] = True

    config: TextEnvConfig
    task: TextTask
    _mdp: TokenMDP
    _ended_episodes: dict[int, Episode]

    def _build(self, build_task: TaskBuilder | None, num_rows: int, kwargs: dict[str, Any]) -> None:
        check_process()
        builder = build_task or self.task_builder
        self.task = builder(self.config_class.from_kwargs(**{**self.default_kwargs, **kwargs}))
        self.config = self.task.config
        self._mdp = TokenMDP(self.task, num_rows)
        self._ended_episodes = {}

    @staticmethod
    def task_builder(config: Any) -> TextTask:
        """Return the task of a config; every environment sets its own.

        Raises:
            TypeError: The class sets none and the constructor was given none.
        """
        raise TypeError(f"expected a class with a task_builder or build_task=..., for {config!r}")

    @property
    def tokenizer(self) -> Tokenizer:
        """The task's tokenizer."""
        return self.task.tokenizer

    @property
    def vocab_size(self) -> int:
        """V: token ids lie below it, empty cells hold it."""
        return self._mdp.vocab_size

    @property
    def max_prompt_tokens(self) -> int:
        """Longest prompt in tokens."""
        return self.config.max_prompt_tokens

    @property
    def max_new_tokens(self) -> int:
        """Longest response in tokens."""
        return self.config.max_new_tokens

    @property
    def action_tokens(self) -> np.ndarray:
        """(A,) int64, action to token id."""
        return self.task.action_tokens

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Token ids that end a response."""
        return self.task.eos_ids

    @property
    def mask_fn(self) -> MaskFn | None:
        """See `TextTask.mask_fn`."""
        return self.task.mask_fn

    @property
    def group_size(self) -> int:
        """Neighbouring rows that share their prompt."""
        return self.config.group_size

    @property
    def kl_coef(self) -> float:
        """Weight of log pi_ref in the reward."""
        return self._mdp.kl_coef

    @property
    def temperature(self) -> float:
        """Temperature of pi_ref's softmax; the policy must sample with the same."""
        return self._mdp.temperature

    @property
    def reward_timing(self) -> str:
        """Either "step" or "deferred"."""
        return self._mdp.reward_timing

    @property
    def pays_vectors(self) -> bool:
        """Whether a step pays a vector, a number for each objective, instead of one number."""
        return False

    def set_kl_coef(self, value: float) -> None:
        """Change `kl_coef`, between rollouts only.

        Raises:
            ValueError: Below 0, not finite, or withheld rewards are pending.
        """
        self._mdp.set_kl_coef(value)

    def set_temperature(self, value: float) -> None:
        """Change `temperature`, between rollouts only.

        Raises:
            ValueError: Not above 0, not finite, or withheld rewards are pending.
        """
        self._mdp.set_temperature(value)

    def _prompt_chooser(self) -> PromptChooser:
        facts_for = self.config.reward if needs_facts(self.task.reward) else None
        return PromptChooser(
            self.task.prompts,
            self.tokenizer,
            facts_for,
            only_of_source=not self.takes_any_prompt,
        )

    def _masks(self) -> np.ndarray:
        """Return a fresh (N, A) bool, True where the action is allowed."""
        allowed = self._mdp.allowed()
        if allowed is None:
            return np.ones((len(self._mdp.rows), len(self.action_tokens)), dtype=np.bool_)
        return np.array(allowed, dtype=np.bool_)

    def _rendered(self, row: int) -> str:
        rows = self._mdp.rows
        split, end = int(rows.prompt_lengths[row]), int(rows.lengths[row])
        prompt = rows.prompts[row]
        if prompt is None:
            return ""
        episode = self._ended_episodes.get(row)
        facts = None
        if episode is not None:
            facts = {k: v for k, v in end_info(episode).items() if k in _SHOWN_AT_END}
        return render_ansi(
            prompt=prompt.text,
            pieces=token_pieces(self.tokenizer, rows.ids[row, split:end].tolist()),
            rewards=_reward_of_cells(rows, row, split, end),
            end=facts,
        )

    def _show(self) -> None:
        frames = [self._rendered(row) for row in range(len(self._mdp.rows))]
        sys.stdout.write("\n".join(frames) + "\n")


def require_one_reward(core: object) -> None:
    """Refuse an unwrapped environment that pays vectors.

    Raises:
        ValueError: It does.
    """
    if isinstance(core, EnvParts) and core.pays_vectors:
        raise ValueError(
            f"expected an environment that pays one number a step, got {core} that pays a vector "
            f"of objectives (vector_reward=True)"
        )


_SHOWN_AT_END = ("finish_reason", "score", "gold_score")


def _reward_of_cells(rows: MDPRows, row: int, start: int, end: int) -> list[float]:
    """Return the reward of each cell; NaN where the environment wrote it or it is not known."""
    rewards = np.full(end - start, np.nan)
    is_action = rows.is_action[row, start:end]
    rewards[is_action] = rows.rewards[row, : int(is_action.sum())]
    return rewards.tolist()
