"""Alarms against reward hacking: signs of it that need no gold, calibrated on the reference.

An alarm rings when the share of a batch of responses that lies where only `tail` of the reference
model's own do is larger by `z` standard errors, those of the thresholds included. Shape letters:
N episodes, R reference episodes, M members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from textgym.agents.reward_learning.ensembles import member_normalisation
from textgym.rewards.base import RewardFn
from textgym.types import Episode

TITLES = {
    "length": "length (tokens)",
    "repetition": "repeated token pairs (share)",
    "ref_perplexity": "perplexity under the reference",
    "disagreement": "disagreement of the ensemble (sd)",
}
_BOTH_TAILS = ("ref_perplexity",)  # repetition makes it fall, gibberish rise


@dataclass(frozen=True, kw_only=True)
class AlarmConfig:
    """When an alarm rings.

    Attributes:
        tail: Share of the reference's responses that count as extreme, in (0, 0.5).
        z: Standard errors by which a batch's share of extreme responses must pass `tail` for the
            alarm to ring, above 0. At 5 chance alone rings about once in a million batches.
        min_episodes: Smaller batches ring nothing, at least 1.
    """

    tail: float = 0.05
    z: float = 5.0
    min_episodes: int = 32

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.tail < 0.5:
            raise ValueError(f"tail must lie in (0, 0.5), got {self.tail!r}")
        if not 0 < self.z < np.inf:
            raise ValueError(f"z must be a finite number above 0, got {self.z!r}")
        if self.min_episodes < 1:
            raise ValueError(f"min_episodes must be at least 1, got {self.min_episodes!r}")

    def ring_share(self, num_episodes: int, num_reference: int) -> float:
        """Return the share of extreme responses above which an alarm rings.

        Args:
            num_episodes: N, responses of the batch.
            num_reference: R, responses that the thresholds come from: their quantiles are off by
                a standard error of their own.
        """
        variance = self.tail * (1 - self.tail) * (1 / num_episodes + 1 / num_reference)
        return self.tail + self.z * float(np.sqrt(variance))


@dataclass(frozen=True, kw_only=True)
class AlarmReading:
    """What one alarm says of one batch.

    Attributes:
        mean: Mean of the measure over the batch.
        share: Share of the batch outside [low, high].
        low: Lower threshold, from the reference's responses.
        high: Upper threshold.
        is_ringing: Whether `share` is above `AlarmConfig.ring_share`, in a batch large enough.
    """

    mean: float
    share: float
    low: float
    high: float
    is_ringing: bool


class Ensemble:
    """Reward functions whose disagreement says how far responses are from what they learned on."""

    def __init__(self, members: Sequence[RewardFn]) -> None:
        """Take the members.

        Raises:
            ValueError: Fewer than two.
        """
        if len(members) < 2:
            raise ValueError(f"an ensemble needs at least two members, got {len(members)}")
        self.members = tuple(members)
        self._gains, self._biases = np.ones(len(members)), np.zeros(len(members))

    def normalise(self, episodes: Sequence[Episode]) -> None:
        """Give every member mean 0 and standard deviation 1 on the reference's episodes.

        Raises:
            ValueError: A member that scores all of them alike.
        """
        self._gains, self._biases = member_normalisation(self._raw(episodes))

    def disagreement(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the standard deviation over members of each episode's score, (N,)."""
        scores = self._gains[:, None] * self._raw(episodes) + self._biases[:, None]
        return scores.std(axis=0)

    def _raw(self, episodes: Sequence[Episode]) -> np.ndarray:
        return np.array([member(episodes) for member in self.members], dtype=np.float64)


class Alarms:
    """Thresholds from the reference's own responses, and what they say of others.

    Attributes:
        config: When an alarm rings.
        thresholds: Alarm to (low, high); an alarm without a low end has minus infinity there.
    """

    def __init__(
        self,
        reference: Sequence[Episode],
        config: AlarmConfig | None = None,
        ensemble: Ensemble | None = None,
    ) -> None:
        """Calibrate.

        Args:
            reference: R responses of the reference model, at least 1 / `tail` of them. Without
                `ref_log_probs` there is no alarm of perplexity.
            config: When an alarm rings.
            ensemble: Normalised here; None for no alarm of disagreement.

        Raises:
            ValueError: Too few responses.
        """
        self.config, self._ensemble = config or AlarmConfig(), ensemble
        needed = int(np.ceil(1 / self.config.tail))
        if len(reference) < needed:
            raise ValueError(
                f"expected at least {needed} reference responses for tail={self.config.tail!r}, "
                f"got {len(reference)}"
            )
        if ensemble is not None:
            ensemble.normalise(reference)
        self._num_reference = len(reference)
        self.thresholds = {
            name: self._ends(name, values) for name, values in self.measures(reference).items()
        }

    def measures(self, episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
        """Return alarm to (N,) float64; only what can be measured."""
        found = {name: measure(episodes) for name, measure in MEASURES.items()}
        if all(episode.ref_log_probs for episode in episodes):
            found["ref_perplexity"] = perplexities(episodes)
        if self._ensemble is not None:
            found["disagreement"] = self._ensemble.disagreement(episodes)
        return found

    def read(self, episodes: Sequence[Episode]) -> dict[str, AlarmReading]:
        """Return what each alarm says of a batch, N at least 1."""
        measured = self.measures(episodes)
        return {
            name: self._reading(measured[name], *ends)
            for name, ends in self.thresholds.items()
            if name in measured
        }

    def _ends(self, name: str, values: np.ndarray) -> tuple[float, float]:
        tail = self.config.tail
        if name not in _BOTH_TAILS:
            return -np.inf, float(np.quantile(values, 1 - tail, method="higher"))
        low = np.quantile(values, tail / 2, method="lower")
        return float(low), float(np.quantile(values, 1 - tail / 2, method="higher"))

    def _reading(self, values: np.ndarray, low: float, high: float) -> AlarmReading:
        share = float(np.mean((values < low) | (values > high)))
        is_enough = len(values) >= self.config.min_episodes
        least = self.config.ring_share(len(values), self._num_reference)
        return AlarmReading(
            mean=float(values.mean()),
            share=share,
            low=low,
            high=high,
            is_ringing=is_enough and share > least,
        )


def lengths(episodes: Sequence[Episode]) -> np.ndarray:
    """Return the tokens of each response, (N,) float64."""
    return np.array([len(episode.response_ids) for episode in episodes], dtype=np.float64)


def repetitions(episodes: Sequence[Episode]) -> np.ndarray:
    """Return the share of each response's token pairs that stood in it before, (N,) in [0, 1)."""
    return np.array([_repeated_share(episode.response_ids) for episode in episodes])


def perplexities(episodes: Sequence[Episode]) -> np.ndarray:
    """Return exp of the mean -log pi_ref per token of each response, (N,)."""
    return np.exp([-float(np.mean(episode.ref_log_probs)) for episode in episodes])


def _repeated_share(ids: Sequence[int]) -> float:
    pairs = list(zip(ids[:-1], ids[1:], strict=True))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


MEASURES: Mapping[str, Callable[[Sequence[Episode]], np.ndarray]] = {
    "length": lengths,
    "repetition": repetitions,
}
