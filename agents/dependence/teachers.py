"""The teachers of a study: alike but for what the study turns, and fair to the reference model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from textgym.feedback.queries import Query
from textgym.feedback.responses import Response
from textgym.feedback.teachers import TeacherConfig
from textgym.feedback.teachers.biases import Biases
from textgym.types import Episode


@dataclass(frozen=True, kw_only=True)
class ReferenceFacts:
    """What the reference model's responses are like.

    Attributes:
        gold_mean: Their mean gold.
        gold_std: Its standard deviation, above 0.
        liking: What a bias of weight 1 adds to their utility, on average; a bias is linear.
        golds: Gold of its responses to the held-out prompts.
        lengths: Their lengths in tokens.
    """

    gold_mean: float
    gold_std: float
    liking: float
    golds: tuple[float, ...]
    lengths: tuple[int, ...]


def teacher_of(base: TeacherConfig, facts: ReferenceFacts, knob: str, bias: float) -> TeacherConfig:
    """Return a teacher who gives the reference's responses 0.5 on average, whatever the bias.

    Without that shift a teacher who likes length would like every response, and its scores could
    not be set beside those of another.

    Args:
        base: The other knobs.
        facts: Of the reference.
        knob: Name of the bias.
        bias: Its weight, in standard deviations of gold.
    """
    mean = facts.gold_mean + facts.gold_std * bias * facts.liking
    changes: dict[str, Any] = {knob: bias}
    return replace(base, gold_mean=mean, gold_std=facts.gold_std, **changes)


def knobs_text(config: TeacherConfig) -> str:
    """Return the teacher as the `teacher` argument of an environment, "gold_mean=0.5,beta=2"."""
    defaults = TeacherConfig()
    given: dict[str, Any] = {f.name: getattr(config, f.name) for f in fields(config)}
    return ",".join(
        f"{name}={value!r}" if not isinstance(value, str) else f"{name}={value}"
        for name, value in given.items()
        if value != getattr(defaults, name)
    )


def mean_liking(base: TeacherConfig, knob: str, episodes: Sequence[Episode]) -> float:
    """Return what a bias of weight 1 adds to the utility of the responses, on average."""
    only: dict[str, Any] = {knob: 1.0}
    biases = Biases(replace(base, **only), 0)
    shifts = []
    for episode in episodes:
        response = Response.of_episode(episode)
        query = Query(kind="score", prompt=response.prompt, responses=(response,))
        shifts.append(float(biases.shifts(query, (response,))[0]))
    return float(np.mean(shifts))
