"""The passages of RLHF-QA-v0 and their questions: item i is a pure function of its index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.qa_passages.answers import asked_answer, free_answer
from textgym.envs_registry.qa_passages.lexicon import ATTRIBUTES, PEOPLE
from textgym.types import Prompt

N_ATTRIBUTES = 3
ANSWERABLE = 0.7
PROMPT_TEMPLATE = "{passage}\n\nQuestion: {question}\nAnswer:"


def question_prompt(passage: str, question: str) -> str:
    """The text of a prompt; it ends in "Answer:"."""
    return PROMPT_TEMPLATE.format(passage=passage, question=question)


class QAPassages(ProceduralPrompts):
    """Passages of four facts about two people, each with a question and one brief human answer.

    Facts are plain lists and strings, ready for JSON: `told` ([who, attribute, value] for each
    sentence, in order), `sentences` (as they are worded), `who` and `attribute` (what is asked) and
    `answers` (empty where the passage does not say). In .7 of the items the passage says; in the
    others it tells the same of the other person, so that nothing but reading shows that it isn't
    there.
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        people = _sample(PEOPLE, 2, rng)
        attributes = _sample(tuple(ATTRIBUTES), N_ATTRIBUTES, rng)
        told: list[list[str]] = []
        untold: list[list[str]] = []
        for place, name in enumerate(attributes):
            both = [
                [who, name, value]
                for who, value in zip(people, _sample(ATTRIBUTES[name].values, 2, rng), strict=True)
            ]
            if place:  # all but the first attribute are told of one person only
                untold.append(both.pop(rng.integers(2)))
            told += both
        told = _sample(tuple(told), len(told), rng)
        is_told = rng.random() < ANSWERABLE
        who, attribute, value = pick(told if is_told else untold, rng)
        return {
            "told": told,
            "who": who,
            "attribute": attribute,
            "answers": [value] if is_told else [],
        }

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`: what is told, in any order, and what is asked."""
        told = sorted("=".join(fact) for fact in facts["told"])
        return "|".join([*told, facts["who"], facts["attribute"]])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        sentences = [
            pick(ATTRIBUTES[name].statements, rng).format(who=who, value=value)
            for who, name, value in facts["told"]
        ]
        question = pick(ATTRIBUTES[facts["attribute"]].questions, rng).format(who=facts["who"])
        known = {**facts, "sentences": sentences}
        return Prompt(
            prompt_id=prompt_id,
            text=question_prompt(" ".join(sentences), question),
            references=(self.answer(known, rng),),
            facts=known,
        )

    def answer(self, facts: Mapping[str, Any], rng: Draws) -> str:
        """What a person answered."""
        return asked_answer(facts, rng)


class FreeQAPassages(QAPassages):
    """The same questions, answered by people as they pleased: what a model learns to imitate."""

    def answer(self, facts: Mapping[str, Any], rng: Draws) -> str:
        """What a person answered who was asked for nothing."""
        return free_answer(facts, rng)


def _sample(items: tuple[Any, ...], count: int, rng: Draws) -> list[Any]:
    """`count` different items in random order."""
    left = list(items)
    return [left.pop(rng.integers(len(left))) for _ in range(count)]
