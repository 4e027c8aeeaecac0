"""Segments that share a prompt give what a full forward of each gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from tests.agents.policies.packed_segments import (
    VOCAB,
    WIDTH,
    evaluate,
    forbid_first,
    gradients,
    make_policy,
    naive,
    shake_value_head,
    shared_segments,
    watch_groups,
)
from textgym.agents import TransformerPolicy


def require_same(found: dict[str, th.Tensor], expected: dict[str, th.Tensor]) -> None:
    """Gradients, to rounding relative to the largest entry of each."""
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        scale = float(expected[name].abs().max())
        assert float((gradient - expected[name]).abs().max()) <= 1e-5 * scale + 1e-6, name


@pytest.mark.parametrize("value", ["shared", "separate"])
def test_shared_prompts_equal_naive(
    tiny_model_folder: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(tiny_model_folder, value=value, entropy="gradient")
    shake_value_head(policy)
    packed = shared_segments()
    num_prompts = watch_groups(policy, monkeypatch)
    with th.no_grad():
        expected = naive(policy, packed, 1.0) if value == "shared" else None
    shared = gradients(policy, packed), evaluate(policy, packed)
    assert num_prompts == [3, 3]  # one forward of all, with three different prompts
    monkeypatch.setattr(policy, "can_share_prompts", lambda: False)
    plain = gradients(policy, packed), evaluate(policy, packed)
    assert num_prompts == [3, 3, None, None]
    for ours, theirs in zip(shared[1], expected or plain[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    require_same(shared[0], plain[0])


def make_masked(folder: Path) -> TransformerPolicy:
    policy = make_policy(folder, entropy="gradient", temperature=0.7)
    policy.mask_fn = forbid_first
    return policy


def make_adapted(folder: Path) -> TransformerPolicy:
    pytest.importorskip("peft")
    policy = make_policy(folder, entropy="gradient", lora="r=2")
    with th.no_grad():
        for name, parameter in policy.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.3, generator=th.Generator().manual_seed(2))
    return policy


def make_checkpointed(folder: Path) -> TransformerPolicy:
    kwargs = {"gradient_checkpointing": True, "micro_batch_tokens": 30}
    return make_policy(folder, entropy="gradient", **kwargs)


@pytest.mark.parametrize("make", [make_policy, make_masked, make_adapted, make_checkpointed])
def test_shared_prompts_under_masks_adapters_checkpoints_and_padded_vocabularies(
    make_model_folder: Callable[..., Path], make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make(make_model_folder(vocab_size=VOCAB + 64))
    shake_value_head(policy)
    policy.set_training_mode(True)
    packed = shared_segments()
    packed["ids"][packed["is_action"]] = packed["ids"][packed["is_action"]].clamp_min(2)
    num_prompts = watch_groups(policy, monkeypatch)
    shared = gradients(policy, packed), evaluate(policy, packed)
    assert num_prompts and None not in num_prompts
    monkeypatch.setattr(policy, "can_share_prompts", lambda: False)
    plain = gradients(policy, packed), evaluate(policy, packed)
    for ours, theirs in zip(shared[1], plain[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    require_same(shared[0], plain[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "bfloat16-weights"])
def test_shared_prompts_in_bfloat16_differ_as_little_as_bfloat16_does(
    tiny_model_folder: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, exact = make_policy(tiny_model_folder, dtype=dtype), make_policy(tiny_model_folder)
    packed = shared_segments()
    num_prompts = watch_groups(policy, monkeypatch)
    expected = evaluate(exact, packed)[1]
    shared = np.abs(evaluate(policy, packed)[1] - expected).max()
    monkeypatch.setattr(policy, "can_share_prompts", lambda: False)
    plain = np.abs(evaluate(policy, packed)[1] - expected).max()
    assert num_prompts == [3, None]
    assert 0 < shared < max(2 * plain, 0.05)


def test_actions_within_what_is_called_the_prompt(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what precedes every action is shared, whatever the prompt's length is said to be."""
    policy = make_policy(tiny_model_folder, entropy="gradient")
    shake_value_head(policy)
    packed = shared_segments()
    packed["is_action"][4:8] = False
    # The third to fifth token of one family, whose prompt has five, and of all rows but one.
    packed["is_action"][4:8, 3] = packed["is_action"][4:8, 8] = True
    packed["prompt_lengths"][4:8] = 5
    num_prompts = watch_groups(policy, monkeypatch)
    with th.no_grad():
        expected = naive(policy, packed, 1.0)
        found = evaluate(policy, packed)
    assert num_prompts == [3]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_plain_observations_of_one_prefix_are_shared(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(tiny_model_folder)
    shake_value_head(policy)
    num_prompts = watch_groups(policy, monkeypatch)
    obs = np.full((6, WIDTH), VOCAB)
    obs[:4, :5], obs[4:, :7] = [5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4, 3]
    with th.no_grad():
        values, log_probs, _ = policy.evaluate_actions(th.tensor(obs), th.arange(2, 8))
        first = policy.get_distribution(th.tensor(obs)).distribution.logits
    assert num_prompts == [2]
    th.testing.assert_close(log_probs, first[th.arange(6), th.arange(2, 8)], atol=2e-5, rtol=0)
    expected = policy.predict_values(obs).flatten()
    th.testing.assert_close(values, expected, atol=2e-5, rtol=1e-5)
