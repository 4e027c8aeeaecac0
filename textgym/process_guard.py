"""Refuses to run in a forked child of a process that had loaded torch: its threads would hang."""

from __future__ import annotations

import os
import sys


class _ForkRecord:
    """Whether this process was forked from one that had torch loaded."""

    def __init__(self) -> None:
        self.is_unsafe = False

    def after_fork(self) -> None:
        # Runs in the child right after the fork, so it sees the modules of the parent.
        self.is_unsafe = "torch" in sys.modules


_RECORD = _ForkRecord()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_RECORD.after_fork)


def check_process() -> None:
    """Raise where the models would hang.

    Raises:
        RuntimeError: This process was forked from one that had loaded torch.
    """
    if _RECORD.is_unsafe:
        raise RuntimeError(
            f"process {os.getpid()} was forked from one that had loaded torch, whose threads do "
            f"not survive a fork: the models would hang. Start workers with context='forkserver' "
            f"or 'spawn', for example gym.make_vec(id, num_envs=2, vectorization_mode='async', "
            f"vector_kwargs={{'context': 'forkserver'}}), or use the native vector environment: "
            f"gym.make_vec(id, num_envs=2)"
        )
