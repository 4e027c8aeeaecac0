"""What an environment must leave alone: the network, and generators that belong to everybody."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from textgym.testing.case import Case, assert_same
from textgym.testing.run_checks import played


@contextlib.contextmanager
def blocked_sockets() -> Iterator[list[Any]]:
    """Refuse every connection and look-up inside; give the list of what was tried."""
    tried: list[Any] = []

    def refuse(*target: Any, **options: Any) -> Any:
        tried.append(target[-1] if target else options)
        raise OSError(f"the network is out of bounds here, got {target or options}")

    with contextlib.ExitStack() as stack:
        for owner, name in (
            (socket.socket, "connect"),
            (socket.socket, "connect_ex"),
            (socket, "create_connection"),
            (socket, "getaddrinfo"),
            (socket, "gethostbyname"),
        ):
            stack.enter_context(mock.patch.object(owner, name, refuse))
        yield tried


def check_offline(case: Case) -> None:
    """Check that nothing is looked for in a network, caught errors included."""
    with blocked_sockets() as tried:
        for _ in played(case, case.make()):
            pass
        case.make_vec().reset(seed=case.seed)
    assert not tried, f"the environment tried to reach {tried}"


def check_generators(case: Case) -> None:
    """Check that the global generators of Python, NumPy and PyTorch are neither moved nor read."""
    with _kept_generators():
        before = _global_states()
        runs = [list(played(case, case.make()))]
        envs = case.make_vec()
        envs.reset(seed=case.seed)
        envs.step(_first_allowed(envs))
        moved = [name for name, state in _global_states().items() if state != before.get(name)]
        assert not moved, f"the global generator of {', '.join(moved)} was used"
        for seed in (1, 2):
            _seed_globals(seed)
            runs.append(list(played(case, case.make())))
    assert_same(runs[1], runs[0], "with another global seed")
    assert_same(runs[2], runs[0], "with another global seed")


def _first_allowed(envs: Any) -> Any:
    if not hasattr(envs.unwrapped, "action_masks"):
        return envs.action_space.sample()
    return np.atleast_2d(envs.unwrapped.action_masks()).argmax(axis=1)


@contextlib.contextmanager
def _kept_generators() -> Iterator[None]:
    """Put the states back that were there before; loads torch, whose generator is one of them."""
    torch = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()
    torch_state = None if torch is None else torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(torch_state)


def _global_states() -> dict[str, Any]:
    numpy_state: Any = np.random.get_state()
    states: dict[str, Any] = {
        "Python": random.getstate(),
        "NumPy": (numpy_state[1].tobytes(), *numpy_state[2:]),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["PyTorch"] = torch.get_rng_state().numpy().tobytes()
    return states


def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
