"""Fits a reward model of text to labels of all kinds at once: one transformer, or an ensemble.

Shape letters: M members, I items, R labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textgym.agents.reward_learning.ensembles import EnsembleRule, normalisation
from textgym.agents.reward_learning.labels import RewardLabels, label_shares
from textgym.agents.reward_learning.losses import Calibration, LossWeights
from textgym.agents.reward_learning.term_reports import TermReport, term_report
from textgym.agents.reward_learning.text_items import ItemEncoder, TextReading, TokenIds
from textgym.agents.reward_learning.text_objective import (
    Encoded,
    TextObjective,
    TextRewardLearner,
)
from textgym.agents.storage.checkpoint import save_folder, save_json
from textgym.agents.supervised.preference_data import held_out_items
from textgym.agents.supervised.reference_samples import reference_sequences
from textgym.agents.supervised.reward_training import classifier_writer
from textgym.agents.supervised.scoring_head import classifier_from, score_sequences
from textgym.agents.supervised.training_loop import LoopConfig, Progress, train
from textgym.models.loading import resolve_device
from textgym.models.reward_model import ScoreScale
from textgym.rewards.learned_ensemble import member_name, write_ensemble
from textgym.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True, kw_only=True)
class TextRewardConfig(LossWeights, EnsembleRule, TextReading, LoopConfig):
    """Learning a reward of text from feedback.

    Attributes:
        model: Folder or hub name of a causal LM (usually the reference policy) to start from.
        tokenizer: Folder or hub name; None takes the model's own.
        members: Models of the ensemble, at least 1; they differ in head, order and, with
            `bootstrap`, labels.
        bootstrap: Let each member see the labels resampled, where there are several members.
        held_out_fraction: Share of the prompts whose labels are only measured on, where no
            held-out labels are given.
        reference_model: Folder or name of the policy on whose samples each member is normalised
            (mean 0, standard deviation 1); None normalises on the judged responses.
        n_normalisation: Samples for the normalisation, at least 2.
        epochs: Passes over the labels.
        learning_rate: Highest rate.
    """

    model: str
    tokenizer: str | None = None
    members: int = 1
    bootstrap: bool = True
    held_out_fraction: float = 0.1
    reference_model: str | None = None
    n_normalisation: int = 512
    epochs: float = 2.0
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        """Reject settings without a meaning."""
        for checked in (LoopConfig, LossWeights, EnsembleRule, TextReading):
            checked.__post_init__(self)
        if self.members < 1:
            raise ValueError(f"members must be at least 1, got {self.members!r}")
        if self.n_normalisation < 2:
            raise ValueError(f"n_normalisation must be at least 2, got {self.n_normalisation!r}")
        if not 0 < self.held_out_fraction < 1:
            raise ValueError(
                f"held_out_fraction must lie in (0, 1), got {self.held_out_fraction!r}"
            )

    @property
    def ensemble_rule(self) -> EnsembleRule:
        """The ensemble's part."""
        return EnsembleRule(rule=self.rule, variance_weight=self.variance_weight)


@dataclass(frozen=True, kw_only=True)
class TextRewardResult:
    """What came out.

    Attributes:
        folder: A sequence classifier's folder, or an ensemble's; either is a `reward_model=` of
            the text environments.
        held_out: Kind to what was measured on held-out labels; kinds without any are absent.
        calibrations: For each member, kind to the a and b of its numbers.
        scales: For each member, gain and bias of its normalisation.
        counts: Kind to the number of labels trained on.
        progress: Steps, seconds and losses of each member's training.
    """

    folder: Path
    held_out: dict[str, TermReport]
    calibrations: list[dict[str, tuple[float, float]]]
    scales: list[tuple[float, float]]
    counts: dict[str, int]
    progress: list[Progress]


