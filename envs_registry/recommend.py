"""RLHF-Recommend-v0: show one film after the other to a user whose taste drifts with what is shown.

Description:
    A user's history stands there as text: films, and what the user said of each, one word that
    tells whether it was liked. The agent shows eight more and hears such a word after each. Of the
    36 films none is shown twice. The latent taste moves towards the genre that is shown, and tires
    of it for a while; a user who skips three films in a row leaves. A reward model learned from
    comparisons of a fallible teacher gives the score; the gold utility is the mean, over all
    `max_new_tokens` slots of the session, of how much each film truly appealed when it was shown,
    which no noise of a reaction touches. Slots after the user has left count 0.

Observation:
    `Box(0, V, (L,), int64)`: "Seen:", films and reactions, "Next:"; then a film and the reaction to
    it by turns; then V in every empty cell. L = `max_prompt_tokens + max_new_tokens` and room for
    the reactions.

Action:
    `Discrete(36)`: a film, in the order of `recommend_users.catalogue.TITLES`. Films that the row
    names already are masked.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`.

Episode end:
    The user has left ("left"), or `max_new_tokens` films were shown ("length"). Both terminate.

Info:
    As in every text environment (docs/environment.md): of a reset `prompt`, `prompt_id` and
    `prompt_length`; of a step `prompt_length` and `ref_log_prob`; of the last one also `response`,
    `response_ids`, `response_is_action` (which of them the agent wrote), `finish_reason`,
    `prompt_id`, `score`, `gold_score` and `reward_terms`.

Arguments:
    `repeats` (False): nothing is masked, for algorithms that know no masks; a film that was seen
    before appeals to nobody. Those of `TextEnvConfig`, without `action_tokens` and `dataset`. Of a
    prompt of one's own the taste is unknown: each genre is liked half. `max_new_tokens` is 8 films
    by default, at most 28 without `repeats`: a user has seen 8 of the 36.

Data:
    `recommend_users`: user i of a split is a pure function of (`data_seed`, `split`, i); splits
    share no user. Reactions are drawn anew in each episode, from its seed.

Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textgym.config import TextEnvConfig
from textgym.envs_registry.recommend_recipe import ENV_ID, RECIPE
from textgym.envs_registry.recommend_users.catalogue import GENRES, TITLES, symbol_of, titles_in
from textgym.envs_registry.recommend_users.clerks import has_left, is_liking, reaction_to
from textgym.envs_registry.recommend_users.gold import Satisfaction
from textgym.envs_registry.recommend_users.taste import NUM_SLOTS, Taste, appeals
from textgym.envs_registry.recommend_users.users import HISTORY_LENGTH, RecommendUsers
from textgym.envs_registry.symbol_actions import SymbolEnv, with_symbol_actions
from textgym.masks import CheckedMask, MaskFn, combine_masks
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.tokenizer import Tokenizer
from textgym.turns import OpenEpisode, Reply
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "recommend-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.33, 0.14)
SYMBOLS = tuple(symbol_of(title) for title in TITLES)
UNKNOWN_TASTE = dict.fromkeys(GENRES, 0.5)


@dataclass(frozen=True, kw_only=True)
class RecommendConfig(TextEnvConfig):
    """Arguments of RLHF-Recommend-v0.

    Attributes:
        repeats: Whether films may be shown again.
    """

    repeats: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if not isinstance(self.repeats, bool):
            raise ValueError(f"repeats must be True or False, got {self.repeats!r}")
        most = len(TITLES) - HISTORY_LENGTH
        if not self.repeats and self.max_new_tokens > most:
            raise ValueError(
                f"max_new_tokens must be at most the {most} films that a user has not seen, or "
                f"repeats=True, got {self.max_new_tokens!r}"
            )


class UnseenFilms:
    """Forbids the films that a row names already; see `TextTask.mask_fn`."""

    def __init__(self, action_tokens: np.ndarray) -> None:
        """Take the token of each film, (A,) int64."""
        self._tokens = action_tokens

    def __call__(
        self, ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
    ) -> np.ndarray:
        """Return (R, A) bool, True where the film may be shown."""
        is_filled = np.arange(ids.shape[1]) < np.asarray(lengths)[:, None]
        named = (ids[:, :, None] == self._tokens) & is_filled[:, :, None]
        return ~named.any(axis=1)


class User:
    """The environment's side: the user reacts to each film, or leaves; see `Responder`."""

    max_turn_tokens = 1

    def __init__(self, tokenizer: Tokenizer, num_slots: int = NUM_SLOTS) -> None:
        """Take who reads and writes, and how many films a session has."""
        self._tokenizer = tokenizer
        room = int(RECIPE["max_reply_tokens"])
        self.max_reply_tokens = max(room, room * num_slots // NUM_SLOTS)

    def replies(self, episodes: Sequence[OpenEpisode]) -> list[Reply]:
        """Return each user's reaction."""
        return [self._reply(episode) for episode in episodes]

    def _reply(self, episode: OpenEpisode) -> Reply:
        films = [turn.ids for turn in episode.turns if turn.is_action]
        titles = titles_in("".join(self._tokenizer.decode(ids) for ids in films))
        *_, appeal = appeals(_liking(episode.prompt), titles, titles_in(episode.prompt.text))
        liked = bool(episode.generator().random() < appeal)
        said = [self._tokenizer.decode(t.ids) for t in episode.turns if not t.is_action]
        if has_left([*map(is_liking, said), liked]):
            return Reply(finish_reason="left")
        return Reply(ids=tuple(self._tokenizer.encode(reaction_to(titles[-1], liked))))


def _liking(prompt: Prompt) -> Mapping[str, float]:
    known: Mapping[str, float] = prompt.facts.get("liking", UNKNOWN_TASTE)
    return known


def build_task(config: RecommendConfig) -> TextTask:
    """Return the task: procedural users and bundled models, unless the arguments name others.

    Raises:
        ValueError: A data set: users have to be procedural, since they react.
    """
    if config.dataset is not None:
        raise ValueError(
            f"{ENV_ID} has procedural users only: expected no dataset, got {config.dataset!r}"
        )
    config, tokenizer = with_symbol_actions(config, SYMBOLS, BUNDLE)
    num_slots = config.max_new_tokens
    users = RecommendUsers(config.data_seed, config.split, config.num_prompts, num_slots=num_slots)
    task = text_task(
        config,
        prompts=users,
        gold=Satisfaction(num_slots),
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
    )
    return replace(task, mask_fn=_mask(config, task), responder=User(tokenizer, num_slots))


def _mask(config: RecommendConfig, task: TextTask) -> MaskFn | None:
    if config.repeats:
        return task.mask_fn
    masks: list[MaskFn] = [
        UnseenFilms(task.action_tokens),
        *([task.mask_fn] if task.mask_fn else []),
    ]
    combined = combine_masks(masks)
    assert combined is not None, "there is at least the mask of seen films"
    name = config.action_mask or "films not seen yet"
    return CheckedMask(combined, name, len(task.action_tokens))


class RecommendEnv(SymbolEnv):
    """One row of RLHF-Recommend-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    config_class = RecommendConfig
    default_kwargs = DEFAULTS

    def best_known_action(self) -> int:
        """Return the film that appeals most just now to the latent taste, which the agent guesses.

        It looks no further than one film: for most users a plan of all eight gets next to nothing
        more, a few leave whom a plan would keep.
        """
        taste = Taste(_liking(self._prompt))
        shown = self._mdp.rows.ids[0][self._mdp.rows.is_action[0]].tolist()
        for title in titles_in(self.tokenizer.decode(shown)):
            taste.show(title)
        seen = titles_in(self.tokenizer.decode(self._observation()[self._is_filled].tolist()))
        left = [title for title in TITLES if title not in seen]
        return TITLES.index(max(left, key=taste.appeal))

    @property
    def _is_filled(self) -> np.ndarray:
        return self._observation() < self.vocab_size


class RecommendVectorEnv(TokenVectorEnv):
    """N rows of RLHF-Recommend-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    config_class = RecommendConfig
    default_kwargs = DEFAULTS
