"""Agents as folders of safetensors and JSON; nothing is pickled.

```
policy/  value/  policy.json            see `policies/policy_files.py`
optimizer.safetensors  optimizer.json   the optimiser's state
generators.safetensors                  the state of the generator that samples actions
reward.json  open_episodes.*            see `environment_state.py`
agent.json                              algorithm, arguments, counters, KL control, generators,
                                        environment, versions
manifest.json                           SHA-256 sums
```
"""

from __future__ import annotations

import importlib.metadata
import io
import warnings
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch as th
from stable_baselines3.common.utils import FloatSchedule

from textgym.agents.kl_control import FixedKLController
from textgym.agents.learning_rate import LearningRate
from textgym.agents.policies.policy_files import (
    VALUE,
    read_arguments,
    read_value_head,
)
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.rollouts.task_facts import environment_record, row_generators
from textgym.agents.storage.checkpoint import (
    CheckpointError,
    load_json,
    load_tensors,
    open_folder,
    save_folder,
    save_json,
    save_tensors,
)
from textgym.agents.storage.environment_state import restore_environment, write_environment
from textgym.agents.storage.optimizer_files import read_optimizer, write_optimizer
from textgym.tokenizer import load_tokenizer

AGENT = "agent.json"
GENERATORS = "generators.safetensors"
COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_total_timesteps")
PACKAGES = ("textgym", "torch", "transformers", "stable-baselines3", "gymnasium", "numpy")
# Written into policy.json, or meaningful only for the environment of the moment.
NOT_ARGUMENTS = ("policy_kwargs", "env_kwargs")

AgentType = TypeVar("AgentType", bound="SavedAsFolder")


