"""Language feedback by a rubric: an overall judgement, then findings, whose truth is on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.feedback.checks import check_choice, check_fraction
from textgym.feedback.teachers.config import PHRASING_SETS
from textgym.feedback.teachers.judges import Finding
from textgym.feedback.teachers.phrasings import (
    NUM_GRADES,
    SEEN_FINDINGS,
    SEEN_GRADES,
    UNSEEN_FINDINGS,
    UNSEEN_GRADES,
)
from textgym.feedback.teachers.randomness import generator_state, restore_generator


@dataclass(frozen=True, kw_only=True)
class Critique:
    """Words, and what they say: the ground truth that they can be checked against.

    Attributes:
        words: The sentences.
        grade: Overall, 0 the worst of `NUM_GRADES`.
        findings: What was named, in order.
    """

    words: str
    grade: int
    findings: tuple[Finding, ...] = ()

    def details(self) -> dict[str, Any]:
        """Return grade and findings as JSON values, for a record's `details`."""
        return {
            "grade": self.grade,
            "findings": [[finding.aspect, finding.subject] for finding in self.findings],
        }


def grade_of(score: float) -> int:
    """Return the grade of a score in [0, 1]: its fifth, 0 to 4."""
    check_fraction("score", score)
    return min(NUM_GRADES - 1, int(score * NUM_GRADES))


class Rubric:
    """Says scores and findings in one of the sets of phrasings."""

    def __init__(
        self, generator: np.random.Generator, *, phrasings: str = "seen", max_findings: int = 3
    ) -> None:
        """Draw phrasings with `generator` from the set "seen", "unseen" or "all"."""
        check_choice("phrasings", phrasings, PHRASING_SETS)
        self._generator, self._max_findings = generator, max_findings
        self._grades = _both(phrasings, SEEN_GRADES, UNSEEN_GRADES)
        self._findings = {
            aspect: said[0]
            for aspect in SEEN_FINDINGS
            for said in [_both(phrasings, (SEEN_FINDINGS[aspect],), (UNSEEN_FINDINGS[aspect],))]
        }

    def critique(self, score: float, findings: Sequence[Finding] = ()) -> Critique:
        """Say a score in [0, 1] and the first of the findings.

        A good response's praise comes first and a bad one's faults, so that what is said fits the
        judgement that it follows.
        """
        grade = grade_of(score)
        likes = grade > (NUM_GRADES - 1) / 2
        ordered = sorted(findings, key=lambda finding: finding.is_praise != likes)
        named = tuple(ordered[: self._max_findings])
        sentences = [self._pick(self._grades[grade])]
        sentences += [_filled(self._pick(self._findings[f.aspect]), f.subject) for f in named]
        return Critique(words=" ".join(sentences), grade=grade, findings=named)

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state; JSON values."""
        return generator_state(self._generator)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        restore_generator(self._generator, state)

    def _pick(self, phrases: Sequence[str]) -> str:
        return phrases[int(self._generator.integers(len(phrases)))]


def _both(
    phrasings: str, seen: Sequence[tuple[str, ...]], unseen: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    if phrasings == "all":
        return tuple((*a, *b) for a, b in zip(seen, unseen, strict=True))
    return tuple(seen if phrasings == "seen" else unseen)


def _filled(template: str, subject: str) -> str:
    sentence = template.format(subject=subject)
    return sentence[:1].upper() + sentence[1:]
