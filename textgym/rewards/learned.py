"""The learned reward: a one-label classifier that reads the prompt and the response."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textgym.models.loading import check_vocabulary
from textgym.models.reward_model import SequenceScorer
from textgym.rewards.foreign_prompts import ForeignPrompts
from textgym.tokenizer import Tokenizer, end_token, load_tokenizer
from textgym.types import Episode


class RewardModel:
    """A reward model as a `RewardFn`; see `textgym.rewards.base`.

    With the environment's own tokenizer it scores the very ids that were sampled, which need not
    be the ids that their text would be encoded to. With another tokenizer it encodes prompt and
    response anew, each by itself, conversations in its own chat template (see `ForeignPrompts`),
    and puts its own end token behind a response that ended itself.

    An episode that the length ended has no end token and is scored as it is.
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

        Raises:
            ValueError: No such model, two labels, no tokenizer, or too few embedding rows.
        """
        self.scorer = SequenceScorer(path, device, dtype, offload=offload)
        self.token_budget = token_budget
        self.tokenizer = reward_tokenizer or load_tokenizer(path)
        check_vocabulary(self.scorer.model, self.tokenizer)
        self.shares_tokenizer = self.tokenizer.fingerprint == tokenizer.fingerprint
        self._foreign = ForeignPrompts(tokenizer, self.tokenizer)

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        ids = [self.ids_of(episode) for episode in episodes]
        return self.scorer.score_ids(ids, self.token_budget)

    def ids_of(self, episode: Episode) -> list[int]:
        """Return the token ids that are scored for an episode."""
        if self.shares_tokenizer:
            return [*episode.prompt_ids, *episode.response_ids]
        prompt, response = self._foreign.texts(episode)
        ids = self.tokenizer.encode(prompt) + self.tokenizer.encode(response)
        return [*ids, *end_token(self.tokenizer)] if episode.finish_reason == "eos" else ids
