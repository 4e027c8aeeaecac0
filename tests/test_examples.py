"""Every example runs, in small, and does what it says."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import textgym
from textgym.agents import PPO
from textgym.agents.advantages import generalized_advantages
from textgym.agents.learning_rate import DEFAULT_FINAL_FRACTIONS, DEFAULT_LEARNING_RATES
from textgym.agents.presets import AUTO_VALUE, PPO_PRESETS
from textgym.agents.rollouts.preparation import DEFAULT_GAE_LAMBDAS
from textgym.agents.rollouts.vec_env_adapter import DEFAULT_NUM_ENVS
from textgym.dataset_files import read_rows
from textgym.envs_registry.summarize import BUNDLE
from textgym.types import Episode

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TESTED = {
    "branching",
    "literal_loop",
    "own_environment",
    "ppo_summarize",
    "random_weights",
    "single_file_ppo",
    "stock_sb3",
}
SINGLE_FILE = "single_file_ppo"
needs_bundle = pytest.mark.skipif(
    not BUNDLE.folder.is_dir(), reason=f"the models of {BUNDLE.env_id} are not built"
)
# The same example on a tiny random model and, where it is built, on the bundled one.
TINY_OR_BUNDLED = pytest.mark.parametrize(
    "env_id", ["EvenTokens-v0", pytest.param(BUNDLE.env_id, marks=needs_bundle)]
)

LoadExample = Callable[[str], ModuleType]


def reply_prompts() -> list[str]:
    return [f"my friend said {word}.\n\nTL;DR:" for word in ("money", "home", "trip", "house")]


def even_tokens(episodes: Sequence[Episode]) -> list[float]:
    """Pay 1 for each token of an even id: half of all tokens, and a long response, by chance."""
    return [float(sum(token % 2 == 0 for token in e.response_ids)) for e in episodes]


@pytest.fixture
def load_example(monkeypatch: pytest.MonkeyPatch) -> LoadExample:
    """Return `load(name)`: the example as a module, so that its functions are found by name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(autouse=True)
def _tiny_environment(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    textgym.register_text_env(
        "EvenTokens-v0",
        prompts=reply_prompts,
        reward=even_tokens,
        reference_model=str(tiny_model_folder),
        max_prompt_tokens=32,
        max_new_tokens=8,
        device="cpu",
    )


def test_every_example_is_tested_and_short() -> None:
    files = {path.stem: path for path in EXAMPLES.glob("*.py")}
    assert set(files) == TESTED
    lines = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in files.items()
    }
    assert lines.pop(SINGLE_FILE) <= 240  # about 200, documentation included
    assert {name: n for name, n in lines.items() if n > 80} == {}


@TINY_OR_BUNDLED
def test_literal_loop_shows_what_rewards_are_made_of(
    env_id: str, load_example: LoadExample, capsys: pytest.CaptureFixture[str]
) -> None:
    total, parts = load_example("literal_loop").main(["--env-id", env_id])
    assert total == pytest.approx(parts, abs=1e-3)
    assert capsys.readouterr().out.count("TL;DR:") == 4


@TINY_OR_BUNDLED
def test_branching_finishes_one_prefix_in_several_ways(
    env_id: str, load_example: LoadExample
) -> None:
    found = load_example("branching").main(["--env-id", env_id, "--samples", "6", "--prefix", "2"])
    spreads = [scores.std() for scores in found.values()]
    assert all(len(scores) == 6 and np.isfinite(scores).all() for scores in found.values())
    assert len(found) >= 4
    assert spreads[-1] < 1e-5, "the end token leaves nothing to chance"
    assert max(spreads[:-1]) > 0.01, "what follows another token is sampled"


