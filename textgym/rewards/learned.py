"""The learned reward: a one-label classifier that reads the prompt and the response."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textgym.models.loading import check_vocabulary
from textgym.models.reward_model import SequenceScorer, check_token_aggregate
from textgym.models.token_rewards import TokenSteps
from textgym.reference import ResponseSequence
from textgym.rewards.foreign_prompts import ForeignPrompts
from textgym.rewards.token_level import aggregated
from textgym.tokenizer import Tokenizer, end_token, load_tokenizer
from textgym.types import Episode


class RewardModel:
    """A reward model as a `RewardFn`; see `textgym.rewards.base`.

    With the environment's own tokenizer it scores the very ids that were sampled, which need not
    be the ids that their text would be encoded to. With another tokenizer it encodes prompt and
    response anew, each by itself, conversations in its own chat template (see `ForeignPrompts`),
    and puts its own end token behind a response that ended itself.

    An episode that the length ended has no end token and is scored as it is.

    The score is the number at the last token or, where `token_aggregate` says so, the mean or the
    sum of the numbers at all response tokens that the agent wrote: it is a `TokenReward` then.

    Attributes:
        token_aggregate: "mean", "sum", or None: what the score is.
    """

    name = "model"

    def __init__(
        self,
        path: str | Path,
        tokenizer: Tokenizer,
        device: str = "auto",
        dtype: str = "float32",
        *,
        reward_tokenizer: Tokenizer | None = None,
        offload: bool = False,
        token_budget: int | None = None,
        token_aggregate: str | None = None,
    ) -> None:
        """Load the model and its tokenizer.

        Args:
            path: Folder or hub name of a sequence classifier with one label.
            tokenizer: The environment's.
            device: As `resolve_device`.
            dtype: As `resolve_dtype`.
            reward_tokenizer: The reward model's own where it does not lie beside the weights.
            offload: Keep the weights in the host's memory between calls.
            token_budget: Most padded tokens in one forward; None: by the kind of device.
            token_aggregate: "mean" or "sum" of the response's tokens; None: as it was trained.

        Raises:
            ValueError: No such model, two labels, no tokenizer, or too few embedding rows.
        """
        check_token_aggregate(token_aggregate)
        self.scorer = SequenceScorer(path, device, dtype, offload=offload)
        self.token_budget = token_budget
        self.token_aggregate = token_aggregate or self.scorer.scale.token_aggregate
        self.tokenizer = reward_tokenizer or load_tokenizer(path)
        check_vocabulary(self.scorer.model, self.tokenizer)
        self.shares_tokenizer = self.tokenizer.fingerprint == tokenizer.fingerprint
        self._foreign = ForeignPrompts(tokenizer, self.tokenizer)

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        parts = [self._ids_of(episode) for episode in episodes]
        ids = [prompt + response for prompt, response in parts]
        if self.token_aggregate is None:
            return self.scorer.score_ids(ids, self.token_budget)
        # A response without a token is read where it would begin.
        firsts = [len(prompt) if response else len(prompt) - 1 for prompt, response in parts]
        rewards = self.scorer.token_rewards(ids, firsts, self.token_budget)
        own = [self._own(e, values) for e, values in zip(episodes, rewards, strict=True)]
        scores = [aggregated(values, self.token_aggregate) for values in own]
        return np.array(scores, dtype=np.float32)

    def ids_of(self, episode: Episode) -> list[int]:
        """Return the token ids that are scored for an episode."""
        prompt, response = self._ids_of(episode)
        return prompt + response

    def token_rewards(self, sequences: Sequence[ResponseSequence]) -> list[np.ndarray]:
        """Return the reward of each action; see `TokenReward`.

        Raises:
            ValueError: The reward model has another tokenizer than the environment.
        """
        self._require_shared_tokens()
        ids = [sequence.ids.tolist() for sequence in sequences]
        firsts = [sequence.prompt_length for sequence in sequences]
        rewards = self.scorer.token_rewards(ids, firsts, self.token_budget)
        pairs = zip(sequences, rewards, strict=True)
        return [values[s.action_positions - s.prompt_length] for s, values in pairs]

    def new_steps(self, num_rows: int, width: int) -> TokenSteps:
        """Return what gives the same rewards step by step; see `TokenReward`.

        Raises:
            ValueError: The reward model has another tokenizer than the environment.
        """
        self._require_shared_tokens()
        return self.scorer.new_steps(num_rows, width)

    def _own(self, episode: Episode, rewards: np.ndarray) -> np.ndarray:
        """Return the rewards of the agent's tokens, where the ids say which those are."""
        if not (self.shares_tokenizer and episode.response_is_action):
            return rewards
        return rewards[np.array(episode.response_is_action)]

    def _require_shared_tokens(self) -> None:
        if not self.shares_tokenizer:
            raise ValueError(
                f"reward_level='token' needs a reward model with the environment's tokenizer, got "
                f"{self.scorer.path!r}, which has another: its tokens are not the actions"
            )

    def _ids_of(self, episode: Episode) -> tuple[list[int], list[int]]:
        if self.shares_tokenizer:
            return list(episode.prompt_ids), list(episode.response_ids)
        prompt, response = self._foreign.texts(episode)
        ids = self.tokenizer.encode(response)
        if episode.finish_reason == "eos":
            ids = [*ids, *end_token(self.tokenizer)]
        return self.tokenizer.encode(prompt), ids