def fit_text_reward(
    labels: RewardLabels,
    config: TextRewardConfig,
    held_out: RewardLabels | None = None,
    *,
    output: str | Path,
    normalise_on: Sequence[TokenIds] | None = None,
    progress: bool = False,
) -> TextRewardResult:
    """Train, normalise, measure and save; an interrupted run in the same folder is continued.

    Args:
        labels: Of text, of any kinds; a kind whose weight is 0 is left out.
        config: Model, losses and training.
        held_out: Labels that are only measured on; None splits them off by prompt.
        output: Gets `model/`, `training/` and `results.json`.
        normalise_on: Whole sequences of the reference policy; None samples or chooses them as
            `config` says.
        progress: Show bars with the time left.

    Raises:
        ValueError: No labels, labels of a single class, labels of trajectories, or no such model.
    """
    wanted = [kind for kind, weight in config.by_kind.items() if weight > 0]
    labels = labels.only(wanted)
    labels.check_trainable()
    if held_out is None:
        labels, held_out = split_by_prompt(labels, config.held_out_fraction, config.seed)
        labels.check_trainable()
    fit = _Fit(labels, held_out.only(wanted), config, Path(output), progress)
    return fit.run(normalise_on)


def split_by_prompt(
    labels: RewardLabels, held_out_fraction: float, seed: int
) -> tuple[RewardLabels, RewardLabels]:
    """Split so that no prompt (no response, where there are no prompts) is on both sides.

    Raises:
        ValueError: Fewer than two prompts.
    """
    names = [item.response.prompt.text or item.response.text for item in labels.items]
    used = {names[row] for kind in labels.kinds.values() for row in kind.rows[:, 0]}
    held = held_out_items(used, held_out_fraction, seed)
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for kind, found in labels.kinds.items():
        is_held = np.array([names[row] in held for row in found.rows[:, 0]])
        for part, mask in zip(parts, (~is_held, is_held), strict=True):
            if mask.any():
                part[kind] = found.take(np.flatnonzero(mask))
    train_part, held_part = (RewardLabels(items=labels.items, kinds=part) for part in parts)
    return train_part, held_part


