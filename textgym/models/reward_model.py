"""`SequenceScorer`: a one-label sequence classifier read at the last token, or at several.

Shape letters: N sequences, T tokens, K tokens that are read, D width of the hidden states.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textgym.config import TOKEN_AGGREGATES
from textgym.models.float32_head import float32_head
from textgym.models.length_groups import groups_by_length, padding_on, tokens_on
from textgym.models.loading import (
    check_dtype_on,
    load_sequence_classifier,
    resolve_device,
    resolve_dtype,
)
from textgym.models.offload import on_device
from textgym.models.token_rewards import TokenSteps
from textgym.models.transfer import send
from textgym.models.trunk import hidden_states

SETTINGS_FILE = "textgym.json"


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """From a reward model's logits to its scores.

    Attributes:
        gain: A reward is `gain * logit + bias`.
        bias: See `gain`.
        token_aggregate: "mean" or "sum" of a model that was trained to give every response token
            a reward, whose mean or sum is the score; None of one that is read at the last token.
    """

    gain: float = 1.0
    bias: float = 0.0
    token_aggregate: str | None = None

    def __post_init__(self) -> None:
        """Reject numbers that would make scores meaningless."""
        check_token_aggregate(self.token_aggregate)
        if not (math.isfinite(self.gain) and math.isfinite(self.bias) and self.gain != 0):
            raise ValueError(
                f"gain and bias must be finite and gain not 0, got {self.gain!r} and {self.bias!r}"
            )


def check_token_aggregate(value: str | None) -> None:
    """Raise ValueError unless `value` is one of `TOKEN_AGGREGATES` or None."""
    if value is not None and value not in TOKEN_AGGREGATES:
        raise ValueError(f"token_aggregate must be one of {TOKEN_AGGREGATES}, got {value!r}")


def read_score_scale(path: str | Path) -> ScoreScale:
    """Read `textgym.json` beside the weights; gain 1 and bias 0 where there is none.

    Raises:
        ValueError: The file is no JSON object of numbers.
    """
    file = Path(path) / SETTINGS_FILE
    if not file.is_file():
        return ScoreScale()
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        return ScoreScale(
            gain=float(settings.get("gain", 1.0)),
            bias=float(settings.get("bias", 0.0)),
            token_aggregate=settings.get("token_aggregate"),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{str(file)!r} must hold an object with the numbers 'gain' and 'bias' ({error})"
        ) from error


def write_score_scale(path: str | Path, scale: ScoreScale) -> None:
    """Write a scale beside the weights, keeping what else `textgym.json` holds."""
    file = Path(path) / SETTINGS_FILE
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    settings |= {"gain": scale.gain, "bias": scale.bias}
    settings.pop("token_aggregate", None)
    if scale.token_aggregate is not None:
        settings["token_aggregate"] = scale.token_aggregate
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


class SequenceScorer:
    """Scores of token sequences under a frozen reward model.

    A sequence is read at its last token by its length: padding is never searched for, so a
    sequence may hold the padding or end token anywhere.

    Attributes:
        path: The folder or hub name.
        scale: Gain and bias, and whether it was trained to be read at every token.
    """

    def __init__(
        self,
        path: str | Path,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        *,
        offload: bool = False,
    ) -> None:
        """Load the model, shared with every other user in this process.

        Args:
            path: Folder or hub name.
            device: As `resolve_device`; where scores are computed.
            dtype: As `resolve_dtype`, of the weights; the score itself is a float32 product.
            offload: Keep the weights in the host's memory between calls.

        Raises:
            ValueError: No such model, more than one label, or no linear head named `score`.
        """
        self.path = str(path)
        self._device, self._offload = resolve_device(device), offload
        check_dtype_on(resolve_dtype(dtype), self._device)
        home = "cpu" if offload else self._device
        self.model = load_sequence_classifier(path, device=home, dtype=dtype)
        self.scale = read_score_scale(path)
        self._head = float32_head(score_head(self.model))

    @torch.inference_mode()
    def score_ids(
        self, sequences: Sequence[Sequence[int]], token_budget: int | None = None
    ) -> np.ndarray:
        """Return the score of each sequence, (N,) float32.

        Sequences are batched by length. A score does not depend on what it is batched with beyond
        the last float32 digits.

        Args:
            sequences: Token ids, each sequence at least one token.
            token_budget: Most padded tokens in one forward; None: by the kind of device.

        Raises:
            ValueError: An empty sequence, an id without an embedding, or more tokens than the
                model has positions.
        """
        firsts = [len(sequence) - 1 for sequence in sequences]
        found = self.token_rewards(sequences, firsts, token_budget)
        return np.concatenate([np.zeros(0, dtype=np.float32), *found])

    @torch.inference_mode()
    def token_rewards(
        self,
        sequences: Sequence[Sequence[int]],
        firsts: Sequence[int],
        token_budget: int | None = None,
    ) -> list[np.ndarray]:
        """Return `gain * logit + bias` at each token of each sequence from `firsts` on.

        Args:
            sequences: As `score_ids`.
            firsts: Position of the first token that is read, in [0, length].
            token_budget: As `score_ids`.

        Returns:
            N arrays (K,) float32, K the sequence's length minus its first position.

        Raises:
            ValueError: As `score_ids`.
        """
        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        starts = np.array(firsts, dtype=np.int64)
        self._check(sequences, lengths)
        device_type = self._device.type
        budget = token_budget or tokens_on(device_type)
        groups = groups_by_length(lengths, budget, padding_on(device_type))
        found: list[np.ndarray] = [np.zeros(0, dtype=np.float32)] * len(sequences)
        with on_device(self.model, self._device) if self._offload else contextlib.nullcontext():
            parts = [
                self._logits([sequences[i] for i in group], starts[group], lengths[group])
                for group in groups
            ]
            for group, part in zip(groups, parts, strict=True):
                logits = part.cpu().numpy()
                rewards = np.float32(self.scale.gain) * logits + np.float32(self.scale.bias)
                ends = np.cumsum(lengths[group] - starts[group])[:-1]
                for index, own in zip(group, np.split(rewards, ends), strict=True):
                    found[index] = own
        return found

    def new_steps(self, num_rows: int, width: int) -> TokenSteps:
        """Return what reads the last tokens of `num_rows` sequences that grow by a token a step."""
        scale = (self.scale.gain, self.scale.bias)
        return TokenSteps(self.model, self._head, scale, num_rows, width)

    def _logits(
        self, sequences: Sequence[Sequence[int]], starts: np.ndarray, lengths: np.ndarray
    ) -> torch.Tensor:
        """Return the logits that are read in one group, one after another, on the device."""
        ids = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : lengths[row]] = sequence
        rows = np.repeat(np.arange(len(sequences)), lengths - starts)
        columns = np.concatenate([np.arange(*pair) for pair in zip(starts, lengths, strict=True)])
        # All states, not `selected_states`: products of so few rows round by where memory lies,
        # and the same sequences must score the same.
        states = hidden_states(self.model.base_model, send(ids, self._device))
        chosen = states[send(rows, self._device), send(columns, self._device)]
        return self._head(chosen)[:, 0].float()

    def _check(self, sequences: Sequence[Sequence[int]], lengths: np.ndarray) -> None:
        if len(lengths) and lengths.min() < 1:
            raise ValueError(
                f"sequence {int(lengths.argmin())} has no tokens; expected at least one"
            )
        rows = self.model.get_input_embeddings().weight.shape[0]
        top = max((max(sequence) for sequence in sequences), default=0)
        if top >= rows:
            raise ValueError(
                f"vocabulary mismatch: token {int(top)} has no row in the reward model "
                f"{self.path!r}, expected ids below {rows}"
            )
        settings = self.model.config.get_text_config().to_dict()
        positions = settings.get("max_position_embeddings") or settings.get("n_positions")
        if positions is not None and len(lengths) and lengths.max() > positions:
            raise ValueError(
                f"a sequence of {int(lengths.max())} tokens is too long for the reward model "
                f"{self.path!r}, expected at most {positions}"
            )


def score_head(classifier: Any) -> torch.nn.Linear:
    """Return the linear head of a one-label classifier, (…, D) to (…, 1).

    Raises:
        ValueError: The architecture keeps no such head under the usual name `score`.
    """
    head = dict(classifier.named_children()).get("score")
    if not isinstance(head, torch.nn.Linear):
        raise ValueError(
            f"{type(classifier).__name__} {classifier.name_or_path!r} has no linear layer named "
            f"'score', expected the sequence classifier of a decoder-only model"
        )
    return head
