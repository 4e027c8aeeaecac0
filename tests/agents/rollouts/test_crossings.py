"""What crosses between host and device in a rollout, counted on the CPU.

On a CPU nothing crosses, so the functions that would are watched: whatever makes an array of a
tensor or a number of it would wait for an accelerator, whatever makes a tensor of host data would
be sent to it.
"""

from __future__ import annotations

import contextlib
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from textgym.agents import PPO

FETCHES = {
    torch.Tensor.cpu,
    torch.Tensor.numpy,
    torch.Tensor.tolist,
    torch.Tensor.item,
    torch.Tensor.__bool__,
    torch.Tensor.__int__,
    torch.Tensor.__float__,
    torch.Tensor.__index__,
    torch.Tensor.__array__,
}
SENDS = {torch.tensor, torch.as_tensor, torch.asarray}
FROM_NUMPY = torch.from_numpy
# Operations whose result's size, or whose very result, the host has to wait for.
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2"}


class Fetched(TorchFunctionMode):
    """Notes how many numbers every tensor has that leaves (`fetched`) or enters (`sent`)."""

    def __init__(self) -> None:
        """Start at nothing."""
        super().__init__()
        self.fetched: list[int] = []
        self.sent: list[int] = []
        self._on_host: list[torch.Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function and note it."""
        result = func(*args, **(kwargs or {}))
        if func in FETCHES:
            if not any(args[0] is tensor for tensor in self._on_host):
                self.fetched.append(args[0].numel())
            if func is torch.Tensor.cpu:
                self._on_host = [result]  # what is made of it next crosses nothing
        elif func in SENDS and not isinstance(args[0], torch.Tensor):
            self.sent.append(result.numel())
        return result


class Waits(TorchDispatchMode):
    """Notes operations that an accelerator would have to be waited for."""

    def __init__(self) -> None:
        """Start at nothing."""
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note it."""
        name = func.__name__.split(".")[0]
        is_by_mask = name in ("index", "index_put", "index_put_") and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in args[1]
        )
        if name in WAITS or is_by_mask:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class Crossings:
    """Both counters together.

    Attributes:
        per_step: What crossed before each step of an environment: fetched, sent, waited for.
    """

    def __init__(self) -> None:
        """Watch nothing yet."""
        self.per_step: list[tuple[list[int], list[int], list[str]]] = []
        self._tensors, self._waits = Fetched(), Waits()
        self._modes = contextlib.ExitStack()

    def __enter__(self) -> Crossings:
        """Watch."""
        # The one maker of tensors that modes do not see.
        self._modes.enter_context(mock.patch.object(torch, "from_numpy", self._from_numpy))
        self._modes.enter_context(self._tensors)
        self._modes.enter_context(self._waits)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop watching."""
        self._modes.close()

    def _from_numpy(self, array: np.ndarray) -> torch.Tensor:
        self._tensors.sent.append(array.size)
        return FROM_NUMPY(array)

    def take(self) -> tuple[list[int], list[int], list[str]]:
        """Return what crossed since the last call."""
        taken = self._tensors.fetched, self._tensors.sent, self._waits.seen
        self._tensors.fetched, self._tensors.sent, self._waits.seen = [], [], []
        return taken

    def watch(self, env: Any) -> None:
        step = env.step

        def watched(actions: np.ndarray) -> Any:
            self.per_step.append(self.take())
            result = step(actions)
            self.take()  # the environment's own
            return result

        env.step = watched


def test_the_counters_see_each_kind_of_crossing():
    tensor = torch.arange(4)
    with Crossings() as crossings:
        tensor.cpu()
        bool(tensor.any())
        torch.from_numpy(np.zeros(3))
        torch.tensor([1, 2])
        assert len(tensor[tensor > 1]) == 2
        tensor[1:].sum().item()
        fetched, sent, waits = crossings.take()
    assert fetched == [4, 1, 1] and sent == [3, 2]
    assert set(waits) == {"_local_scalar_dense", "index"}


def play(agent: PPO, num_steps: int) -> Crossings:
    crossings = Crossings()
    _, callback = agent._setup_learn(num_steps, None)
    crossings.watch(agent.env)
    with crossings:
        assert agent.collect_rollouts(agent.env, callback, agent.rollout_buffer, num_steps)
    return crossings


@pytest.mark.parametrize("actions", [None, (5, 9, 40, 41)])
@pytest.mark.parametrize("decode", ["eager", "static"])
def test_a_step_fetches_its_actions_and_sends_nothing_that_the_device_has(
    make_text_env: Any, decode: str, actions: Any
) -> None:
    env = make_text_env(num_envs=4, actions=actions, max_new_tokens=20, min_new_tokens=0)
    kwargs = {"decode": decode}
    agent = PPO("TransformerPolicy", env, n_steps=50, seed=0, device="cpu", policy_kwargs=kwargs)
    crossings = play(agent, 50)
    ends = agent.rollout_buffer.is_end.any(axis=0)
    num_quiet = 0
    for step in range(2, 50):
        fetched, sent, waits = crossings.per_step[step]
        assert fetched == [4] and not waits, f"step {step}"
        if ends[step - 1] or ends[step - 2]:
            continue  # new prompts, and the positions behind them in the step after
        num_quiet += 1
        assert sent == [], f"step {step}"
    assert num_quiet >= 20
