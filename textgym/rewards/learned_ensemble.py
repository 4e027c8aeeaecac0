"""Several learned rewards as one: a folder of reward models and the rule that combines them.

The folder holds `member-0/`, `member-1/`, ..., each a reward model of its own whose `textgym.json`
normalises it, and `ensemble.json`. Shape letters: M members, N episodes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from textgym.rewards.base import RewardFn
from textgym.rewards.ensemble_rule import EnsembleRule
from textgym.rewards.learned import RewardModel
from textgym.tokenizer import Tokenizer
from textgym.types import Episode

ENSEMBLE_FILE = "ensemble.json"


class EnsembleReward:
    """The members' scores, combined by the rule; a `RewardFn`.

    Attributes:
        members: The reward models.
        rule: How their scores become one.
    """

    name = "model"

    def __init__(self, members: Sequence[RewardModel], rule: EnsembleRule) -> None:
        """Take the members, at least one, normalised on the same reference samples."""
        if not members:
            raise ValueError("an ensemble needs at least one member, got 0")
        self.members, self.rule = tuple(members), rule

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        return self.rule.combine(self.member_scores(episodes)).astype(np.float32)

    @property
    def shares_tokenizer(self) -> bool:
        """Whether all members read the environment's own token ids."""
        return all(member.shares_tokenizer for member in self.members)

    def member_scores(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return each member's scores, (M, N) float64."""
        return np.array([member(episodes) for member in self.members], dtype=np.float64)


def learned_reward(path: str | Path, tokenizer: Tokenizer, *args: Any, **kwargs: Any) -> RewardFn:
    """Return the reward of a reward model's folder, an ensemble's folder, or a hub name.

    Args:
        path: Folder or hub name.
        tokenizer: The environment's.
        *args: As `RewardModel`, for each member.
        **kwargs: As `RewardModel`, for each member.

    Raises:
        ValueError: As `RewardModel`, or a damaged `ensemble.json`.
    """
    if not is_ensemble(path):
        return RewardModel(path, tokenizer, *args, **kwargs)
    rule, folders = read_ensemble(path)
    members = [RewardModel(folder, tokenizer, *args, **kwargs) for folder in folders]
    return EnsembleReward(members, rule)


def is_ensemble(path: str | Path) -> bool:
    """Whether this is the folder of an ensemble."""
    return (Path(path) / ENSEMBLE_FILE).is_file()


def first_model(path: str | Path) -> str:
    """Return the folder of the first member of an ensemble; of anything else, `path`."""
    return str(read_ensemble(path)[1][0]) if is_ensemble(path) else str(path)


def member_name(index: int) -> str:
    """Return the name of a member's folder."""
    return f"member-{index}"


def write_ensemble(folder: Path, rule: EnsembleRule, members: int) -> None:
    """Write `ensemble.json` into a folder that holds the members."""
    text = json.dumps({**asdict(rule), "members": members}, indent=2)
    (folder / ENSEMBLE_FILE).write_text(text + "\n", encoding="utf-8")


def read_ensemble(path: str | Path) -> tuple[EnsembleRule, list[Path]]:
    """Read the rule and the members' folders.

    Raises:
        ValueError: The file is none of an ensemble's, or a member is missing.
    """
    file = Path(path) / ENSEMBLE_FILE
    try:
        settings = dict(json.loads(file.read_text(encoding="utf-8")))
        count = int(settings.pop("members"))
        rule = EnsembleRule(**settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(file)!r} is no description of an ensemble: {error}") from error
    folders = [Path(path) / member_name(index) for index in range(count)]
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"the ensemble {str(path)!r} has no {folder.name!r}")
    if not folders:
        raise ValueError(f"an ensemble needs at least one member, got 0 in {str(file)!r}")
    return rule, folders
