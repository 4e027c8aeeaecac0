"""What a study of dependence measures: its settings, its cells and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from textgym.agents.runs.study_settings import claim_settings
from textgym.feedback.prices import Budget, Prices
from textgym.feedback.teachers import TeacherConfig

BIAS_KNOBS = ("length_bias", "keyword_bias", "style_bias")
_SET_BY_STUDY = ("gold_mean", "gold_std", "seed", "dropout_round", "delay", "delay_spread")
_GRID = ("biases", "budgets", "dropouts", "n_seeds")


@dataclass(frozen=True, kw_only=True)
class DependenceConfig:
    """What is measured; a study that is continued may have a larger grid, nothing else changed.

    Attributes:
        env_id: A text environment with a gold utility and a language model as its reference.
        env_kwargs: Its arguments.
        teacher: The teacher's other knobs, "beta=2,score_noise=0.1".
        bias_knob: Which liking the biases are weights of: "length_bias", "keyword_bias" or
            "style_bias".
        biases: Its weights, in standard deviations of gold; the first and the last also meet
            every budget and every drop-out.
        budgets: Labels that the teacher may give, beside no limit; each at least 1.
        dropouts: Shares of the training after which the teacher leaves, each in (0, 1), beside
            one who stays.
        n_seeds: Seeds of teacher and agent, at least 1.
        n_steps: Tokens that each agent writes in training, at least 1.
        n_envs: Rows, at least 1.
        rollout_steps: Steps of each row between two updates, at least 1.
        n_train_prompts: Different prompts in training, at least 1.
        n_prompts: Prompts that abilities are measured on, at least 2.
        reward_weight: What the teacher's scores in [0, 1] are multiplied by, above 0.
        learning_rate: PPO's; None: by kind of model.
    """

    env_id: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = ""
    bias_knob: str = "length_bias"
    biases: tuple[float, ...] = (0.0, 1.0, 2.0)
    budgets: tuple[float, ...] = (250.0, 750.0)
    dropouts: tuple[float, ...] = (0.25, 0.5)
    n_seeds: int = 1
    n_steps: int = 48_000
    n_envs: int = 64
    rollout_steps: int = 48
    n_train_prompts: int = 256
    n_prompts: int = 256
    reward_weight: float = 4.0
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges and the teacher's knobs."""
        least = dict.fromkeys(
            ("n_seeds", "n_steps", "n_envs", "rollout_steps", "n_train_prompts"), 1
        ) | {"n_prompts": 2}
        for name, lowest in least.items():
            if vars(self)[name] < lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {vars(self)[name]!r}")
        if self.bias_knob not in BIAS_KNOBS:
            raise ValueError(f"bias_knob must be one of {BIAS_KNOBS}, got {self.bias_knob!r}")
        if not 0 < self.reward_weight < float("inf"):
            raise ValueError(f"reward_weight must be above 0, got {self.reward_weight!r}")
        if not self.biases:
            raise ValueError("biases must be at least one number, got none")
        if not all(0 < share < 1 for share in self.dropouts):
            raise ValueError(f"dropouts must each lie between 0 and 1, got {self.dropouts!r}")
        for budget in self.budgets:
            Budget(budget, Prices())
        for name in ("biases", "budgets", "dropouts"):
            if len(set(vars(self)[name])) != len(vars(self)[name]):
                raise ValueError(f"{name} must differ from each other, got {vars(self)[name]!r}")
        self._check_teacher()

    def _check_teacher(self) -> None:
        """Reject knobs that a study turns itself."""
        given = self.base_teacher()
        defaults = TeacherConfig()
        for name in (*_SET_BY_STUDY, self.bias_knob):
            if getattr(given, name) != getattr(defaults, name):
                raise ValueError(f"teacher must leave {name!r} to the study, got {self.teacher!r}")
        TeacherConfig.parse(self.teacher, **{self.bias_knob: self.biases[-1]})

    def base_teacher(self) -> TeacherConfig:
        """Return the teacher without bias, who stays."""
        return TeacherConfig.parse(self.teacher)

    def cells(self) -> list[Cell]:
        """Return all cells, each once, the slowest to compute first."""
        extremes = dict.fromkeys((self.biases[0], self.biases[-1]))
        found = [Cell(bias=bias, seed=seed) for bias in self.biases for seed in range(self.n_seeds)]
        found += [
            Cell(bias=bias, seed=seed, dropout=share)
            for share in sorted(self.dropouts, reverse=True)
            for bias in extremes
            for seed in range(self.n_seeds)
        ]
        found += [
            Cell(bias=bias, seed=seed, budget=budget)
            for budget in sorted(self.budgets, reverse=True)
            for bias in extremes
            for seed in range(self.n_seeds)
        ]
        return found


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One agent and its teacher.

    Attributes:
        bias: Weight of the teacher's liking.
        seed: Of teacher and agent.
        budget: Labels that the teacher may give; None for no limit.
        dropout: Share of the training after which the teacher leaves; None: stays.
    """

    bias: float
    seed: int
    budget: float | None = None
    dropout: float | None = None

    @property
    def name(self) -> str:
        """File name without suffix, the same for equal cells only."""
        parts = [f"bias{self.bias:g}"]
        if self.budget is not None:
            parts.append(f"budget{self.budget:g}")
        if self.dropout is not None:
            parts.append(f"dropout{self.dropout:g}")
        return "-".join([*parts, f"seed{self.seed}"])


@dataclass(frozen=True)
class DependenceFolder:
    """The files of a study: study.json, reference.json, cells/ and the results."""

    path: Path

    def claim(self, config: DependenceConfig) -> None:
        """Write the settings, or check that the study there has the same apart from its grid.

        Raises:
            ValueError: Another study lies there; the message names what differs.
        """
        ours = {name: value for name, value in asdict(config).items() if name not in _GRID}
        ours["env_kwargs"] = dict(config.env_kwargs)
        claim_settings(self.path / "study.json", ours)
        (self.path / "cells").mkdir(exist_ok=True)

    @property
    def reference(self) -> Path:
        """What was measured of the reference model, which every agent begins as."""
        return self.path / "reference.json"

    def result(self, cell: Cell) -> Path:
        """Return the file of a cell's figures."""
        return self.path / "cells" / f"{cell.name}.json"
