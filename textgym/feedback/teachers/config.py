"""What a simulated teacher is like, as plain values: a knob for each problem of human feedback."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from textgym.feedback.checks import (
    check_choice,
    check_finite,
    check_fraction,
    check_integer,
    check_text,
    is_number,
)
from textgym.feedback.knobs import parse_knobs
from textgym.feedback.teachers.styles import STYLES

VIEWS = ("whole", "first", "last")
VIEW_UNITS = ("action", "word", "character")
PHRASING_SETS = ("seen", "unseen", "all")
PERFECTLY_RATIONAL = -1.0
_KINDS: dict[str, type] = {"str": str, "int": int, "float": float}


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """A teacher; every default is "off", and with all knobs off the gold order decides exactly.

    Utilities are gold scores in units of `gold_std` above `gold_mean`, so that no knob changes its
    meaning with the scale of an environment's gold. `beta`, `gamma`, `eps_mistake`, `eps_skip` and
    `eps_equal` are B-Pref's names.

    Attributes:
        annotator_id: Pseudonym; of several people, its beginning.
        annotators: How many people; questions go to them in turn.
        answers_per_query: How many of them are asked each question (the broker's config must say
            the same).
        seed: Of every draw that the teacher makes.
        gold_mean: Mean gold of responses as they come; its score is 0.5.
        gold_std: Their standard deviation, above 0: the unit of all that follows.
        beta: Rationality: of two responses the better is chosen with probability
            sigmoid(beta * difference); 0 is a coin, -1 perfectly rational.
        gamma: Myopia, in (0, 1]: reward of a segment's step k before its last counts gamma^k.
        eps_mistake: Probability that an answer is turned around.
        eps_skip: Share of responses, the worst ones, that are not worth an answer: a question is
            skipped if the best that it shows is among them.
        eps_equal: Responses whose utilities differ by less are called equally good.
        skip_rate: Probability that a question is skipped for no reason.
        score_noise: Standard deviation of a score's normal noise, truncated to [0, 1].
        length_bias: Utility for every ten actions (of text without token ids: words).
        position_bias: Utility of the response shown first.
        keyword_bias: Utility if one of `keywords` occurs.
        keywords: Words or phrases, several separated by "|"; upper and lower case are the same.
        style_bias: Utility at the full measure of `style`, in proportion below it.
        style: One of `styles.STYLES`, measures of a text from 0 to 1.
        bias_spread: Standard deviation of the four biases' weights over people.
        delay: Rounds from a question to its answer.
        delay_spread: Up to this many rounds more, evenly drawn: answers overtake each other.
        dropout_round: Round from which on nothing more comes; None for never.
        dropout_rate: Probability, in each round, of leaving for good.
        anchoring: Pull of a score towards the mean of the last ones given, in [0, 1).
        anchor_window: How many last ones that are.
        drift: Leniency's random walk: standard deviation of its step in each round, a utility.
        bias_drift: The same for each of the four biases' weights.
        view: "whole", or the "first" or "last" part of a response that alone is seen.
        view_size: Length of that part.
        view_unit: "action" (token or step), "word" or "character".
        phrasings: Which of the rubric's phrasings words are taken from: "seen" (those that the
            critic learns from), "unseen" (the others) or "all".
        max_findings: Most findings that words name, after the overall judgement.
    """

    annotator_id: str = "teacher"
    annotators: int = 1
    answers_per_query: int = 1
    seed: int = 0
    gold_mean: float = 0.0
    gold_std: float = 1.0
    beta: float = PERFECTLY_RATIONAL
    gamma: float = 1.0
    eps_mistake: float = 0.0
    eps_skip: float = 0.0
    eps_equal: float = 0.0
    skip_rate: float = 0.0
    score_noise: float = 0.0
    length_bias: float = 0.0
    position_bias: float = 0.0
    keyword_bias: float = 0.0
    keywords: str = ""
    style_bias: float = 0.0
    style: str = "exclamation"
    bias_spread: float = 0.0
    delay: int = 0
    delay_spread: int = 0
    dropout_round: int | None = None
    dropout_rate: float = 0.0
    anchoring: float = 0.0
    anchor_window: int = 5
    drift: float = 0.0
    bias_drift: float = 0.0
    view: str = "whole"
    view_size: int = 0
    view_unit: str = "action"
    phrasings: str = "seen"
    max_findings: int = 3

    def __post_init__(self) -> None:
        """Check every value; a message names the knob, the value and what was expected."""
        check_text("annotator_id", self.annotator_id)
        for name in ("annotators", "answers_per_query", "anchor_window"):
            _check_whole(name, getattr(self, name), least=1)
        for name in ("seed", "delay", "delay_spread", "view_size", "max_findings"):
            _check_whole(name, getattr(self, name))
        check_integer("dropout_round", self.dropout_round)
        for name in ("eps_mistake", "eps_skip", "skip_rate", "dropout_rate"):
            check_fraction(name, getattr(self, name))
        for name in ("gold_mean", "length_bias", "position_bias", "keyword_bias", "style_bias"):
            _check_finite(name, getattr(self, name))
        for name in ("eps_equal", "score_noise", "bias_spread", "drift", "bias_drift"):
            _check_at_least_0(name, getattr(self, name))
        check_fraction("gamma", self.gamma, above_zero=True)
        self._check_scales()
        for name, choices in (
            ("style", tuple(STYLES)),
            ("view", VIEWS),
            ("view_unit", VIEW_UNITS),
            ("phrasings", PHRASING_SETS),
        ):
            check_choice(name, getattr(self, name), choices)
        self._check_pairs()

    def _check_scales(self) -> None:
        _check_finite("gold_std", self.gold_std)
        if self.gold_std <= 0:
            raise ValueError(f"gold_std must be above 0, got {self.gold_std!r}")
        _check_finite("beta", self.beta)
        if self.beta < 0 and self.beta != PERFECTLY_RATIONAL:
            raise ValueError(
                f"beta must be at least 0, or -1 for perfectly rational, got {self.beta!r}"
            )
        check_fraction("anchoring", self.anchoring)
        if self.anchoring == 1:
            raise ValueError(f"anchoring must be below 1, got {self.anchoring!r}")

    def _check_pairs(self) -> None:
        """Reject knobs that need another one."""
        if self.answers_per_query > self.annotators:
            raise ValueError(
                f"answers_per_query must be at most annotators={self.annotators}, "
                f"got {self.answers_per_query!r}"
            )
        if self.view != "whole" and not self.view_size:
            raise ValueError(f"view={self.view!r} needs a view_size of at least 1, got 0")
        if self.view == "whole" and self.view_size:
            raise ValueError(f"view_size={self.view_size!r} needs view='first' or 'last'")
        if self.keyword_bias and not self.keyword_list:
            raise ValueError(f"keyword_bias={self.keyword_bias!r} needs keywords='word|phrase'")

    @property
    def keyword_list(self) -> tuple[str, ...]:
        """The keywords in lower case, possibly none."""
        return tuple(part.strip().lower() for part in self.keywords.split("|") if part.strip())

    @property
    def answers_at_once(self) -> bool:
        """Whether every question is answered in its own round: no delay, skip or drop-out."""
        leaves = self.dropout_round is not None or self.dropout_rate > 0
        return not (leaves or self.delay or self.delay_spread or self.eps_skip or self.skip_rate)

    @classmethod
    def parse(cls, text: str, **defaults: Any) -> TeacherConfig:
        """Read "beta=2,eps_mistake=0.1,keywords=please|thank you"; an empty text is all off.

        Args:
            text: Settings; they win over the defaults.
            **defaults: Other defaults than the class's.

        Raises:
            ValueError: Not of that form, an unknown knob (the nearest is named), or a bad value.
        """
        kinds = {f.name: _KINDS[str(f.type).split(" ")[0]] for f in fields(cls)}
        return cls(**{**defaults, **parse_knobs(text, kinds, "a teacher")})


def calibrated(config: TeacherConfig, gold_scores: Sequence[float] | np.ndarray) -> TeacherConfig:
    """Return the config with `gold_mean` and `gold_std` of these reference responses.

    Args:
        config: The teacher.
        gold_scores: (R,) gold of responses as they come, of the reference policy say; R >= 2.

    Raises:
        ValueError: Fewer than two, not finite, or all the same: there is no unit to measure in.
    """
    scores = np.asarray(gold_scores, dtype=np.float64)
    if scores.ndim != 1 or scores.size < 2 or not np.isfinite(scores).all():
        raise ValueError(f"gold_scores must be at least 2 finite numbers, got {gold_scores!r}")
    if not scores.std() > 0:
        raise ValueError(f"gold_scores must differ, got {scores.size} times {scores[0]!r}")
    return replace(config, gold_mean=float(scores.mean()), gold_std=float(scores.std()))


def _check_whole(name: str, value: int, *, least: int = 0) -> None:
    if value is None:
        raise ValueError(f"{name} must be an integer of at least {least}, got None")
    check_integer(name, value, least=least)


def _check_finite(name: str, value: float) -> None:
    if value is None:
        raise ValueError(f"{name} must be a finite number, got None")
    check_finite(name, value)


def _check_at_least_0(name: str, value: float) -> None:
    if not (is_number(value) and 0 <= value < math.inf):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
