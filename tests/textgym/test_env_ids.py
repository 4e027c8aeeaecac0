"""Ids of modules that are not imported yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import textgym  # noqa: F401
from textgym.env_ids import spec_of


def test_a_module_before_the_id_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "import gymnasium\ngymnasium.register('OfAModule-v0', entry_point='m:E', kwargs={'a': 1})"
    )
    (tmp_path / "module_with_an_env.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(gym.error.UnregisteredEnv):
        spec_of("OfAModule-v0")
    assert spec_of("module_with_an_env:OfAModule-v0").kwargs == {"a": 1}
    assert spec_of("OfAModule-v0").id == "OfAModule-v0"
    del gym.registry["OfAModule-v0"]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("TextMaze-Coridor-v0", "`TextMaze-Corridor`"),
        ("TextMaze-v0-Corridor", "`TextMaze-Corridor`"),
        ("RLHF-Summarize-Gold-v0", "`RLHF-Summarize`"),
        ("RLHF-Summarize-v1", r"\[ `v0` \]"),
    ],
)
@pytest.mark.parametrize("make", [gym.make, gym.make_vec, spec_of])
def test_a_variant_that_does_not_exist_suggests_the_nearest(
    make: Callable[[str], Any], wrong: str, nearest: str
) -> None:
    with pytest.raises(gym.error.UnregisteredEnv, match=nearest):
        make(wrong)


def test_what_does_not_exist() -> None:
    with pytest.raises(gym.error.UnregisteredEnv, match="Summarise"):
        spec_of("RLHF-Summarise-v0")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        spec_of("no_such_module:My-v0")