class _Fit:
    """One training of all members."""

    def __init__(
        self,
        labels: RewardLabels,
        held_out: RewardLabels,
        config: TextRewardConfig,
        output: Path,
        progress: bool,
    ) -> None:
        self.labels, self.held_out, self.config = labels, held_out, config
        self.output, self.progress = output, progress
        self.tokenizer: Tokenizer = load_tokenizer(config.tokenizer or config.model)
        encoder = ItemEncoder(self.tokenizer, config)
        self.encoded: Encoded = encoder.encode(labels.items)
        is_same = held_out.items is labels.items
        self.held_encoded = self.encoded if is_same else encoder.encode(held_out.items)
        rng = np.random.default_rng([config.seed, 1])
        members = config.members if config.bootstrap else 1
        self.factors = {
            kind: config.by_kind[kind] * label_shares(found, members, rng)
            for kind, found in labels.kinds.items()
        }

    def run(self, normalise_on: Sequence[TokenIds] | None) -> TextRewardResult:
        """Train every member, and save."""
        reference = normalise_on or self._reference()
        losses: dict[str, list[np.ndarray]] = {kind: [] for kind in self.held_out.kinds}
        rewards, scales, calibrations, states = [], [], [], []
        for member in range(self.config.members):
            learner, state = self._trained(member)
            gain, bias = normalisation(
                score_sequences(learner.model, reference, self.config.batch_tokens)
            )
            raw = self._held_rewards(learner)
            for kind, found in self._held_losses(learner, raw).items():
                losses[kind].append(found)
            rewards.append(gain * raw.astype(np.float64) + bias)
            scales.append((gain, bias))
            calibrations.append(_numbers_of(learner))
            states.append(state)
            self._save_member(learner.model, member, gain, bias)
        result = TextRewardResult(
            folder=self.output / "model",
            held_out=self._reports(losses, np.array(rewards)),
            calibrations=calibrations,
            scales=scales,
            counts=self.labels.counts,
            progress=states,
        )
        if self.config.members > 1:
            write_ensemble(self.output / "model", self.config.ensemble_rule, self.config.members)
        plain = {**asdict(result), "folder": "model", "config": asdict(self.config)}
        save_json(self.output / "results.json", plain)
        return result

    def _trained(self, member: int) -> tuple[TextRewardLearner, Progress]:
        config = replace(self.config, seed=self.config.seed + member)
        model = classifier_from(config.model, seed=config.seed)
        model.to(resolve_device(config.device))
        learner = TextRewardLearner(model, self.labels)
        factors = {kind: found[member % len(found)] for kind, found in self.factors.items()}
        state = train(
            learner,
            TextObjective(learner, self.labels, self.encoded, factors),
            config,
            folder=self.output / "training" / member_name(member),
            evaluate=lambda: self._brief(learner),
            label=f"reward model {member + 1}/{config.members}",
            progress=self.progress,
        )
        return learner, state

    def _held_rewards(self, learner: TextRewardLearner) -> np.ndarray:
        """Raw reward of every item that a held-out label is about, (I,); 0 for the others."""
        used = sorted({row for k in self.held_out.kinds.values() for row in k.rows.ravel()})
        found = np.zeros(len(self.held_encoded), dtype=np.float32)
        sequences = [prompt + response for prompt, response in self.held_encoded]
        if used:
            found[used] = score_sequences(
                learner.model, [sequences[row] for row in used], self.config.batch_tokens
            )
        return found

    def _held_losses(self, learner: TextRewardLearner, raw: np.ndarray) -> dict[str, np.ndarray]:
        device = next(learner.parameters()).device
        with torch.no_grad():
            return {
                kind: learner.losses(
                    kind, torch.from_numpy(raw[found.rows]).to(device), found.targets
                )
                .cpu()
                .numpy()
                for kind, found in self.held_out.kinds.items()
                if kind == "comparison" or kind in learner.calibrations
            }

    def _brief(self, learner: TextRewardLearner) -> dict[str, float]:
        found = self._held_losses(learner, self._held_rewards(learner))
        return {f"held_out_{kind}_loss": float(values.mean()) for kind, values in found.items()}

    def _reports(
        self, losses: dict[str, list[np.ndarray]], rewards: np.ndarray
    ) -> dict[str, TermReport]:
        combined = self.config.ensemble_rule.combine(rewards)
        return {
            kind: term_report(kind, np.mean(losses[kind], axis=0), combined[found.rows], found)
            for kind, found in self.held_out.kinds.items()
            if losses[kind]
        }

    def _save_member(self, model: Any, member: int, gain: float, bias: float) -> None:
        folder = self.output / "model"
        if self.config.members > 1:
            folder = folder / member_name(member)
        folder.parent.mkdir(parents=True, exist_ok=True)
        save_folder(
            folder, classifier_writer(model, self.tokenizer, ScoreScale(gain=gain, bias=bias))
        )

    def _reference(self) -> list[TokenIds]:
        draw = np.random.default_rng(self.config.seed)
        used = sorted({row for k in self.labels.kinds.values() for row in k.rows.ravel()})
        rows = draw.choice(used, size=self.config.n_normalisation)
        if self.config.reference_model is None:
            return [self.encoded[row][0] + self.encoded[row][1] for row in rows]
        return reference_sequences(
            self.config.reference_model,
            [self.encoded[row][0] for row in rows],
            self.tokenizer,
            max_new_tokens=self.config.max_response_tokens,
            batch_tokens=self.config.batch_tokens,
            seed=self.config.seed,
            device=self.config.device,
            progress=self.progress,
        )


def _numbers_of(learner: TextRewardLearner) -> dict[str, tuple[float, float]]:
    """Kind to a and b."""
    found = {}
    for kind, made in learner.calibrations.items():
        assert isinstance(made, Calibration)
        found[kind] = (float(made.log_a.detach().exp()), float(made.b.detach()))
    return found
