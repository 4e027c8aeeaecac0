"""RLHF-Sentiment-v0: continue a review positively.

Description:
    The beginning of a review of a hotel, a film, a restaurant, a book or a phone; the agent goes
    on, token by token, and should praise. The reference model was tuned on what people write when
    nobody asks for anything, glad and disappointed ones alike. A reward model learned from
    comparisons of a fallible teacher gives the score; the gold utility, which the agent never
    sees, reads the text by the generator's lexicon and grammar: well-formed praise of what belongs
    to the thing, each aspect once, none against what the beginning says.

Observation:
    `Box(0, V, (L,), int64)`: the beginning's tokens (they end in "Continued:"), the response's,
    then V in every empty cell; L = `max_prompt_tokens + max_new_tokens`.

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
    `dataset` other reviews, rated by people: `dataset_columns="prompt=TEXT,sentiment=RATING"`
    (a number, higher is more positive). The first half of a text's words is the prompt and the
    rest its reference; where `reference` is mapped too, texts stay whole. Their gold is a ridge
    regression of the ratings on words, learned from the training split and read on the response.

Data:
    `sentiment_reviews`: item i of a split is a pure function of (`data_seed`, `split`, i); splits
    share no beginning. A million items in "train", ten thousand each in "validation" and "test".
    The references are by people who were asked to be positive, and do not all try hard.

Version history:
    v0: first version.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textgym.config import TextEnvConfig
from textgym.dataset_form import DatasetForm
from textgym.envs_registry.best_responses import BestResponseParts
from textgym.envs_registry.sentiment_recipe import ENV_ID, RECIPE
from textgym.envs_registry.sentiment_reviews.gold import SentimentGold
from textgym.envs_registry.sentiment_reviews.people import ideal_continuation
from textgym.envs_registry.sentiment_reviews.ratings import RATING, learned_from
from textgym.envs_registry.sentiment_reviews.reviews import SentimentReviews
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "sentiment-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.22, 0.21)


def prompt_of(item: Prompt) -> Prompt:
    """A review of a data set, cut in two, in the form of the bundled ones.

    Raises:
        ValueError: There is no text.
    """
    words = item.text.split()
    if not words:
        raise ValueError(f"expected the text of a review, got {item.text!r}")
    references = item.references
    if not references and len(words) > 1:
        half = len(words) // 2
        words, references = words[:half], (" ".join(words[half:]),)
    text = f"Review\n\n{' '.join(words)}\n\nContinued:"
    return replace(item, text=text, references=references, messages=())


DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=prompt_of,
    needs={RATING: "a human rating of each text"},
    learn_gold=learned_from,
    columns="prompt=text,sentiment=mean_sentiment",
    names=(RATING,),
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural reviews and bundled models, unless the arguments name others."""
    reviews = None
    if config.dataset is None:
        reviews = SentimentReviews(config.data_seed, config.split, config.num_prompts)
    return text_task(
        config,
        prompts=reviews,
        gold=SentimentGold(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )


class SentimentEnv(BestResponseParts, TokenEnv):
    """One row of RLHF-Sentiment-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_continuation)


class SentimentVectorEnv(BestResponseParts, TokenVectorEnv):
    """N rows of RLHF-Sentiment-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
    best_by_facts = staticmethod(ideal_continuation)
