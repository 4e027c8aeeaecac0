"""The offline loop: schedule, limits, resuming, damaged and foreign states."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from textgym.agents.storage.checkpoint import CheckpointError, load_json
from textgym.agents.supervised.training_loop import LoopConfig, train


class Regression:
    """Fit y = 3x - 1 with a linear layer; costs of unequal size make unequal batches."""

    def __init__(self, model, fail_at=None):
        """Take the layer; `fail_at` interrupts the run at that batch."""
        self.model, self.fail_at, self.calls = model, fail_at, 0
        rng = np.random.default_rng(0)
        self.x = torch.from_numpy(rng.normal(size=(200, 1)).astype(np.float32))
        self.costs = rng.integers(1, 9, size=200)

    def loss(self, items):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        return (self.model(self.x[items]) - 3 * self.x[items] + 1).square().mean()


def linear():
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(0.0)
        model.bias.fill_(0.0)
    return model


CONFIG = LoopConfig(epochs=3, batch_tokens=64, learning_rate=0.1, device="cpu")
SAVING = replace(CONFIG, save_seconds=1e-9)


def test_it_learns_and_counts():
    model = linear()
    state = train(model, Regression(model), replace(CONFIG, epochs=8))
    assert model.weight.item() == pytest.approx(3, abs=0.1)
    assert model.bias.item() == pytest.approx(-1, abs=0.1)
    assert state.history[-1]["step"] == state.step > 80


@pytest.mark.parametrize("stop", [1, 12])
def test_resumed_equals_uninterrupted(tmp_path, stop):
    whole, parts = linear(), linear()
    train(whole, Regression(whole), CONFIG)
    with pytest.raises(KeyboardInterrupt):
        train(parts, Regression(parts, fail_at=stop + 1), SAVING, folder=tmp_path / "run")
    fresh = linear()
    assert load_json(tmp_path / "run" / "state.json")["step"] == stop
    state = train(fresh, Regression(fresh), CONFIG, folder=tmp_path / "run")
    assert fresh.weight.item() == pytest.approx(whole.weight.item(), abs=1e-6)
    assert fresh.bias.item() == pytest.approx(whole.bias.item(), abs=1e-6)
    assert state.step == train(linear(), Regression(whole), CONFIG).step


def test_a_finished_run_is_not_trained_again(tmp_path):
    model = linear()
    train(model, Regression(model), CONFIG, folder=tmp_path / "run")
    again = linear()
    objective = Regression(again)
    train(again, objective, CONFIG, folder=tmp_path / "run")
    assert objective.calls == 0
    assert again.weight.item() == model.weight.item()


def test_other_settings_or_data_are_refused(tmp_path):
    model = linear()
    train(model, Regression(model), CONFIG, folder=tmp_path / "run")
    changed = LoopConfig(epochs=3, batch_tokens=64, learning_rate=0.2, device="cpu")
    with pytest.raises(CheckpointError, match=r"learning_rate: 0.1 → 0.2"):
        train(model, Regression(model), changed, folder=tmp_path / "run")
    other = torch.nn.Linear(1, 1, bias=False)
    with pytest.raises(CheckpointError, match="another model"):
        train(other, Regression(other), CONFIG, folder=tmp_path / "run")


def test_damaged_state_is_refused(tmp_path):
    model = linear()
    train(model, Regression(model), CONFIG, folder=tmp_path / "run")
    file = tmp_path / "run" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="model.safetensors"):
        train(model, Regression(model), CONFIG, folder=tmp_path / "run")


def test_limits():
    model = linear()
    config = LoopConfig(epochs=50, max_steps=5, batch_tokens=64, device="cpu")
    assert train(model, Regression(model), config).step == 5
    config = LoopConfig(epochs=1e6, max_seconds=0.05, batch_tokens=64, device="cpu")
    state = train(model, Regression(model), config)
    assert 0.05 <= state.seconds < 2


def test_evaluation_rows():
    model = linear()
    seen = []

    def evaluate():
        assert not model.training
        seen.append(1)
        return {"held_out_loss": 0.5}

    config = LoopConfig(max_steps=7, eval_every=3, batch_tokens=64, device="cpu")
    state = train(model, Regression(model), config, evaluate=evaluate)
    assert [row["step"] for row in state.history] == [3, 6, 7]
    assert len(seen) == 3
    assert all(row["held_out_loss"] == 0.5 for row in state.history)


def test_nan_loss_names_the_step():
    model = linear()
    objective = Regression(model)
    objective.x[:] = float("nan")
    with pytest.raises(ValueError, match="step 0 must be finite, got nan"):
        train(model, objective, CONFIG)


def test_no_items():
    model = linear()
    objective = Regression(model)
    objective.costs = np.zeros(0, dtype=np.int64)
    with pytest.raises(ValueError, match="got 0"):
        train(model, objective, CONFIG)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_tokens", 0),
        ("max_steps", 0),
        ("max_seconds", -1.0),
        ("warmup_fraction", 1.5),
        ("weight_decay", -0.1),
        ("adam_beta2", 1.0),
        ("precision", "float16"),
    ],
)
def test_config_names_the_bad_value(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .* got {value!r}"):
        LoopConfig(**{name: value})
