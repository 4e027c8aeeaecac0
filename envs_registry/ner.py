"""RLHF-NER-v0: tag the named entities of a sentence, word by word.

Description:
    A sentence stands there, as people write them on the net: new names, missing capitals, names
    that are a person here and a place there. The environment says the words one by one; the agent
    gives each its BIO tag: the beginning or the inside of an entity of six types, or outside. A
    reward model learned from comparisons of a fallible teacher gives the score; the gold utility
    is the F1 of the entities.

Observation:
    `Box(0, V, (L,), int64)`: the sentence, a line break and its first word; then a tag and the next
    word by turns; then V in every empty cell. L = `max_prompt_tokens + max_new_tokens` and room for
    the words that the environment says.

Action:
    `Discrete(13)`: "O", then B and I of each of corporation, creative-work, group, location,
    person and product.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    The last word has its tag ("tagged"); `max_new_tokens` tags ("length"). Both terminate.

Info:
    As in every text environment (docs/environment.md): of a reset `prompt`, `prompt_id` and
    `prompt_length`; of a step `prompt_length` and `ref_log_prob`; of the last one also `response`,
    `response_ids`, `response_is_action` (which of them the agent wrote), `finish_reason`,
    `prompt_id`, `score`, `gold_score` and `reward_terms`. An entity counts where its words
    and its type are right; an I- that continues nothing begins an entity.

Arguments:
    Those of `TextEnvConfig`, without `action_tokens`. A `tokenizer` of your own needs each tag as
    one token, "<B-person>".

Data:
    `ner_sentences`: sentence i of a split is a pure function of (`data_seed`, `split`, i); splits
    share no sentence. A `dataset` has rows of `tokens` and `tags` (other columns by
    `dataset_columns="prompt=words,tags=ner_tags"`) with tags of this scheme, that of WNUT 2017;
    its human tags are the gold. Sentences of more than `max_new_tokens` words or
    `max_prompt_tokens` tokens are refused.

Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from textgym.config import TextEnvConfig
from textgym.dataset_form import DatasetForm
from textgym.envs_registry.ner_recipe import ENV_ID, RECIPE
from textgym.envs_registry.ner_sentences.gold import EntityF1
from textgym.envs_registry.ner_sentences.scheme import (
    TAGS,
    check_tags,
    prompt_text,
    symbol_of,
    tagged_text,
)
from textgym.envs_registry.ner_sentences.sentences import NERSentences
from textgym.envs_registry.symbol_actions import SymbolEnv, with_symbol_actions
from textgym.prompts import PromptSource
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.tokenizer import Tokenizer
from textgym.turns import OpenEpisode, Reply
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "ner-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.627, 0.362)
SYMBOLS = tuple(symbol_of(tag) for tag in TAGS)


def words_of(prompt: Prompt) -> Sequence[str]:
    """Return the words to tag: the facts', or those of the first line of a prompt of one's own."""
    known: Sequence[str] | None = prompt.facts.get("words")
    return prompt.text.splitlines()[0].split() if known is None else known


class NextWord:
    """The environment's side: after each tag it says the next word; see `Responder`."""

    max_turn_tokens = 1

    def __init__(self, tokenizer: Tokenizer, max_reply_tokens: int) -> None:
        """Take the room for all words that are said."""
        self._tokenizer, self.max_reply_tokens = tokenizer, max_reply_tokens

    def replies(self, episodes: Sequence[OpenEpisode]) -> list[Reply]:
        """Return the next word of each sentence, or its end."""
        return [self._reply(words_of(e.prompt), e.num_turns) for e in episodes]

    def _reply(self, words: Sequence[str], num_tagged: int) -> Reply:
        if num_tagged >= len(words):
            return Reply(finish_reason="tagged")
        return Reply(ids=tuple(self._tokenizer.encode(f" {words[num_tagged]}")))


def form_prompt(prompt: Prompt) -> Prompt:
    """Return a tagged sentence of a data set as this environment's prompt.

    Raises:
        ValueError: No words, not one tag for each, a tag outside the scheme, or a word that holds
            the symbol of a tag.
    """
    words, tags = prompt.text.split(), prompt.facts["tags"]
    if not isinstance(tags, (list, tuple)):
        raise ValueError(f"expected a list of tags, got {tags!r}")
    check_tags(words, tags)
    spoilt = [word for word in words if any(symbol in word for symbol in SYMBOLS)]
    if spoilt:
        raise ValueError(f"expected words without symbols of tags, got {spoilt[0]!r}")
    facts = {**prompt.facts, "words": words, "tags": list(tags)}
    told = tagged_text(words, tags)
    return replace(prompt, text=prompt_text(words), references=(told,), facts=facts)


DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=form_prompt,
    needs={"tags": "a BIO tag for each word"},
    gold=EntityF1(),
    columns="prompt=tokens,tags=tags",
    names=("tags",),
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural sentences and bundled models, unless the arguments name others.

    Raises:
        ValueError: Sentences of a data set that are longer than there is room for.
    """
    config, tokenizer = with_symbol_actions(config, SYMBOLS, BUNDLE)
    sentences = None
    if config.dataset is None:
        sentences = NERSentences(config.data_seed, config.split, config.num_prompts)
    task = text_task(
        config,
        prompts=sentences,
        gold=EntityF1(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )
    if config.dataset is None:
        return replace(task, responder=NextWord(tokenizer, int(RECIPE["max_reply_tokens"])))
    _check_lengths(task.prompts, tokenizer, config)
    # As much as a whole sentence may take: the same for every split of a data set.
    return replace(task, responder=NextWord(tokenizer, config.max_prompt_tokens))


def _check_lengths(prompts: PromptSource, tokenizer: Tokenizer, config: TextEnvConfig) -> None:
    """Raise ValueError where a sentence has more words or tokens than there is room for."""
    sentences = [words_of(prompts[i]) for i in range(len(prompts))]
    num_words = max(len(words) for words in sentences)
    if num_words > config.max_new_tokens:
        raise ValueError(
            f"a sentence of the dataset has {num_words} words, one tag each: expected "
            f"max_new_tokens of at least {num_words}, got {config.max_new_tokens}"
        )
    texts = ["".join(f" {word}" for word in words[1:]) for words in sentences]
    num_tokens = max(len(ids) for ids in tokenizer.encode_batch(texts))
    if num_tokens > config.max_prompt_tokens:
        raise ValueError(
            f"the words of a sentence of the dataset take {num_tokens} tokens: expected "
            f"max_prompt_tokens of at least {num_tokens}, got {config.max_prompt_tokens}"
        )


class NEREnv(SymbolEnv):
    """One row of RLHF-NER-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS

    def best_known_action(self) -> int:
        """Return the true tag of the word that is tagged now."""
        return TAGS.index(self._prompt.facts["tags"][self._num_actions])


class NERVectorEnv(TokenVectorEnv):
    """N rows of RLHF-NER-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
