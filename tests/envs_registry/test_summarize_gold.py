"""The gold utility: hand-worked values, and texts that must not pay."""

from __future__ import annotations

import time

import numpy as np
import pytest

from textgym.envs_registry.summarize_posts.gold import (
    FACT_CREDIT,
    FLOOR,
    SummarizeGold,
    gold_terms,
    summary_findings,
)
from textgym.envs_registry.summarize_posts.grammar import read_clause
from textgym.envs_registry.summarize_posts.humans import ideal_summary, reference_summary
from textgym.envs_registry.summarize_posts.phrasings import SUMMARY_CLAUSES
from textgym.envs_registry.summarize_posts.posts import SummarizePosts
from textgym.envs_registry.summarize_posts.wording import phrase, words_of
from textgym.rewards.base import ExplainsGold, RewardFn, score_episodes
from textgym.types import Episode, Prompt

FACTS = {
    "subreddit": "family", "who": "my sister", "pronoun": "she", "action": "broke",
    "thing": "bike", "tried": "ask {him} to pay", "outcome": "said no", "question": "move out",
    "distractors": ["it rained all Monday"],
}  # fmt: skip
IDEAL = "My sister broke my bike. I asked her to pay, but she said no. Should I move out?"


def gold(facts, response, finish_reason="eos"):
    return sum(gold_terms(facts, response, finish_reason).values())


@pytest.fixture(scope="module")
def posts():
    source = SummarizePosts(0, "test")
    return [source[i] for i in range(300)]


def test_credits_sum_to_one():
    assert sum(FACT_CREDIT.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (IDEAL, 1.0),
        ("  my sister broke my bike! i asked her to pay. She said no. Should I move out?", 1.0),
        ("My bike got broken by my sister, so I tried to ask her to pay.", 0.6),
        ("My sister broke my bike.", 0.4),
        # One wrong fact of three: the thing earns nothing and costs .1.
        ("My sister broke my car.", 0.26 - 0.1),
        # Wrong person, wrong pronoun.
        ("My dad broke my bike, but he said no.", 0.28 + 0.2 - 0.1 - 0.06),
        ("I asked him to pay.", 0.2 - 0.06),
        # The first clause of a kind counts, the second is a repetition.
        ("She said no. She just said no.", 0.2 - 0.12),
        ("She got angry. She said no.", -0.12 - 0.12),
        ("She said no. It rained all Monday.", 0.2 - 0.12),
        # 3 of 7 words are stray and the text does not end.
        ("Should I move out? She said no", 0.2 - 0.3 * 3 / 7 - 0.05),
        ("", -0.3 - 0.05),
        ("Should I move out.", -0.3),
        ("She said no?", -0.3),
        ("She said no. She said no. She said no. " * 4, 0.2 - 11 * 0.12 - 0.1),
    ],
)
def test_hand_worked(response, expected):
    assert gold(FACTS, response) == pytest.approx(max(expected, FLOOR))


def test_a_response_that_did_not_end_pays_for_it():
    assert gold(FACTS, IDEAL, "length") == pytest.approx(0.95)
    assert gold_terms(FACTS, IDEAL, "length")["ending"] == pytest.approx(-0.05)


def test_every_word_beyond_the_free_ones_costs():
    padded = IDEAL + " " + " ".join(["I drink tea every Monday."] * 2)
    terms = gold_terms(FACTS, padded, "eos")
    assert len(padded.split()) == 28
    assert terms["length"] == pytest.approx(-0.02)
    assert terms["distractors"] == pytest.approx(-0.24)


def test_broken_text_earns_no_facts():
    facts = {**FACTS, "who": "my niece", "tried": "offer to pay half"}
    for text in (
        "My nice, I offered to pay half, I offered to",
        "My nice, I offered to pay half, I offered to.",
        "I offered to pay half I offered to pay half.",
        "I offered to pay half and.",
        "I offered to pay half, but.",
        "I offered to pay half and I offered to pay half.",
        "I offered to pay half but should I move out?",
        "sister bike broke pay no move out.",
        "My sister broke my bike.I asked her to pay.",
        "My sister broke my bike but I asked her to pay.",
    ):
        terms = gold_terms(facts, text, "eos")
        assert terms["facts"] == 0.0, text
        assert terms["fluency"] == pytest.approx(-0.3), text


