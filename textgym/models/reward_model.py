"""`SequenceScorer`: a one-label sequence classifier read at the last token of each sequence.

Shape letters: N sequences, T tokens, D width of the hidden states.
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

from textgym.models.float32_head import float32_head
from textgym.models.length_groups import groups_by_length, padding_on, tokens_on
from textgym.models.loading import (
    check_dtype_on,
    load_sequence_classifier,
    resolve_device,
    resolve_dtype,
)
from textgym.models.offload import on_device
from textgym.models.transfer import send
from textgym.models.trunk import hidden_states

SETTINGS_FILE = "textgym.json"


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """The affine map from a reward model's logit to its score: `gain * logit + bias`."""

    gain: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        """Reject numbers that would make scores meaningless."""
        if not (math.isfinite(self.gain) and math.isfinite(self.bias) and self.gain != 0):
            raise ValueError(
                f"gain and bias must be finite and gain not 0, got {self.gain!r} and {self.bias!r}"
            )


def read_score_scale(path: str | Path) -> ScoreScale:
    """Read gain and bias from `textgym.json` beside the weights; 1 and 0 where there is none.

    Raises:
        ValueError: The file is no JSON object of numbers.
    """
    file = Path(path) / SETTINGS_FILE
    if not file.is_file():
        return ScoreScale()
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        return ScoreScale(
            gain=float(settings.get("gain", 1.0)), bias=float(settings.get("bias", 0.0))
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{str(file)!r} must hold an object with the numbers 'gain' and 'bias' ({error})"
        ) from error


def write_score_scale(path: str | Path, scale: ScoreScale) -> None:
    """Write gain and bias beside the weights, keeping what else `textgym.json` holds."""
    file = Path(path) / SETTINGS_FILE
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    settings |= {"gain": scale.gain, "bias": scale.bias}
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


class SequenceScorer:
    """Scores of token sequences under a frozen reward model.

    A sequence is read at its last token by its length: padding is never searched for, so a
    sequence may hold the padding or end token anywhere.

    Attributes:
        path: The folder or hub name.
        scale: Gain and bias.
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
        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        self._check(sequences, lengths)
        logits = np.zeros(len(sequences), dtype=np.float32)
        device_type = self._device.type
        budget = token_budget or tokens_on(device_type)
        groups = groups_by_length(lengths, budget, padding_on(device_type))
        with on_device(self.model, self._device) if self._offload else contextlib.nullcontext():
            found = [
                self._logits([sequences[i] for i in group], lengths[group]) for group in groups
            ]
            for group, part in zip(groups, found, strict=True):
                logits[group] = part.cpu().numpy()
        return np.float32(self.scale.gain) * logits + np.float32(self.scale.bias)

    def _logits(self, sequences: Sequence[Sequence[int]], lengths: np.ndarray) -> torch.Tensor:
        """Return the logits of one group, (N,) float32, still on the device."""
        ids = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : lengths[row]] = sequence
        states = hidden_states(self.model.base_model, send(ids, self._device))
        last = send(lengths - 1, self._device)
        chosen = states[torch.arange(len(sequences), device=self._device), last]
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