class SavedAsFolder(SequenceRollouts):
    """Adds `save`, `load` and `set_parameters` to an algorithm with sequence rollouts."""

    def save(
        self,
        path: str | Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Save everything that continuing needs, all or nothing.

        Args:
            path: The folder; a `.zip` suffix, which SB3's callbacks append, is dropped.
            exclude: SB3's argument, must be None: nothing is pickled, so nothing is chosen.
            include: Likewise.

        Raises:
            ValueError: `path` is an open file, or names are given.
            CheckpointError: `path` holds something else.
            OSError: Writing failed; what was saved there before is whole.
        """
        if exclude is not None or include is not None:
            raise ValueError(f"expected no exclude and include, got {exclude!r} and {include!r}")
        save_folder(agent_path(path), self._write)

    def _write(self, folder: Path) -> None:
        self.policy.write(folder, self._tokenizer())
        write_optimizer(folder, self.policy.optimizer)
        save_tensors(folder / GENERATORS, {"sampling": self.policy.generator.get_state()})
        write_environment(folder, self)
        save_json(folder / AGENT, self._record())

    def _tokenizer(self) -> Any:
        if self.facts is not None:
            return self.facts.tokenizer
        source = Path(self.policy.model)
        return load_tokenizer(source) if source.is_dir() else None

    def _record(self) -> dict[str, Any]:
        controller = self.kl_controller
        env = self.env
        return {
            "algorithm": type(self).__name__,
            "arguments": {
                "verbose": self.verbose,
                "seed": self.seed,
                "stats_window_size": self._stats_window_size,
                "tensorboard_log": self.tensorboard_log,
                **{
                    name: _plain(name, value, self._current_progress_remaining)
                    for name, value in self._shallow_settings().items()
                },
            },
            "n_envs": self.n_envs,
            "counters": {name: getattr(self, name) for name in COUNTERS},
            "kl_controller": None if controller is None else dict(vars(controller)),
            "generators": {
                "dealing": self.rollout_buffer.rng.bit_generator.state,
                "rows": []
                if env is None
                else [one.bit_generator.state for one in row_generators(env)],
            },
            "environment": None if env is None else environment_record(env),
            "has_mask": self.policy.mask_fn is not None,
            "versions": {name: _version(name) for name in PACKAGES},
        }

    def _shallow_settings(self) -> dict[str, Any]:
        named = ((each.name, getattr(self.settings, each.name)) for each in fields(self.settings))
        return {name: value for name, value in named if name not in NOT_ARGUMENTS}

    @classmethod
    def load(  # type: ignore[override]
        cls: type[AgentType],
        path: str | Path,
        env: Any = None,
        device: th.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        **kwargs: Any,
    ) -> AgentType:
        """Load a saved agent.

        Args:
            path: The folder; a `.zip` suffix is dropped.
            env: Where to act and to go on learning; None is enough to predict.
            device: As in the constructor.
            custom_objects: SB3's argument, must be None.
            print_system_info: SB3's argument, must be False; `agent.json` has the versions.
            force_reset: SB3's argument; the environment is always reset.
            **kwargs: Constructor arguments that replace the saved ones.

        Raises:
            FileNotFoundError: No such folder.
            CheckpointError: Foreign or damaged, or of another algorithm.
            ValueError: The environment has other spaces than the saved policy, or a teacher whose
                answers lie in another store.
        """
        if custom_objects is not None or print_system_info or not force_reset:
            raise ValueError("custom_objects, print_system_info and force_reset=False do not apply")
        folder = open_folder(agent_path(path))
        record = _read_record(folder, cls.__name__)
        observation_space, action_space, policy_kwargs = read_arguments(folder)
        arguments = {name: _unplain(value) for name, value in record["arguments"].items()}
        arguments["policy_kwargs"] = {**policy_kwargs, **kwargs.pop("policy_kwargs", {})}
        arguments.update(kwargs)
        policy_class = arguments.pop("policy", "TransformerPolicy")
        agent = cls(policy_class, env, device=device, _init_setup_model=False, **arguments)
        if agent.env is None:
            agent.observation_space, agent.action_space = observation_space, action_space
            agent.n_envs = record["n_envs"]
            if record["has_mask"]:
                warnings.warn(
                    "the agent was trained under an action mask, which comes with the environment: "
                    "without env= (or policy.mask_fn) it may take forbidden actions",
                    UserWarning,
                    stacklevel=2,
                )
        elif (agent.observation_space, agent.action_space) != (observation_space, action_space):
            raise ValueError(
                f"expected an environment with {observation_space} and {action_space}, got "
                f"{agent.observation_space} and {agent.action_space}"
            )
        agent._setup_model()
        agent._restore(folder, record)
        return agent

    def _restore(self, folder: Path, record: dict[str, Any]) -> None:
        """Put back what the constructor cannot: state of optimiser, generators, counters."""
        self.policy.value_head.load_state_dict(read_value_head(folder / VALUE))
        read_optimizer(folder, self.policy.optimizer)
        for name, value in record["counters"].items():
            setattr(self, name, value)
        generators = record["generators"]
        self.rollout_buffer.rng.bit_generator.state = generators["dealing"]
        self.policy.restore_sampling(load_tensors(folder / GENERATORS)["sampling"])
        if self.env is None:
            return
        rows = row_generators(self.env)
        if rows and len(rows) == len(generators["rows"]):
            for row, state in zip(rows, generators["rows"], strict=True):
                row.bit_generator.state = state
            # The coming reset must draw on, not start again from the seed.
            self.env.unwrapped._reset_seeds()
        controller = self.kl_controller
        if controller is not None and not isinstance(controller, FixedKLController):
            for name, value in (record["kl_controller"] or {}).items():
                setattr(controller, name, float(value))
            self.env.env_method("set_kl_coef", controller.kl_coef)
        restore_environment(folder, self)

    def set_parameters(
        self,
        load_path_or_dict: Any,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Load weights and optimiser into this agent, from a saved folder or state dicts.

        Raises:
            CheckpointError: The folder is foreign or damaged.
            ValueError: See SB3.
        """
        if isinstance(load_path_or_dict, dict):
            super().set_parameters(load_path_or_dict, exact_match=exact_match, device=device)
            return
        other = type(self).load(load_path_or_dict, device="cpu")
        self.policy.load_state_dict(other.policy.state_dict(), strict=exact_match)
        self.policy.optimizer.load_state_dict(other.policy.optimizer.state_dict())


def agent_path(path: str | Path | io.BufferedIOBase) -> Path:
    """Give the folder of a path that SB3 may have given a `.zip` suffix.

    Raises:
        ValueError: `path` is an open file.
    """
    if not isinstance(path, str | Path):
        raise ValueError(f"expected the path of a folder, got {path!r}")
    plain = Path(path)
    return plain.with_suffix("") if plain.suffix == ".zip" else plain


def is_agent_folder(path: str | Path) -> bool:
    """Whether `path` looks like a folder that an agent's `save` wrote."""
    return (agent_path(path) / AGENT).is_file()


def saved_algorithm(path: str | Path) -> str:
    """Name the class that saved an agent's folder, such as "PPO".

    Raises:
        CheckpointError: The folder is no agent's.
    """
    return str(_read_record(agent_path(path), None)["algorithm"])


def _read_record(folder: Path, algorithm: str | None) -> dict[str, Any]:
    if not (folder / AGENT).is_file():
        raise CheckpointError(f"expected a saved agent, got {str(folder)!r} without {AGENT}")
    record = load_json(folder / AGENT)
    if algorithm is not None and record.get("algorithm") != algorithm:
        raise CheckpointError(
            f"expected an agent saved by {algorithm}, got {record.get('algorithm')!r} in "
            f"{str(folder)!r}"
        )
    return record


def _plain(name: str, value: Any, progress_remaining: float) -> Any:
    if isinstance(value, FloatSchedule):
        value = value.value_schedule
    if isinstance(value, LearningRate):
        return {"schedule": asdict(value)}
    if callable(value):
        number = float(value(progress_remaining))
        warnings.warn(
            f"{name}={value!r} cannot be written down; the saved agent keeps its value of now, "
            f"{number}. Use textgym.agents.LearningRate, or pass {name}= to load()",
            UserWarning,
            stacklevel=2,
        )
        return number
    return value


def _unplain(value: Any) -> Any:
    return LearningRate(**value["schedule"]) if isinstance(value, dict) else value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
