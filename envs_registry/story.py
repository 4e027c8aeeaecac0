"""RLHF-Story-v0: tell on from an opening, with what was asked for, to the end that was asked for.

Description:
    An opening introduces a hero; below it stand things that the story must use, and in some a
    friend to meet, a place to go to and a weather to avoid, and the mood of the end. The agent
    writes the story, token by token. Openings are procedural. A reward model learned from
    comparisons of a fallible teacher gives the score; the gold utility, which the agent never sees,
    checks the constraints, the end and repetition.

Observation:
    `Box(0, V, (L,), int64)`: the tokens of opening and constraints (they end in "STORY:"), the
    response's, then V in every empty cell; L = `max_prompt_tokens + max_new_tokens`.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md); `gold_score`, in [0, 1], at the end: .65
    times the share of constraints met, .35 for an end as asked, less costs of a forbidden weather,
    of another hero, of repetition, of an end that comes too early, of text outside the grammar and
    of running into the cap.

Arguments:
    Those of `TextEnvConfig`. `reference_model`, `reward_model` and `tokenizer` name other models;
    `dataset` other openings, with a `lesson` or without (then there is no gold utility);
    `num_prompts` limits the split.

Data:
    `story_plots`: plot i of a split is a pure function of (`data_seed`, `split`, i); splits share
    no plot. A million in "train", ten thousand each in "validation" and "test". Careful
    people wrote the references; the bundled model learned from people in a hurry, who forget
    constraints, mistake the end, repeat sentences and write of forbidden weather.
    The bundled reward model agrees with gold on .919 [.886, .943] of held-out pairs
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
from textgym.envs_registry.story_plots.gold import StoryGold
from textgym.envs_registry.story_plots.humans import ideal_story
from textgym.envs_registry.story_plots.plots import Plots
from textgym.envs_registry.story_recipe import ENV_ID, RECIPE
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "story-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.58, 0.30)


def form_prompt(prompt: Prompt) -> Prompt:
    """Return an item of a data set as this environment's prompt, with its `lesson` if it has one.

    Raises:
        ValueError: An empty opening.
    """
    if not prompt.text.strip():
        raise ValueError(f"expected an opening, got {prompt.text!r}")
    lesson = prompt.facts.get("lesson")
    lines = [f"OPENING: {prompt.text}", *([f"LESSON: {lesson}"] if lesson else [])]
    return replace(prompt, text="\n".join(lines) + "\n\nSTORY:")


DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=form_prompt,
    needs={},
    columns="prompt=title,reference=fable",
    names=("lesson",),
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural plots and bundled models, unless the arguments name others."""
    plots = None
    if config.dataset is None:
        plots = Plots(config.data_seed, config.split, config.num_prompts)
    return text_task(
        config,
        prompts=plots,
        gold=StoryGold(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )


class StoryEnv(BestResponseParts, TokenEnv):
    """One row of RLHF-Story-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_story)


class StoryVectorEnv(BestResponseParts, TokenVectorEnv):
    """N rows of RLHF-Story-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_story)
