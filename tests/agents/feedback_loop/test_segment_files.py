"""Segments on disk."""

from __future__ import annotations

from pathlib import Path

from textgym.agents.feedback_loop.segment_files import read_segments, write_segments
from textgym.feedback.responses import Segment


def test_back_as_they_were_without_the_true_rewards(tmp_path: Path) -> None:
    box = [
        Segment(observations=((0.5, 1.0),), actions=((0.25,),), terminated=True),
        Segment(observations=((1.0, 2.0), (3.0, 4.0)), actions=((-1.0,), (1.0,))),
    ]
    write_segments(tmp_path, box)
    assert read_segments(tmp_path) == box
    numbered = Segment(observations=((0.5,), (1.5,)), actions=(0, 3), true_rewards=(1.0, 2.0))
    write_segments(tmp_path, [numbered])
    (found,) = read_segments(tmp_path)
    assert (found.actions, found.true_rewards) == ((0, 3), ())
