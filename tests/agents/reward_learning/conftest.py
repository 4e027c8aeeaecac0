"""Segments of a toy environment: one number is seen, one of two actions is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from textgym.feedback.responses import Annotator, PromptText, Response, Segment

TEACHER = Annotator(id="t", kind="simulated")


@pytest.fixture
def segment_response() -> Callable[..., Response]:
    """Return `make(observations, actions=None, terminated=False)`: a response of one segment."""

    def make(
        observations: Sequence[float],
        actions: Sequence[int] | None = None,
        terminated: bool = False,
    ) -> Response:
        segment = Segment(
            observations=tuple((float(value),) for value in observations),
            actions=tuple([0] * len(observations) if actions is None else map(int, actions)),
            terminated=terminated,
        )
        return Response(prompt=PromptText(text=""), text="", segment=segment)

    return make


@pytest.fixture
def annotator() -> Annotator:
    """Who gave the labels."""
    return TEACHER
