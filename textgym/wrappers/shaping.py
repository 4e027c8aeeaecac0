"""A reward model's opinion of the unfinished response, paid at every step: rightly or wrongly.

Shape letters: N rows, R some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.env_parts import EnvParts, require_one_reward
from textgym.mdp_rows import MDPRows
from textgym.response_end import episode_of
from textgym.rewards.base import AskedReward, score_episodes
from textgym.types import Episode
from textgym.vector_info import put_column, put_row

KINDS = ("difference", "sum")
Potential = Callable[[Sequence[Episode]], Any]


class _Shaping:
    """What a step adds to the reward; shared by the single and the vector wrapper."""

    def __init__(
        self, core: Any, potential: Potential | None, kind: str, gamma: float, weight: float
    ) -> None:
        if not isinstance(core, EnvParts):
            raise ValueError(f"expected a text environment (TokenEnv, TokenVectorEnv), got {core}")
        require_one_reward(core)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma must lie in (0, 1], got {gamma!r}")
        if core.reward_timing != "step":
            raise ValueError(f"expected reward_timing 'step', got {core.reward_timing!r}")
        reward = core.task.reward
        if potential is None and isinstance(reward, AskedReward):
            raise ValueError(
                f"somebody would be asked about every unfinished response: expected a potential, "
                f"or a reward that is computed, got {reward.name!r}"
            )
        self.core: Any = core
        self.kind, self.gamma, self.weight = kind, gamma, weight
        self._potential = potential
        self.seen = np.zeros(getattr(core, "num_envs", 1))  # the potential of each row's state

    def look(self, rows: Sequence[int]) -> None:
        """Take note of the potential of the states in these rows, unfinished responses all."""
        if not len(rows):
            return
        state: MDPRows = self.core.get_state()
        has_turns = self.core.task.responder is not None
        episodes = [
            episode_of(state, row, self.core.tokenizer, "length", has_turns=has_turns)
            for row in rows
        ]
        if self._potential is None:
            values = score_episodes(self.core.task.reward, episodes).scores
        else:
            values = np.asarray(self._potential(episodes), dtype=np.float64)
        if values.shape != (len(rows),) or not np.isfinite(values).all():
            raise ValueError(f"expected {len(rows)} finite potentials, got {values}")
        self.seen[rows] = values

    def paid(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return what is added for steps between two potentials, both (R,)."""
        if self.kind == "sum":
            return self.weight * after
        return self.weight * (self.gamma * after - before)


class PotentialShaping(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Adds `weight * (gamma * Φ(s') - Φ(s))` to the reward, Φ(s) a score of the response so far.

    With Φ of an ended episode as 0 an episode gains -Φ(s0) in all, the same whatever is written:
    the best policy stays the best, and good tokens are paid at once. That holds for the gamma with
    which the agent discounts.

    kind="sum" is the mistake to learn from: it adds `weight * Φ(s')` itself. What was good once is
    then paid again at each later step, and the best policy is one that goes on.

    Every step's info has "shaping", what was added, and so have the last step's `reward_terms`.
    A state that `set_state` put in place is known to it after the next reset only.
    """

    def __init__(
        self,
        env: gym.Env,
        potential: Potential | None = None,
        *,
        kind: str = "difference",
        gamma: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        """Wrap a single text environment.

        Args:
            env: The environment.
            potential: From R unfinished episodes to R numbers; None for the environment's own
                reward: with reward="model", the reward model.
            kind: "difference" or "sum".
            gamma: The agent's discount, in (0, 1].
            weight: What the potential counts.

        Raises:
            ValueError: Another environment, kind or gamma, a reward that somebody is asked for, or
                rewards that are vectors.
        """
        gym.utils.RecordConstructorArgs.__init__(
            self, potential=potential, kind=kind, gamma=gamma, weight=weight
        )
        gym.Wrapper.__init__(self, env)
        self._shaping = _Shaping(env.unwrapped, potential, kind, gamma, weight)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        found = self.env.reset(seed=seed, options=options)
        self._shaping.look([0])
        return found

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Act, and be paid for what the response is worth by now.

        Raises:
            ValueError: A potential that is not finite.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        before = self._shaping.seen.copy()
        if terminated:
            self._shaping.seen[0] = 0.0
        else:
            self._shaping.look([0])
        added = float(self._shaping.paid(before, self._shaping.seen)[0])
        info = {**info, "shaping": added}
        if "reward_terms" in info:
            info["reward_terms"] = {**info["reward_terms"], "shaping": added}
        return observation, float(reward) + added, bool(terminated), bool(truncated), info


class VectorPotentialShaping(gym.vector.VectorWrapper):
    """N rows of `PotentialShaping`; one call of the potential per step."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        potential: Potential | None = None,
        *,
        kind: str = "difference",
        gamma: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        """Wrap a vector text environment; see `PotentialShaping`.

        Raises:
            ValueError: As there, or rewards that are withheld.
        """
        super().__init__(env)
        self._shaping = _Shaping(env.unwrapped, potential, kind, gamma, weight)
        self._is_over = np.ones(env.num_envs, dtype=bool)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes; see the wrapped environment."""
        found = self.env.reset(seed=seed, options=options)
        mask = (options or {}).get("reset_mask")
        self._begin(np.ones(self.env.num_envs, dtype=bool) if mask is None else mask)
        return found

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every row; see `PotentialShaping.step`."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        acted, ended = ~self._is_over, np.asarray(terminated) | np.asarray(truncated)
        before = self._shaping.seen.copy()
        self._shaping.look(np.flatnonzero(acted & ~ended).tolist())
        after = np.where(ended, 0.0, self._shaping.seen)
        added = np.where(acted, self._shaping.paid(before, after), 0.0)
        self._is_over |= ended
        infos = self._with_terms(infos, added, acted, ended)
        if "_prompt" in infos:
            self._begin(np.asarray(infos["_prompt"]))
        return observations, rewards + added, terminated, truncated, infos

    def _begin(self, rows: np.ndarray) -> None:
        self._is_over[rows] = False
        self._shaping.look(np.flatnonzero(rows).tolist())

    def _with_terms(
        self, infos: dict[str, Any], added: np.ndarray, acted: np.ndarray, ended: np.ndarray
    ) -> dict[str, Any]:
        """Say what was added where the environment says what it paid; see `put_ends`."""
        has_final = "final_info" in infos
        infos = {**infos, **({"final_info": dict(infos["final_info"])} if has_final else {})}
        put_column(infos, "shaping", added, acted & ~ended if has_final else acted)
        ends = infos["final_info"] if has_final else infos
        if "reward_terms" in ends:
            ends["reward_terms"] = dict(ends["reward_terms"])
        for row in np.flatnonzero(acted & ended).tolist():
            value = float(added[row])
            said = {"shaping": value, "reward_terms": {"shaping": value}}
            put_row(ends, row, said if "reward_terms" in ends else {"shaping": value}, len(added))
        return infos