def test_all_phrasings_are_read_as_what_they_say():
    words = words_of(FACTS)
    rng = np.random.default_rng(0)
    expected = {
        "problem": {("who", "my sister"), ("action", "broke"), ("thing", "bike")},
        "tried": {("tried", "ask {him} to pay"), ("pronoun", "she")},
        "question": {("question", "move out")},
        "distractor": set(),
    }
    for kind, templates in SUMMARY_CLAUSES.items():
        for template in templates:
            clause = read_clause(phrase(template, words, rng).lower())
            assert clause is not None, template
            assert clause.kind == kind
            if kind == "outcome":
                assert ("outcome", "said no") in clause.claims
            else:
                assert set(clause.claims) == expected[kind]


def test_every_human_reference_is_in_the_grammar(posts):
    for prompt in posts:
        terms = gold_terms(prompt.facts, prompt.references[0], "eos")
        assert terms["fluency"] == 0.0 and terms["ending"] == 0.0, prompt.references[0]


def test_ideal_is_the_maximum_and_people_stay_well_below(posts):
    ideal = [gold(p.facts, ideal_summary(p.facts)) for p in posts]
    human = [gold(p.facts, p.references[0]) for p in posts]
    assert ideal == pytest.approx([1.0] * len(posts))
    assert max(human) <= 1.0 + 1e-9
    assert 0.5 <= np.mean(human) <= 0.7
    assert np.mean(np.array(human) < 0.9) > 0.7


def test_people_drop_facts_get_one_wrong_ramble_and_repeat():
    facts = dict(FACTS)
    rng = np.random.default_rng(1)
    terms = [gold_terms(facts, reference_summary(facts, rng), "eos") for _ in range(2000)]
    share = {name: np.mean([t[name] != 0 for t in terms]) for name in terms[0]}
    assert 0.3 < share["wrong"] < 0.42
    assert 0.15 < share["distractors"] < 0.35
    assert 0.05 < share["repetition"] < 0.2
    assert np.mean([t["facts"] < 0.99 for t in terms]) > 0.6
    assert share["length"] < 0.1
    assert share["fluency"] == share["ending"] == share["floor"] == 0


def shuffled(text, rng):
    return " ".join(rng.permutation(text.split()))


