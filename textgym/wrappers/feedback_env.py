"""An environment that `HumanFeedback` wraps, as one that can be registered under a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from textgym.feedback.segment_feedback import SegmentFeedback, SegmentFeedbackConfig
from textgym.wrappers.human_feedback import HumanFeedback


@dataclass(frozen=True, kw_only=True)
class FeedbackEnvConfig(SegmentFeedbackConfig):
    """Arguments of an environment that is paid by feedback.

    Attributes:
        render_mode: As the environment itself has it.
    """

    render_mode: str | None = None

    def base_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment itself."""
        return {"render_mode": self.render_mode}


class FeedbackEnv(gym.Env):
    """One row: a known environment inside `HumanFeedback`.

    A subclass names `base_id` and, where it has arguments of its own, `config_class`.

    Attributes:
        feedback: Where segments go, and where the reward comes from; see `SegmentFeedback`.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 50}
    base_id: ClassVar[str]
    config_class: ClassVar[type[FeedbackEnvConfig]] = FeedbackEnvConfig

    def __init__(self, feedback: SegmentFeedback | None = None, **kwargs: Any) -> None:
        """Make the environment.

        Args:
            feedback: Shared with other rows; by default one of its own, made of the arguments.
            **kwargs: See `config_class`.

        Raises:
            TypeError: An unknown argument.
            ImportError: The environment needs a package that is not installed.
        """
        self.config = self.config_class(**kwargs)
        base = self.make_base(self.config)
        self._env = HumanFeedback(base, feedback or SegmentFeedback(self.config))
        self.feedback = self._env.feedback
        self.observation_space, self.action_space = base.observation_space, base.action_space
        self.metadata, self.render_mode = base.metadata, base.render_mode
        self._seen: Any = None  # the last observation

    @classmethod
    def make_base(cls, config: FeedbackEnvConfig) -> gym.Env:
        """Make the environment itself, paid by its own reward."""
        return gym.make(cls.base_id, disable_env_checker=True, **config.base_kwargs())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._seen, info = self._env.reset(seed=seed, options=options)
        return self._seen, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act, and be paid by the learned reward."""
        self._seen, *rest = self._env.step(action)
        return self._seen, *rest  # type: ignore[return-value]

    def render(self) -> Any:
        """Draw, as the environment itself does."""
        return self._env.render()

    def close(self) -> None:
        """Close the environment itself."""
        self._env.close()


class FeedbackVectorEnv(SyncVectorEnv):
    """N rows in one process that share one `SegmentFeedback`; a subclass names `env_class`.

    Attributes:
        feedback: What they share.
    """

    env_class: ClassVar[type[FeedbackEnv]]

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        feedback: SegmentFeedback | None = None,
        **kwargs: Any,
    ) -> None:
        """Make the rows; see `FeedbackEnv`.

        Args:
            num_envs: N, at least 1.
            autoreset_mode: As in Gymnasium.
            feedback: Shared with others still; one for these rows by default.
            **kwargs: For each row.
        """
        shared = feedback or SegmentFeedback(self.env_class.config_class(**kwargs))
        super().__init__(
            [lambda: self.env_class(feedback=shared, **kwargs)] * num_envs,
            autoreset_mode=AutoresetMode(autoreset_mode),
        )
        self.feedback = shared
