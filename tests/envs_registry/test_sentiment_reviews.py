"""The data and the gold of RLHF-Sentiment-v0: grammar, hand-worked utilities, purity, people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from textgym.config import SPLITS
from textgym.envs_registry.sentiment_reviews.gold import SentimentGold, gold_terms
from textgym.envs_registry.sentiment_reviews.grammar import (
    Opinion,
    read_clause,
    read_continuation,
    read_sentence,
)
from textgym.envs_registry.sentiment_reviews.lexicon import ADJECTIVES, SUBJECTS, VERBS, VERDICTS
from textgym.envs_registry.sentiment_reviews.people import ideal_continuation
from textgym.envs_registry.sentiment_reviews.ratings import RatedSentiment
from textgym.envs_registry.sentiment_reviews.reviews import FreeReviews, SentimentReviews
from textgym.types import Episode, Prompt

FACTS = {
    "subject": "hotel",
    "setting": "We came on Friday.",
    "opinions": [["bed", "I hated the bed"]],
}


def utility(text: str, finish_reason: str = "eos", facts: object = FACTS) -> dict[str, float]:
    assert isinstance(facts, dict)
    return gold_terms(facts, text, finish_reason)


def episode(text: str, facts: dict[str, object]) -> Episode:
    return Episode(
        prompt=Prompt(prompt_id=3, text="x", facts=facts),
        prompt_ids=(1,),
        response_ids=(2,),
        response=text,
        finish_reason="eos",
    )


@pytest.mark.parametrize(
    ("clause", "opinion"),
    [
        ("the pool was superb", Opinion("pool", 1.0)),
        ("The prices were not bad", Opinion("prices", 0.4)),
        ("I found the first chapter a bit dull", Opinion("first chapter", -0.3)),
        ("i could live with the staff", Opinion("staff", 0.2)),
        ("I would not do it again", Opinion("verdict", -0.7)),
        ("the prices was good", None),  # agreement
        ("the pool were good", None),
        ("the pool was good good", None),
        ("pool was good", None),
        ("I liked", None),
        ("", None),
    ],
)
def test_clauses(clause: str, opinion: Opinion | None) -> None:
    assert read_clause(clause) == opinion


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("I liked the pool and the staff was great.", 2),
        ("I liked the pool, but the staff was poor!", 2),
        ("I liked the pool, but the staff was great.", None),  # no contrast
        ("I liked the pool and the staff was poor.", None),
        ("I liked the pool and I liked the bed and I liked the view.", None),
        ("I liked the pool", None),
        ("I liked the pool?", None),
    ],
)
def test_sentences(sentence: str, count: int | None) -> None:
    read = read_sentence(sentence)
    assert (None if read is None else len(read)) == count


def test_every_word_can_be_said() -> None:
    for subject in SUBJECTS.values():
        assert len(set(subject.aspects)) == 12
        for number, be in (("singular", "was"), ("plural", "were")):
            for aspect in getattr(subject, number):
                for adjective, valence in ADJECTIVES.items():
                    assert read_clause(f"the {aspect} {be} {adjective}") == Opinion(aspect, valence)
                for verb, valence in VERBS.items():
                    assert read_clause(f"I {verb} the {aspect}") == Opinion(aspect, valence)
    assert all(read_clause(verdict) for verdict in VERDICTS)


def test_a_reading_counts_stray_words() -> None:
    reading = read_continuation(" I liked the pool. the pool the pool. The view was nice. And")
    assert [opinion.about for opinion in reading.opinions] == ["pool", "view"]
    assert (reading.num_words, reading.num_stray_words) == (13, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The pool was great. I loved the view. I can recommend it.", {"praise": 0.75}),
        ("The pool was great.", {"praise": 0.25}),
        ("I liked the pool.", {"praise": 0.25 * 0.7}),
        # Four praises earn no more than the best three.
        (
            "The pool was great. The view was okay. The lobby was great. I loved the garden.",
            {"praise": 0.75},
        ),
        ("I hated the pool.", {"praise": 0.0, "blame": -0.12}),
        ("The bed was great.", {"praise": 0.0, "contradiction": -0.12}),
        ("The bed was awful.", {"praise": 0.0, "repetition": -0.08, "blame": -0.12}),
        ("The pool was great. I loved the pool.", {"praise": 0.25, "repetition": -0.08}),
        ("The plot was great.", {"praise": 0.0, "irrelevant": -0.1}),
    ],
)
def test_utility_by_hand(text: str, expected: dict[str, float]) -> None:
    terms = utility(text)
    zeros = dict.fromkeys(("blame", "contradiction", "repetition", "irrelevant", "ending"), 0.0)
    assert terms == pytest.approx({**zeros, "grammar": 0.25, "floor": 0.0, **expected})


def test_broken_text_earns_nothing() -> None:
    for text in ("", "great great great", "the pool great, lovely", "superb!"):
        assert sum(utility(text).values()) == 0.0
    half = utility("The pool was great. great pool was the")
    assert half["grammar"] == pytest.approx(0.125) and half["praise"] == 0.25


def test_a_text_that_does_not_end_costs() -> None:
    assert utility("The pool was great.", "length")["ending"] == -0.05
    assert sum(utility("I hated", "length").values()) == 0.0  # never below 0


def test_gold_of_a_batch_and_findings() -> None:
    gold = SentimentGold()
    played = [episode("The pool was great. I hated the view. The plot was nice. so", FACTS)]
    terms = utility(played[0].response)
    assert gold(played).tolist() == pytest.approx([sum(terms.values())])
    found = [(finding.aspect, finding.subject) for finding in gold.findings(played[0])]
    assert found == [
        ("covered", "the good points"),
        ("wrong", "the mood"),
        ("irrelevant", ""),
        ("broken", ""),
    ]
    with pytest.raises(ValueError, match="facts of a review, got .* for prompt_id 3"):
        gold([episode("x", {"subject": "car"})])


def test_items_are_pure_and_splits_share_none() -> None:
    sources = {split: SentimentReviews(2, split) for split in SPLITS}
    assert [len(source) for source in sources.values()] == [1_000_000, 10_000, 10_000]
    assert sources["train"][9] == SentimentReviews(2, "train", 10)[9]
    assert sources["train"][9] != SentimentReviews(3, "train")[9]
    texts = {split: {source[i].text for i in range(400)} for split, source in sources.items()}
    assert not texts["train"] & texts["validation"]
    assert not (texts["train"] | texts["validation"]) & texts["test"]
    assert len(texts["train"]) > 395


def test_prompts_and_facts_agree() -> None:
    source = SentimentReviews(0, "train")
    for prompt in (source[i] for i in range(300)):
        assert json.loads(json.dumps(prompt.facts)) == prompt.facts
        title, opening, end = prompt.text.split("\n\n")
        assert title == f"Review of a {prompt.facts['subject']}" and end == "Continued:"
        sentences = [prompt.facts["setting"], *(f"{o}." for _, o in prompt.facts["opinions"])]
        assert opening == " ".join(s[0].upper() + s[1:] for s in sentences) and "{" not in opening
        for aspect, clause in prompt.facts["opinions"]:
            opinion = read_clause(clause)
            assert opinion is not None and opinion.about == aspect


def test_people_asked_to_praise_do_better_than_those_who_are_not() -> None:
    asked, free = SentimentReviews(0, "train"), FreeReviews(0, "train")
    scores = []
    for source in (asked, free):
        prompts = [source[i] for i in range(600)]
        readings = [read_continuation(prompt.references[0]) for prompt in prompts]
        assert all(reading.num_stray_words == 0 for reading in readings)
        scores.append([sum(utility(p.references[0], facts=p.facts).values()) for p in prompts])
        assert all(0 <= score <= 1 for score in scores[-1])
        best = {
            round(sum(utility(ideal_continuation(p.facts), facts=p.facts).values()), 9)
            for p in prompts
        }
        assert best == {1.0}
    assert asked[5].text == free[5].text  # the same beginnings
    assert 0.6 < np.mean(scores[0]) < 0.75 and 0.25 < np.mean(scores[1]) < 0.4


def test_a_gold_learned_from_ratings() -> None:
    good, bad = "a lovely warm film", "an awful cold film"
    gold = RatedSentiment([good, bad] * 10, [3.0, -2.5] * 10)
    facts: dict[str, object] = {}
    high, low, none = gold([episode(t, facts) for t in ("lovely and warm", "awful, cold", " ")])
    assert high > 0.8 and low < 0.2 and none == 0.0


@pytest.mark.parametrize("rating", ["good", None, True, float("nan")])
def test_ratings_that_are_no_numbers(rating: object) -> None:
    with pytest.raises(ValueError, match="a rating must be a finite number, got"):
        RatedSentiment(["a", "b"], [1.0, rating])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="ratings must differ, got 2 times 1.0"):
        RatedSentiment(["a", "b"], [1.0, 1.0])
