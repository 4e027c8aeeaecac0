"""`benchmarks.token_reward`: means do not see a constant, sums do; a tiny run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.token_reward import readings, run
from textgym.envs_registry.summarize import BUNDLE


def test_a_constant_moves_sums_only() -> None:
    # The better response is short and good, the other one long and middling.
    rewards = [np.array([1.0, 1.0]), np.array([0.5] * 6)]
    found = {(r.aggregate, r.offset): r for r in readings(rewards, [1.0])}
    assert all(found["mean", offset].accuracy == 1 for offset in (-1.0, 0.0, 1.0))
    # Sums: 0 and -3; 2 and 3; 4 and 9.
    accuracies = [found["sum", offset].accuracy for offset in (-1.0, 0.0, 1.0)]
    assert accuracies == [1.0, 0.0, 0.0]
    assert found["sum", 1.0].length_correlation == pytest.approx(1.0)
    assert found["sum", -1.0].length_correlation == pytest.approx(-1.0)


@pytest.mark.skipif(not BUNDLE.folder.is_dir(), reason="the bundled models are not built")
def test_a_tiny_run(tmp_path: Path) -> None:
    small = ["--prompts", "6", "--steps", "96", "--num-envs", "2"]
    found = run([*small, "--json", str(tmp_path / "found.json")])
    assert set(found["details"][0]["runs"]) == {"mean", "sum"}
    assert len(found["details"][0]["readings"]) == 6
    assert all(ratio > 0 for ratio in found["ratios"].values())
    written = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert written["ratios"] == found["ratios"]
