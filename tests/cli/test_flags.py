"""Flags made from config dataclasses and signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from textgym.cli.flags import (
    add_config_flags,
    add_parameter_flags,
    config_from,
    given,
    parse_assignments,
)
from textgym.cli.manual_parser import ManualParser


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Optimisation.

    Attributes:
        batch_size: Transitions in one minibatch,
            at least 1.
    """

    learning_rate: float = 1e-4
    """Step size of Adam, 100 % of it after the warm-up."""

    batch_size: int = 64
    target_kl: float | None = None
    """Stop an update early above this KL, in nats."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights."""

    whiten: bool = False
    """Whether to whiten the rewards."""


def fit(path: str, n_epochs: int = 4):
    """Fit a model.

    Args:
        path: Where the model is.
        n_epochs: Passes over the data,
            at least 1.

    Returns:
        None.
    """


def make_parser() -> ManualParser:
    parser = ManualParser("textgym toy", description="Try flags.")
    add_config_flags(parser, ToyConfig)
    return parser


def test_flags_become_a_config():
    args = make_parser().parse_args(
        ["--learning-rate", "3e-4", "--target-kl", "none", "--dtype", "bfloat16", "--whiten"]
    )
    assert config_from(args, ToyConfig, batch_size=8) == ToyConfig(
        learning_rate=3e-4, batch_size=8, target_kl=None, dtype="bfloat16", whiten=True
    )
    assert set(given(args, ["batch_size", "whiten"])) == {"whiten"}


def test_what_is_not_given_stays_the_default():
    assert config_from(make_parser().parse_args([]), ToyConfig) == ToyConfig()
    assert vars(make_parser().parse_args([])) == {}


def test_help_is_a_manual_page(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Optimisation:" in text
    assert "--learning-rate NUMBER Step size of Adam, 100 % of it after the warm-up." in text
    assert "[default: 0.0001]" in text
    assert "--batch-size INT Transitions in one minibatch, at least 1. [default: 64]" in text
    assert "--target-kl NUMBER|none" in text
    assert "--whiten, --no-whiten" in text


def test_flags_of_a_signature(capsys):
    parser = ManualParser("textgym toy")
    add_parameter_flags(parser, fit, ["n_epochs"], title="Fitting", defaults={"n_epochs": 2})
    assert parser.parse_args(["--n-epochs", "9"]).n_epochs == 9
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--n-epochs INT Passes over the data, at least 1. [default: 2]" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "many"], "--batch-size: expected INT, got 'many'"),
        (["--dtype", "int8"], "expected float32|bfloat16, got 'int8'"),
        (["--target-kl", "low"], "expected NUMBER|none, got 'low'"),
        (["--batch_siz", "3"], "unknown argument '--batch_siz'; did you mean '--batch-size'?"),
        (["--learning", "3"], "unknown argument '--learning'"),
    ],
)
def test_bad_flags_are_one_clear_line_and_exit_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        make_parser().parse_args(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[0]


def test_assignments_are_typed():
    hints = {"max_new_tokens": int, "kl_coef": float, "dataset": str | None, "mask": bool}
    items = ["max_new_tokens=8", "kl_coef=1e-2", "dataset=none", "mask=false", "other=a=b"]
    assert parse_assignments(items, hints) == {
        "max_new_tokens": 8,
        "kl_coef": 0.01,
        "dataset": None,
        "mask": False,
        "other": "a=b",
    }


@pytest.mark.parametrize("item", ["kl_coef", "=3", "max_new_tokens=many"])
def test_bad_assignments_are_named(item):
    with pytest.raises(ValueError, match="expected"):
        parse_assignments([item], {"max_new_tokens": int})
