"""A probe's exact solution: V*, Q* and the mean return of any policy, by backward induction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product

import numpy as np

from textgym.envs_registry.probe_machine import Probe, State

StatePolicy = Callable[[State, int], np.ndarray]
"""Probabilities (A,) of the actions in a state with so many tokens still to write."""


class ProbeSolution:
    """What can be reached in a probe, exactly, in the rewards that the environment pays.

    The reference is uniform, so its half of the KL penalty is the same for every response; it is
    included.

    Attributes:
        probe: The task.
        num_tokens: Tokens of every response.
        kl_coef: Weight of log pi_ref in the reward.
    """

    def __init__(self, probe: Probe, num_tokens: int, kl_coef: float) -> None:
        """Solve `probe` for responses of `num_tokens`."""
        self.probe, self.num_tokens, self.kl_coef = probe, num_tokens, kl_coef
        self.symbols = probe.symbols.split()
        self.actions = probe.actions.split() or self.symbols
        self._starts = [probe.begin(prompt.split()) for prompt in probe.prompts]
        self._best: dict[tuple[State, int], float] = {}

    @cached_property
    def best_return(self) -> float:
        """Mean return of the best policy over the prompts."""
        return float(np.mean([self._value(state, self.num_tokens) for state in self._starts]))

    @cached_property
    def random_return(self) -> float:
        """Mean return of uniformly random tokens."""
        uniform = np.full(len(self.actions), 1 / len(self.actions))
        return self.mean_return(lambda state, tokens_left: uniform)

    @cached_property
    def faulty_return(self) -> float:
        """Mean return of what the fault that the probe looks for leaves possible."""

        def policy(state: State, tokens_left: int) -> np.ndarray:
            chosen = self.probe.faulty_choices(state).split()
            return np.array([action in chosen for action in self.actions]) / len(chosen)

        return self.mean_return(policy)

    def mean_return(self, policy: StatePolicy) -> float:
        """Return the mean return of a policy that goes by the machine's state."""
        found: dict[tuple[State, int], float] = {}

        def value(state: State, tokens_left: int) -> float:
            key = (state, tokens_left)
            if key not in found:
                found[key] = self.probe.score(state, self.num_tokens)
                if tokens_left:
                    chances = policy(state, tokens_left)
                    nexts = [value(s, tokens_left - 1) for s in self._successors(state)]
                    found[key] = float(chances @ np.array(nexts)) + self._step_reward
            return found[key]

        return float(np.mean([value(state, self.num_tokens) for state in self._starts]))

    def value(self, prompt: str, response: Sequence[str] = ()) -> float:
        """Return V* after the beginning of a response: the most that is still paid from there."""
        left = self._tokens_left(response)
        return self._value(self.probe.state_after(prompt, response), left)

    def q_values(self, prompt: str, response: Sequence[str] = ()) -> np.ndarray:
        """Return Q* after the beginning of a response, (A,) float64.

        Raises:
            ValueError: The response is finished.
        """
        left = self._tokens_left(response)
        if left == 0:
            raise ValueError(f"expected fewer than {self.num_tokens} tokens, got {response!r}")
        state = self.probe.state_after(prompt, response)
        return self._q(state, left)

    def values(self, observations: np.ndarray) -> np.ndarray:
        """Return V* of observations (N, L) int64, (N,) float64: to compare a critic with."""
        return np.array([self.value(*self._texts(row)) for row in observations])

    def best_response(self, prompt: str) -> list[str]:
        """Return a best response, the first in the order of the actions."""
        response: list[str] = []
        while len(response) < self.num_tokens:
            response.append(self.actions[int(self.q_values(prompt, response).argmax())])
        return response

    def observations(self) -> np.ndarray:
        """Return the observation of every unfinished response, (N, L) int64: few tokens only."""
        rows = []
        for prompt, length in product(self.probe.prompts, range(self.num_tokens)):
            empty = [len(self.symbols)] * (self.num_tokens - length)
            for body in product(self.actions, repeat=length):
                ids = [self.symbols.index(symbol) for symbol in (*prompt.split(), *body)]
                rows.append([*ids, *empty])
        return np.array(rows, dtype=np.int64)

    @property
    def _step_reward(self) -> float:
        return -self.kl_coef * float(np.log(len(self.actions)))

    def _successors(self, state: State) -> list[State]:
        return [self.probe.advance(state, action) for action in self.actions]

    def _value(self, state: State, tokens_left: int) -> float:
        key = (state, tokens_left)
        if key not in self._best:
            is_end = tokens_left == 0
            self._best[key] = (
                self.probe.score(state, self.num_tokens)
                if is_end
                else float(self._q(state, tokens_left).max())
            )
        return self._best[key]

    def _q(self, state: State, tokens_left: int) -> np.ndarray:
        nexts = [self._value(s, tokens_left - 1) for s in self._successors(state)]
        return np.array(nexts) + self._step_reward

    def _tokens_left(self, response: Sequence[str]) -> int:
        if len(response) > self.num_tokens:
            raise ValueError(f"expected at most {self.num_tokens} tokens, got {response!r}")
        return self.num_tokens - len(response)

    def _texts(self, row: np.ndarray) -> tuple[str, list[str]]:
        words = [self.symbols[i] for i in row if i < len(self.symbols)]
        length = len(self.probe.prompts[0].split())
        return " ".join(words[:length]), words[length:]
