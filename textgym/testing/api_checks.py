"""What Gymnasium expects of any environment: both libraries' checks, spec, pickle, rendering."""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from textgym.testing.case import Case, assert_same, random_actions

# What a known environment inside ours warns of by itself: bounds of CartPole's observations, and
# the bindings of Box2D.
OTHERS_WARNINGS = ("This is probably too", "Swig")


class MaskedDiscrete(spaces.Discrete):
    """A `Discrete` that samples allowed actions only; the libraries' checks know no masks."""

    def __init__(self, env: Any) -> None:
        """Sample for `env`, an unwrapped single environment with `action_masks()`."""
        super().__init__(env.action_space.n)
        self._env = env

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """Return an allowed action."""
        return super().sample(mask=np.asarray(self._env.action_masks()).astype(np.int8))


def check_libraries(case: Case) -> None:
    """Run Gymnasium's and SB3's `check_env`; a warning counts as a failure."""
    env: Any = case.make(disable_env_checker=True).unwrapped
    if hasattr(env, "action_masks"):
        env.action_space = MaskedDiscrete(env)
    with no_warnings(), contextlib.redirect_stdout(io.StringIO()):
        check_gymnasium_env(env, skip_render_check=case.family == "control")
        check_sb3_env(env)


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Fail where anything inside warns, apart from `OTHERS_WARNINGS`."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    texts = [str(warning.message) for warning in found]
    ours = [text for text in texts if not any(words in text for words in OTHERS_WARNINGS)]
    assert not ours, f"expected no warning, got {ours}"


def check_spec(case: Case) -> None:
    """Check that the spec survives JSON, and that what it makes then begins alike."""
    env = case.make()
    assert env.spec is not None, "the environment has no spec"
    again = EnvSpec.from_json(env.spec.to_json())
    assert again == env.spec, f"the spec came back from JSON as {again}, not {env.spec}"
    made = again.make()
    assert_same(made.reset(seed=case.seed), env.reset(seed=case.seed), "made of its JSON: reset")


def check_pickle(case: Case) -> None:
    """Check that pickled environments, single and vector, begin and go on as the originals do."""
    env = case.make().unwrapped
    copied = pickle.loads(pickle.dumps(env))
    assert_same(copied.reset(seed=case.seed), env.reset(seed=case.seed), "unpickled: reset")
    action = random_actions(env, case.seed)()
    assert_same(copied.step(action), env.step(action), "unpickled: step")
    envs = case.make_vec()
    if not isinstance(envs, SyncVectorEnv):  # Gymnasium's is not made for it
        copies = pickle.loads(pickle.dumps(envs))
        one, other = copies.reset(seed=case.seed), envs.reset(seed=case.seed)
        assert_same(one, other, "unpickled vector environment: reset")


def check_rendering(case: Case) -> None:
    """Check that every render mode gives what its name says; "human" only where it is text."""
    modes = case.make().metadata["render_modes"]
    for mode in modes:
        if mode == "human" and case.family == "control":
            continue  # it would open a window
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            frame = _frame(case, mode)
        _check_frame(mode, frame, shown.getvalue())


def _frame(case: Case, mode: str) -> Any:
    env = case.make(render_mode=mode)
    assert env.render_mode == mode, f"made with render_mode={mode!r}, it has {env.render_mode!r}"
    try:
        env.reset(seed=case.seed)
        env.step(random_actions(env, case.seed)())
        return env.render()
    except DependencyNotInstalled:
        return None
    finally:
        env.close()


def _check_frame(mode: str, frame: Any, shown: str) -> None:
    if mode == "human":
        assert frame is None, f"render() of 'human' must return None, got {type(frame).__name__}"
        assert shown.strip(), "render_mode 'human' showed nothing"
    elif mode == "ansi":
        assert isinstance(frame, str) and frame.strip(), f"'ansi' must give a text, got {frame!r}"
    elif mode == "rgb_array" and frame is not None:
        is_image = frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8
        assert is_image, f"'rgb_array' must give (H, W, 3) uint8, got {frame.shape} {frame.dtype}"
