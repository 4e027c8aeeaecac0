"""The optimisers of the offline loop: who serves which weight, Muon's step, state, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from textgym.agents.supervised.optimizers import OptimizerConfig, Optimizers
from textgym.agents.supervised.training_loop import LoopConfig, train

MUON = OptimizerConfig(optimizer="muon", learning_rate=0.1, weight_decay=0.0)
needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9")


class Blocks(torch.nn.Module):
    """An embedding, two numbered blocks with a norm's vector each, and a head."""

    def __init__(self):
        """Draw the same weights each time."""
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embedding = torch.nn.Parameter(torch.randn(5, 4, generator=generator))
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(2)])
        self.head = torch.nn.Linear(4, 3)
        with torch.no_grad():
            for layer in [*self.layers, self.head]:
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
                layer.bias.zero_()

    def forward(self, rows):
        x = self.embedding[rows]
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return self.head(x)


def make(config, model):
    return Optimizers(dict(model.named_parameters()), config, torch.device("cpu"))


@needs_muon
def test_muon_serves_the_matrices_of_the_blocks_only():
    model = Blocks()
    adamw, muon = make(MUON, model).members
    of_muon = {id(p) for group in muon.param_groups for p in group["params"]}
    assert of_muon == {id(layer.weight) for layer in model.layers}
    of_adamw = [id(p) for group in adamw.param_groups for p in group["params"]]
    assert sorted([*of_muon, *of_adamw]) == sorted(id(p) for p in model.parameters())
    assert len(make(replace(MUON, optimizer="adamw"), model).members) == 1


@needs_muon
def test_a_muon_step_is_orthogonal_and_as_large_as_an_adamw_step():
    model = Blocks()
    weight = model.layers[0].weight
    before = weight.detach().clone()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizers = make(MUON, model)
    # A gradient whose singular values differ by a factor of 100.
    u, _, v = torch.linalg.svd(weight.grad)
    weight.grad = u @ torch.diag(torch.tensor([1.0, 0.3, 0.1, 0.01])) @ v
    optimizers.step(0.1)
    step = before - weight.detach()
    # Each direction moves by .2 * rate * sqrt(4), within what five Newton-Schulz steps leave open.
    assert torch.linalg.svdvals(step).numpy() == pytest.approx(np.full(4, 0.04), rel=0.4)
    aligned = torch.diag(u.T @ step @ v.T)
    assert (aligned > 0.02).all()
    assert weight.grad is None


@needs_muon
def test_a_run_with_muon_learns_and_resumes_bit_by_bit(tmp_path):
    rows = torch.arange(64) % 5
    targets = (rows * 2) % 3

    class Classes:
        costs = np.full(64, 2)

        def __init__(self, model, fail_at=None):
            self.model, self.fail_at, self.calls = model, fail_at, 0

        def loss(self, items):
            self.calls += 1
            if self.calls == self.fail_at:
                raise KeyboardInterrupt
            logits = self.model(rows[items])
            return torch.nn.functional.cross_entropy(logits, targets[items])

    config = LoopConfig(optimizer="muon", epochs=8, batch_tokens=16, learning_rate=0.05)
    config = replace(config, device="cpu")
    whole, parts, fresh = Blocks(), Blocks(), Blocks()
    state = train(whole, Classes(whole), config)
    assert state.history[-1]["train_loss"] < 0.5
    saving = replace(config, save_seconds=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train(parts, Classes(parts, fail_at=9), saving, folder=tmp_path / "run")
    train(fresh, Classes(fresh), config, folder=tmp_path / "run")
    for ours, theirs in zip(fresh.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_unknown_and_missing_optimisers_are_named(monkeypatch):
    with pytest.raises(ValueError, match=r"optimizer must be one of .* got 'sgd'"):
        LoopConfig(optimizer="sgd")
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(ValueError, match=r"needs torch 2\.9 or newer, got .*; expected 'adamw'"):
        LoopConfig(optimizer="muon")
