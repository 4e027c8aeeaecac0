"""Words and numbers: rubric, phrasings that share nothing, and the critic on both sets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from textgym.feedback.teachers import Critic, Finding, Rubric, grade_of, rubric_critic
from textgym.feedback.teachers.critic import CriticConfig, rubric_examples
from textgym.feedback.teachers.judges import ABOUT_A_SUBJECT, ASPECTS
from textgym.feedback.teachers.phrasings import (
    NUM_GRADES,
    SEEN_FINDINGS,
    SEEN_GRADES,
    UNSEEN_FINDINGS,
    UNSEEN_GRADES,
)


def rubric(phrasings: str = "seen", max_findings: int = 3) -> Rubric:
    return Rubric(np.random.default_rng(0), phrasings=phrasings, max_findings=max_findings)


def test_the_two_sets_share_no_phrasing() -> None:
    assert len(SEEN_GRADES) == len(UNSEEN_GRADES) == NUM_GRADES
    assert set(SEEN_FINDINGS) == set(UNSEEN_FINDINGS) == set(ASPECTS)
    everything = [*itertools.chain(*SEEN_GRADES, *UNSEEN_GRADES)]
    everything += itertools.chain(*SEEN_FINDINGS.values(), *UNSEEN_FINDINGS.values())
    plain = ["".join(c for c in text.lower() if c.isalpha()) for text in everything]
    assert len(set(plain)) == len(plain)
    for findings in (SEEN_FINDINGS, UNSEEN_FINDINGS):
        for aspect, texts in findings.items():
            assert all(("{subject}" in text) == (aspect in ABOUT_A_SUBJECT) for text in texts)


def test_grades_are_fifths() -> None:
    assert [grade_of(s) for s in (0.0, 0.19, 0.2, 0.59, 0.6, 0.99, 1.0)] == [0, 0, 1, 2, 3, 4, 4]
    with pytest.raises(ValueError, match="score"):
        grade_of(1.2)


def test_words_can_be_checked_against_what_they_say() -> None:
    praise, fault = Finding(aspect="covered", subject="the end"), Finding(aspect="too_long")
    good = rubric().critique(0.95, [fault, praise])
    assert good.grade == 4 and good.findings == (praise, fault)  # praise first
    bad = rubric().critique(0.1, [praise, fault])
    assert bad.grade == 0 and bad.findings == (fault, praise)
    assert bad.details() == {"grade": 0, "findings": [["too_long", ""], ["covered", "the end"]]}
    first, *rest = [text for text in SEEN_GRADES[0] if bad.words.startswith(text)]
    assert not rest
    said = bad.words.removeprefix(first).strip()
    assert any(said.startswith(text) for text in SEEN_FINDINGS["too_long"])
    assert "end" in said
    assert rubric(max_findings=0).critique(0.1, [fault]).words in SEEN_GRADES[0]
    unseen = {rubric("unseen").critique(0.5).words for _ in range(20)}
    assert unseen <= set(UNSEEN_GRADES[2])


def pairwise_accuracy(numbers: np.ndarray, scores: np.ndarray) -> float:
    i, j = np.triu_indices(len(scores), 1)
    return float(np.mean((numbers[i] > numbers[j]) == (scores[i] > scores[j])))


def test_the_critic_reads_phrasings_that_it_never_saw() -> None:
    critic = rubric_critic()
    for phrasings, least in (("seen", 0.85), ("unseen", 0.72)):
        texts, scores = rubric_examples(500, phrasings=phrasings, seed=7)
        assert pairwise_accuracy(critic.scores(texts), scores) > least


def test_the_critic_learns_what_it_is_given() -> None:
    texts, scores = rubric_examples(300, phrasings="seen", seed=1)
    turned = Critic.fit(texts, (1 - scores).tolist())
    assert pairwise_accuracy(turned.scores(texts), scores) < 0.2
    assert turned.score("This is excellent.") < 0.5 < rubric_critic().score("This is excellent.")


def test_negations_count() -> None:
    critic = Critic.fit(
        ["it is helpful", "it is not helpful", "clear and helpful", "not clear, not helpful"] * 3,
        [0.9, 0.1, 0.9, 0.1] * 3,
    )
    assert critic.score("helpful and clear") > 0.6 > 0.4 > critic.score("it is not clear")
    assert critic.score("it isn't helpful") < critic.score("it is helpful")


def test_numbers_lie_between_0_and_1_whatever_the_words() -> None:
    critic = rubric_critic()
    numbers = critic.scores(["", "terrible " * 500, "excellent " * 500, "привет", "!!!"])
    assert ((numbers > 0) & (numbers < 1)).all()
    assert critic.scores([]).shape == (0,)
    assert critic.score("This is good.") == critic.scores(["This is good."])[0]


@pytest.mark.parametrize(
    ("texts", "scores", "message"),
    [
        ([], [], "at least 2 texts"),
        (["a"], [0.5], "at least 2 texts"),
        (["a", "b"], [0.5], "got 2 and 1"),
        (["a", "b"], [0.5, 0.5], "scores must differ"),
        (["a", "b"], [0.5, 1.5], r"must lie in \[0, 1\]"),
        (["a", "b"], [0.5, float("nan")], r"must lie in \[0, 1\]"),
    ],
)
def test_nothing_to_learn_from(texts: list[str], scores: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Critic.fit(texts, scores)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="ridge"):
        CriticConfig(ridge=0)
    with pytest.raises(ValueError, match="num_features"):
        CriticConfig(num_features=0)
    with pytest.raises(ValueError, match="a subject belongs to"):
        Finding(aspect="missing")
    with pytest.raises(ValueError, match="aspect must be one of"):
        Finding(aspect="ugly")
