"""The passages of RLHF-QA-v0 and their questions: item i is a pure function of its index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.qa_passages.answers import reference_answer
from textgym.envs_registry.qa_passages.lexicon import ATTRIBUTES, PEOPLE
from textgym.types import Prompt

N_PEOPLE = 3
N_ATTRIBUTES = 3
N_TOLD = 5
ANSWERABLE = 0.7
PROMPT_TEMPLATE = "{passage}\n\nQuestion: {question}\nAnswer:"


def question_prompt(passage: str, question: str) -> str:
    """The text of a prompt; it ends in "Answer:"."""
    return PROMPT_TEMPLATE.format(passage=passage, question=question)


class QAPassages(ProceduralPrompts):
    """Passages of five facts about three people, each with a question and one human answer.

    Facts are plain lists and strings, ready for JSON: `told` ([who, attribute, value] for each
    sentence, in order), `who` and `attribute` (what is asked) and `answers` (empty where the
    passage does not say). In .7 of the items the passage says.
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        people = _sample(PEOPLE, N_PEOPLE, rng)
        attributes = _sample(tuple(ATTRIBUTES), N_ATTRIBUTES, rng)
        values = {name: _sample(ATTRIBUTES[name].values, N_PEOPLE, rng) for name in attributes}
        known = [
            [who, name, values[name][index]]
            for index, who in enumerate(people)
            for name in attributes
        ]
        order = _sample(tuple(range(len(known))), len(known), rng)
        told = [known[i] for i in order[:N_TOLD]]
        if rng.random() < ANSWERABLE:
            who, attribute, value = pick(told, rng)
            return {"told": told, "who": who, "attribute": attribute, "answers": [value]}
        # Only what is told of somebody else: nothing but reading shows that it isn't there.
        kinds = {name for _, name, _ in told}
        untold = [known[i] for i in order[N_TOLD:] if known[i][1] in kinds]
        who, attribute, _ = pick(untold, rng)
        return {"told": told, "who": who, "attribute": attribute, "answers": []}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`: what is told, in any order, and what is asked."""
        told = sorted("=".join(fact) for fact in facts["told"])
        return "|".join([*told, facts["who"], facts["attribute"]])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        passage = " ".join(
            pick(ATTRIBUTES[name].statements, rng).format(who=who, value=value)
            for who, name, value in facts["told"]
        )
        question = pick(ATTRIBUTES[facts["attribute"]].questions, rng).format(who=facts["who"])
        return Prompt(
            prompt_id=prompt_id,
            text=question_prompt(passage, question),
            references=(reference_answer(facts, rng),),
            facts=dict(facts),
        )


def _sample(items: tuple[Any, ...], count: int, rng: Draws) -> list[Any]:
    """`count` different items in random order."""
    left = list(items)
    return [left.pop(rng.integers(len(left))) for _ in range(count)]
