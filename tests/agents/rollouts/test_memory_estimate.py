"""The estimate's parts against sizes counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest
import torch as th

from textgym.agents import A2C, PPO
from textgym.agents.rollouts.memory_estimate import (
    GIB,
    IterationShape,
    MemoryEstimate,
    estimate_memory,
    iteration_shape,
)

MakeEnv = Callable[..., Any]
PARTS = ("weights", "reference", "reward_model", "gradients", "optimizer_state", "kv_slots")


def test_the_line_names_the_total_and_the_largest_parts() -> None:
    sizes = dict.fromkeys((*PARTS, "buffer"), 0) | {"activations": GIB // 2, "logits": GIB // 4}
    estimate = MemoryEstimate(**sizes)
    assert estimate.total == 3 * GIB // 4
    assert estimate.line().startswith("memory: about 0.75 GiB (activations 0.5, logits 0.25, ")


def test_tokens_of_an_iteration_by_hand() -> None:
    shape = IterationShape(
        prompt_tokens=10,
        response_tokens=4,
        width=18,
        n_envs=3,
        n_steps=8,
        batch_size=12,
        is_cut=False,
    )
    # Two episodes of 14 tokens in each of 3 rows; 24 transitions in minibatches of 12.
    assert shape.rollout_tokens == 84 and shape.n_minibatches == 2
    assert shape.minibatch_tokens == 42 and shape.actions_per_token == pytest.approx(24 / 84)
    assert replace(shape, is_cut=True).rollout_tokens == 84 + 3 * 12
    assert replace(shape, batch_size=None).minibatch_tokens == 84


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


@pytest.mark.parametrize("entropy", ["none", "gradient"])
def test_activations_are_what_autograd_keeps_of_one_minibatch(
    make_text_env: MakeEnv, entropy: str
) -> None:
    env = make_text_env(num_envs=8)
    # Micro-batches of one segment, so that nothing is padded.
    kwargs = {"entropy": entropy, "micro_batch_tokens": 1}
    agent = PPO("TransformerPolicy", env, n_steps=8, batch_size=None, policy_kwargs=kwargs, seed=0)
    agent.learn(1)
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
    tokens = len(agent.rollout_buffer.ids)
    shape = iteration_shape(agent)
    # The same sizes as the rollout had: what is estimated is bytes per token and per action.
    known = replace(
        shape,
        prompt_tokens=(tokens - 64) / len(agent.rollout_buffer.segments),
        response_tokens=64 / len(agent.rollout_buffer.segments),
        is_cut=False,
    )
    assert known.rollout_tokens == pytest.approx(tokens)
    estimated = estimate_memory(agent, known).activations
    assert estimated == pytest.approx(sum(kept.values()), rel=0.3)
    del results


def test_checkpointing_and_optimiser_count(make_text_env: MakeEnv) -> None:
    env = make_text_env(num_envs=8)
    kwargs: dict[str, Any] = {"n_steps": 64, "seed": 0}
    whole = estimate_memory(PPO("TransformerPolicy", env, batch_size=None, **kwargs))
    policy_kwargs = {"gradient_checkpointing": True, "micro_batch_tokens": 128}
    saved = PPO("TransformerPolicy", env, batch_size=None, policy_kwargs=policy_kwargs, **kwargs)
    assert estimate_memory(saved).activations < whole.activations / 3
    sgd = {"optimizer_class": th.optim.SGD, "optimizer_kwargs": {}}
    assert estimate_memory(A2C("TransformerPolicy", env, policy_kwargs=sgd)).optimizer_state == 0


def test_a_fresh_model_is_taken_not_to_end(make_text_env: MakeEnv) -> None:
    env = make_text_env(num_envs=2)
    longest = env.unwrapped.max_new_tokens
    kwargs = {"model": "scratch:llama,layers=1,width=8,heads=2"}
    fresh = PPO("TransformerPolicy", env, n_steps=longest, policy_kwargs=kwargs, seed=0)
    assert iteration_shape(fresh).response_tokens == longest
    assert not iteration_shape(fresh).is_cut
    trained = PPO("TransformerPolicy", env, n_steps=longest, seed=0)
    assert iteration_shape(trained).response_tokens == longest / 2
    assert iteration_shape(trained).is_cut


def test_others_write_as_much_as_people_do() -> None:
    env = gym.make_vec("RLHF-Summarize-v0", num_envs=2)
    task = env.unwrapped.task  # type: ignore[attr-defined]
    lengths = [
        min(
            len(task.tokenizer.encode(task.prompts[i].references[0])) + 1,
            task.config.max_new_tokens,
        )
        for i in range(32)
    ]
    agent = PPO("TransformerPolicy", env, seed=0)
    assert iteration_shape(agent).response_tokens == pytest.approx(sum(lengths) / 32)
