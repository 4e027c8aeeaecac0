"""The steps of judged segments as one table, so that any labels of them are one forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textgym.agents.reward_learning.labels import Judged
from textgym.agents.reward_learning.vector_network import StepShape
from textgym.feedback.responses import Segment


@dataclass(frozen=True, kw_only=True)
class SegmentSteps:
    """The steps of S segments, one after the other.

    Attributes:
        features: (T, F) float32.
        lengths: (S,) int64, steps of each segment, at least 1.
        has_end: Whether any of the segments goes as far as the end of its episode.
    """

    features: np.ndarray
    lengths: np.ndarray
    has_end: bool

    def take(self, segments: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return features and lengths of some segments, one after the other."""
        starts = np.cumsum(self.lengths) - self.lengths
        segments = np.asarray(segments, dtype=np.int64)
        lengths = self.lengths[segments]
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.features[np.repeat(starts[segments], lengths) + offsets], lengths


def steps_of_items(items: Sequence[Judged], shape: StepShape) -> SegmentSteps:
    """Table the items' steps; of an item with a span only those inside it.

    Raises:
        ValueError: An item that is no segment, a span in characters, or steps of another shape.
    """
    return _table([_part_of(item) for item in items], shape)


def steps_of_segments(segments: Sequence[Segment], shape: StepShape) -> SegmentSteps:
    """Table whole segments; see `steps_of_items`."""
    return _table([(segment, 0, len(segment.actions)) for segment in segments], shape)


def _table(parts: Sequence[tuple[Segment, int, int]], shape: StepShape) -> SegmentSteps:
    if not parts:
        raise ValueError("expected at least one segment, got 0")
    features = [
        shape.features(
            np.array(segment.observations[start:end], dtype=np.float32).reshape(end - start, -1),
            np.array(segment.actions[start:end]),
        )
        for segment, start, end in parts
    ]
    return SegmentSteps(
        features=np.concatenate(features),
        lengths=np.array([end - start for _, start, end in parts], dtype=np.int64),
        has_end=any(segment.terminated for segment, _, _ in parts),
    )


def _part_of(item: Judged) -> tuple[Segment, int, int]:
    segment = item.response.segment
    if segment is None:
        raise ValueError(
            f"expected feedback on segments of trajectories, got the text "
            f"{item.response.text[:80]!r}"
        )
    if item.span is None:
        return segment, 0, len(segment.actions)
    if item.span.unit != "token":
        raise ValueError(f"a span of a segment must count actions, got {item.span!r}")
    return segment, item.span.start, item.span.end
