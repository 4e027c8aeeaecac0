"""The exact optimum of Probe-ExactKL-v0 by backward induction over its states.

The regularised objective of a policy is J(pi) = E_pi[score] - kl_coef * KL(pi || pi_ref) per
episode. With V of a state the best that can still be reached, V(s) = kl_coef * log sum_a
pi_ref(a|s) exp(Q(s, a) / kl_coef) and pi*(a|s) = pi_ref(a|s) exp((Q(s, a) - V(s)) / kl_coef),
where Q is the score of the finished response, or V of the next state.

What the environment pays, without the agent's half, has another optimum: E_pi[score + kl_coef *
log pi_ref], which a single response attains (`environments_optimum`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.envs_registry.exact_kl_tables import VOCAB_SIZE, ExactKLTables
from textgym.envs_registry.known_optimum import differences, require_known
from textgym.task import TextTask
from textgym.types import Episode, TokenIds

Policy = Mapping[TokenIds, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ExactSolution:
    """What can be reached.

    Attributes:
        best: J*, the optimum of the regularised objective.
        reference: J of the reference itself: its mean score, as its KL is 0.
        policy: pi*, response so far to (6,) float64 probabilities.
        reference_policy: pi_ref in the same form.
        values: V*, response so far (or whole: its score) to the best that can still be reached.
        q_values: Q*, response so far to (6,) float64: V* behind each token.
    """

    best: float
    reference: float
    policy: Policy
    reference_policy: Policy
    values: Mapping[TokenIds, float]
    q_values: Mapping[TokenIds, np.ndarray]


def unlike_the_tables(task: TextTask) -> tuple[str, ...]:
    """Return the arguments with which the tables do not say what a response is worth."""
    return differences(task, task.reward, np.arange(VOCAB_SIZE))


def exact_solution(env: Any) -> ExactSolution:
    """Solve the environment for its current `kl_coef` and `temperature`.

    Args:
        env: Probe-ExactKL-v0, single or vector, wrapped or not, with all actions and the score of
            the table for every response.

    Raises:
        ValueError: `kl_coef` is 0 (the optimum is then not unique), actions are masked or left out,
            or responses end or are paid otherwise.
    """
    core = env.unwrapped
    tables = _tables_of(env)
    if core.kl_coef == 0:
        raise ValueError(f"expected kl_coef above 0, got {core.kl_coef!r}")
    values, q_values, policy = _optimum(tables, core.kl_coef, core.temperature)
    reference_policy = {
        state: _softmax(logits / core.temperature) for state, logits in tables.logits.items()
    }
    return ExactSolution(
        best=values[()],
        reference=objective(env, reference_policy),
        policy=policy,
        reference_policy=reference_policy,
        values=values,
        q_values=q_values,
    )


class EpisodeRegret:
    """J* less what the environment pays for an episode, from the tables.

    Where `kl_coef` is 0, J* is the best score.
    """

    def __init__(self, tables: ExactKLTables) -> None:
        """Keep the tables; each weight and temperature is solved once."""
        self._tables = tables
        self._best: dict[tuple[float, float], float] = {}

    def __call__(self, episode: Episode, kl_coef: float, temperature: float) -> float:
        """Return the regret of an episode's response."""
        tables, response = self._tables, episode.response_ids
        key = (kl_coef, temperature)
        if key not in self._best:
            self._best[key] = (
                _optimum(tables, *key)[0][()] if kl_coef else max(tables.scores.values())
            )
        chances = [
            _softmax(tables.logits[response[:position]] / temperature)[token]
            for position, token in enumerate(response)
        ]
        paid = tables.scores[response] + kl_coef * float(np.log(chances).sum())
        return self._best[key] - paid


def _optimum(
    tables: ExactKLTables, kl_coef: float, temperature: float
) -> tuple[dict[TokenIds, float], dict[TokenIds, np.ndarray], dict[TokenIds, np.ndarray]]:
    """Return V*, Q* and pi* by state; V* of a finished response is its score."""
    values: dict[TokenIds, float] = dict(tables.scores)
    q_values: dict[TokenIds, np.ndarray] = {}
    policy: dict[TokenIds, np.ndarray] = {}
    for state in reversed(tables.states):
        q = np.array([values[(*state, token)] for token in range(VOCAB_SIZE)])
        tilted = np.log(_softmax(tables.logits[state] / temperature)) + q / kl_coef
        top = tilted.max()
        log_sum = top + np.log(np.exp(tilted - top).sum())
        values[state], q_values[state] = float(kl_coef * log_sum), q
        policy[state] = np.exp(tilted - log_sum)
    return values, q_values, policy


def objective(env: Any, policy: Policy, *, with_agents_half: bool = True) -> float:
    """Return J of any policy, exactly: mean score minus `kl_coef` times its KL to the reference.

    Args:
        env: As in `exact_solution`.
        policy: Response so far to (6,) probabilities.
        with_agents_half: False leaves -kl_coef * log pi out: the mean of what the environment pays.
    """
    core = env.unwrapped
    tables = _tables_of(env)
    values: dict[TokenIds, float] = dict(tables.scores)
    for state in reversed(tables.states):
        probabilities = np.asarray(policy[state], dtype=np.float64)
        reference = _softmax(tables.logits[state] / core.temperature)
        q = np.array([values[(*state, token)] for token in range(VOCAB_SIZE)])
        is_possible = probabilities > 0
        penalty = -np.log(reference[is_possible])
        if with_agents_half:
            penalty += np.log(probabilities[is_possible])
        paid = q[is_possible] - core.kl_coef * penalty
        values[state] = float(probabilities[is_possible] @ paid)
    return values[()]


def environments_optimum(env: Any) -> Policy:
    """Return the policy that is best for what the environment pays by itself: one response.

    An algorithm that takes the rewards as they are, without the agent's half of the KL penalty,
    looks for this one, whatever its KL to the reference.
    """
    core = env.unwrapped
    tables = _tables_of(env)
    values: dict[TokenIds, float] = dict(tables.scores)
    policy: dict[TokenIds, np.ndarray] = {}
    for state in reversed(tables.states):
        reference = _softmax(tables.logits[state] / core.temperature)
        q = np.array([values[(*state, token)] for token in range(VOCAB_SIZE)])
        paid = q + core.kl_coef * np.log(reference)
        values[state] = float(paid.max())
        policy[state] = np.eye(VOCAB_SIZE)[paid.argmax()]
    return policy


def relative_regret(env: Any, policy: Policy) -> float:
    """Return (J* - J) / (J* - J_ref): 0 at the optimum, 1 for the reference itself.

    Regret is J* - J, in the units of the reward.
    """
    solution = exact_solution(env)
    return (solution.best - objective(env, policy)) / (solution.best - solution.reference)


def _tables_of(env: Any) -> ExactKLTables:
    core = env.unwrapped
    require_known(unlike_the_tables(core.task))
    return ExactKLTables(core.config.table_seed, core.max_new_tokens)


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
