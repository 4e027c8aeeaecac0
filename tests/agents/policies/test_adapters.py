"""LoRA policies: the reference is the same weights with the adapter off, held once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from transformers import AutoModelForCausalLM

from textgym.agents import PPO, TransformerPolicy
from textgym.agents.policies.adapters import LoraSettings, is_adapter
from textgym.agents.storage.checkpoint import CheckpointError
from textgym.models.causal_reference import CausalLMReference
from textgym.models.loading import load_causal_lm

peft = pytest.importorskip("peft")

WIDTH, VOCAB = 14, 320
SPACE = spaces.Box(0, VOCAB, (WIDTH,), np.int64)
ARCHITECTURES = ("llama", "gpt2", "qwen2")


def make_policy(folder: Path, lora: str | None = "r=4,alpha=8", **kwargs: Any) -> TransformerPolicy:
    policy = TransformerPolicy(
        SPACE,
        spaces.Discrete(VOCAB),
        lambda _: 1e-3,
        model=str(folder),
        lora=lora,
        seed=0,
        **kwargs,
    )
    return policy.to("cpu")


def shake(policy: TransformerPolicy) -> None:
    """Give the adapter an effect, as training would."""
    generator = th.Generator().manual_seed(1)
    policy.set_training_mode(True)
    with th.no_grad():
        for name, parameter in policy.named_parameters():
            if is_adapter(name):
                parameter.add_(0.2 * th.randn(parameter.shape, generator=generator))
    policy.set_training_mode(False)


def walk(num_steps: int = 5) -> list[np.ndarray]:
    """Observations of two ragged rows that grow by a token per step."""
    rng = np.random.default_rng(0)
    ids, lengths = rng.integers(0, VOCAB, (2, WIDTH)), np.array([3, 5])
    columns = np.arange(WIDTH)
    return [np.where(columns < (lengths + k)[:, None], ids, VOCAB) for k in range(num_steps)]


def packed(obs: np.ndarray) -> tuple[dict[str, th.Tensor], th.Tensor]:
    ids, prompts = th.tensor(obs), np.array([3, 5])
    is_action = (obs != VOCAB) & (np.arange(WIDTH) >= prompts[:, None])
    mask = th.tensor(is_action)
    return {"ids": ids, "is_action": mask, "prompt_lengths": th.tensor(prompts)}, ids[mask]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_reference_is_the_policy_with_its_adapter_off(
    architecture: str, make_model_folder: Any
) -> None:
    folder = make_model_folder(architecture)
    policy = make_policy(folder)
    shake(policy)
    reference = CausalLMReference(folder, 2, WIDTH, device="cpu", num_actions=VOCAB)
    segments, actions = packed(walk()[-1])
    with th.no_grad():
        with_adapter = policy.evaluate_actions(segments, actions)[1]
        with policy.adapter_off():
            without = policy.evaluate_actions(segments, actions)[1]
        assert th.equal(policy.evaluate_actions(segments, actions)[1], with_adapter)
    expected = []
    for row, obs in enumerate(walk()[-1]):
        for position in np.flatnonzero(segments["is_action"][row].numpy()):
            state = np.repeat(obs[None], 2, axis=0)
            lengths, chosen = np.full(2, position), np.full(2, obs[position])
            expected.append(reference.step_log_probs(state, lengths, chosen)[0])
    np.testing.assert_allclose(without.numpy(), expected, atol=1e-5)
    assert float((with_adapter - without).abs().max()) > 1e-2


def test_base_weights_are_held_once(tiny_model_folder: Path) -> None:
    reference = CausalLMReference(tiny_model_folder, 2, WIDTH, device="cpu")
    policy = make_policy(tiny_model_folder)
    shared = {p.data_ptr() for p in reference.model.parameters()}
    own = {n: p for n, p in policy.language_model.named_parameters() if p.data_ptr() not in shared}
    assert own and all(is_adapter(name) for name in own)
    assert len(shared) == len({p.data_ptr() for p in policy.language_model.parameters()} & shared)
    # Also for a policy that was there first.
    other = make_policy(tiny_model_folder)
    assert {p.data_ptr() for p in load_causal_lm(tiny_model_folder, device="cpu").parameters()} == {
        p.data_ptr() for n, p in other.language_model.named_parameters() if not is_adapter(n)
    }


def test_a_base_that_cannot_be_shared_is_moved(make_model_folder: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(make_model_folder(), folder)
    policy = make_policy(folder)
    before = {n: p.clone() for n, p in policy.named_parameters()}
    policy.double()
    for name, parameter in policy.named_parameters():
        assert parameter.dtype == th.float64
        assert th.equal(parameter, before[name].double()), name
    shutil.rmtree(folder)
    policy.float()
    for name, parameter in policy.named_parameters():
        assert th.equal(parameter, before[name]), name


def test_only_adapter_and_value_head_learn(tiny_model_folder: Path) -> None:
    policy = make_policy(tiny_model_folder)
    before = {n: p.detach().clone() for n, p in policy.named_parameters()}
    learning = {id(p) for group in policy.optimizer.param_groups for p in group["params"]}
    for name, parameter in policy.named_parameters():
        is_learning = is_adapter(name) or name.startswith("value_head")
        assert parameter.requires_grad == is_learning == (id(parameter) in learning), name
    policy.set_training_mode(True)
    segments, actions = packed(walk()[-1])
    values, log_probs, _ = policy.evaluate_actions(segments, actions)
    (log_probs.sum() + (values - 1).square().sum()).backward()
    policy.optimizer.step()
    for name, parameter in policy.named_parameters():
        is_same = th.equal(parameter, before[name])
        # The first factors have no gradient while the second are 0.
        assert is_same != (".lora_B." in name or name.startswith("value_head")), name


def test_a_fresh_adapter_changes_nothing_and_follows_the_seed(tiny_model_folder: Path) -> None:
    plain, adapted = make_policy(tiny_model_folder, lora=None), make_policy(tiny_model_folder)
    segments, actions = packed(walk()[-1])
    with th.no_grad():
        expected = plain.evaluate_actions(segments, actions)[1]
        th.testing.assert_close(adapted.evaluate_actions(segments, actions)[1], expected)
    state = th.random.get_rng_state()
    again = make_policy(tiny_model_folder)
    assert th.equal(th.random.get_rng_state(), state)
    for (name, ours), (_, theirs) in zip(
        adapted.named_parameters(), again.named_parameters(), strict=True
    ):
        assert th.equal(ours, theirs), name


@pytest.mark.parametrize("decode", ["eager", "static"])
def test_slots_follow_the_adapter(tiny_model_folder: Path, decode: str) -> None:
    policy = make_policy(tiny_model_folder, decode=decode)
    state = policy.new_state(2)
    for index, obs in enumerate(walk(6)):
        if index == 3:
            shake(policy)
        walked = policy(obs, state, deterministic=True)
        fresh = policy(obs, None, deterministic=True)
        assert th.equal(walked[0], fresh[0])
        th.testing.assert_close(walked[2], fresh[2], atol=1e-5, rtol=0)
    with policy.adapter_off():
        with pytest.raises(ValueError, match="adapter as it is now, on or off"):
            policy(obs, state)
        inside = policy.new_state(2)
        without = policy(obs, inside, deterministic=True)[2]
    assert float((without - walked[2]).abs().max()) > 1e-3
    with pytest.raises(ValueError, match="on or off"):
        policy(obs, inside)


def test_saved_adapters_load_anywhere(tiny_model_folder: Path, tmp_path: Path) -> None:
    policy = make_policy(tiny_model_folder)
    shake(policy)
    policy.save(tmp_path / "saved")
    obs = walk()[-1]
    segments, actions = packed(obs)
    with th.no_grad():
        expected = policy.evaluate_actions(segments, actions)[1]
        loaded = TransformerPolicy.load(tmp_path / "saved", device="cpu")
        assert loaded.lora == policy.lora and loaded.model == str(tiny_model_folder.resolve())
        th.testing.assert_close(loaded.evaluate_actions(segments, actions)[1], expected)
        row = th.tensor(obs[1:, :9])
        logits = policy.language_model(row).logits
        # The merged folder needs no peft; PEFT's own folder names its base.
        for folder in ("policy", "adapter"):
            ordinary = AutoModelForCausalLM.from_pretrained(tmp_path / "saved" / folder)
            th.testing.assert_close(ordinary(row).logits, logits, atol=1e-5, rtol=1e-5)
    assert (tmp_path / "saved" / "adapter" / "adapter_model.safetensors").is_file()
    shared = {p.data_ptr() for p in load_causal_lm(tiny_model_folder, device="cpu").parameters()}
    kept = {n: p for n, p in loaded.language_model.named_parameters() if not is_adapter(n)}
    assert {p.data_ptr() for p in kept.values()} == shared


def test_an_agent_learns_saves_and_continues(make_text_env: Any, tmp_path: Path) -> None:
    env = make_text_env(num_envs=4)
    kwargs = {"lora": "r=2,alpha=4"}
    agent = PPO("TransformerPolicy", env, n_steps=12, seed=0, device="cpu", policy_kwargs=kwargs)
    base = env.task.config.reference_model
    before = {n: p.clone() for n, p in load_causal_lm(base, device="cpu").named_parameters()}
    agent.learn(2 * 48)
    for name, parameter in load_causal_lm(base, device="cpu").named_parameters():
        assert th.equal(parameter, before[name]), name
    agent.save(tmp_path / "agent")
    loaded = PPO.load(tmp_path / "agent", env=make_text_env(num_envs=4), device="cpu")
    for (name, ours), (_, theirs) in zip(
        agent.policy.named_parameters(), loaded.policy.named_parameters(), strict=True
    ):
        assert th.equal(ours, theirs), name
    loaded.learn(48, reset_num_timesteps=False)
    other = PPO("TransformerPolicy", env, n_steps=12, seed=1, device="cpu", policy_kwargs=kwargs)
    other.set_parameters(tmp_path / "agent")
    for name, parameter in agent.policy.named_parameters():
        assert th.equal(parameter, other.policy.get_parameter(name)), name


def test_a_separate_value_model_is_trained_whole(
    tiny_model_folder: Path, tiny_reward_folder: Path, tmp_path: Path
) -> None:
    policy = make_policy(tiny_model_folder, value="separate", value_init=str(tiny_reward_folder))
    trained = {n for n, p in policy.named_parameters() if p.requires_grad}
    assert {"value_model", "language_model", "value_head"} == {n.split(".")[0] for n in trained}
    shake(policy)
    policy.save(tmp_path / "saved")
    loaded = TransformerPolicy.load(tmp_path / "saved", device="cpu")
    for ours, theirs in zip(policy.parameters(), loaded.parameters(), strict=True):
        assert th.equal(ours, theirs)


def test_an_adapter_to_another_base_is_refused(make_model_folder: Any, tmp_path: Path) -> None:
    ours, theirs = (
        make_policy(make_model_folder("llama")),
        make_policy(make_model_folder("llama", 5)),
    )
    before = {n: p.clone() for n, p in ours.named_parameters()}
    with pytest.raises(ValueError, match="expected weights of an adapter to"):
        ours.load_state_dict(theirs.state_dict())
    for name, parameter in ours.named_parameters():
        assert th.equal(parameter, before[name])
    make_policy(make_model_folder("llama"), "r=2").save(tmp_path / "small")
    with pytest.raises(CheckpointError, match="other layers or another rank"):
        make_policy(make_model_folder("llama"), lora_init=str(tmp_path / "small" / "adapter"))


def test_bfloat16_weights_with_float32_adapters(tiny_model_folder: Path) -> None:
    policy = make_policy(tiny_model_folder, dtype="bfloat16-weights")
    exact = make_policy(tiny_model_folder)
    for each in (policy, exact):
        shake(each)
    types = {is_adapter(n): p.dtype for n, p in policy.language_model.named_parameters()}
    assert types == {False: th.bfloat16, True: th.float32}
    segments, actions = packed(walk()[-1])
    values, log_probs, entropies = policy.evaluate_actions(segments, actions)
    expected = exact.evaluate_actions(segments, actions)[1]
    assert {values.dtype, log_probs.dtype, entropies.dtype} == {th.float32}
    assert 0 < float((log_probs - expected).detach().abs().max()) < 0.3
    log_probs.sum().backward()
    half = load_causal_lm(tiny_model_folder, device="cpu", dtype="bfloat16")
    assert {p.data_ptr() for p in half.parameters()} == {
        p.data_ptr() for n, p in policy.language_model.named_parameters() if not is_adapter(n)
    }


@pytest.mark.parametrize(
    ("lora", "kwargs", "message"),
    [
        ("rank=8", {}, "lora must be such as 'r=8,alpha=16"),
        ("r=many", {}, "lora must be such as"),
        ("r=0", {}, "r of at least 1.*r=0"),
        ("alpha=-1", {}, "alpha above 0"),
        ("targets=nothing", {}, "lora targets .'nothing',. do not fit LlamaForCausalLM"),
        ("r=2", {"value": "separate"}, "needs value='shared'"),
    ],
)
def test_bad_settings(
    tiny_model_folder: Path, lora: str, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_policy(tiny_model_folder, lora, **kwargs)


def test_settings_are_read_from_text(tiny_model_folder: Path) -> None:
    assert LoraSettings.parse("") == LoraSettings(r=8, alpha=16.0, targets=("all-linear",))
    assert LoraSettings.parse("r=2, alpha=1.5, targets=q_proj+v_proj") == LoraSettings(
        r=2, alpha=1.5, targets=("q_proj", "v_proj")
    )
    policy = make_policy(tiny_model_folder, "r=2,targets=q_proj+v_proj")
    names = {n.split(".")[-4] for n, _ in policy.named_parameters() if is_adapter(n)}
    assert names == {"q_proj", "v_proj"}
    with pytest.raises(ValueError, match="lora needs a pretrained model"):
        make_policy(Path("scratch:layers=1,width=16,heads=2"))
    plain = make_policy(tiny_model_folder, None)
    with pytest.raises(ValueError, match="expected a policy with lora"), plain.adapter_off():
        pass
