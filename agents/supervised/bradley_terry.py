"""The Bradley-Terry loss over comparisons, each prompt encoded once for all its responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textgym.agents.reward_learning.losses import bradley_terry_losses
from textgym.agents.supervised.grouped_scores import GroupedScores
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.token_batches import sorted_batches

TokenIds = tuple[int, ...]
_PAIRS_PER_GROUP = 8  # comparisons of one prompt that share a batch item


class BradleyTerry:
    """-log sigmoid of score differences; see `supervised.Objective`.

    An item is a group of comparisons of one prompt. Each distinct response of a group is encoded
    once, so that k responses give up to k(k-1)/2 comparisons; where the architecture allows it
    (tried on the first groups) they share one row, so that the prompt is encoded once too.
    """

    def __init__(
        self,
        model: Any,
        pairs: Sequence[PreferencePair],
        encode: Callable[[PreferencePair], tuple[TokenIds, TokenIds]],
        centring: float = 0.0,
        *,
        token_aggregate: str | None = None,
        prompt_length: Callable[[PreferencePair], int] | None = None,
    ) -> None:
        """Take the classifier and the comparisons.

        Args:
            model: The classifier.
            pairs: The comparisons.
            encode: Gives the token ids of a comparison, prompt and (chosen, rejected).
            centring: Weight of the squared sum of a pair's scores.
            token_aggregate: "mean" or "sum" of the numbers at a response's tokens; None: the
                number at the last token.
            prompt_length: How many of a comparison's ids are the prompt; needed with
                `token_aggregate`.
        """
        self.model, self.centring = model, centring
        self.encoded = [encode(pair) for pair in pairs]
        self.is_tie = np.array([pair.is_tie for pair in pairs], dtype=bool)
        self.groups = _groups(pairs)
        self.sequences = [self._distinct(group) for group in self.groups]
        starts = [0 if prompt_length is None else prompt_length(pairs[g[0]]) for g in self.groups]
        self._scores_of = GroupedScores(
            model, self.sequences, starts=starts, token_aggregate=token_aggregate
        )
        self.is_packed, self.costs = self._scores_of.is_packed, self._scores_of.costs

    def _distinct(self, group: Sequence[int]) -> list[TokenIds]:
        return list(dict.fromkeys(ids for row in group for ids in self.encoded[row]))

    def loss(self, items: np.ndarray) -> Tensor:
        """Return the mean loss of the comparisons in the groups `items`."""
        rows, chosen, rejected = self._scores(items)
        ties = torch.from_numpy(self.is_tie[rows]).to(chosen.device)
        losses = bradley_terry_losses(chosen, rejected, ties)
        return losses.mean() + self.centring * (chosen + rejected).square().mean()

    def differences(self, batch_tokens: int) -> np.ndarray:
        """Raw score of chosen minus rejected of every comparison, (R,) float32, no gradients."""
        found = np.zeros(len(self.encoded), dtype=np.float32)
        self.model.eval()
        with torch.no_grad():
            for items in sorted_batches(self.costs, batch_tokens):
                rows, chosen, rejected = self._scores(items)
                found[rows] = (chosen - rejected).cpu().numpy()
        return found

    def _scores(self, items: np.ndarray) -> tuple[list[int], Tensor, Tensor]:
        """Rows of the comparisons in some groups, and the raw scores of their two sides."""
        scores = self._scores_of(items)
        rows: list[int] = []
        places: list[tuple[int, int]] = []
        first = 0
        for item in items:
            number = {ids: first + i for i, ids in enumerate(self.sequences[item])}
            first += len(number)
            for row in self.groups[item]:
                rows.append(row)
                places.append((number[self.encoded[row][0]], number[self.encoded[row][1]]))
        sides = torch.tensor(places, device=scores.device)
        return rows, scores[sides[:, 0]], scores[sides[:, 1]]


def _groups(pairs: Sequence[PreferencePair]) -> list[list[int]]:
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        by_prompt[pair.prompt].append(row)
    return [
        rows[start : start + _PAIRS_PER_GROUP]
        for rows in by_prompt.values()
        for start in range(0, len(rows), _PAIRS_PER_GROUP)
    ]
