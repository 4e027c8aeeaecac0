"""The table of steps, and what is taken from it."""

from __future__ import annotations

import pytest

from textgym.agents.reward_learning.labels import Judged
from textgym.agents.reward_learning.segment_steps import steps_of_items, steps_of_segments
from textgym.agents.reward_learning.vector_network import StepShape
from textgym.feedback.responses import PromptText, Response, Span

SHAPE = StepShape(observation_size=1, action_size=2, is_discrete=True)


def test_segments_are_taken_in_any_order(segment_response) -> None:
    items = [
        Judged(response=segment_response([1, 2, 3], [0, 1, 0])),
        Judged(response=segment_response([4])),
        Judged(response=segment_response([5, 6, 7, 8]), span=Span(start=1, end=3)),
    ]
    steps = steps_of_items(items, SHAPE)
    assert steps.lengths.tolist() == [3, 1, 2] and not steps.has_end
    features, lengths = steps.take([2, 0])
    assert lengths.tolist() == [2, 3]
    assert features.tolist() == [[6, 1, 0], [7, 1, 0], [1, 1, 0], [2, 0, 1], [3, 1, 0]]


def test_an_end_is_noticed(segment_response) -> None:
    segments = [segment_response([1], terminated=True).segment, segment_response([2, 3]).segment]
    assert steps_of_segments(segments, SHAPE).has_end


def test_what_is_no_segment_is_named(segment_response) -> None:
    text = Response(prompt=PromptText(text="p"), text="some words")
    with pytest.raises(ValueError, match="got the text 'some words'"):
        steps_of_items([Judged(response=text)], SHAPE)
    characters = Span(start=0, end=1, unit="character")
    with pytest.raises(ValueError, match="must count actions"):
        steps_of_items([Judged(response=segment_response([1]), span=characters)], SHAPE)
    with pytest.raises(ValueError, match="at least one segment, got 0"):
        steps_of_items([], SHAPE)
