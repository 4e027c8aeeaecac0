"""The passages of RLHF-QA-v0 and their questions: item i is a pure function of its index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.qa_passages.answers import asked_answer, free_answer
from textgym.envs_registry.qa_passages.lexicon import ATTRIBUTES, PEOPLE
from textgym.types import Prompt

N_FACTS = 4
ANSWERABLE = 0.7
# Where the passage does not say: how often it tells the same of the other person.
OF_THE_OTHER = 0.5
PROMPT_TEMPLATE = "{passage}\n\nQuestion: {question}\nAnswer:"


def question_prompt(passage: str, question: str) -> str:
    """The text of a prompt; it ends in "Answer:"."""
    return PROMPT_TEMPLATE.format(passage=passage, question=question)


class QAPassages(ProceduralPrompts):
    """Passages of four facts about two people, each with a question and one brief human answer.

    Facts are plain lists and strings, ready for JSON: `told` ([who, attribute, value] for each
    sentence, in order), `sentences` (as they are worded), `who` and `attribute` (what is asked) and
    `answers` (empty where the passage does not say). In .7 of the items the passage says; in half
    of the others it tells the same of the other person, so that nothing but reading shows that it
    isn't there, and in half it tells no such thing at all.
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        people = _sample(PEOPLE, 2, rng)
        names = _sample(tuple(ATTRIBUTES), N_FACTS, rng)
        # Each of the two is told something of.
        whose = [*people, *(pick(tuple(people), rng) for _ in names[2:])]
        told = [
            [who, name, pick(ATTRIBUTES[name].values, rng)]
            for who, name in zip(whose, names, strict=True)
        ]
        told = _sample(tuple(told), len(told), rng)
        who, attribute, value = pick(tuple(told), rng)
        is_told = rng.random() < ANSWERABLE
        if not is_told and rng.random() < OF_THE_OTHER:
            who = next(name for name in people if name != who)
        elif not is_told:
            attribute = pick(tuple(name for name in ATTRIBUTES if name not in names), rng)
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
