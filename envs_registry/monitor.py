"""RLHF-Monitor-v0: read a stream word by word and decide early, and rightly, what it says.

Description:
    Somebody's remarks on a thing come in word by word: for, against, or neither, and not all of one
    mind. After each word the agent waits for the next one or decides what the stream is on the
    whole. Waiting tells more and costs a little each time. A reward model learned from comparisons
    of a fallible teacher gives the score; the gold utility is 1 less 0.005 for each word that was
    waited for where the decision is right, and 0 where it is wrong or never comes.

Observation:
    `Box(0, V, (L,), int64)`: the topic, then "wait" and the next word by turns, then V in every
    empty cell. L = `max_prompt_tokens + max_new_tokens` and room for the words.

Action:
    `Discrete(4)`: wait, negative, neutral, positive.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    A decision ("decided"), or waiting behind the last word ("missed"); `max_new_tokens` actions
    ("length") where there are fewer of them than words. All terminate.

Info:
    As in every text environment (docs/environment.md): of a reset `prompt`, `prompt_id` and
    `prompt_length`; of a step `prompt_length` and `ref_log_prob`; of the last one also `response`,
    `response_ids`, `response_is_action` (which of them the agent wrote), `finish_reason`,
    `prompt_id`, `score`, `gold_score` and `reward_terms`.

Arguments:
    Those of `TextEnvConfig`, without `action_tokens` and `dataset`. A prompt of one's own has no
    words to come.

Data:
    `monitor_streams`: stream i of a split is a pure function of (`data_seed`, `split`, i); splits
    share no stream. What the best reader can expect is known exactly, 0.753
    (`monitor_streams.stopping.best_value()`).

Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from textgym.config import TextEnvConfig
from textgym.envs_registry.monitor_recipe import ENV_ID, RECIPE
from textgym.envs_registry.monitor_streams.gold import EarlyAndRight
from textgym.envs_registry.monitor_streams.readers import WAIT, best_reading, symbol_of
from textgym.envs_registry.monitor_streams.remarks import POLARITIES
from textgym.envs_registry.monitor_streams.streams import MonitorStreams
from textgym.envs_registry.symbol_actions import SymbolEnv, symbol_ids, with_symbol_actions
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.tokenizer import Tokenizer
from textgym.turns import OpenEpisode, Reply
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "monitor-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.57, 0.47)
ACTIONS = (WAIT, *POLARITIES)
SYMBOLS = tuple(symbol_of(action) for action in ACTIONS)


class WordStream:
    """The environment's side: it says the next word as long as the agent waits; see `Responder`."""

    max_turn_tokens = 1
    max_reply_tokens = int(RECIPE["max_reply_tokens"])

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Look up what waiting is."""
        self._tokenizer = tokenizer
        (self._wait,) = symbol_ids(tokenizer, [symbol_of(WAIT)])

    def replies(self, episodes: Sequence[OpenEpisode]) -> list[Reply]:
        """Return the next word of each stream, or the end of the episode."""
        return [self._reply(episode) for episode in episodes]

    def _reply(self, episode: OpenEpisode) -> Reply:
        if episode.turns[-1].ids != (self._wait,):
            return Reply(finish_reason="decided")
        words = episode.prompt.facts.get("words", ())
        num_said = episode.num_turns - 1
        if num_said >= len(words):
            return Reply(finish_reason="missed")
        return Reply(ids=tuple(self._tokenizer.encode(f" {words[num_said]}")))


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: procedural streams and bundled models, unless the arguments name others.

    Raises:
        ValueError: A data set: streams have to be procedural.
    """
    if config.dataset is not None:
        raise ValueError(
            f"{ENV_ID} has procedural streams only: expected no dataset, got {config.dataset!r}"
        )
    config, tokenizer = with_symbol_actions(config, SYMBOLS, BUNDLE)
    task = text_task(
        config,
        prompts=MonitorStreams(config.data_seed, config.split, config.num_prompts),
        gold=EarlyAndRight(),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
    )
    return replace(task, responder=WordStream(tokenizer))


class MonitorEnv(SymbolEnv):
    """One row of RLHF-Monitor-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS

    def best_known_action(self) -> int:
        """Return what the best reader does, who knows no more than the agent."""
        num_words, decision = best_reading(self._prompt.facts["polarities"])
        action = WAIT if self._num_actions < num_words else decision
        return ACTIONS.index(action)


class MonitorVectorEnv(TokenVectorEnv):
    """N rows of RLHF-Monitor-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
