"""The state of N rows of a token MDP in NumPy.

Shape letters: N rows, L width, T longest response.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.reference import ResponseSequence
from textgym.types import Prompt

ROW_ARRAYS = (
    "ids",
    "lengths",
    "prompt_lengths",
    "turn_starts",
    "reply_seeds",
    "is_action",
    "num_actions",
    "ended",
    "rewards",
    "ref_log_probs",
    "token_rewards",
)


@dataclass(kw_only=True)
class MDPRows:
    """What the dynamics know about each row.

    Attributes:
        ids: (N, L) int64; prompt, then response, then `vocab_size` in every empty cell.
        lengths: (N,) int64, filled cells.
        prompt_lengths: (N,) int64, cells of the prompt.
        turn_starts: (N,) int64, where the agent's current turn begins: behind the prompt, or
            behind what the environment last answered.
        reply_seeds: (N,) int64, seed of the episode's replies, see `textgym.turns`.
        is_action: (N, L) bool, True where an action wrote the cell.
        num_actions: (N,) int64, actions of the current episode.
        ended: (N,) bool, True from an episode's end (and before the first reset) to the reset.
        rewards: (N, T) float64 by action; NaN where withheld.
        ref_log_probs: (N, T) float64 by action, nats; NaN where unknown.
        token_rewards: (N, T) float64 by action, what the learned reward says of it; NaN where
            unknown, and everywhere unless rewards are paid by token.
        prompts: N items, None before the first reset.
        generators: N states of bit generators in a snapshot; empty in the live rows.
    """

    ids: np.ndarray
    lengths: np.ndarray
    prompt_lengths: np.ndarray
    turn_starts: np.ndarray
    reply_seeds: np.ndarray
    is_action: np.ndarray
    num_actions: np.ndarray
    ended: np.ndarray
    rewards: np.ndarray
    ref_log_probs: np.ndarray
    token_rewards: np.ndarray
    prompts: list[Prompt | None]
    generators: list[dict[str, Any]]

    @classmethod
    def empty(cls, num_rows: int, width: int, max_actions: int, empty_id: int) -> MDPRows:
        """Return rows before their first reset: no cell filled, all ended."""
        return cls(
            ids=np.full((num_rows, width), empty_id, dtype=np.int64),
            lengths=np.zeros(num_rows, dtype=np.int64),
            prompt_lengths=np.zeros(num_rows, dtype=np.int64),
            turn_starts=np.zeros(num_rows, dtype=np.int64),
            reply_seeds=np.zeros(num_rows, dtype=np.int64),
            is_action=np.zeros((num_rows, width), dtype=np.bool_),
            num_actions=np.zeros(num_rows, dtype=np.int64),
            ended=np.ones(num_rows, dtype=np.bool_),
            rewards=np.full((num_rows, max_actions), np.nan),
            ref_log_probs=np.full((num_rows, max_actions), np.nan),
            token_rewards=np.full((num_rows, max_actions), np.nan),
            prompts=[None] * num_rows,
            generators=[],
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self.lengths)

    def begin(self, row: int, prompt: Prompt, prompt_ids: Sequence[int], empty_id: int) -> None:
        """Start an episode in one row; its replies are seeded apart."""
        self.ids[row] = empty_id
        self.ids[row, : len(prompt_ids)] = prompt_ids
        self.lengths[row] = self.prompt_lengths[row] = self.turn_starts[row] = len(prompt_ids)
        self.is_action[row] = False
        self.num_actions[row] = 0
        self.ended[row] = False
        self.rewards[row] = np.nan
        self.ref_log_probs[row] = np.nan
        self.token_rewards[row] = np.nan
        self.prompts[row] = prompt

    def write(self, rows: np.ndarray, tokens: np.ndarray) -> None:
        """Write one action's token in each of R rows; both (R,) int64."""
        cells = self.lengths[rows]
        self.ids[rows, cells] = tokens
        self.is_action[rows, cells] = True
        self.lengths[rows] += 1
        self.num_actions[rows] += 1

    def answer(self, row: int, ids: Sequence[int]) -> None:
        """Write what the environment says in one row; the agent's next turn begins behind it."""
        end = int(self.lengths[row]) + len(ids)
        self.ids[row, self.lengths[row] : end] = ids
        self.lengths[row] = self.turn_starts[row] = end

    def sequence(self, row: int) -> ResponseSequence:
        """Return a copy of one row's tokens, with the positions of its actions."""
        length = int(self.lengths[row])
        return ResponseSequence(
            ids=self.ids[row, :length].copy(),
            action_positions=np.flatnonzero(self.is_action[row, :length]),
            prompt_length=int(self.prompt_lengths[row]),
        )

    def copy_of(self, rows: np.ndarray) -> MDPRows:
        """Return copies of the chosen rows; `rows` (R,) int64."""
        arrays = {name: getattr(self, name)[rows].copy() for name in ROW_ARRAYS}
        return MDPRows(prompts=[self.prompts[r] for r in rows], generators=[], **arrays)

    def put(self, rows: np.ndarray, source: MDPRows) -> None:
        """Overwrite the chosen rows with `source`: R rows, or one row for all of them.

        Raises:
            ValueError: Another width, longest response or number of rows.
        """
        if source.ids.shape[1:] != self.ids.shape[1:] or (
            source.rewards.shape[1:] != self.rewards.shape[1:]
        ):
            raise ValueError(
                f"the state must have width {self.ids.shape[1]} and {self.rewards.shape[1]} "
                f"response tokens, got {source.ids.shape[1]} and {source.rewards.shape[1]}"
            )
        if len(source) not in (1, len(rows)):
            raise ValueError(f"the state must hold 1 or {len(rows)} rows, got {len(source)}")
        for name in ROW_ARRAYS:
            getattr(self, name)[rows] = getattr(source, name)
        for index, row in enumerate(rows):
            self.prompts[row] = source.prompts[index % len(source)]

    def generator_state(self, index: int) -> dict[str, Any] | None:
        """Return a copy of the snapshot's bit generator state, None where it holds none."""
        if not self.generators:
            return None
        return copy.deepcopy(self.generators[index % len(self.generators)])
