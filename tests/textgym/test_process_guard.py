"""A forked child of a process with torch refuses to run; spawned and forkserver ones do not."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

FORK = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


FORKED = """
    import os, sys
    import gymnasium as gym
    import textgym
    {prepare}
    gym.make("Probe-ExactKL-v0")
    child = os.fork()
    if child == 0:
        try:
            gym.make("Probe-ExactKL-v0").reset()
            print("child runs", flush=True)
        except RuntimeError as error:
            print("child refuses:", error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@FORK
def test_a_forked_child_of_a_parent_with_torch_refuses() -> None:
    # An empty module stands for torch: what counts is that the parent had it loaded.
    said = run(
        FORKED.format(prepare="import types; sys.modules['torch'] = types.ModuleType('torch')")
    )
    assert "child refuses:" in said and "context='forkserver'" in said


@FORK
def test_a_forked_child_of_a_parent_without_torch_runs() -> None:
    assert "child runs" in run(FORKED.format(prepare=""))


@FORK
def test_async_vectorisation_through_forkserver() -> None:
    said = run(
        """
        import gymnasium as gym
        import textgym
        if __name__ == "__main__":
            envs = gym.make_vec(
                "Probe-ExactKL-v0", num_envs=2, vectorization_mode="async",
                vector_kwargs={"context": "forkserver"},
            )
            print(envs.reset(seed=0)[0].tolist(), envs.step([1, 2])[0].tolist())
            envs.close()
        """
    )
    assert "[[0, 6, 6, 6, 6], [0, 6, 6, 6, 6]] [[0, 1, 6, 6, 6], [0, 2, 6, 6, 6]]" in said
