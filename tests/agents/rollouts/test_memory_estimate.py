"""The estimate's parts against sizes counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch as th

from textgym.agents import A2C, PPO
from textgym.agents.rollouts.iteration_shape import IterationShape, iteration_shape
from textgym.agents.rollouts.memory_estimate import GIB, MemoryEstimate, estimate_memory

MakeEnv = Callable[..., Any]
PARTS = ("weights", "reference", "reward_model", "gradients", "optimizer_state", "kv_slots")


def test_the_line_names_the_total_and_the_largest_parts() -> None:
    sizes = dict.fromkeys((*PARTS, "buffer"), 0) | {"activations": GIB // 2, "logits": GIB // 4}
    estimate = MemoryEstimate(**sizes)
    assert estimate.total == 3 * GIB // 4
    assert estimate.line().startswith("memory: about 0.75 GiB (activations 0.5, logits 0.25, ")


def test_parts_that_are_known_exactly(make_text_env: MakeEnv) -> None:
    env = make_text_env(num_envs=3)
    agent = PPO("TransformerPolicy", env, n_steps=4, batch_size=6, seed=0)
    weights = sum(p.numel() for p in agent.policy.parameters())
    config = agent.policy.language_model.config
    cell = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    found = estimate_memory(agent)
    assert found.gradients == 4 * weights and found.optimizer_state == 8 * weights
    assert 4 * weights <= found.weights < 4 * weights + 4096  # buffers too
    assert found.kv_slots == 3 * (agent.policy.width + 1) * cell
    assert 0 < found.reference <= found.weights
    assert found.buffer >= agent.rollout_buffer.nbytes


def kept_by(agent: PPO) -> int:
    """Bytes that autograd keeps of the rollout's only minibatch, weights apart."""
    batch = next(agent.rollout_buffer.get())
    weights = {p.untyped_storage().data_ptr() for p in agent.policy.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: th.Tensor) -> th.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with th.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        results = agent.policy.evaluate_actions(batch.observations, batch.actions)
    del results
    return sum(kept.values())


def known_shape(agent: PPO) -> IterationShape:
    """The sizes that the rollout had: what is estimated is bytes per token and per action."""
    buffer, steps = agent.rollout_buffer, agent.n_envs * agent.n_steps
    tokens, actions, segments = len(buffer.ids), buffer.n_transitions, len(buffer.segments)
    known = replace(
        iteration_shape(agent),
        prompt_tokens=(tokens - actions) / segments,
        response_tokens=actions / segments,
        is_cut=False,
        busy=actions / steps,
    )
    assert known.rollout_tokens == pytest.approx(tokens)
    return known


@pytest.mark.parametrize("entropy", ["none", "gradient"])
def test_activations_are_what_autograd_keeps_of_one_minibatch(
    make_text_env: MakeEnv, entropy: str
) -> None:
    env = make_text_env(num_envs=8)
    # Micro-batches of one segment, so that nothing is padded.
    kwargs = {"entropy": entropy, "micro_batch_tokens": 1}
    agent = PPO("TransformerPolicy", env, n_steps=8, batch_size=None, policy_kwargs=kwargs, seed=0)
    agent.learn(1)
    estimated = estimate_memory(agent, known_shape(agent)).activations
    assert estimated == pytest.approx(kept_by(agent), rel=0.3)


def test_activations_of_groups_that_share_their_prompts(
    make_text_env: MakeEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Responses of equal length, so that little is padded.
    env = make_text_env(num_envs=16, group_size=8, max_new_tokens=2, min_new_tokens=2)
    agent = PPO("TransformerPolicy", env, n_steps=2, batch_size=None, seed=0)
    agent.learn(1)
    estimated = estimate_memory(agent, known_shape(agent)).activations
    assert estimated == pytest.approx(kept_by(agent), rel=0.3)
    monkeypatch.setattr(agent.policy, "can_share_prompts", lambda: False)
    unshared = estimate_memory(agent, known_shape(agent)).activations
    assert unshared == pytest.approx(kept_by(agent), rel=0.3)
    assert unshared > 1.3 * estimated


def test_checkpointing_and_optimiser_count(make_text_env: MakeEnv) -> None:
    env = make_text_env(num_envs=8)
    kwargs: dict[str, Any] = {"n_steps": 64, "seed": 0}
    whole = estimate_memory(PPO("TransformerPolicy", env, batch_size=None, **kwargs))
    policy_kwargs = {"gradient_checkpointing": True, "micro_batch_tokens": 128}
    saved = PPO("TransformerPolicy", env, batch_size=None, policy_kwargs=policy_kwargs, **kwargs)
    assert estimate_memory(saved).activations < whole.activations / 2
    sgd = {"optimizer_class": th.optim.SGD, "optimizer_kwargs": {}}
    assert estimate_memory(A2C("TransformerPolicy", env, policy_kwargs=sgd)).optimizer_state == 0
