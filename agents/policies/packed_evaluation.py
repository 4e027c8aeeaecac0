"""Log-probabilities, values and entropies of packed segments: one forward per sequence.

Shape letters: S segments, W their padded width, M packed actions, R segments of a micro-batch, U
different prompts of it, D model width, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch as th

from textgym.agents.policies.prompt_families import MicroBatch, deal_micro_batches
from textgym.models.shared_prompts import SharedPrompts

GroupEvaluator = Callable[["PackedGroup"], tuple[th.Tensor, ...]]


@dataclass(frozen=True, kw_only=True)
class PackedGroup:
    """A micro-batch of segments.

    Attributes:
        ids: (R, W) int64 on the policy's device, empty cells 0, all that the forward reads.
        rows: (M,) int64, the segment of each action.
        positions: (M,) int64, the cell whose hidden state predicts the action.
        actions: (M,) int64.
        prompt_lengths: (R,) int64.
        shared_prompts: Which segments share their prompt, where it pays to read it once.
    """

    ids: th.Tensor
    rows: th.Tensor
    positions: th.Tensor
    actions: th.Tensor
    prompt_lengths: th.Tensor
    shared_prompts: SharedPrompts | None = None

    def states(
        self, start: int, stop: int, empty_id: int, width: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rebuild the states of the actions `start` to `stop` as a mask function wants them.

        Returns:
            ids (stop - start, width) int64 with `empty_id` in empty cells, lengths and prompt
            lengths (stop - start,) int64.
        """
        rows = self.rows[start:stop].cpu().numpy()
        lengths = self.positions[start:stop].cpu().numpy() + 1
        ids = np.full((len(rows), width), empty_id, np.int64)
        known = min(width, self.ids.shape[1])
        ids[:, :known] = self.ids.cpu().numpy()[rows, :known]
        ids[np.arange(width)[None, :] >= lengths[:, None]] = empty_id
        return ids, lengths, self.prompt_lengths.cpu().numpy()[rows]


def evaluate_in_groups(
    evaluate: GroupEvaluator,
    *,
    ids: th.Tensor,
    is_action: th.Tensor,
    prompt_lengths: th.Tensor,
    actions: th.Tensor,
    empty_id: int,
    token_budget: int,
    can_share: Callable[[], bool],
) -> tuple[th.Tensor, ...]:
    """Run `evaluate` on micro-batches of similar lengths and put the results back in order.

    Args:
        evaluate: Gives numbers of a group's actions, one or more tensors of (M,) each.
        ids: (S, W) int64, `empty_id` behind each segment.
        is_action: (S, W) bool; the action at a cell is predicted from the cells before it.
        prompt_lengths: (S,) int64.
        actions: (M,) int64, over `is_action` in row-major order.
        empty_id: Marker of empty cells, never fed to the model.
        token_budget: Padded cells per micro-batch; a longer segment goes alone.
        can_share: Whether segments may share their prompts; asked where any do.

    Returns:
        What `evaluate` gives, (M,) each, in the order of `actions`.

    Raises:
        ValueError: The number of actions is not that of the True cells.
    """
    flags = is_action.cpu().numpy()
    counts = flags.sum(axis=1)
    if counts.sum() != len(actions):
        raise ValueError(f"expected {int(counts.sum())} packed actions, got {len(actions)}")
    # What the forward reads ends before the last action: nobody asks what follows it.
    lengths = np.maximum(flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1), 1)
    first = np.concatenate([[0], np.cumsum(counts)])
    results, order = [], []
    # Of a prompt only what precedes all actions may be shared: no state within it is read.
    heads = np.minimum(prompt_lengths.cpu().numpy(), flags.argmax(axis=1))
    batches = deal_micro_batches(ids.cpu().numpy(), lengths, heads, token_budget, can_share)
    for batch in batches:
        chosen = batch.segments
        place = np.concatenate([np.arange(first[row], first[row + 1]) for row in chosen])
        rows, cells = np.nonzero(flags[chosen])
        device = ids.device
        packed = th.as_tensor(place, device=device)
        group_ids = ids[th.as_tensor(chosen, device=device), : int(lengths[chosen].max())]
        group = PackedGroup(
            ids=group_ids.masked_fill(group_ids == empty_id, 0),
            rows=th.as_tensor(rows, device=device),
            positions=th.as_tensor(cells - 1, device=device),
            actions=actions[packed],
            prompt_lengths=prompt_lengths[th.as_tensor(chosen, device=device)],
            shared_prompts=_shared_prompts(batch, th.as_tensor(heads[chosen], device=device)),
        )
        results.append(evaluate(group))
        order.append(packed)
    back = th.argsort(th.cat(order))
    return tuple(th.cat(parts)[back] for parts in zip(*results, strict=True))


def _shared_prompts(batch: MicroBatch, lengths: th.Tensor) -> SharedPrompts | None:
    if batch.owners is None:
        return None
    device = lengths.device
    _, first = np.unique(batch.owners, return_index=True)
    return SharedPrompts(
        lengths=lengths,
        owners=th.as_tensor(batch.owners, device=device),
        first=th.as_tensor(first, device=device),
    )


def single_action_segments(obs: th.Tensor, empty_id: int) -> dict[str, th.Tensor]:
    """Make each plain observation (M, L) a segment whose one action follows it."""
    ids = obs.long()
    lengths = (ids != empty_id).sum(dim=1)
    ids = th.nn.functional.pad(ids, (0, 1), value=empty_id)
    is_action = th.zeros_like(ids, dtype=th.bool)
    is_action[th.arange(len(ids), device=ids.device), lengths] = True
    return {"ids": ids, "is_action": is_action, "prompt_lengths": lengths}
