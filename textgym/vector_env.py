"""The native vector environment: N rows stepped together in one process.

Shape letters: N rows, L width, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from textgym.config import check_int
from textgym.env_parts import RENDER_MODES, EnvParts, TaskBuilder
from textgym.mdp_rows import MDPRows
from textgym.pending_rewards import SettledEpisode
from textgym.process_guard import check_process
from textgym.row_generators import RowGenerators
from textgym.row_groups import RowGroups
from textgym.row_info import reset_info
from textgym.token_mdp import StepResult
from textgym.turns import draw_reply_seed
from textgym.types import Prompt
from textgym.vector_info import put_column, put_ends, put_row

VectorStep = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class TokenVectorEnv(EnvParts, VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N rows of the token-level MDP; row i is the single environment seeded with `seed + i`.

    Infos are laid out as Gymnasium's `SyncVectorEnv` lays them out. With `group_size` k, each k
    neighbouring rows play the same prompt; a row that ends before its group waits: its actions are
    ignored, its reward is 0, its flags are False, its observation stays the ended episode's, and
    `info["waiting"]` is True for exactly those steps, so an algorithm drops the steps it marks.

    Attributes:
        autoreset_mode: When ended rows begin anew; also in `metadata`.
        settled_episodes: The episodes that the last `settle_rewards` paid.
        is_waiting: See the property.
    """

    metadata: dict[str, Any] = {
        "render_modes": list(RENDER_MODES),
        "render_fps": 8,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        build_task: TaskBuilder | None = None,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = "SameStep",
        **kwargs: Any,
    ) -> None:
        """Build N rows.

        Args:
            build_task: Makes the task of a config; None for the class's `task_builder`.
            num_envs: N, a multiple of `group_size`.
            autoreset_mode: "SameStep", "NextStep" or "Disabled" (or the enum).
            **kwargs: See `TextEnvConfig`.

        Raises:
            TypeError: An unknown argument (the nearest known one is named).
            ValueError: A value out of range.
        """
        self._constructor = (build_task, num_envs, autoreset_mode, dict(kwargs))
        check_int("num_envs", num_envs, at_least=1)
        self.num_envs = num_envs
        self._build(build_task, num_envs, kwargs)
        self._groups = RowGroups(self.group_size, num_envs)
        self.autoreset_mode = autoreset_mode_of(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self.config.render_mode
        self.settled_episodes: list[SettledEpisode] = []
        self._chooser = self._prompt_chooser()
        self._generators = RowGenerators(num_envs)
        shape = (self._mdp.width,)
        self.single_observation_space = spaces.Box(0, self.vocab_size, shape, np.int64)
        self.single_action_space = spaces.Discrete(len(self.action_tokens))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def __getstate__(self) -> dict[str, Any]:
        """Return the constructor's arguments: models and episodes do not travel."""
        return {"constructor": self._constructor, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the environment anew."""
        build_task, num_envs, autoreset_mode, kwargs = state["constructor"]
        type(self).__init__(self, build_task, num_envs, autoreset_mode, **kwargs)
        self.spec = state["spec"]

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """One generator per row, as `SyncVectorEnv` has them."""
        return tuple(self._generators.generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """One seed per row."""
        return tuple(self._generators.seeds)

    @property
    def prompt_lengths(self) -> np.ndarray:
        """(N,) int64, tokens of each row's prompt; a copy."""
        return self._mdp.rows.prompt_lengths.copy()

    @property
    def is_waiting(self) -> np.ndarray:
        """(N,) bool, rows that wait for their group: their next action is ignored."""
        return self._mdp.rows.ended & ~self._groups.over(self._mdp.rows.ended)

    def reset(  # type: ignore[override]
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes in all rows, or in those of `options["reset_mask"]`.

        Args:
            seed: An int for row i to get `seed + i`, N of them, or None to draw on.
            options: `prompt_id` or `prompt` (one for all rows or N of them), `reset_mask` (N,)
                bool, which is only read.

        Raises:
            ValueError: A wrong number of seeds, a bad mask, or see `TokenEnv.reset`.
            TypeError: `reset_mask` is no bool array.
        """
        check_process()
        mask = self._reset_mask(options)
        rows = list(range(self.num_envs)) if mask is None else np.flatnonzero(mask).tolist()
        chosen = self._chooser.chosen(options, self.num_envs)
        self._generators.seed(seed, rows)
        if mask is None:
            self._mdp.discard_pending("the environment was reset")
        infos: dict[str, Any] = {}
        self._begin(rows, chosen, infos)
        if self.config.info_action_mask:
            has = np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask
            put_column(infos, "action_mask", self._int_masks(), has)
        if self.render_mode == "human":
            self._show()
        return self._mdp.observation(), infos

    def step(self, actions: Any) -> VectorStep:
        """Write one token in every row.

        Args:
            actions: (N,) integers in [0, A).

        Returns:
            Observations (N, L) int64, rewards (N,) float64, terminations and truncations (N,) bool,
            infos.

        Raises:
            TypeError: `actions` is no sequence.
            ValueError: A wrong number of actions, one outside the space or masked, or a score that
                is not finite.
            ResetNeeded: Before the first reset, or on an ended row in DISABLED mode.
        """
        actions = self._action_array(actions)
        is_idle = self._mdp.rows.ended.copy()
        has_idle = bool(is_idle.any())
        beginning = self._beginning_now() if has_idle else []
        result = self._mdp.step(actions, ~is_idle if has_idle else None)
        infos: dict[str, Any] = {}
        if result.episodes:
            self._ended_episodes.update(result.episodes)
            is_same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
            masks = self._int_masks() if self.config.info_action_mask else None
            put_ends(infos, result, self._mdp.rows, is_final=is_same_step, masks=masks)
            if is_same_step:
                beginning = np.flatnonzero(self._groups.over(self._mdp.rows.ended)).tolist()
        if beginning:
            self._begin(beginning, [None] * self.num_envs, infos)
        self._put_steps(infos, result, is_idle, beginning)
        if self.render_mode == "human":
            self._show()
        truncations = np.zeros(self.num_envs, dtype=np.bool_)
        return self._mdp.observation(), result.rewards, result.ended, truncations, infos

    def action_masks(self) -> np.ndarray:
        """Return a fresh (N, A) bool, True where the action is allowed."""
        return self._masks()

    def set_reward_timing(self, timing: str) -> None:
        """Switch between "step" and "deferred"; what is pending is discarded with a warning.

        Raises:
            ValueError: Another value.
        """
        self._mdp.set_reward_timing(timing)

    def settle_rewards(self) -> np.ndarray:
        """Return the rewards withheld since the last call and fill `settled_episodes`.

        One batched pass of the reference over every row and one of the reward function over the
        episodes that ended.

        Returns:
            (steps, N) float32; 0 where a row did not act.

        Raises:
            ValueError: `reward_timing` is not "deferred", or a score is not finite.
        """
        rewards, self.settled_episodes = self._mdp.settle()
        return rewards

    def get_state(self, rows: int | Sequence[int] | None = None) -> MDPRows:
        """Return exact copies of rows and of their generators, for `set_state`.

        Args:
            rows: One row, several, or None for all.
        """
        indices = self._indices(rows)
        state = self._mdp.get_state(indices)
        state.generators = [self._generators.state(row) for row in indices]
        return state

    def set_state(self, state: MDPRows, rows: int | Sequence[int] | None = None) -> np.ndarray:
        """Put a state into rows; a state of one row goes into all of them.

        Returns:
            Observations, (N, L) int64.

        Raises:
            ValueError: The state's rows are neither one nor as many, or of another width.
        """
        indices = self._indices(rows)
        self._mdp.set_state(indices, state)
        for index, row in enumerate(indices):
            generator_state = state.generator_state(index)
            if generator_state is not None:
                self._generators.set_state(row, generator_state)
            self._ended_episodes.pop(row, None)
        return self._mdp.observation()

    def render(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """Return each row as coloured text ("ansi"), or write them to the terminal ("human").

        Raises:
            ValueError: The environment was made with another render mode.
        """
        if self.render_mode == "ansi":
            return tuple(self._rendered(row) for row in range(self.num_envs))
        if self.render_mode == "human":
            self._show()
        elif self.render_mode is not None:
            raise ValueError(f"render_mode must be one of {RENDER_MODES}, got {self.render_mode!r}")
        return None

    def _begin(self, rows: list[int], chosen: list[Prompt | None], infos: dict[str, Any]) -> None:
        prompts = self._groups.prompts(rows, chosen, self._draw)
        generators, responder = self._generators.generators, self.task.responder
        self._mdp.reset(rows, prompts, [draw_reply_seed(generators[i], responder) for i in rows])
        for row in rows:
            self._ended_episodes.pop(row, None)
            put_row(infos, row, reset_info(self._mdp.rows, row), self.num_envs)

    def _draw(self, row: int) -> Prompt:
        return self._chooser.draw(self._generators.generators[row])

    def _beginning_now(self) -> list[int]:
        """Return the rows that this step begins anew (NEXT_STEP), refusing a step after the end."""
        never = np.flatnonzero(self._mdp.rows.lengths == 0)
        over = np.flatnonzero(self._groups.over(self._mdp.rows.ended))
        if never.size:
            raise ResetNeeded(f"row {never[0]} has no episode: call reset() before step()")
        if over.size and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise ResetNeeded(
                f"row {over[0]} has ended and autoreset_mode is 'Disabled': call "
                f"reset(options={{'reset_mask': ...}}) before step()"
            )
        return over.tolist()

    def _put_steps(
        self, infos: dict[str, Any], result: StepResult, is_idle: np.ndarray, beginning: list[int]
    ) -> None:
        """Write what every row returns."""
        put_column(infos, "prompt_length", self._mdp.rows.prompt_lengths)
        has = ~is_idle
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            has &= ~result.ended
        if result.ref_log_probs is not None:
            put_column(infos, "ref_log_prob", result.ref_log_probs, has)
        if result.token_rewards is not None:
            put_column(infos, "token_reward", result.token_rewards, has)
        if self.config.info_action_mask:
            put_column(infos, "action_mask", self._int_masks())
        if self.group_size > 1:
            is_waiting = is_idle
            if self.autoreset_mode is AutoresetMode.NEXT_STEP:
                is_waiting = is_idle.copy()
                is_waiting[beginning] = False
            put_column(infos, "waiting", is_waiting)

    def _int_masks(self) -> np.ndarray:
        return self._masks().astype(np.int8)

    def _indices(self, rows: int | Sequence[int] | None) -> list[int]:
        if rows is None:
            return list(range(self.num_envs))
        indices = [int(rows)] if isinstance(rows, (int, np.integer)) else [int(r) for r in rows]
        outside = [row for row in indices if not 0 <= row < self.num_envs]
        if outside:
            raise ValueError(f"rows must lie in [0, {self.num_envs}), got {outside[0]}")
        return indices

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray | None:
        # Read, never popped: wrappers around this environment read the same dict afterwards.
        mask = None if options is None else options.get("reset_mask")
        if mask is None:
            return None
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"reset_mask must be a numpy array of bool, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"reset_mask must have shape ({self.num_envs},) and a True value, got {mask!r}"
            )
        self._groups.check_whole(mask)
        return mask

    def _action_array(self, actions: Any) -> np.ndarray:
        array = np.asarray(actions)
        if array.ndim == 0:
            raise TypeError(f"actions must be a sequence of {self.num_envs}, got {actions!r}")
        if array.shape != (self.num_envs,) or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"actions must be {self.num_envs} integers, "
                f"got {array.dtype} of shape {array.shape}"
            )
        return array.astype(np.int64, copy=False)


def autoreset_mode_of(value: str | AutoresetMode) -> AutoresetMode:
    """Return the mode that "SameStep", "same_step", "SAME_STEP" or the enum means.

    Raises:
        ValueError: None of the modes.
    """
    if isinstance(value, AutoresetMode):
        return value
    spelled = str(value).replace("_", "").lower()
    for mode in AutoresetMode:
        if mode.value.lower() == spelled:
            return mode
    expected = [mode.value for mode in AutoresetMode]
    raise ValueError(f"autoreset_mode must be one of {expected}, got {value!r}")
