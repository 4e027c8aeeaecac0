"""What a study of over-optimisation measures: its settings, its cells and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from textgym.agents.runs.study_settings import claim_settings
from textgym.agents.storage.checkpoint import load_json

KINDS = ("reward", "best-of-n", "ppo")
_GRID = ("data_sizes", "noises", "kl_coefs", "n_seeds")


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What is measured; a study that is continued may have a larger grid, nothing else changed.

    Attributes:
        env_id: A text environment with a gold utility and a language model as its reference.
        env_kwargs: Its arguments.
        data_sizes: Comparisons that reward models are trained on, each at least 8.
        noises: Shares of the judgements that are made by tossing a coin, each in [0, 1].
        kl_coefs: KL weights of PPO, each at least 0; none for no PPO.
        n_seeds: Seeds of labels, reward models and PPO, at least 1.
        n_prompts: Held-out prompts of best-of-n, at least 8.
        n_samples: Samples of each, at least 2; n is 1, 2, 4, … up to it.
        n_steps: Tokens that each PPO run takes, at least 1.
        n_envs: Rows of PPO, at least 1.
        learning_rate: PPO's; None: by kind of model.
        value: PPO's value function: "shared" with the policy, cheaper, or "separate".
        teacher_temperature: Gap of two responses, in standard deviations of gold, at which the
            teacher prefers the better one with probability .73; above 0, lower is surer.
        reward_epochs: Passes over the comparisons, above 0.
        reward_learning_rate: Highest rate of the reward training.
        n_ensemble: Reward models whose disagreement is watched while PPO trains; fewer than 2 for
            no such alarm.
    """

    env_id: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    data_sizes: tuple[int, ...] = (150, 1500)
    noises: tuple[float, ...] = (0.0, 0.5)
    kl_coefs: tuple[float, ...] = (0.0, 0.1)
    n_seeds: int = 1
    n_prompts: int = 64
    n_samples: int = 64
    n_steps: int = 60_000
    n_envs: int = 64
    learning_rate: float | None = None
    value: Literal["shared", "separate"] = "shared"
    teacher_temperature: float = 0.25
    reward_epochs: float = 2.0
    reward_learning_rate: float = 1e-3
    n_ensemble: int = 3

    def __post_init__(self) -> None:
        """Check the ranges."""
        least = {"n_seeds": 1, "n_prompts": 8, "n_samples": 2, "n_steps": 1, "n_envs": 1}
        for name, value in ((name, vars(self)[name]) for name in least):
            if value < least[name]:
                raise ValueError(f"{name} must be at least {least[name]}, got {value!r}")
        if not self.data_sizes or min(self.data_sizes) < 8:
            raise ValueError(f"data_sizes must each be at least 8, got {self.data_sizes!r}")
        if not self.noises or not all(0 <= noise <= 1 for noise in self.noises):
            raise ValueError(f"noises must each lie in [0, 1], got {self.noises!r}")
        if not all(0 <= coef < float("inf") for coef in self.kl_coefs):
            raise ValueError(f"kl_coefs must each be finite and >= 0, got {self.kl_coefs!r}")
        for name in ("data_sizes", "noises", "kl_coefs"):
            values = vars(self)[name]
            if len(set(values)) != len(values):
                raise ValueError(f"{name} must differ from each other, got {values!r}")

    @property
    def ns(self) -> tuple[int, ...]:
        """The n of best-of-n: powers of two up to `n_samples`."""
        return tuple(2**power for power in range(self.n_samples.bit_length()))

    def cells(self, kind: str) -> list[Cell]:
        """Return the cells of one of `KINDS`, the slowest to compute first."""
        coefs: Sequence[float | None] = self.kl_coefs if kind == "ppo" else (None,)
        return [
            Cell(kind=kind, size=size, noise=noise, seed=seed, kl_coef=coef)
            for size in sorted(self.data_sizes, reverse=True)
            for noise in self.noises
            for seed in range(self.n_seeds)
            for coef in coefs
        ]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement.

    Attributes:
        kind: One of `KINDS`.
        size: Comparisons of its reward model.
        noise: Share of coin tosses among them.
        seed: See `StudyConfig.n_seeds`.
        kl_coef: PPO's; None for the other kinds.
    """

    kind: str
    size: int
    noise: float
    seed: int
    kl_coef: float | None = None

    @property
    def name(self) -> str:
        """File name without suffix, the same for equal cells only."""
        parts = [self.kind, f"n{self.size}", f"noise{self.noise:g}", f"seed{self.seed}"]
        return "-".join(parts if self.kl_coef is None else [*parts, f"kl{self.kl_coef:g}"])

    @property
    def reward(self) -> Cell:
        """The cell of its reward model."""
        return replace(self, kind="reward", kl_coef=None)


@dataclass(frozen=True)
class StudyFolder:
    """The files of a study: study.json, samples/, models/, cells/ and the results."""

    path: Path

    def claim(self, config: StudyConfig) -> None:
        """Write the settings, or check that the study there has the same apart from its grid.

        Raises:
            ValueError: Another study lies there; the message names what differs.
        """
        claim_settings(self.path / "study.json", _fixed(config))
        for name in ("samples", "models", "cells"):
            (self.path / name).mkdir(exist_ok=True)

    @property
    def evaluation(self) -> Path:
        """Held-out samples of the reference, for best-of-n and the alarms."""
        return self.path / "samples" / "held-out.jsonl.gz"

    def pool(self, seed: int) -> Path:
        """Samples of the reference that a seed's comparisons are between."""
        return self.path / "samples" / f"pool-seed{seed}.jsonl.gz"

    def model(self, cell: Cell) -> Path:
        """Return the folder in which a cell's reward model is trained."""
        return self.path / "models" / cell.reward.name

    def result(self, cell: Cell) -> Path:
        """Return the file of a cell's figures."""
        return self.path / "cells" / f"{cell.name}.json"

    def load(self, cells: Sequence[Cell]) -> dict[Cell, dict[str, Any]]:
        """Read those of the cells that have been measured."""
        return {c: load_json(self.result(c)) for c in cells if self.result(c).is_file()}


def _fixed(config: StudyConfig) -> dict[str, Any]:
    """Return all that must be equal for cells to belong together, as it comes back from JSON."""
    plain = {name: value for name, value in asdict(config).items() if name not in _GRID}
    return {**plain, "env_kwargs": dict(config.env_kwargs)}
