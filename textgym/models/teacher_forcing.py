"""Log-probabilities of given actions by full forwards, one per group of similar sequences.

Shape letters: S sequences, T tokens, K actions of one sequence, A actions, V rows of the output
layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from textgym.models.length_groups import groups_by_length, padding_on, tokens_on
from textgym.models.sampling import (
    AllowedRows,
    check_allowed,
    chunked_log_probs_and_entropy,
)
from textgym.models.selected_states import selected_states
from textgym.models.trunk import head_place
from textgym.reference import ActionIndex, AllowedOf, ResponseSequence


@dataclass(frozen=True, kw_only=True)
class SequenceBatch:
    """Sequences of similar length, right-padded with token 0.

    Attributes:
        ids: (S, T) int64.
        lengths: (S,) int64.
        is_action: (S, T) bool: `ids[s, t]` was chosen in the state `ids[s, :t]`.
        prompt_lengths: (S,) int64.
    """

    ids: np.ndarray
    lengths: np.ndarray
    is_action: np.ndarray
    prompt_lengths: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[ResponseSequence]) -> SequenceBatch:
        """Pad sequences to the longest."""
        lengths = np.array([len(sequence.ids) for sequence in sequences], dtype=np.int64)
        ids = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
        is_action = np.zeros(ids.shape, dtype=bool)
        for row, sequence in enumerate(sequences):
            ids[row, : lengths[row]] = sequence.ids
            is_action[row, sequence.action_positions] = True
        prompt_lengths = np.array([s.prompt_length for s in sequences], dtype=np.int64)
        return cls(ids=ids, lengths=lengths, is_action=is_action, prompt_lengths=prompt_lengths)


@torch.no_grad()
def sequence_log_probs(
    trunk: Any,
    head: nn.Module,
    sequences: Sequence[ResponseSequence],
    *,
    temperature: float = 1.0,
    action_tokens: np.ndarray | None = None,
    num_actions: int | None = None,
    allowed_of: AllowedOf | None = None,
    token_budget: int | None = None,
) -> list[np.ndarray]:
    """Return log pi of every action of each sequence, (K,) float64 each, nats.

    Args:
        trunk: Of `trunk_and_head`, in eval mode.
        head: Of `trunk_and_head`.
        sequences: Any number, of any lengths.
        temperature: Above 0.
        action_tokens: (A,) int64, the token of each action; None for the identity.
        num_actions: A where `action_tokens` is None; cuts the padding of the vocabulary off.
        allowed_of: Gives the masks along one sequence; None for all actions allowed.
        token_budget: Most padded tokens in one forward; None: by the kind of device.

    Raises:
        ValueError: A token at an action position that is no action.
    """
    scorer = _Scorer(trunk, head, temperature, action_tokens, num_actions, allowed_of)
    acting = [i for i, sequence in enumerate(sequences) if len(sequence.action_positions)]
    results = [np.zeros(0) for _ in sequences]
    lengths = np.array([len(sequences[i].ids) for i in acting], dtype=np.int64)
    device_type = scorer.device.type
    budget = token_budget or tokens_on(device_type)
    for group in groups_by_length(lengths, budget, padding_on(device_type)):
        members = [acting[i] for i in group]
        parts = scorer.log_probs([sequences[i] for i in members])
        for i, part in zip(members, parts, strict=True):
            results[i] = part
    return results


@dataclass(frozen=True)
class _Scorer:
    """One forward over one group; the fields are the arguments of `sequence_log_probs`."""

    trunk: Any
    head: Any
    temperature: float
    action_tokens: np.ndarray | None
    num_actions: int | None
    allowed_of: AllowedOf | None

    @property
    def device(self) -> torch.device:
        return head_place(self.head)[0]

    def log_probs(self, sequences: Sequence[ResponseSequence]) -> list[np.ndarray]:
        batch = SequenceBatch.of(sequences)
        # The last token is predicted, never read.
        rows, columns = np.nonzero(batch.is_action[:, 1:])
        cells = self._tensor(rows), self._tensor(columns)
        states = selected_states(self.trunk, self._tensor(batch.ids[:, :-1]), *cells)
        actions = ActionIndex(self.action_tokens).actions_of(batch.ids[batch.is_action])
        tokens = None if self.action_tokens is None else self._tensor(self.action_tokens)
        log_probs, _ = chunked_log_probs_and_entropy(
            states,
            self.head,
            self._tensor(actions),
            action_tokens=tokens,
            allowed_rows=self._allowed_rows(sequences),
            temperature=self.temperature,
            num_actions=self.num_actions,
            with_entropy=False,
        )
        ends = np.cumsum([len(sequence.action_positions) for sequence in sequences])
        return np.split(log_probs.cpu().numpy().astype(np.float64), ends[:-1])

    def _allowed_rows(self, sequences: Sequence[ResponseSequence]) -> AllowedRows | None:
        if self.allowed_of is None:
            return None
        masks = np.concatenate([self.allowed_of(sequence) for sequence in sequences])
        check_allowed(masks)
        return lambda start, stop: self._tensor(masks[start:stop])

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