@needs_bundle
def test_ppo_summarize_trains_and_saves(load_example: LoadExample, tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    before, after = load_example("ppo_summarize").main(
        ["--steps", "300", "--num-envs", "4", "--eval-steps", "60", "--output", str(folder)]
    )
    assert np.isfinite([before, after]).all()
    saved = PPO.load(folder)
    reference = AutoModelForCausalLM.from_pretrained(
        BUNDLE.path_of("reference_model"), dtype=torch.float32
    )
    moved = [
        float((new - old).detach().abs().max())
        for new, old in zip(
            saved.policy.language_model.parameters(), reference.parameters(), strict=True
        )
    ]
    assert saved.num_timesteps == 4 * 96
    assert 0 < max(moved) < 0.01


def test_own_environment_is_learned(load_example: LoadExample) -> None:
    assert load_example("own_environment").main([]) > 0.9


def test_stock_sb3_improves(load_example: LoadExample) -> None:
    results = load_example("stock_sb3").main(["--steps", "6000", "--eval-episodes", "200"])
    assert set(results) == {"PPO", "A2C"}
    for name, (before, after) in results.items():
        assert after > before + 0.5, name


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_random_weights_are_ordinary_folders(
    kind: str, load_example: LoadExample, tmp_path: Path
) -> None:
    data = tmp_path / "dialogues.jsonl"
    data.write_text('{"chosen": "\\n\\nHuman: hi\\n\\nAssistant: hello there"}\n' * 4)
    assert len(list(read_rows(str(data)))) == 4
    folder = tmp_path / kind
    sizes = ["--ids", "300", "--width", "32", "--layers", "1"]
    load_example("random_weights").main([kind, str(data), "--output", str(folder), *sizes])
    textgym.register_text_env(
        "RandomWeights-v0",
        prompts=reply_prompts,
        reward="length",
        reference_model=str(folder),
        max_prompt_tokens=64,
        max_new_tokens=4,
        device="cpu",
    )
    env = gym.make("RandomWeights-v0")
    assert len(env.unwrapped.eos_ids) == (2 if kind == "qwen2" else 1)
    (episode,) = textgym.rollout(env, None, 1, seed=0)
    assert np.isfinite(episode.ref_log_probs).all()


class TestSingleFilePPO:
    """The one-file PPO agrees with the library's, and learns."""

    TINY = ["--env-id", "EvenTokens-v0", "--num-envs", "16", "--n-steps", "16"]

    def test_defaults_are_the_preset(self, load_example: LoadExample) -> None:
        config = load_example(SINGLE_FILE).Config()
        preset = PPO_PRESETS["textgym"]
        names = ("n_epochs", "batch_size", "gamma", "clip_range", "vf_coef", "max_grad_norm")
        assert {n: getattr(config, n) for n in names} == {n: getattr(preset, n) for n in names}
        # One trunk carries both heads, which keeps the file short.
        assert config.gae_lambda == DEFAULT_GAE_LAMBDAS["shared"]
        assert config.learning_rate == DEFAULT_LEARNING_RATES["bundled"]
        assert DEFAULT_FINAL_FRACTIONS["bundled"] == 0.1
        assert config.num_envs == DEFAULT_NUM_ENVS
        # What the file leaves out is off, and rollouts last twice the longest response.
        assert preset.n_steps is None and config.n_steps == 0
        assert preset.ent_coef == 0 and not preset.whiten_rewards
        assert preset.advantage_norm == "batch" and preset.normalize_advantage
        assert preset.clip_range_vf is None and preset.target_kl is None
        assert preset.kl_target is None and not preset.env_kwargs
        assert preset.policy_kwargs == {"value": AUTO_VALUE}

    def test_learns(self, load_example: LoadExample, tmp_path: Path) -> None:
        steps = ["--steps", "5120", "--batch-size", "64", "--learning-rate", "2e-3"]
        module, folder = load_example(SINGLE_FILE), tmp_path / "model"
        history = module.main([*self.TINY, *steps, "--output", str(folder)])
        scores = [numbers["score"] for numbers in history]
        assert len(history) == 20 and history[-1]["tokens"] == 5120
        assert np.mean(scores[-3:]) > np.mean(scores[:2]) + 1
        assert abs(history[0]["kl"]) < 1e-3 < history[-1]["kl"]
        assert max(numbers["off"] for numbers in history) < 1e-4
        trained = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        assert sum(p.numel() for p in trained.parameters()) > 0

    def test_advantages_are_the_librarys(self, load_example: LoadExample) -> None:
        module = load_example(SINGLE_FILE)
        rng = np.random.default_rng(0)
        rewards, values = rng.normal(size=(2, 9, 3)).astype(np.float32)
        is_end, last_values = rng.random((9, 3)) < 0.3, rng.normal(size=3)
        rollout = make_rollout(
            module, rewards=rewards, values=values, is_end=is_end, last_values=last_values
        )
        config = module.Config(gamma=0.9, gae_lambda=0.8)
        expected = generalized_advantages(
            rewards, values, is_end, last_values, gamma=0.9, gae_lambda=0.8
        )
        found = module.estimate_advantages(rollout, config)
        np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_minibatches_hold_each_step_once(self, load_example: LoadExample) -> None:
        module = load_example(SINGLE_FILE)
        obs, is_end = counted_observations(n_steps=7, ends=((2, 5), (), (0, 6)))
        numbers = np.arange(21.0).reshape(7, 3)
        rollout = make_rollout(
            module, obs=obs, actions=numbers, log_probs=numbers, values=0 * numbers, is_end=is_end
        )
        rng, seen = np.random.default_rng(0), []
        for ids, is_state, actions, old, _, returns in module.minibatches(
            rollout, numbers, EMPTY, 3, rng
        ):
            np.testing.assert_array_equal(actions, old)
            np.testing.assert_array_equal(actions, returns)
            # The token that an action followed, as the observation of its step has it.
            step, row = (actions // 3).astype(int), (actions % 3).astype(int)
            lengths = (obs[step, row] != EMPTY).sum(axis=1)
            np.testing.assert_array_equal(ids[is_state], obs[step, row, lengths - 1])
            seen.extend(actions.tolist())
        assert sorted(seen) == list(range(21))

    @needs_bundle
    def test_starts_at_the_reference_model(self, load_example: LoadExample) -> None:
        sizes = ["--num-envs", "4", "--n-steps", "64", "--steps", "256", "--batch-size", "128"]
        (numbers,) = load_example(SINGLE_FILE).main(sizes)
        assert abs(numbers["kl"]) < 1e-3
        assert numbers["off"] < 1e-4
        assert np.isfinite([numbers["score"], numbers["gold"]]).all()

    def test_refuses_a_mask(self, load_example: LoadExample) -> None:
        envs = gym.make_vec("EvenTokens-v0", num_envs=2, min_new_tokens=2)
        with pytest.raises(ValueError, match="mask"):
            load_example(SINGLE_FILE).Agent(envs, seed=0)


EMPTY = 99


def make_rollout(module: ModuleType, **fields: Any) -> Any:
    nothing = dict.fromkeys(module.Rollout.__dataclass_fields__)
    return module.Rollout(**{**nothing, **fields})


def counted_observations(
    n_steps: int, ends: tuple[tuple[int, ...], ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Play prompts of 2 or 3 tokens in three rows; each token written is a new number."""
    obs = np.full((n_steps, len(ends), 12), EMPTY)
    is_end = np.zeros((n_steps, len(ends)), bool)
    for row, row_ends in enumerate(ends):
        text = [1, 2]
        for step in range(n_steps):
            obs[step, row, : len(text)] = text
            text = [*text, 10 + step]
            if step in row_ends:
                is_end[step, row], text = True, [3, 4, 5]
    return obs, is_end