def half(text):
    words = text.split()
    return " ".join(words[: len(words) // 2])


def fact_list(facts):
    words = words_of(facts)
    return " ".join(words[k] for k in ("who", "did", "thing", "tried", "outcome", "question")) + "."


def test_broken_summaries_score_below_the_reference(posts):
    rng = np.random.default_rng(0)
    human = np.array([gold(p.facts, p.references[0]) for p in posts])
    broken = {
        "shuffled reference": [shuffled(p.references[0], rng) for p in posts],
        "shuffled ideal": [shuffled(ideal_summary(p.facts), rng) for p in posts],
        "cut reference": [half(p.references[0]) for p in posts],
        "fact list": [fact_list(p.facts) for p in posts],
        "keywords": [" ".join(fact_list(p.facts).split()[1::2]) for p in posts],
        "empty": ["" for p in posts],
        "post": [p.text.split("POST: ")[1].removesuffix("\n\nTL;DR:") for p in posts],
        "post's sentences": [p.text.split("POST: ")[1].split(". ")[1] + "." for p in posts],
    }
    for name, texts in broken.items():
        for finish_reason in ("eos", "length"):
            scores = np.array(
                [gold(p.facts, t, finish_reason) for p, t in zip(posts, texts, strict=True)]
            )
            assert np.mean(scores < human) >= 0.95, name
            assert scores.mean() < human.mean() - 0.2, name


def test_cut_ideal_and_repeated_summaries_score_below_the_reference_on_average(posts):
    human = np.mean([gold(p.facts, p.references[0]) for p in posts])
    cut = [gold(p.facts, half(ideal_summary(p.facts)), "length") for p in posts]
    assert np.mean(cut) < human - 0.2
    repeated = np.array([gold(p.facts, " ".join([p.references[0]] * 2)) for p in posts])
    assert np.mean(repeated) < human - 0.2
    once = np.array([gold(p.facts, p.references[0]) for p in posts])
    assert np.all(repeated < once)


def test_listing_two_guesses_pays_no_more_than_one(posts):
    right, wrong = "She said no.", "She got angry."
    one_guess = (gold(FACTS, right) + gold(FACTS, wrong)) / 2
    both = (gold(FACTS, f"{right} {wrong}") + gold(FACTS, f"{wrong} {right}")) / 2
    assert both < one_guess


def test_range_and_terms(posts):
    rng = np.random.default_rng(0)
    for prompt, other in zip(posts, posts[1:], strict=False):
        terms = gold_terms(prompt.facts, " ".join([other.references[0]] * 3), "length")
        assert FLOOR - 1e-9 <= sum(terms.values()) <= 1.0
        assert 0 <= terms["facts"] <= 1 and terms["floor"] >= 0
        costs = ("wrong", "distractors", "repetition", "length", "fluency", "ending")
        assert all(terms[name] <= 0 for name in costs)
        assert set(terms) == {"facts", *costs, "floor"}
        assert FLOOR <= gold(prompt.facts, shuffled(prompt.text, rng)) <= 0


def episode(prompt, response):
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=(2,), response=response, finish_reason="eos"
    )


def test_reward_function(posts):
    reward = SummarizeGold()
    assert isinstance(reward, RewardFn) and reward.name == "gold"
    episodes = [episode(p, " " + p.references[0]) for p in posts[:20]]
    scores = reward(episodes)
    assert scores.dtype == np.float32 and scores.shape == (20,)
    assert scores.tolist() == pytest.approx([gold(p.facts, p.references[0]) for p in posts[:20]])
    assert reward(episodes[::-1]).tolist() == scores[::-1].tolist()
    assert reward([]).shape == (0,)
    assert score_episodes(reward, episodes).scores.tolist() == scores.tolist()


def test_a_prompt_without_facts_is_an_error():
    with pytest.raises(ValueError, match="gold needs the facts of a post, got {} for prompt_id 4"):
        SummarizeGold()([episode(Prompt(prompt_id=4, text="hello"), "hi")])


def test_fast_enough(posts):
    episodes = [episode(p, p.references[0]) for p in posts] * 10
    start = time.perf_counter()
    SummarizeGold()(episodes)
    assert len(episodes) / (time.perf_counter() - start) > 3_000


def said(facts, response, finish_reason="eos"):
    found = summary_findings(facts, response, finish_reason)
    return [f"{f.aspect} {f.subject}".strip() for f in found]


def test_findings_name_what_the_utility_counts():
    facts = FACTS
    assert said(facts, IDEAL)[0].startswith("covered")
    assert not [text for text in said(facts, IDEAL) if not text.startswith("covered")]
    assert said(facts, "My sister broke my bike.") == [
        "missing the outcome",
        "missing the question",
        "missing what was tried",
        "covered what happened",
        "covered the thing",
        "covered the person",
    ]
    wrong = said(facts, "My brother broke my bike.")
    assert wrong.index("wrong the person") < wrong.index("missing the outcome")
    twice = said(facts, "My sister broke my bike. My sister broke my bike.")
    assert "repeated" in twice
    assert "repeated" not in wrong
    assert said(facts, "bla bla bla", "length")[0] == "broken"
    assert "unfinished" in said(facts, "My sister broke my bike.", "length")
    long = "My sister broke my bike. " * 8
    assert "too_long" in said(facts, long)


def test_findings_of_the_human_summaries_agree_with_the_utility(posts):
    for post in posts[:100]:
        reference = post.references[0]
        terms = gold_terms(post.facts, reference, "eos")
        found = summary_findings(post.facts, reference, "eos")
        names = {finding.aspect for finding in found}
        assert ("irrelevant" in names) == (terms["distractors"] < 0)
        assert ("wrong" in names) == (terms["wrong"] < 0)
        assert ("repeated" in names) == (terms["repetition"] < 0)
        assert ("broken" in names) == (terms["fluency"] < 0)
        told = [finding for finding in found if finding.aspect in ("covered", "missing", "wrong")]
        assert len({f.subject for f in told} - {"he or she"}) == len(FACT_CREDIT)


def test_the_gold_explains_itself(posts):
    assert isinstance(SummarizeGold(), ExplainsGold)
    shown = episode(posts[0], posts[0].references[0])
    expected = summary_findings(posts[0].facts, posts[0].references[0], "eos")
    assert SummarizeGold().findings(shown) == expected
