"""RLHF-Translate-v0: translate a sentence from English to Spanish, agreement and numbers included.

Description:
    An English sentence says who did what to which things, when, where and for how much, or how
    things were; the agent writes it in Spanish, token by token: gender and number in determiners
    and adjectives, person in verbs, numbers and dates. Sentences are procedural, from a synchronous
    grammar. A reward model learned from comparisons of a fallible teacher gives the score; the gold
    utility, which the agent never sees, is half chrF and half exact facts.

Observation:
    `Box(0, V, (L,), int64)`: the sentence's tokens (they end in "SPANISH:"), the response's, then V
    in every empty cell; L = `max_prompt_tokens + max_new_tokens`.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md); `gold_score`, in [0, 1], at the end: half
    chrF to the right translation, half the share of its phrases that are there word for word
    (worth less in what is longer than it), less .1 for a missing end.

Arguments:
    Those of `TextEnvConfig`. `reference_model`, `reward_model` and `tokenizer` name other models;
    `dataset` other sentences with translations (the gold utility is then chrF to them);
    `num_prompts` limits the split.

Data:
    `translate_grammar`: sentence i of a split is a pure function of (`data_seed`, `split`, i);
    splits share no sentence. A million in "train", ten thousand each in "validation" and "test".
    Careful people wrote the references; the bundled model learned from translators in a hurry, who
    misread words and numbers and slip in agreement.
    The bundled reward model agrees with gold on .866 [.829, .897] of held-out pairs
    (card.json).

Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from textgym.config import TextEnvConfig
from textgym.dataset_form import DatasetForm
from textgym.envs_registry.best_responses import BestResponseParts
from textgym.envs_registry.translate_grammar.gold import TranslateGold
from textgym.envs_registry.translate_grammar.sentences import PROMPT_FORM, Sentences
from textgym.envs_registry.translate_recipe import ENV_ID, RECIPE
from textgym.rewards.programmatic import chrf_metric
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "translate-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.70, 0.21)


def form_prompt(prompt: Prompt) -> Prompt:
    """Return an item of a data set as this environment's prompt.

    Raises:
        ValueError: An empty sentence.
    """
    if not prompt.text.strip():
        raise ValueError(f"expected a sentence, got {prompt.text!r}")
    return replace(prompt, text=PROMPT_FORM.format(source=prompt.text))


DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=form_prompt,
    needs={"reference": "a translation for each sentence"},
    gold=chrf_metric("gold"),
    columns="prompt=en,reference=es",
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural sentences and bundled models, unless told otherwise."""
    sentences = None
    if config.dataset is None:
        sentences = Sentences(config.data_seed, config.split, config.num_prompts)
    return text_task(
        config,
        prompts=sentences,
        gold=TranslateGold(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )


def right_translation(facts: Mapping[str, Any]) -> str:
    """Return the right translation of a procedural sentence, of gold 1."""
    return str(facts["translation"])


class TranslateEnv(BestResponseParts, TokenEnv):
    """One row of RLHF-Translate-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(right_translation)


class TranslateVectorEnv(BestResponseParts, TokenVectorEnv):
    """N rows of RLHF-Translate-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(right_translation)
