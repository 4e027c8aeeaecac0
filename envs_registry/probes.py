"""What the probes share: a tiny task of symbols whose every value is known exactly.

A `Probe` says what a response is worth as a small machine: a state, how a token changes it, and
the score of the last one. The environment scores responses by running it, and `ProbeSolution`
finds V*, Q* and the mean return of any policy by backward induction over its states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np

from textgym.config import TextEnvConfig
from textgym.env_parts import EnvParts
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.token_env import TokenEnv
from textgym.types import Episode, Prompt
from textgym.vector_env import TokenVectorEnv

State = Any
"""Of the machine: whatever a probe chooses, as long as it can be hashed."""
StatePolicy = Callable[[State, int], np.ndarray]
"""Probabilities (A,) of the actions in a state with so many tokens still to write."""
FIXED = (
    "num_prompts",
    "dataset",
    "dataset_columns",
    "prompt_template",
    "reference_model",
    "reward_model",
)


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(TextEnvConfig):
    """Arguments of a probe: its prompts, its symbols and its reference are its own."""

    def __post_init__(self) -> None:
        """Check the ranges, and refuse what would make another task of it."""
        super().__post_init__()
        for name in FIXED:
            if (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} of a probe must be None: it is fixed, got {value!r}")


class Probe:
    """One task; subclasses say what a response is worth.

    Attributes:
        symbols: The vocabulary, separated by spaces; none of them ends a response.
        actions: Those that may be written; empty for all.
        prompts: Every prompt, each as likely as the others.
    """

    symbols: ClassVar[str]
    actions: ClassVar[str] = ""
    prompts: Sequence[str]

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the state before the first token, from the prompt's symbols."""
        raise NotImplementedError

    def advance(self, state: State, symbol: str) -> State:
        """Return the state after one more symbol."""
        raise NotImplementedError

    def score(self, state: State, num_tokens: int) -> float:
        """Return what a response of `num_tokens` that ended in `state` is worth, in [0, 1]."""
        raise NotImplementedError

    def faulty_choices(self, state: State) -> str:
        """Return the symbols among which an algorithm with the fault draws."""
        raise NotImplementedError

    def state_after(self, prompt: str, response: Sequence[str]) -> State:
        """Run the machine over a response or the beginning of one."""
        state = self.begin(prompt.split())
        for symbol in response:
            state = self.advance(state, symbol)
        return state


class ProbeScore:
    """The score of a response: the truth itself, so it is the gold utility too."""

    name = "gold"

    def __init__(self, probe: Probe) -> None:
        """Score by the machine of `probe`."""
        self.probe = probe

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32 in [0, 1]."""
        return np.array([self.score(episode) for episode in episodes], dtype=np.float32)

    def score(self, episode: Episode) -> float:
        """Return the score of one episode."""
        symbols = self.probe.symbols.split()
        response = [symbols[token] for token in episode.response_ids]
        state = self.probe.state_after(episode.prompt.text, response)
        return self.probe.score(state, len(response))


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


def probe_task(config: ProbeConfig, probe: Probe) -> TextTask:
    """Return the task of a probe: its prompts, its score, and a uniform reference.

    Raises:
        ValueError: Other symbols or actions, or a prompt that does not fit.
    """
    tokenizer = f"symbols:{probe.symbols}"
    if config.tokenizer not in (None, tokenizer):
        raise ValueError(f"tokenizer must be None or {tokenizer!r}, got {config.tokenizer!r}")
    if config.action_tokens is not None:
        raise ValueError(
            f"action_tokens must be None: they are fixed, got {config.action_tokens!r}"
        )
    longest = max(len(prompt.split()) for prompt in probe.prompts)
    if config.max_prompt_tokens < longest:
        raise ValueError(
            f"max_prompt_tokens must be at least the {longest} of the longest prompt, "
            f"got {config.max_prompt_tokens!r}"
        )
    solution = ProbeSolution(probe, config.max_new_tokens, 0.0)
    prompts = PromptList(
        Prompt(prompt_id=index, text=text, references=(" ".join(solution.best_response(text)),))
        for index, text in enumerate(probe.prompts)
    )
    written = [probe.symbols.split().index(action) for action in probe.actions.split()]
    config = replace(
        config,
        tokenizer=tokenizer,
        action_tokens=",".join(str(token) for token in written) or None,
    )
    gold = ProbeScore(probe)
    task = text_task(config, prompts=prompts, gold=gold)
    num_actions = len(task.action_tokens)
    is_plain = not (config.action_mask or config.stop) and config.missing_eos_score is None

    def regret(episode: Episode, kl_coef: float, temperature: float) -> float:
        # The reference's half of the KL penalty is the same for every response.
        return solution.value(episode.prompt.text) - gold.score(episode)

    return replace(
        task,
        regret=regret if is_plain else None,
        make_reference=lambda num_rows, width: TableReference(
            lambda state: np.zeros(num_actions), task.action_tokens
        ),
    )


class ProbeParts(EnvParts):
    """What the single and the vector environment of a probe add: the solution."""

    config_class = ProbeConfig

    @property
    def solution(self) -> ProbeSolution:
        """V*, Q* and the best return, for the current `kl_coef`.

        Raises:
            ValueError: Actions are masked, or a stop string may end a response early.
        """
        config = self.config
        if config.action_mask or config.stop:
            raise ValueError(
                f"the solution is of all actions and no stop strings, got action_mask="
                f"{config.action_mask!r}, stop={config.stop!r}"
            )
        gold = self.task.gold
        assert isinstance(gold, ProbeScore), f"a probe is scored by its machine, not by {gold!r}"
        return ProbeSolution(gold.probe, self.max_new_tokens, self.kl_coef)


class ProbeEnv(ProbeParts, TokenEnv):
    """One row of a probe; a subclass sets `task_builder` and `default_kwargs`."""


class ProbeVectorEnv(ProbeParts, TokenVectorEnv):
    """N rows of a probe; a subclass sets the same."""
