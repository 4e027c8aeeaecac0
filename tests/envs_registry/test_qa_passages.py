"""The data and the gold of RLHF-QA-v0: hand-worked F1s, abstention, purity, splits, people."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from textgym.config import SPLITS
from textgym.envs_registry.qa_passages.answers import ideal_answer
from textgym.envs_registry.qa_passages.gold import (
    QAGold,
    answer_utility,
    is_refusal,
    token_f1,
    words_of_answer,
)
from textgym.envs_registry.qa_passages.lexicon import ATTRIBUTES, PEOPLE, REFUSALS
from textgym.envs_registry.qa_passages.passages import FreeQAPassages, QAPassages
from textgym.types import Episode, Prompt


def episode(response: str, answers: object, finish_reason: str = "eos") -> Episode:
    facts = {} if answers is None else {"answers": answers}
    return Episode(
        prompt=Prompt(prompt_id=4, text="x", facts=facts),
        prompt_ids=(1,),
        response_ids=(2,),
        response=response,
        finish_reason=finish_reason,
    )


@pytest.fixture(scope="module")
def items() -> list[Prompt]:
    source = QAPassages(0, "train")
    return [source[i] for i in range(1500)]


@pytest.mark.parametrize(
    ("response", "answer", "expected"),
    [
        (" Rome", "Rome", 1.0),
        ("The ROME!", "rome", 1.0),  # articles, case and punctuation do not count
        ("Anna lives in Rome.", "Rome", 2 * 1 / (4 + 1)),
        ("bus driver", "truck driver", 2 * 1 / (2 + 2)),
        ("driver driver driver", "bus driver", 2 * 1 / (3 + 2)),  # a word counts once
        ("Oslo", "Rome", 0.0),
        ("", "Rome", 0.0),
        ("a table-tennis", "tabletennis", 1.0),
    ],
)
def test_f1_by_hand(response: str, answer: str, expected: float) -> None:
    assert token_f1(response, answer) == pytest.approx(expected)
    assert token_f1(answer, response) == pytest.approx(expected)


def test_the_best_of_several_answers_counts() -> None:
    assert answer_utility("the 308 points", ["308", "308 points"]) == 1.0
    assert answer_utility("308", ["four", "308 points"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_right_where_the_passage_does_not_say(refusal: str) -> None:
    assert is_refusal(f" {refusal.capitalize()}.") and words_of_answer(refusal)
    assert answer_utility(refusal, []) == 1.0
    assert answer_utility(refusal, ["Rome"]) == 0.0
    assert answer_utility(f"{refusal} Rome", []) == 0.0  # hedging is no refusal
    assert answer_utility("Rome", []) == answer_utility("", []) == 0.0


def test_gold_of_a_batch_and_its_findings() -> None:
    gold = QAGold()
    cases = [
        ("Rome", ["Rome"], 1.0, "covered", "the answer"),
        ("Anna lives in Rome", ["Rome"], 0.4, "too_long", ""),
        ("bus", ["bus driver"], 2 / 3, "unfinished", ""),
        ("Oslo", ["Rome"], 0.0, "wrong", "the answer"),
        (REFUSALS[1], ["Rome"], 0.0, "missing", "the answer"),
        ("...", ["Rome"], 0.0, "missing", "the answer"),
        ("Oslo", [], 0.0, "wrong", "the answer"),
    ]
    episodes = [episode(response, answers) for response, answers, *_ in cases]
    scores = gold(episodes)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [case[2] for case in cases], rtol=1e-6)
    for played, (_, _, _, aspect, subject) in zip(episodes, cases, strict=True):
        (finding,) = gold.findings(played)
        assert (finding.aspect, finding.subject) == (aspect, subject)


@pytest.mark.parametrize("answers", [None, "Rome", [3]])
def test_a_prompt_without_its_answers(answers: object) -> None:
    with pytest.raises(ValueError, match=r"facts\['answers'\], got .* for prompt_id 4"):
        QAGold()([episode("Rome", answers)])


def test_items_are_pure_and_splits_share_none() -> None:
    sources = {split: QAPassages(2, split) for split in SPLITS}
    assert [len(source) for source in sources.values()] == [1_000_000, 10_000, 10_000]
    assert sources["train"][9] == QAPassages(2, "train", 10)[9]
    assert sources["train"][9] != QAPassages(3, "train")[9]
    identities = {
        split: {source.identity(source[i].facts) for i in range(400)}
        for split, source in sources.items()
    }
    assert not identities["train"] & identities["validation"]
    assert not (identities["train"] | identities["validation"]) & identities["test"]


def test_variety(items: list[Prompt]) -> None:
    assert len({prompt.text for prompt in items}) == len(items)
    sentences = Counter(s for p in items for s in p.text.split("\n")[0].split(". "))
    assert sentences.most_common(1)[0][1] <= 0.01 * len(items)
    assert {p.facts["attribute"] for p in items} == set(ATTRIBUTES)
    assert {p.facts["who"] for p in items} == set(PEOPLE)


def test_the_passage_says_exactly_what_the_facts_say(items: list[Prompt]) -> None:
    for prompt in items[:400]:
        passage, question = prompt.text.removesuffix("\nAnswer:").split("\n\nQuestion: ")
        facts = json.loads(json.dumps(prompt.facts))
        assert facts == prompt.facts and facts["who"] in question
        assert all(who in passage and value in passage for who, _, value in facts["told"])
        told = [v for w, a, v in facts["told"] if (w, a) == (facts["who"], facts["attribute"])]
        assert told == facts["answers"]
        assert len({who for who, *_ in facts["told"]}) == 2
        assert len({attribute for _, attribute, _ in facts["told"]}) == len(facts["told"]) == 4
    asked = [p.facts["attribute"] in {a for _, a, _ in p.facts["told"]} for p in items]
    pairs = zip(asked, items, strict=True)
    of_the_other = [is_told for is_told, p in pairs if not p.facts["answers"]]
    assert abs(np.mean(of_the_other) - 0.5) < 4 * 0.5 / np.sqrt(len(of_the_other))
    share = np.mean([bool(prompt.facts["answers"]) for prompt in items])
    assert abs(share - 0.7) < 4 * np.sqrt(0.21 / len(items))


def test_people_err_and_the_ideal_answer_does_not(items: list[Prompt]) -> None:
    best = [answer_utility(ideal_answer(p.facts), p.facts["answers"]) for p in items]
    assert set(best) == {1.0}
    human = np.array([answer_utility(p.references[0], p.facts["answers"]) for p in items])
    free = FreeQAPassages(0, "train")
    others = [free[i] for i in range(len(items))]
    assert [p.text for p in others[:9]] == [p.text for p in items[:9]]  # the same questions
    quoting = np.mean([answer_utility(p.references[0], p.facts["answers"]) for p in others])
    assert 0.55 < human.mean() < 0.75 and quoting < human.mean() - 0.1
    assert all(
        p.references[0] in (*p.facts["sentences"], *REFUSALS, *(v for *_, v in p.facts["told"]))
        for p in others
    )
    hopeless = np.mean([answer_utility(REFUSALS[0], p.facts["answers"]) for p in items])
    assert hopeless < 0.36 < human.mean() - 0.15  # always refusing is worse


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_can_be_told_and_asked(name: str) -> None:
    attribute = ATTRIBUTES[name]
    assert len(set(attribute.values)) == 16
    assert all("{who}" in s and "{value}" in s for s in attribute.statements)
    assert all(s.endswith(".") and "{who}" in s for s in attribute.statements)
    assert all(q.endswith("?") and "{who}" in q for q in attribute.questions)
