"""Play whole episodes: `rollout(env, policy, n)` gives a list that a notebook shows in colour.

Short episodes end sooner, so "the first n that finish" would hold too many of them. What counts
here is the beginning: the first n episodes that begin are all played to their ends, and a row that
is done begins the next of them at once. So an episode's length has no say in whether it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from textgym.env_parts import EnvParts, require_one_reward
from textgym.episode_list import EpisodeList
from textgym.types import Episode
from textgym.vector_info import row_info_of


@runtime_checkable
class Predictor(Protocol):
    """What an agent offers: Stable-Baselines3's `predict`."""

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return actions (N,) for observations (N, L), and the state for the next call."""
        ...


# What is looked at of a step that ends nothing.
_STEPS = ("ref_log_prob", "token_reward")

Policy = Predictor | Callable[[np.ndarray], Any] | None
Act = Callable[[np.ndarray, np.ndarray], Any]


def rollout(
    env: gym.Env | gym.vector.VectorEnv,
    policy: Policy = None,
    n: int = 1,
    seed: int | None = None,
    *,
    prompt_ids: Sequence[int] | None = None,
    deterministic: bool = False,
) -> EpisodeList:
    """Play exactly `n` whole episodes, none preferred for being short.

    Args:
        env: A single or vector text environment, wrapped or not. An unwrapped vector environment
            that can defer rewards does so while this runs (the same numbers, faster).
        policy: An agent with `predict`, a function from observation(s) to action(s), or None for
            actions drawn evenly among the allowed ones.
        n: How many episodes, at least 0.
        seed: Seeds the environment's draw of prompts and random actions; an agent samples from its
            own generator.
        prompt_ids: The prompts to answer, in order, n of them; None for the environment's draw.
        deterministic: Handed to `predict`: take the most likely token instead of a sample.

    Returns:
        The episodes, with rewards and reference log-probabilities for every response token; with
        `prompt_ids` episode i answers prompt i, else in the order in which they began.

    Raises:
        ValueError: No text environment, a negative `n`, other than `n` prompt ids, a policy that
            is none of the three, an episode that a wrapper cut short, or rewards that are vectors.
    """
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n!r}")
    if prompt_ids is not None and len(prompt_ids) != n:
        raise ValueError(f"expected n={n} prompt ids, got {len(prompt_ids)}")
    core = getattr(env, "unwrapped", None)
    if not isinstance(core, EnvParts):
        raise ValueError(f"expected a TokenEnv or TokenVectorEnv, wrapped or not, got {env!r}")
    require_one_reward(core)
    act = _actor(policy, env, seed, deterministic)
    play = _play_vector if isinstance(env, gym.vector.VectorEnv) else _play_single
    return EpisodeList(play(env, act, n, seed, prompt_ids), core.tokenizer)


def _actor(policy: Policy, env: Any, seed: int | None, deterministic: bool) -> Act:
    if policy is None:
        return _random_actor(env, seed)
    if isinstance(policy, Predictor):
        return _predicting_actor(policy, deterministic)
    if callable(policy):
        return lambda observation, starts: policy(observation)
    raise ValueError(
        f"policy must have predict(), be a function of the observation, or None, got {policy!r}"
    )


def _random_actor(env: Any, seed: int | None) -> Act:
    rng = np.random.default_rng(seed)

    def act(observation: np.ndarray, starts: np.ndarray) -> Any:
        masks = np.asarray(env.unwrapped.action_masks(), dtype=bool)
        drawn = [int(rng.choice(np.flatnonzero(mask))) for mask in np.atleast_2d(masks)]
        return np.array(drawn) if masks.ndim == 2 else drawn[0]

    return act


def _predicting_actor(policy: Predictor, deterministic: bool) -> Act:
    state: Any = None

    def act(observation: np.ndarray, starts: np.ndarray) -> Any:
        nonlocal state
        is_single = observation.ndim == 1
        batch = observation[None] if is_single else observation
        actions, state = policy.predict(batch, state, starts, deterministic)
        return int(actions[0]) if is_single else actions

    return act


def _play_single(
    env: Any, act: Act, n: int, seed: int | None, prompt_ids: Sequence[int] | None
) -> list[Episode]:
    episodes = []
    for index in range(n):
        options = None if prompt_ids is None else {"prompt_id": int(prompt_ids[index])}
        observation, info = env.reset(seed=seed if index == 0 else None, options=options)
        game = _Game(index, observation[: int(info["prompt_length"])])
        starts, ended = np.ones(1, bool), False
        while not ended:
            observation, reward, terminated, truncated, info = env.step(act(observation, starts))
            ended, starts = terminated or truncated, np.zeros(1, bool)
            game.note(reward, info)
        episodes.append(game.finished(env.unwrapped.task, info))
    return episodes


def _play_vector(
    env: Any, act: Act, n: int, seed: int | None, prompt_ids: Sequence[int] | None
) -> list[Episode]:
    core = env.unwrapped
    timing = core.reward_timing
    # Wrappers may look at rewards, so only a bare environment is told to withhold them.
    if core is not env:
        if timing == "deferred":
            raise ValueError("a wrapped environment must have reward_timing 'step', got 'deferred'")
        return _VectorRollout(env, n, prompt_ids, defers=False).play(act, seed)
    core.set_reward_timing("deferred")
    try:
        return _VectorRollout(env, n, prompt_ids, defers=True).play(act, seed)
    finally:
        core.set_reward_timing(timing)


class _Game:
    """One episode while it is played."""

    def __init__(self, index: int, prompt_ids: np.ndarray) -> None:
        self.index = index
        self.prompt_ids = tuple(prompt_ids.tolist())
        self.rewards: list[float] = []
        self.ref_log_probs: list[float] = []
        self.token_rewards: list[float] = []

    def note(self, reward: float, info: Mapping[str, Any]) -> None:
        self.rewards.append(float(reward))
        if "ref_log_prob" in info:
            self.ref_log_probs.append(float(info["ref_log_prob"]))
        if "token_reward" in info:
            self.token_rewards.append(float(info["token_reward"]))

    def finished(self, task: Any, info: Mapping[str, Any]) -> Episode:
        if "finish_reason" not in info:
            raise ValueError(
                "a wrapper truncated an episode before its own end; expected whole episodes, got "
                f"one cut after {len(self.rewards)} steps"
            )
        gold = info.get("gold_score")
        return Episode(
            prompt=task.prompts[int(info["prompt_id"])],
            prompt_ids=self.prompt_ids,
            response_ids=tuple(int(i) for i in info["response_ids"]),
            response=str(info["response"]),
            finish_reason=str(info["finish_reason"]),
            response_is_action=tuple(info.get("response_is_action", ())),
            rewards=tuple(self.rewards),
            ref_log_probs=tuple(self.ref_log_probs),
            token_rewards=tuple(self.token_rewards),
            score=float(info["score"]),
            gold_score=None if gold is None else float(gold),
            reward_terms={k: float(v) for k, v in info["reward_terms"].items()},
        )


class _VectorRollout:
    """The first n episodes that begin in a vector environment, each played to its end."""

    def __init__(self, env: Any, n: int, prompt_ids: Sequence[int] | None, *, defers: bool) -> None:
        self.env, self.core, self.n, self.prompt_ids = env, env.unwrapped, n, prompt_ids
        self.defers = defers
        self.mode = AutoresetMode(self.core.autoreset_mode)
        self.begun = self.finished = 0
        self.games: list[_Game | None] = [None] * env.num_envs
        self.over = np.zeros(env.num_envs, bool)  # DISABLED mode: ended and not yet reset
        self.found: dict[int, Episode] = {}
        self.ends: dict[tuple[int, int], int] = {}  # (step, row) of a withheld end to its episode

    def play(self, act: Act, seed: int | None) -> list[Episode]:
        if self.n == 0:
            return []
        everyone = np.ones(self.env.num_envs, bool)
        observation, infos = self.env.reset(seed=seed, options=self._options(everyone))
        self._begin(everyone, observation, infos)
        starts, step = everyone, 0
        while self.finished < self.n:
            observation, rewards, terminated, truncated, infos = self.env.step(
                act(observation, starts)
            )
            starts = np.asarray(terminated) | np.asarray(truncated)
            self._note(step, rewards, starts, infos)
            observation = self._refill(starts, observation, infos)
            step += 1
        if self.defers:
            self._settle()
        return [self.found[index] for index in range(self.n)]

    def _note(
        self, step: int, rewards: np.ndarray, ended: np.ndarray, infos: Mapping[str, Any]
    ) -> None:
        is_same_step = self.mode is AutoresetMode.SAME_STEP
        final = infos.get("final_info", {}) if is_same_step else infos
        for row, game in enumerate(self.games):
            if game is None:
                continue
            info = row_info_of(final if ended[row] else infos, row, None if ended[row] else _STEPS)
            game.note(rewards[row], info)
            if ended[row]:
                self._finish(step, row, game, info)

    def _finish(self, step: int, row: int, game: _Game, info: Mapping[str, Any]) -> None:
        self.games[row] = None
        self.finished += 1
        if self.defers:
            self.ends[step, row] = game.index
        else:
            self.found[game.index] = game.finished(self.core.task, info)

    def _refill(
        self, ended: np.ndarray, observation: np.ndarray, infos: Mapping[str, Any]
    ) -> np.ndarray:
        """Begin the next episodes in the rows that are free; return what the rows show now."""
        begun = self._free_rows(ended, infos)
        is_chosen = self.prompt_ids is not None and self.begun < self.n
        if begun.any() and (is_chosen or self.mode is AutoresetMode.DISABLED):
            options = {"reset_mask": begun, **(self._options(begun) or {})}
            observation, infos = self.env.reset(options=options)
        self._begin(begun, observation, infos)
        return observation

    def _free_rows(self, ended: np.ndarray, infos: Mapping[str, Any]) -> np.ndarray:
        """Return (N,) bool: rows that were reset, or in DISABLED mode those that must be."""
        if self.mode is not AutoresetMode.DISABLED:
            return np.asarray(infos.get("_prompt", np.zeros(len(ended), bool)))
        self.over |= ended
        free = self.over & ~self.core.is_waiting
        self.over &= ~free
        return free

    def _options(self, rows: np.ndarray) -> dict[str, Any] | None:
        """Prompt ids for the next episodes, in the order in which `_begin` counts them."""
        if self.prompt_ids is None:
            return None
        ids = np.full(len(rows), self.prompt_ids[-1], dtype=np.int64)  # also for rows left over
        free = np.flatnonzero(rows)
        upcoming = self.prompt_ids[self.begun : self.begun + len(free)]
        ids[free[: len(upcoming)]] = upcoming
        return {"prompt_id": ids}

    def _begin(self, rows: np.ndarray, observation: np.ndarray, infos: Mapping[str, Any]) -> None:
        for row in np.flatnonzero(rows)[: self.n - self.begun]:
            length = int(infos["prompt_length"][row])
            self.games[row] = _Game(self.begun, observation[row, :length])
            self.begun += 1

    def _settle(self) -> None:
        self.core.settle_rewards()
        for settled in self.core.settled_episodes:
            index = self.ends.get((settled.step, settled.row))
            if index is not None:
                self.found[index] = settled.episode
