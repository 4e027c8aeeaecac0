"""Where a bundle's episodes come from: responses sampled on end, or played in the environment.

Where the environment answers in the middle of an episode, nobody else knows its replies. N prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym

from textgym.agents.bundles.comparisons import Sampling, sample_episodes
from textgym.agents.evaluation.policy_sources import language_model_policy
from textgym.agents.supervised.language_modelling import encode_turns
from textgym.agents.supervised.text_data import conversation_pair
from textgym.models.loading import load_causal_lm
from textgym.rollout import rollout
from textgym.tokenizer import Tokenizer, end_token, load_tokenizer
from textgym.types import Episode, Prompt


class EpisodeSource(Protocol):
    """Finished, unscored episodes of a model or of people."""

    @property
    def response_start(self) -> str:
        """What stands between a prompt and a human reference: a space, or nothing."""
        ...

    def sampled(
        self, model: Path, prompts: Sequence[Prompt], sampling: Sampling, split: str, label: str
    ) -> list[Episode]:
        """Return an episode for each prompt, its actions sampled from a causal LM.

        Args:
            model: Folder of the causal LM with its tokenizer.
            prompts: N prompts.
            sampling: How actions are drawn.
            split: Where the prompts are from.
            label: Of the progress bar, where there is one.
        """
        ...

    def human(self, prompt: Prompt, tokenizer: Tokenizer, sampling: Sampling) -> Episode:
        """Return the first human reference of a prompt as a finished episode."""
        ...


@dataclass(frozen=True, kw_only=True)
class SampledResponses:
    """Responses that a model writes on end; see `EpisodeSource`.

    Attributes:
        progress: Whether bars are shown.
    """

    progress: bool = False
    response_start: str = " "

    def sampled(
        self, model: Path, prompts: Sequence[Prompt], sampling: Sampling, split: str, label: str
    ) -> list[Episode]:
        """See `EpisodeSource`."""
        return sample_episodes(
            load_causal_lm(model, device="auto"),
            load_tokenizer(model),
            prompts,
            sampling,
            label=label,
            progress=self.progress,
        )

    def human(self, prompt: Prompt, tokenizer: Tokenizer, sampling: Sampling) -> Episode:
        """See `EpisodeSource`."""
        response = self.response_start + prompt.references[0]
        return Episode(
            prompt=prompt,
            prompt_ids=tuple(tokenizer.encode(prompt.text)[-sampling.max_prompt_tokens :]),
            response_ids=(*tokenizer.encode(response), *end_token(tokenizer)),
            response=response,
            finish_reason="eos",
        )


@dataclass(frozen=True, kw_only=True)
class PlayedResponses:
    """Responses that are played in an environment that answers; see `EpisodeSource`.

    Human references hold what the environment answered too.

    Attributes:
        env_id: The environment; its procedural prompts are those that the bundle is built from.
        data_seed: Seed of the prompts.
        response_start: See `EpisodeSource`.
        others: A regular expression of what the environment says inside human references; "" where
            their tokens tell: what is no action was said by it.
    """

    env_id: str
    data_seed: int
    response_start: str = ""
    others: str = ""

    def sampled(
        self, model: Path, prompts: Sequence[Prompt], sampling: Sampling, split: str, label: str
    ) -> list[Episode]:
        """See `EpisodeSource`; of the prompts only the ids are used."""
        env = self._env(str(model), sampling, split)
        temperature = sampling.temperature or 1.0
        policy = language_model_policy(env, model, temperature=temperature, seed=sampling.seed)
        ids = [prompt.prompt_id for prompt in prompts]
        is_greedy = sampling.temperature == 0
        seed = sampling.seed
        return list(
            rollout(env, policy, len(ids), seed=seed, prompt_ids=ids, deterministic=is_greedy)
        )

    def human(self, prompt: Prompt, tokenizer: Tokenizer, sampling: Sampling) -> Episode:
        """See `EpisodeSource`."""
        response = self.response_start + prompt.references[0]
        if self.others:
            ids, is_action = self._turns(prompt, response, tokenizer)
        else:
            ids = tuple(tokenizer.encode(response))
            loaded: Any = tokenizer  # from the folder of the model
            actions = self._actions(str(loaded.path), sampling)
            is_action = tuple(token in actions for token in ids)
        return Episode(
            prompt=prompt,
            prompt_ids=tuple(tokenizer.encode(prompt.text)[-sampling.max_prompt_tokens :]),
            response_ids=ids,
            response=response,
            finish_reason="stop",
            response_is_action=is_action,
        )

    def _turns(
        self, prompt: Prompt, response: str, tokenizer: Tokenizer
    ) -> tuple[tuple[int, ...], tuple[bool, ...]]:
        ids, is_action = encode_turns(
            conversation_pair(prompt.text, response, self.others), tokenizer
        )
        return tuple(ids), tuple(is_action)

    @cache  # noqa: B019 - a source lives as long as the build; an environment a person is slow
    def _actions(self, model: str, sampling: Sampling) -> frozenset[int]:
        core: Any = self._env(model, sampling, "validation").unwrapped
        return frozenset(core.action_tokens.tolist())

    def _env(self, model: str, sampling: Sampling, split: str) -> gym.vector.VectorEnv:
        return gym.make_vec(
            self.env_id,
            num_envs=sampling.batch_size,
            reference_model=model,
            reward="gold",
            kl_coef=0.0,
            split=split,
            data_seed=self.data_seed,
            max_prompt_tokens=sampling.max_prompt_tokens,
            max_new_tokens=sampling.max_new_tokens,
        )
