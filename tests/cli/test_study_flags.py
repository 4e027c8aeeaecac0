"""The flags of studies: lists of numbers, what wins over what, where the study is kept."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from textgym.cli.manual_parser import ManualParser
from textgym.cli.study_flags import (
    Lists,
    add_study_flags,
    study_config,
    study_folder,
    study_workers,
)

ENV = "Probe-ExactKL-v0"
LISTS: Lists = {"data_sizes": int, "noises": float}
QUICK = {"data_sizes": (3,), "n_seeds": 1}


@dataclass(frozen=True, kw_only=True)
class ToyStudy:
    """A study."""

    env_id: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    data_sizes: tuple[int, ...] = (10, 20)
    """Labels."""

    noises: tuple[float, ...] = (0.0,)
    """Shares of mistakes."""

    n_seeds: int = 5
    """Seeds."""


def parsed(*arguments: str) -> argparse.Namespace:
    parser = ManualParser("textgym toy")
    add_study_flags(parser, ToyStudy, LISTS, command="toy", quick="small", workers="processes")
    found: argparse.Namespace = parser.parse_args([ENV, *arguments])
    return found


def config_of(*arguments: str) -> ToyStudy:
    return study_config(parsed(*arguments), ToyStudy, LISTS, QUICK)


def test_lists_are_numbers_of_their_kind() -> None:
    assert config_of() == ToyStudy(env_id=ENV)
    given = config_of("--data-sizes", "1,2,", "--noises=", "--env-kwarg", "kl_coef=0.5")
    assert given.data_sizes == (1, 2) and all(isinstance(n, int) for n in given.data_sizes)
    assert given.noises == () and given.env_kwargs == {"kl_coef": 0.5}
    with pytest.raises(ValueError, match="--data-sizes must be numbers .* got '1,x'"):
        config_of("--data-sizes", "1,x")


def test_flags_win_over_quick_and_quick_over_the_defaults() -> None:
    assert config_of("--quick") == ToyStudy(env_id=ENV, data_sizes=(3,), n_seeds=1)
    assert config_of("--quick", "--n-seeds", "2").n_seeds == 2


def test_folder_and_workers() -> None:
    assert study_folder(parsed(), "toy") == Path("runs") / f"toy-{ENV}"
    assert study_folder(parsed("--output", "here"), "toy") == Path("here")
    assert 1 <= study_workers(parsed()) <= 4
    assert study_workers(parsed("--workers", "7")) == 7
