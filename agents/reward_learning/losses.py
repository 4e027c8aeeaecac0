"""The losses of reward learning, one formula each, for any model that gives numbers.

λ₁ · score + λ₂ · comparison + λ₃ · language. Comparisons fix a reward up to a constant; scores and
words are numbers in [0, 1] that a calibration of their own ties to it, so that no kind fights the
others over offset and scale. Shape letters: R labels; "..." any leading axes (members).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textgym.feedback.checks import is_number

KINDS = ("score", "comparison", "language")
"""The kinds of labels that a reward is learned from; each has one term of the loss."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How much each kind of feedback counts.

    Attributes:
        score_weight: λ₁, at least 0; labels of a kind with weight 0 are left out.
        comparison_weight: λ₂.
        language_weight: λ₃.
    """

    score_weight: float = 1.0
    comparison_weight: float = 1.0
    language_weight: float = 1.0

    def __post_init__(self) -> None:
        """Reject negative weights, and all of them 0."""
        for kind, value in self.by_kind.items():
            if not (is_number(value) and 0 <= value < float("inf")):
                raise ValueError(f"{kind}_weight must be a finite number >= 0, got {value!r}")
        if not any(self.by_kind.values()):
            raise ValueError("at least one of the loss weights must be above 0, got 0 for all")

    @property
    def by_kind(self) -> dict[str, float]:
        """Kind to weight."""
        return {
            "score": self.score_weight,
            "comparison": self.comparison_weight,
            "language": self.language_weight,
        }


class Calibration(nn.Module):
    """a · r + b with learned a > 0 and b: the logit of a number in [0, 1].

    Attributes:
        log_a: (M, 1) or (1,), the logarithm of a, which keeps a above 0.
        b: The same shape.
    """

    def __init__(self, members: int | None = None) -> None:
        """Start at a = 1, b = 0, for one reward (R,) or for `members` of them, (M, R)."""
        super().__init__()
        shape = (1,) if members is None else (members, 1)
        self.log_a = nn.Parameter(torch.zeros(shape))
        self.b = nn.Parameter(torch.zeros(shape))

    def forward(self, rewards: Tensor) -> Tensor:
        """Return the logits of `rewards`, of their shape."""
        return self.log_a.exp() * rewards + self.b


def comparison_losses(first: Tensor, second: Tensor, label: Tensor) -> Tensor:
    """Bradley–Terry: loss of each comparison, (..., R) nats.

    Args:
        first: (..., R) raw rewards.
        second: (..., R) raw rewards.
        label: (R,) in [0, 1], how far the first is preferred: 1 it won, 0.5 a tie.
    """
    gap = first - second
    return -(label * F.logsigmoid(gap) + (1 - label) * F.logsigmoid(-gap))


def bradley_terry_losses(chosen: Tensor, rejected: Tensor, is_tie: Tensor) -> Tensor:
    """Loss of each comparison, (..., R) nats; a tie is half a win for either side.

    Args:
        chosen: (..., R) raw rewards.
        rejected: (..., R) raw rewards.
        is_tie: (R,) bool.
    """
    label = torch.where(is_tie, 0.5, 1.0).to(chosen.dtype)
    return comparison_losses(chosen, rejected, label)


def fraction_losses(logits: Tensor, values: Tensor) -> Tensor:
    """Binary cross-entropy of σ(logits) with numbers in [0, 1]: scores, and a critic's numbers.

    A proper loss: its least expected value is where σ(logit) is the mean of the numbers.

    Args:
        logits: (..., R), from a `Calibration`.
        values: (R,) in [0, 1].

    Returns:
        (..., R) nats; at least the entropy of the values.
    """
    return F.binary_cross_entropy_with_logits(logits, values.expand_as(logits), reduction="none")


def weighted_total(losses: Mapping[str, Tensor], factors: Mapping[str, Tensor | float]) -> Tensor:
    """Sum over kinds of factor · loss over the kind's labels, the mean over members.

    Args:
        losses: Kind to (..., R_kind); a kind that is absent costs nothing.
        factors: Kind to what each label counts, broadcast against its losses: λ, the label's own
            weight (a comparison's strength), and 1 / the number of labels.

    Raises:
        ValueError: No kind at all.
    """
    if not losses:
        raise ValueError(f"expected losses of at least one of {KINDS}, got none")
    return sum(
        ((factors[kind] * value).sum(dim=-1).mean() for kind, value in losses.items()),
        start=torch.zeros((), device=next(iter(losses.values())).device),
    )
