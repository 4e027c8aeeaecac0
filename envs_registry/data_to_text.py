"""RLHF-DataToText-v0: put a record into sentences: every field, and nothing that it does not say.

Description:
    A record of a cafe, a hotel, a film, a train or a flat has a name and two to four fields; the
    agent writes a short text that tells them, token by token. Records are procedural. A reward
    model learned from comparisons of a fallible teacher gives the score; the gold utility, which
    the agent never sees, checks what is told field by field.

Observation:
    `Box(0, V, (L,), int64)`: the record's tokens (they end in "TEXT:"), the response's, then V in
    every empty cell; L = `max_prompt_tokens + max_new_tokens`.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md); `gold_score`, in [0, 1], at the end: the
    share of fields told rightly, less .25 for what is invented, .1 for a repetition, and costs of
    text outside the grammar and of a missing end.

Arguments:
    Those of `TextEnvConfig`. `reference_model`, `reward_model` and `tokenizer` name other models;
    `dataset` other records with references, as text, as a list of words or as a list of triples
    (the gold utility is then chrF to the references); `num_prompts` limits the split.

Data:
    `data_to_text_records`: record i of a split is a pure function of (`data_seed`, `split`, i);
    splits share no record. A million in "train", ten thousand each in "validation" and "test".
    Careful people wrote the references; the bundled model learned from people in a hurry, who leave
    fields out, misread and invent.
    The bundled reward model agrees with gold on .820 [.778, .857] of held-out pairs
    (card.json).

Version history:
    v0: first version.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textgym.config import TextEnvConfig
from textgym.dataset_form import DatasetForm
from textgym.envs_registry.best_responses import BestResponseParts
from textgym.envs_registry.data_to_text_recipe import ENV_ID, RECIPE
from textgym.envs_registry.data_to_text_records.gold import DataToTextGold
from textgym.envs_registry.data_to_text_records.humans import ideal_text
from textgym.envs_registry.data_to_text_records.records import Records
from textgym.rewards.programmatic import chrf_metric
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "data-to-text-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.57, 0.31)


def form_prompt(prompt: Prompt) -> Prompt:
    """Return an item of a data set as this environment's prompt.

    Raises:
        ValueError: An empty record.
    """
    if not prompt.text.strip():
        raise ValueError(f"expected a record, got {prompt.text!r}")
    return replace(prompt, text=f"{prompt.text}\n\nTEXT:")


DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=form_prompt,
    needs={"reference": "a text for each record"},
    gold=chrf_metric("gold"),
    columns="prompt=concepts,reference=scene",
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural records and bundled models, unless the arguments name others."""
    records = None
    if config.dataset is None:
        records = Records(config.data_seed, config.split, config.num_prompts)
    return text_task(
        config,
        prompts=records,
        gold=DataToTextGold(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )


class DataToTextEnv(BestResponseParts, TokenEnv):
    """One row of RLHF-DataToText-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_text)


class DataToTextVectorEnv(BestResponseParts, TokenVectorEnv):
    """N rows of RLHF-DataToText-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_text)
