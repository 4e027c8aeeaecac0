"""`--help` of each command reads like a manual page: purpose, examples, every flag explained."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator

import pytest

from textgym.agents.evaluation.held_out import EvaluationConfig
from textgym.cli.main import COMMANDS, main
from textgym.cli.manual_parser import ManualParser
from textgym.cli.train_config import TrainConfig


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_a_manual_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    usage, description = text.split("\n\n")[:2]
    assert usage.startswith(f"usage: textgym {name}")
    assert re.match(r"[A-Z].*\.$", description.splitlines()[0]), description
    examples = text.split("\nExamples:\n")[1].split("\n\n")[0].splitlines()
    assert len(examples) >= 2
    assert all(f"textgym {name}" in line or line.startswith("      ") for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_says_what_it_is(name: str) -> None:
    parser = ManualParser(f"textgym {name}")
    importlib.import_module(COMMANDS[name].module).add_arguments(parser)
    for action in explained(parser):
        words = re.sub(r"\[.*?\]", "", action.help or "").split()
        assert words, f"textgym {name}: {action.option_strings or action.dest}"


def explained(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a command, those of its sub-commands in their place."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from explained(inner)
        else:
            yield action


def test_evaluation_defaults() -> None:
    """512 held-out prompts, sampled at temperature 1; the comparison after training is the same."""
    config = EvaluationConfig()
    assert (config.n_prompts, config.temperature, config.greedy) == (512, 1.0, False)
    assert config.split == "validation"
    assert TrainConfig().eval_prompts == 512
