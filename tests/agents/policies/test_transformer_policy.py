"""The policy against naive per-step computations with the library's own full forward."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.evaluation import evaluate_policy

from tests.agents.policies.packed_segments import (
    VOCAB,
    WIDTH,
    forbid_first,
    gradients,
    make_policy,
    naive,
    segments,
    shake_value_head,
)
from textgym.agents import TransformerPolicy, as_vec_env


@pytest.mark.parametrize("budget", [8, 8192])
@pytest.mark.parametrize(("temperature", "is_masked"), [(1.0, False), (0.7, True)])
def test_packed_equals_naive(
    tiny_model_folder: Path, temperature: float, is_masked: bool, budget: int
) -> None:
    policy = make_policy(
        tiny_model_folder, temperature=temperature, micro_batch_tokens=budget, entropy="gradient"
    )
    shake_value_head(policy)
    policy.mask_fn = forbid_first if is_masked else None
    packed = segments()
    actions = packed["ids"][packed["is_action"]]
    with th.no_grad():
        got = policy.evaluate_actions(packed, actions)
        expected = naive(policy, packed, temperature)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours is not None and ours.dtype == th.float32
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_checkpointed_micro_batches_have_the_same_gradients(tiny_model_folder: Path) -> None:
    plain = make_policy(tiny_model_folder, entropy="gradient")
    thrifty = make_policy(
        tiny_model_folder, entropy="gradient", micro_batch_tokens=8, gradient_checkpointing=True
    )
    for policy in (plain, thrifty):
        shake_value_head(policy)
        policy.set_training_mode(True)
    expected = gradients(plain, segments())
    for name, gradient in gradients(thrifty, segments()).items():
        th.testing.assert_close(gradient, expected[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_micro_batches_accumulate_the_gradient_of_the_full_batch(
    tiny_model_folder: Path, is_checkpointed: bool
) -> None:
    """A mean over the batch, as PPO takes it, has the same gradient whatever the token budget."""
    rng = np.random.default_rng(1)
    ids = np.full((9, WIDTH), VOCAB)
    lengths = rng.integers(4, WIDTH + 1, 9)
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.integers(2, VOCAB, length)
    is_action = (np.arange(WIDTH) >= 2) & (np.arange(WIDTH) < lengths[:, None])
    packed = {
        "ids": th.tensor(ids),
        "is_action": th.tensor(is_action),
        "prompt_lengths": th.full((9,), 2),
    }

    def gradient(**kwargs: Any) -> tuple[th.Tensor, int]:
        policy = make_policy(tiny_model_folder, entropy="gradient", **kwargs)
        shake_value_head(policy)
        forwards: list[int] = []
        policy.language_model.base_model.register_forward_pre_hook(lambda *_: forwards.append(1))
        values, log_probs, entropies = policy.evaluate_actions(packed, packed["ids"][is_action])
        loss = log_probs.mean() + 0.5 * (values - 1).square().mean() - 0.1 * entropies.mean()
        in_forward = len(forwards)
        loss.backward()
        parts = [p.grad.flatten() for p in policy.parameters() if p.grad is not None]
        return th.cat(parts), in_forward

    whole, one = gradient(micro_batch_tokens=10_000)
    several, many = gradient(micro_batch_tokens=30, gradient_checkpointing=is_checkpointed)
    assert one == 1 and many >= 4
    # Relative to the largest entry; what remains is the order of summation.
    assert float((several - whole).abs().max()) <= 1e-6 * max(1.0, float(whole.abs().max()))


def test_checkpointing_alone_changes_no_gradient(tiny_model_folder: Path) -> None:
    found = []
    for is_checkpointed in (False, True):
        policy = make_policy(
            tiny_model_folder, entropy="gradient", gradient_checkpointing=is_checkpointed
        )
        shake_value_head(policy)
        policy.set_training_mode(True)
        found.append(gradients(policy, segments()))
    for name, gradient in found[0].items():
        assert th.equal(gradient, found[1][name]), name


def test_reported_entropy_carries_no_gradient(tiny_model_folder: Path) -> None:
    packed = segments()
    actions = packed["ids"][packed["is_action"]]
    assert not make_policy(tiny_model_folder).evaluate_actions(packed, actions)[2].requires_grad
    assert (
        make_policy(tiny_model_folder, entropy="none").evaluate_actions(packed, actions)[2] is None
    )


def test_cached_walk_equals_packed(tiny_model_folder: Path) -> None:
    """Acting step by step, with wrong hints, gives the log-probs that the update computes."""
    policy = make_policy(tiny_model_folder, temperature=0.7)
    shake_value_head(policy)
    policy.mask_fn = forbid_first
    prompts = np.array([3, 5])
    obs = np.full((2, WIDTH), VOCAB)
    obs[0, :3], obs[1, :5] = [5, 6, 7], [9, 8, 7, 6, 5]
    state, walked = policy.new_state(2), []
    lengths = prompts.copy()
    for step in range(6):
        hints = np.array([step % 2 == 0, True])
        actions, values, log_probs = policy(obs, state, hints)
        walked.append((actions, values.flatten(), log_probs))
        obs = obs.copy()
        obs[[0, 1], lengths] = actions
        lengths += 1
    is_action = (np.arange(WIDTH) >= prompts[:, None]) & (np.arange(WIDTH) < lengths[:, None])
    packed = {
        "ids": th.tensor(obs),
        "is_action": th.tensor(is_action),
        "prompt_lengths": th.tensor(prompts),
    }
    actions, values, log_probs = (
        th.stack(parts, 1).flatten() for parts in zip(*walked, strict=True)
    )
    with th.no_grad():
        got_values, got_log_probs, _ = policy.evaluate_actions(packed, actions)
    th.testing.assert_close(got_log_probs, log_probs, atol=1e-5, rtol=0)
    th.testing.assert_close(got_values, values, atol=1e-4, rtol=1e-5)


def test_subset_of_actions(tiny_model_folder: Path) -> None:
    tokens = (40, 3, 200)
    policy = make_policy(tiny_model_folder, action_tokens=tokens)
    obs = np.full((1, WIDTH), VOCAB)
    obs[0, :2] = [5, 6]
    with th.no_grad():
        logits = policy.language_model(input_ids=th.tensor(obs[:, :2])).logits[0, -1]
        expected = th.log_softmax(logits[list(tokens)], 0)
        actions, _, log_probs = policy(obs)
        distribution = policy.get_distribution(th.tensor(obs)).distribution
    assert float(log_probs) == pytest.approx(float(expected[actions]), abs=1e-5)
    th.testing.assert_close(distribution.logits[0], expected, atol=1e-5, rtol=0)


def test_stale_caches_are_refilled(tiny_model_folder: Path) -> None:
    policy = make_policy(tiny_model_folder)
    obs = np.full((1, WIDTH), VOCAB)
    obs[0, :3] = [5, 6, 7]
    state = policy.new_state(1)
    before = policy.predict_values(obs, state), policy(obs, state, deterministic=True)[2]
    policy.set_training_mode(True)
    with th.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.1)
    policy.set_training_mode(False)
    after = policy(obs, state, deterministic=True)[2]
    fresh = policy(obs, None, deterministic=True)[2]
    assert float(after) == pytest.approx(float(fresh), abs=1e-6)
    assert abs(float(after) - float(before[1])) > 1e-4


def test_state_of_other_rows_is_refused(tiny_model_folder: Path) -> None:
    policy = make_policy(tiny_model_folder)
    obs = np.full((2, WIDTH), VOCAB)
    obs[:, 0] = 1
    with pytest.raises(ValueError, match="state of 2 rows, got 3"):
        policy.predict(obs, state=policy.new_state(3))


def test_predict_single_and_mixed_up_api(tiny_model_folder: Path) -> None:
    policy = make_policy(tiny_model_folder)
    obs = np.full(WIDTH, VOCAB)
    obs[0] = 1
    action, state = policy.predict(obs, deterministic=True)
    assert np.shape(action) == () and state.num_rows == 1
    with pytest.raises(ValueError, match="token ids"):
        policy.predict((obs, {}))
    with pytest.raises(RuntimeError, match="feature"):
        policy.extract_features(th.tensor(obs))


def test_value_starts_at_zero(tiny_model_folder: Path) -> None:
    obs = np.full((1, WIDTH), VOCAB)
    obs[0, 0] = 1
    assert make_policy(tiny_model_folder).predict_values(obs).item() == 0.0


def test_separate_value_model_starts_as_the_reward_model(
    tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    from textgym.models.loading import load_sequence_classifier

    policy = make_policy(tiny_model_folder, value="separate", value_init=str(tiny_reward_folder))
    classifier = load_sequence_classifier(tiny_reward_folder, device="cpu")
    obs = np.full((1, WIDTH), VOCAB)
    obs[0, :4] = [5, 6, 7, 8]
    with th.no_grad():
        hidden = classifier.base_model(input_ids=th.tensor(obs[:, :4])).last_hidden_state
        expected = classifier.score(hidden[0, -1])
    assert float(policy.predict_values(obs)) == pytest.approx(float(expected), abs=1e-5)
    assert float(policy(obs)[1]) == pytest.approx(float(expected), abs=1e-5)


def test_a_state_without_values_spares_the_value_model(
    tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    policy = make_policy(tiny_model_folder, value="separate", value_init=str(tiny_reward_folder))
    obs = np.full((2, WIDTH), VOCAB)
    obs[:, :2] = 5
    with th.no_grad():
        expected = policy.predict_values(obs)
    state = policy.new_state(2, with_values=False)
    actions, values, log_probs = policy(obs, state, deterministic=True)
    assert values.shape == (2, 1) and bool(values.isnan().all())
    full = policy(obs, deterministic=True)
    assert actions.equal(full[0]) and log_probs.equal(full[2])
    with th.no_grad():
        assert policy.predict_values(obs, state).equal(expected)
    assert not policy.predict(obs, deterministic=True)[1].has_values


def test_bfloat16_keeps_float32_numbers(tiny_model_folder: Path) -> None:
    policy = make_policy(tiny_model_folder, dtype="bfloat16")
    exact = make_policy(tiny_model_folder)
    packed = segments()
    actions = packed["ids"][packed["is_action"]]
    with th.no_grad():
        values, log_probs, entropies = policy.evaluate_actions(packed, actions)
        expected = exact.evaluate_actions(packed, actions)[1]
    assert {values.dtype, log_probs.dtype, entropies.dtype} == {th.float32}
    assert 0 < float((log_probs - expected).abs().max()) < 0.3
    obs = np.full((2, WIDTH), VOCAB)
    obs[:, :2] = 5
    assert policy(obs)[2].dtype == th.float32


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"value": "both"}, "value must be one of"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"entropy": "yes"}, "entropy must be one of"),
        ({"temperature": 0.0}, "temperature"),
        ({"micro_batch_tokens": 0}, "micro_batch_tokens"),
        ({"decode": "fast"}, "decode must be one of .*'graph'"),
        ({"use_sde": True}, "use_sde"),
    ],
)
def test_bad_arguments(tiny_model_folder: Path, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_policy(tiny_model_folder, **kwargs)


def test_bad_spaces_and_vocabulary(tiny_model_folder: Path) -> None:
    floats = spaces.Box(0.0, 1.0, (4,))
    with pytest.raises(ValueError, match="token ids"):
        TransformerPolicy(floats, spaces.Discrete(3), lambda _: 1e-3)
    big = spaces.Box(0, 5000, (4,), np.int64)
    with pytest.raises(ValueError, match="vocabulary mismatch"):
        TransformerPolicy(big, spaces.Discrete(5000), lambda _: 1e-3, model=str(tiny_model_folder))


def test_evaluate_policy_with_its_frozen_flags() -> None:
    env = as_vec_env("Probe-ExactKL-v0", num_envs=3, seed=0)
    policy = TransformerPolicy(
        env.observation_space, env.action_space, lambda _: 1e-3, model="scratch:layers=1", seed=0
    )
    returns, lengths = evaluate_policy(
        policy, env, n_eval_episodes=7, return_episode_rewards=True, deterministic=False
    )
    assert len(returns) == len(lengths) == 7 and min(lengths) >= 1 and max(lengths) <= 4


def test_policy_folder_round_trip(tiny_model_folder: Path, tmp_path: Path) -> None:
    tokens = (40, 3, 200)
    policy = make_policy(tiny_model_folder, action_tokens=tokens, temperature=0.5)
    shake_value_head(policy)
    policy.save(tmp_path / "saved")
    loaded = TransformerPolicy.load(tmp_path / "saved", device="cpu")
    obs = np.full((1, WIDTH), VOCAB)
    obs[0, :3] = [5, 6, 7]
    for ours, theirs in zip(
        loaded(obs, deterministic=True), policy(obs, deterministic=True), strict=True
    ):
        th.testing.assert_close(ours, theirs)


def test_gymnasium_loop_by_hand(make_text_env: Any) -> None:
    env = make_text_env(num_envs=4)
    policy = TransformerPolicy(
        env.single_observation_space,
        env.single_action_space,
        lambda _: 0.0,
        model=env.task.config.reference_model,
        seed=0,
    )
    assert isinstance(env, gym.vector.VectorEnv)
    obs, _ = env.reset(seed=0)
    state, starts = None, np.ones(4, bool)
    for _ in range(10):
        actions, state = policy.predict(obs, state=state, episode_start=starts)
        obs, _, terminated, truncated, _ = env.step(actions)
        starts = terminated | truncated


def test_lora_without_its_package_says_what_to_install(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'textgym\[peft\]'"):
        make_policy(tiny_model_folder, lora="r=2")
