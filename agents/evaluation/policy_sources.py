"""Policies to evaluate: of a run, of a saved agent, or of any language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym

from textgym.agents.a2c import A2C
from textgym.agents.policies import TransformerPolicy
from textgym.agents.policies.policy_files import LANGUAGE_MODEL
from textgym.agents.ppo import PPO
from textgym.agents.runs.run_folder import RunFolder, is_run_folder
from textgym.agents.storage.checkpoint import is_saved_folder, open_folder
from textgym.agents.storage.saving import is_agent_folder
from textgym.agents.supervised.fresh_models import is_scratch
from textgym.models.loading import resolve_device
from textgym.tokenizer import load_tokenizer

ALGORITHMS: dict[str, type[PPO] | type[A2C]] = {"ppo": PPO, "a2c": A2C}


def language_model_policy(
    env: gym.vector.VectorEnv,
    model: str | Path,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> TransformerPolicy:
    """Return a policy that samples from a causal language model in a text environment.

    Args:
        env: Gives the spaces, the actions and the mask.
        model: Folder or hub name of a causal LM, or `scratch:...`.
        temperature: Of the softmax that is sampled from, above 0.
        seed: Seeds the sampling.
        device: As `resolve_device`.

    Raises:
        ValueError: Nothing to load there, or the model reads other tokens than the environment.
    """
    core: Any = env.unwrapped
    _check_tokens(str(model), core.tokenizer.fingerprint)
    policy = TransformerPolicy(
        env.single_observation_space,
        env.single_action_space,
        lambda _: 0.0,
        model=str(model),
        action_tokens=tuple(int(token) for token in core.action_tokens),
        eos_ids=core.eos_ids,
        temperature=temperature,
        entropy="none",
        seed=seed,
    ).to(resolve_device(device))
    policy.mask_fn = core.mask_fn
    policy.seed_sampling(seed)
    return policy


def reference_policy(
    env: gym.vector.VectorEnv, *, temperature: float = 1.0, seed: int = 0, device: str = "auto"
) -> TransformerPolicy | None:
    """Return the environment's reference model as a policy, None where it has no language model."""
    core: Any = env.unwrapped
    model = core.task.config.reference_model
    if model is None:
        return None
    return language_model_policy(env, model, temperature=temperature, seed=seed, device=device)


def policy_from(
    source: str | Path,
    env: gym.vector.VectorEnv,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> TransformerPolicy:
    """Return the policy of a run folder, an agent's folder, or a language model.

    Args:
        source: A run folder (its final agent, else its newest checkpoint), a folder that
            `agent.save` wrote, or a folder or hub name of a causal LM.
        env: Where the policy will act.
        temperature: Of the softmax that is sampled from, above 0.
        seed: Seeds the sampling.
        device: As `resolve_device`.

    Raises:
        FileNotFoundError: A run that saved no agent.
        CheckpointError: A damaged or foreign folder.
        ValueError: Nothing to load there, or it does not fit the environment.
    """
    return language_model_policy(
        env, _model_of(Path(source), source), temperature=temperature, seed=seed, device=device
    )


def _model_of(folder: Path, source: str | Path) -> str | Path:
    """Return the language model inside a run or a saved agent, or `source` itself."""
    if is_run_folder(folder):
        folder = RunFolder(folder).newest_agent()
    if not is_saved_folder(folder):
        return source
    open_folder(folder)  # damaged files are named here
    return folder / LANGUAGE_MODEL if is_agent_folder(folder) else folder


def _check_tokens(model: str, fingerprint: str) -> None:
    """Refuse a model that brings another tokenizer than the environment's."""
    if is_scratch(model):
        return
    try:
        own = load_tokenizer(model)
    except ValueError:
        return  # weights alone may still fit
    if own.fingerprint != fingerprint:
        raise ValueError(
            f"{model!r} reads other tokens than the environment; expected a model of the "
            f"environment's own tokenizer, or the environment made with reference_model={model!r}"
        )
