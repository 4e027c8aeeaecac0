"""RLHF-Summarize-v0: summarise a post for a learned reward, beside the utility that was meant.

Description:
    A person tells of a problem on a forum; the agent writes the TL;DR, token by token. Posts are
    procedural: each carries facts (who, what happened, what was tried, how it went, the question)
    among distracting sentences. A reward model learned from comparisons of a fallible teacher gives
    the score; the gold utility, which the agent never sees, says what the people meant.

Observation:
    `Box(0, V, (L,), int64)`: the post's tokens (they end in "TL;DR:"), the response's, then V in
    every empty cell; L = `max_prompt_tokens + max_new_tokens`.

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
    `dataset` other posts (then there is no gold utility); `num_prompts` limits the split.

Data:
    `summarize_posts`: post i of a split is a pure function of (`data_seed`, `split`, i); splits
    share no post. A million posts in "train", ten thousand each in "validation" and "test".

Version history:
    v0: first version.
"""

from __future__ import annotations

from pathlib import Path

from textgym.config import TextEnvConfig
from textgym.envs_registry.best_responses import BestResponseParts
from textgym.envs_registry.summarize_posts.gold import SummarizeGold
from textgym.envs_registry.summarize_posts.humans import ideal_summary
from textgym.envs_registry.summarize_posts.posts import SummarizePosts
from textgym.envs_registry.summarize_recipe import ENV_ID, RECIPE
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "summarize-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.56, 0.29)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural posts and bundled models, unless the arguments name others."""
    posts = None
    if config.dataset is None:
        posts = SummarizePosts(config.data_seed, config.split, config.num_prompts)
    return text_task(
        config, prompts=posts, gold=SummarizeGold(), gold_scale=GOLD_SCALE, bundle=BUNDLE
    )


class SummarizeEnv(BestResponseParts, TokenEnv):
    """One row of RLHF-Summarize-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_summary)


class SummarizeVectorEnv(BestResponseParts, TokenVectorEnv):
    """N rows of RLHF-Summarize-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_summary)
