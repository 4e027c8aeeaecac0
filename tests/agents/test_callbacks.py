"""Sample responses in files and in TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stable_baselines3.common.logger import KVWriter, Logger

from textgym.agents import PPO, SampleCallback


class Keep(KVWriter):
    """Keeps what TensorBoard would be given."""

    def __init__(self) -> None:
        """Start empty."""
        self.texts: list[str] = []

    def write(self, key_values: dict, key_excluded: dict, step: int = 0) -> None:
        if "rollout/samples" in key_values:
            assert set(key_excluded["rollout/samples"]) == {"stdout", "log", "csv", "json"}
            self.texts.append(key_values["rollout/samples"])

    def close(self) -> None:
        """Nothing to close."""


def test_samples_every_second_rollout(tmp_path: Path) -> None:
    agent = PPO("TransformerPolicy", "Probe-ExactKL-v0", n_envs=4, n_steps=8, seed=0)
    writer = Keep()
    agent.set_logger(Logger(None, [writer]))
    agent.learn(4 * 8 * 4, callback=SampleCallback(tmp_path / "run" / "samples.jsonl", every=2))
    lines = (tmp_path / "run" / "samples.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    assert sorted({sample["timestep"] for sample in samples}) == [64, 128]
    assert len(samples) == 8 and samples[0]["prompt"] == "<bos>"
    assert [s["response"] for s in samples[4:]] == [s.response for s in agent.samples]
    assert len(writer.texts) == 2 and "**response**" in writer.texts[0]


def test_every_must_be_positive() -> None:
    with pytest.raises(ValueError, match="every"):
        SampleCallback(every=0)
