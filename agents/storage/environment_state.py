"""What an agent's folder holds of its environment: the teacher who is asked, and open episodes.

```
reward.json                 the state of each reward that changes while it is used
open_episodes.safetensors   the rows as the last rollout left them
open_episodes.json          their prompts
```

With both, a run that goes on is the run that was not interrupted. A folder may hold neither: the
environment is reset then, and its teacher is fresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from textgym.agents.rollouts.asked_rewards import saved_rewards
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.rollouts.statistics import EpisodeTally
from textgym.agents.rollouts.vec_env_adapter import TextVecEnv
from textgym.agents.storage.checkpoint import load_json, load_tensors, save_json, save_tensors
from textgym.mdp_rows import ROW_ARRAYS, MDPRows
from textgym.rewards.base import SavedReward
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

REWARD = "reward.json"
OPEN_ROWS, OPEN_PROMPTS = "open_episodes.safetensors", "open_episodes.json"


def write_environment(folder: Path, agent: SequenceRollouts) -> None:
    """Write what there is to write into an existing folder."""
    if agent.env is None:
        return
    states = [reward.state_dict() for reward in saved_rewards(agent.env)]
    if any(states):
        save_json(folder / REWARD, {"rewards": states})
    core = _bare_rows(agent.env)
    if core is None or agent._last_obs is None or agent._last_episode_starts is None:
        return
    rows = core.get_state()
    prompts = [_known(core, prompt) for prompt in rows.prompts]
    if None in prompts:
        return  # a prompt of the user's own is in no source that it could be read from again
    tensors = {name: torch.from_numpy(getattr(rows, name)) for name in ROW_ARRAYS}
    tensors["episode_starts"] = torch.from_numpy(np.asarray(agent._last_episode_starts, bool))
    tensors["sums"] = torch.from_numpy(agent._tally.open_sums)
    save_tensors(folder / OPEN_ROWS, tensors)
    save_json(folder / OPEN_PROMPTS, {"prompts": prompts})


def restore_environment(folder: Path, agent: SequenceRollouts) -> None:
    """Take back what `write_environment` wrote, where the agent's environment is of that kind.

    Open episodes go on only in rows of the same shape and with the same prompts.

    Raises:
        ValueError: The teacher's answers lie in another store than the environment's, or its
            reward is composed of other parts.
    """
    assert agent.env is not None, "there is an environment to restore"
    rewards = saved_rewards(agent.env)
    if rewards and (folder / REWARD).is_file():
        states = load_json(folder / REWARD)["rewards"]
        if len(states) == len(rewards):
            _restore_rewards(rewards, states)
    core = _bare_rows(agent.env)
    if core is not None and (folder / OPEN_ROWS).is_file():
        _restore_rows(folder, agent, core)


def _restore_rewards(rewards: Sequence[SavedReward], states: Sequence[dict[str, Any]]) -> None:
    for reward, state in zip(rewards, states, strict=True):
        try:
            reward.load_state_dict(state)
        except ValueError as error:
            raise ValueError(
                f"{error}; expected the environment as it was. To go on with a fresh teacher, load "
                "the agent without env= and give it the environment by set_env()"
            ) from error


def _restore_rows(folder: Path, agent: SequenceRollouts, core: TokenVectorEnv) -> None:
    found = {name: tensor.numpy() for name, tensor in load_tensors(folder / OPEN_ROWS).items()}
    saved = load_json(folder / OPEN_PROMPTS)["prompts"]
    now = core.get_state()
    is_alike = all(found[name].shape == getattr(now, name).shape for name in ROW_ARRAYS)
    prompts = [_prompt(core, prompt_id) for prompt_id, _ in saved]
    if not is_alike or [_known(core, prompt) for prompt in prompts] != saved:
        return
    arrays = {name: found[name] for name in ROW_ARRAYS}
    agent._last_obs = core.set_state(MDPRows(prompts=prompts, generators=[], **arrays))  # type: ignore[assignment]
    agent._last_episode_starts = found["episode_starts"]
    agent._tally = EpisodeTally(core.num_envs)
    agent._tally.open_sums[:] = found["sums"]


def _bare_rows(env: VecEnv) -> TokenVectorEnv | None:
    """The rows, where nothing stands around them that has a state of its own."""
    core = env.env if isinstance(env, TextVecEnv) else None
    return core if isinstance(core, TokenVectorEnv) else None


def _prompt(core: TokenVectorEnv, prompt_id: int) -> Prompt | None:
    prompts = core.task.prompts
    return prompts[prompt_id] if 0 <= prompt_id < len(prompts) else None


def _known(core: TokenVectorEnv, prompt: Prompt | None) -> list[Any] | None:
    """A prompt's id and what tells whether it is still the same; None for one of no source."""
    if prompt is None or _prompt(core, prompt.prompt_id) is None:
        return None
    return [prompt.prompt_id, hashlib.sha256(prompt.text.encode()).hexdigest()]
