"""A whole response as one action: text environments as those see them who speak in messages.

Shape letters: A actions, K longest turn in tokens.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from textgym.mdp_rows import MDPRows
from textgym.token_env import TokenEnv
from textgym.tokenizer import end_token
from textgym.turn_preview import TurnPreview
from textgym.wrappers.action_mask import ActionMaskObservation
from textgym.wrappers.one_hot import OneHotObservation
from textgym.wrappers.prompt_length import PromptLengthObservation
from textgym.wrappers.text_observation import TextObservation
from textgym.wrappers.text_space import AnyText

FORMS = ("text", "tokens")
# What is said of every token is added up over the message.
SUMMED = ("ref_log_prob", "token_reward")
# Wrappers that keep nothing of the steps they have seen.
FORGETFUL = (
    ActionMaskObservation,
    OneHotObservation,
    OrderEnforcing,
    PassiveEnvChecker,
    PromptLengthObservation,
    TextObservation,
)


class MessageAction(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """One step writes a whole response; where the environment answers, one turn of it.

    The reward is the sum of the rewards of the message's tokens, and so are `ref_log_prob` and
    `token_reward` in the info, which also holds the tokens that were written, `message_ids`;
    `reward_terms` are those of the last token. A message that is longer than a turn may be is cut
    there, as the cap cuts any response. A message is looked through before any of it is written:
    one that is refused changes nothing, and wrappers inside see nothing of it.

    Where an error comes while it is written (a score that is not finite, a reward function that
    raises), the episode stands as before the message, which may be tried again. Not where a wrapper
    inside may remember its tokens, as `RecordEpisodes`, `PotentialShaping` and all that are not of
    `FORGETFUL`: then the episode is lost, and the next step is after a reset.

    Rows side by side: `gym.make_vec(id, num_envs=8, vectorization_mode="sync",
    wrappers=[MessageAction])`.
    """

    def __init__(self, env: gym.Env, form: str = "text") -> None:
        """Wrap a single text environment.

        Args:
            env: The environment.
            form: "text": an action is a text, which the tokenizer encodes and an end token closes.
                "tokens": an action is (K,) integers in [0, A), `MultiDiscrete`; what stands behind
                the first one that ends the turn counts for nothing.

        Raises:
            ValueError: Another environment or form.
        """
        gym.utils.RecordConstructorArgs.__init__(self, form=form)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, TokenEnv):
            raise ValueError(f"expected a single text environment (TokenEnv), got {env.unwrapped}")
        if form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}, got {form!r}")
        self._core = core = env.unwrapped
        responder = core.task.responder
        caps = [core.max_new_tokens] + ([responder.max_turn_tokens] if responder else [])
        self._longest = min(caps)
        self._preview = TurnPreview(core.task)
        self._form = form
        self._can_restore, self._is_lost = _forgets(env), False
        self._action_of = {int(token): i for i, token in enumerate(core.action_tokens)}
        self._end = [self._action_of[t] for t in end_token(core.tokenizer) if t in self._action_of]
        # Where a turn is one token, the token may be a whole reply with spaces of its own.
        self._replies: dict[str, int] = {}
        if self._longest == 1:
            texts = {i: core.tokenizer.decode([t]).strip() for t, i in self._action_of.items()}
            self._replies = {text: i for i, text in texts.items() if text}
        self.action_space = (
            AnyText(self._longest)
            if form == "text"
            else spaces.MultiDiscrete([len(core.action_tokens)] * self._longest)
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        result = self.env.reset(seed=seed, options=options)
        self._is_lost = False
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Write a message.

        Raises:
            ValueError: No text, or not (K,) integers; a token that is no action or is masked; or a
                message that leaves its turn open where no end token can close it.
            ResetNeeded: The episode has ended or was lost to an error, or none has begun.
        """
        if self._is_lost:
            raise ResetNeeded("an error came while the last message was written: call reset()")
        state = self._core.get_state()
        if state.ended[0]:
            raise ResetNeeded("step() needs an episode that goes on: call reset() first")
        actions = self._actions(action, state)
        actions = actions[: self._turn_length(state, actions)]
        try:
            return self._write(actions)
        except BaseException:  # an interrupt too leaves half a message
            self._undo(state)
            raise

    def _undo(self, state: MDPRows) -> None:
        if self._can_restore:
            self._core.set_state(state)
        self._is_lost = not self._can_restore

    def _turn_length(self, state: MDPRows, actions: list[int]) -> int:
        length = self._preview.length(state, actions)
        if length is None:
            raise ValueError(
                f"a message of {len(actions)} tokens leaves its turn open: the environment has no "
                f"end token among its actions, so it takes {self._longest} tokens or a stop string"
            )
        return length

    def _actions(self, action: Any, state: MDPRows) -> list[int]:
        if self._form == "tokens":
            array = np.asarray(action)
            if array.shape != (self._longest,) or not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"expected ({self._longest},) integers, got {action!r}")
            return [int(each) for each in array]
        if not isinstance(action, str):
            raise ValueError(f"expected a text, got {action!r}")
        return [*self._encoded(action, state), *self._end][: self._longest]

    def _encoded(self, text: str, state: MDPRows) -> list[int]:
        """Return the actions that write a text, a space before it where neither side has one."""
        if text.strip() in self._replies:
            return [self._replies[text.strip()]]
        before = self._core.tokenizer.decode(state.ids[0, : state.lengths[0]].tolist())
        has_seam = (before[-1:] + text[:1]).strip() == before[-1:] + text[:1]
        tokens = self._core.tokenizer.encode(" " + text if has_seam and text else text)
        unknown = [token for token in tokens if token not in self._action_of]
        if unknown:
            raise ValueError(f"tokens {unknown} of {text!r} are no actions of this environment")
        return [self._action_of[token] for token in tokens]

    def _write(self, actions: list[int]) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        total: Any = 0.0
        sums = dict.fromkeys(SUMMED, 0.0)
        written: list[int] = []
        for action in actions:
            observation, reward, terminated, truncated, info = self.env.step(action)
            total = total + reward
            written.append(int(self._core.action_tokens[action]))
            for name in SUMMED:
                sums[name] += info.get(name, 0.0)
            if terminated or truncated:  # truncated: by a wrapper inside
                break
        known = {name: sums[name] for name in SUMMED if name in info}
        info = {**info, **known, "message_ids": tuple(written)}
        return observation, total, bool(terminated), bool(truncated), info


def _forgets(env: gym.Env) -> bool:
    """Return whether no wrapper of a text environment keeps anything of a step."""
    while isinstance(env, gym.Wrapper):
        if type(env) not in FORGETFUL:  # a subclass may keep something
            return False
        env = env.env
    return True
