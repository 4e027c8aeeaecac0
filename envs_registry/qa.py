"""RLHF-QA-v0: answer from a passage, or say that it isn't there.

Description:
    A passage tells four facts about two people, and a question asks for one more or less: the
    agent answers, token by token, as short as it can, or says "not in the text" where the passage
    tells it of the other person only, or of nobody. The reference model was tuned on what people
    answer when nobody asks them to be brief: most quote a whole sentence. A reward model learned
    from comparisons of a fallible teacher gives the score; the gold utility, which the agent never
    sees, is the token F1 with the right answer, and 1 or 0 for a refusal that is right or wrong.

Observation:
    `Box(0, V, (L,), int64)`: the passage's and question's tokens (they end in "Answer:"), the
    response's, then V in every empty cell; L = `max_prompt_tokens + max_new_tokens`.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md); `gold_score` at the end.

Arguments:
    Those of `TextEnvConfig`. `reference_model`, `reward_model` and `tokenizer` name other models;
    `dataset` other passages with questions and answers: in the columns of SQuAD (`context`,
    `question`, `answers`) or those that `dataset_columns` names ("prompt=PASSAGE,
    question=QUESTION,reference=ANSWERS"). Their gold is the token F1 too; where some rows have
    answers, a row without any is a question that the passage does not answer. Each sentence of
    such a passage stands on a line of its own, and the first go where the window is too short.

Data:
    `qa_passages`: item i of a split is a pure function of (`data_seed`, `split`, i); splits share
    no item. A million items in "train", ten thousand each in "validation" and "test"; in .7 of
    them the passage says. The references are by people who were asked to be brief; some are wrong.
    The bundled models are small: they tell what is asked for, not of whom. Where the passage
    answers for the other person only, the reference mostly answers, and the reward model is wrong:
    it pays that answer above the refusal, which is right there.

Version history:
    v0: first version.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from textgym.config import TextEnvConfig
from textgym.dataset_form import DatasetForm
from textgym.envs_registry.qa_passages.answers import ideal_answer
from textgym.envs_registry.qa_passages.gold import QAGold
from textgym.envs_registry.qa_passages.passages import QAPassages, question_prompt
from textgym.envs_registry.qa_recipe import ENV_ID, RECIPE
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "qa-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.39, 0.40)

_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) ")


def prompt_of(item: Prompt) -> Prompt:
    """A question of a data set in the form of the bundled ones.

    Raises:
        ValueError: The passage or the question is empty, or no text.
    """
    question = item.facts["question"]
    if not item.text.strip():
        raise ValueError(f"expected a passage, got {item.text!r}")
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"expected a question, got {question!r}")
    facts = {**item.facts, "answers": list(item.references)}
    # A sentence a line: what does not fit the window loses its first lines, not the passage.
    passage = _BETWEEN_SENTENCES.sub("\n", item.text.strip())
    return replace(item, text=question_prompt(passage, question), facts=facts, messages=())


DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=prompt_of,
    needs={"question": "a question about each passage", "reference": "answers"},
    gold=QAGold(),
    columns="prompt=context,question=question,reference=answers.*.text",
    names=("question",),
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural passages and bundled models, unless the arguments name others."""
    passages = None
    if config.dataset is None:
        passages = QAPassages(config.data_seed, config.split, config.num_prompts)
    return text_task(
        config,
        prompts=passages,
        gold=QAGold(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )


def best_answer(prompt: Prompt) -> str:
    """The shortest right answer, of gold 1; empty where it is not known."""
    return ideal_answer(prompt.facts) if "answers" in prompt.facts else ""


class QAEnv(TokenEnv):
    """One row of RLHF-QA-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_known_response = staticmethod(best_answer)


class QAVectorEnv(TokenVectorEnv):
    """N rows of RLHF-QA-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_known_response = staticmethod(best_answer)
