"""Each part of a fingerprint changes with what it is of, and with nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.agents.benchmark import fingerprint
from textgym.agents.benchmark.fingerprint import differing, fingerprint_of
from textgym.agents.storage.checkpoint import MANIFEST
from textgym.envs_registry import monitor, qa, two_state
from textgym.envs_registry.cartpole import CartPoleEnv
from textgym.envs_registry.monitor_streams.gold import EarlyAndRight
from textgym.envs_registry.qa_passages.passages import QAPassages
from textgym.task_models import Bundle

QA, MONITOR = "RLHF-QA-v0", "RLHF-Monitor-v0"


def test_it_is_the_same_every_time_and_says_what_there_is() -> None:
    found = fingerprint_of(QA)
    assert found == fingerprint_of(QA)
    assert set(found) == {"models", "prompts", "gold", "settings", "play"}
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in found.values())
    # Tables and worlds have no models, worlds no prompts.
    assert set(fingerprint_of("Probe-ExactKL-v0")) == {"prompts", "settings", "play"}
    assert set(fingerprint_of("TwoState-v0")) == {"settings", "play"}
    # Hackable is played with Summarize's models.
    models = [fingerprint_of(f"RLHF-{name}-v0")["models"] for name in ("Summarize", "Hackable")]
    assert models[0] == models[1] != found["models"]


def rebuilt(folder: Path, name: str, tmp_path: Path) -> Path:
    """A bundle whose manifest has another sum for the weights of one model; "" changes its card."""
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    file = f"{name}/model.safetensors" if name else "card.json"
    manifest["files"][file]["sha256"] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("name", "parts"), [("reference_model", ("models",)), ("reward_model", ("models",)), ("", ())]
)
def test_models_that_were_built_anew(
    name: str, parts: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint_of(MONITOR)
    folder = rebuilt(monitor.BUNDLE.folder, name, tmp_path)
    monkeypatch.setattr(monitor, "BUNDLE", Bundle(env_id=MONITOR, folder=folder))
    assert differing(before, fingerprint_of(MONITOR)) == parts


class Cheaper(EarlyAndRight):
    """Everything is worth half."""

    def __call__(self, episodes: Any) -> Any:
        return super().__call__(episodes) / 2


def other_passages(data_seed: int, split: str, num_prompts: int | None) -> QAPassages:
    return QAPassages(data_seed + 1, split, num_prompts)


def other_answer(prompt: Any) -> str:
    return "in Lima"


@pytest.mark.parametrize(
    ("env_id", "change", "parts"),
    [
        (QA, (qa, "QAPassages", other_passages), ("prompts", "gold", "play")),
        (QA, (qa.QAEnv, "best_known_response", staticmethod(other_answer)), ("gold",)),
        (QA, (qa.QAEnv, "default_kwargs", {**qa.DEFAULTS, "kl_coef": 0.1}), ("settings",)),
        (MONITOR, (monitor, "EarlyAndRight", Cheaper), ("gold", "play")),
        ("TwoState-v0", (two_state, "REWARDS", two_state.REWARDS + 1), ("play",)),
    ],
)
def test_other_prompts_answers_arguments_and_pay(
    env_id: str,
    change: tuple[Any, str, Any],
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint_of(env_id)
    monkeypatch.setattr(*change)
    assert set(differing(before, fingerprint_of(env_id))) == set(parts)


def test_where_a_body_is_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint_of("RLHF-CartPole-v0")
    step = CartPoleEnv.step

    def elsewhere(env: CartPoleEnv, action: int) -> Any:
        observation, *rest = step(env, action)
        return (observation + np.float32(1e-3), *rest)

    monkeypatch.setattr(CartPoleEnv, "step", elsewhere)
    assert differing(before, fingerprint_of("RLHF-CartPole-v0")) == ()

    def paid(env: CartPoleEnv, action: int) -> Any:
        observation, _, *rest = step(env, action)
        return (observation, 1.0, *rest)

    monkeypatch.setattr(CartPoleEnv, "step", paid)
    assert differing(before, fingerprint_of("RLHF-CartPole-v0")) == ("play",)


def test_a_part_that_one_lacks_differs() -> None:
    assert differing({"a": "1", "b": "2"}, {"a": "1"}) == ("b",)
    assert differing({}, {"a": "1"}) == ("a",)
    assert differing({"a": "1"}, {"a": "1"}) == ()


def test_only_plain_values_are_hashed() -> None:
    plain: Callable[[Any], Any] = fingerprint._plain
    assert plain({"a": (1, 0.12345, -0.0), 2: None}) == {"a": [1, 0.123, 0.0], "2": None}
    with pytest.raises(TypeError, match="expected plain values to hash, got <object"):
        plain(object())
