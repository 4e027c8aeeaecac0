"""The single environment: the N = 1 shell of the dynamics. Shape letters: L width, A actions."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from textgym.env_parts import RENDER_MODES, EnvParts, TaskBuilder
from textgym.mdp_rows import MDPRows
from textgym.process_guard import check_process
from textgym.row_info import end_info, reset_info
from textgym.turns import draw_reply_seed


class TokenEnv(EnvParts, gym.Env[np.ndarray, np.int64]):
    """A token-level MDP: the state is a prompt and the response so far, an action is one token.

    Observation: `Box(0, V, (L,), int64)`, prompt ids, response ids, then V in every empty cell.
    Action: `Discrete(A)`. Rewards, ends and infos: see docs/environment.md.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 8}

    def __init__(self, build_task: TaskBuilder | None = None, **kwargs: Any) -> None:
        """Build the environment.

        Args:
            build_task: Makes the task of a config; None for the class's `task_builder`.
            **kwargs: See `TextEnvConfig`.

        Raises:
            TypeError: An unknown argument (the nearest known one is named).
            ValueError: A value out of range, or one that only the vector environment has.
        """
        self._constructor = (build_task, dict(kwargs))
        self._build(build_task, 1, kwargs)
        self._refuse_vector_arguments()
        self.render_mode = self.config.render_mode
        self._chooser = self._prompt_chooser()
        self.observation_space = spaces.Box(0, self.vocab_size, (self._mdp.width,), np.int64)
        self.action_space = spaces.Discrete(len(self.action_tokens))

    def __getstate__(self) -> dict[str, Any]:
        """Return the constructor's arguments: models and episodes do not travel."""
        return {"constructor": self._constructor, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the environment anew."""
        build_task, kwargs = state["constructor"]
        type(self).__init__(self, build_task, **kwargs)
        self.spec = state["spec"]

    @property
    def prompt_lengths(self) -> int:
        """Tokens of the current prompt."""
        return int(self._mdp.rows.prompt_lengths[0])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seeds `np_random`, which draws the prompt.
            options: `prompt_id`, or `prompt` (a text or a list of chat messages); empty to draw.

        Raises:
            ValueError: An unknown option, an id out of range, or a prompt that is too long where
                `prompt_overflow="error"`.
        """
        check_process()
        super().reset(seed=seed)
        chosen = self._chooser.chosen(options, 1)[0]
        prompt = self._chooser.draw(self.np_random) if chosen is None else chosen
        self._mdp.reset([0], [prompt], [draw_reply_seed(self.np_random, self.task.responder)])
        self._ended_episodes = {}
        if self.render_mode == "human":
            self._show()
        return self._observation(), {**reset_info(self._mdp.rows, 0), **self._mask_info()}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Write one token.

        Raises:
            ValueError: The action is outside the space or masked, or a score is not finite.
            ResetNeeded: The episode has ended, or none has begun.
        """
        rows = self._mdp.rows
        if rows.ended[0]:
            raise ResetNeeded("step() needs an episode that goes on: call reset() first")
        result = self._mdp.step(self._action_array(action))
        info: dict[str, Any] = {"prompt_length": int(rows.prompt_lengths[0])}
        if result.ref_log_probs is not None:
            info["ref_log_prob"] = float(result.ref_log_probs[0])
        if result.token_rewards is not None:
            info["token_reward"] = float(result.token_rewards[0])
        info.update(self._mask_info())
        self._ended_episodes = result.episodes
        for episode in result.episodes.values():
            info.update(end_info(episode))
        if self.render_mode == "human":
            self._show()
        return self._observation(), float(result.rewards[0]), bool(result.ended[0]), False, info

    def action_masks(self) -> np.ndarray:
        """Return a fresh (A,) bool, True where the action is allowed."""
        return self._masks()[0]

    def get_state(self) -> MDPRows:
        """Return an exact copy of the episode and of the generator, for `set_state`."""
        state = self._mdp.get_state([0])
        state.generators = [copy.deepcopy(dict(self.np_random.bit_generator.state))]
        return state

    def set_state(self, state: MDPRows) -> np.ndarray:
        """Return to a state, this environment's or one row of a vector environment's.

        Returns:
            The observation, (L,) int64.

        Raises:
            ValueError: The state is of several rows, or of an environment of another width.
        """
        self._mdp.set_state([0], state)
        generator_state = state.generator_state(0)
        if generator_state is not None:
            self.np_random.bit_generator.state = generator_state
        self._ended_episodes = {}
        return self._observation()

    def render(self) -> str | None:  # type: ignore[override]
        """Return the episode as coloured text ("ansi"), or write it to the terminal ("human").

        Raises:
            ValueError: The environment was made with another render mode.
        """
        if self.render_mode == "ansi":
            return self._rendered(0)
        if self.render_mode == "human":
            self._show()
        elif self.render_mode is None:
            gym.logger.warn("render() shows nothing without a render_mode, such as 'ansi'")
        else:
            raise ValueError(f"render_mode must be one of {RENDER_MODES}, got {self.render_mode!r}")
        return None

    def _refuse_vector_arguments(self) -> None:
        if self.config.group_size != 1:
            raise ValueError(
                f"group_size above 1 needs neighbouring rows, got {self.config.group_size}; "
                f"use gym.make_vec(id, num_envs=..., group_size=...)"
            )
        if self.config.reward_timing != "step":
            raise ValueError(
                f"reward_timing must be 'step' in a single environment, got "
                f"{self.config.reward_timing!r}; use gym.make_vec"
            )

    def _observation(self) -> np.ndarray:
        return self._mdp.rows.ids[0].copy()

    def _mask_info(self) -> dict[str, np.ndarray]:
        if not self.config.info_action_mask:
            return {}
        return {"action_mask": self.action_masks().astype(np.int8)}

    def _action_array(self, action: Any) -> np.ndarray:
        array = np.asarray(action)
        if array.size != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"action must be one integer of {self.action_space}, got {action!r}")
        return array.reshape(1).astype(np.int64)
