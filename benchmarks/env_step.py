"""Microseconds per vector step of the environment alone: no models, rewards withheld.

The same task three ways: the native vector environment, Gymnasium's `SyncVectorEnv` and
Stable-Baselines3's `DummyVecEnv` of the single environment. All get the same seeds and actions, so
they play the same episodes. Steps that end nothing and steps in which a twentieth of the rows end
and begin anew are timed apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.report import parse_arguments, print_table, write_json
from textgym.config import TextEnvConfig
from textgym.prompts import PromptList
from textgym.task import TextTask
from textgym.token_env import TokenEnv
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Prompt
from textgym.vector_env import TokenVectorEnv

ROWS = (64, 256)
PROMPT_TOKENS, WIDTH = 64, 512
VOCABULARY = 512
NUM_PROMPTS = 1000
ROWS_PER_END = 20
NATIVE, SYNC, DUMMY = "native", "SyncVectorEnv", "DummyVecEnv"


class NoReward:
    """A reward that costs nothing."""

    name = "none"

    def __call__(self, episodes: Any) -> np.ndarray:
        """Return zeros."""
        return np.zeros(len(episodes), dtype=np.float32)


_TOKENIZER = SymbolTokenizer([*(f"w{i}" for i in range(VOCABULARY - 1)), "<eos>"])
_PROMPTS = PromptList(
    [
        Prompt(
            prompt_id=i,
            text=" ".join(f"w{(7 * i + k) % (VOCABULARY - 1)}" for k in range(PROMPT_TOKENS)),
        )
        for i in range(NUM_PROMPTS)
    ]
)


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task of all contenders: prompts of 64 symbols, 512 symbols, no models."""
    return TextTask(
        config=config,
        prompts=_PROMPTS,
        tokenizer=_TOKENIZER,
        reward=NoReward(),
        action_tokens=np.arange(VOCABULARY),
        eos_ids=_TOKENIZER.eos_ids,
    )


class Contender(Protocol):
    """N rows that are begun together and stepped together."""

    def begin(self) -> np.ndarray:
        """Begin the same episodes again; returns the (N, L) observations."""
        ...

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Step all rows; returns the (N, L) observations."""
        ...


class GymnasiumRows:
    """A Gymnasium vector environment, the native one with rewards withheld."""

    def __init__(self, env: TokenVectorEnv | SyncVectorEnv) -> None:
        """Take the environment."""
        self.env: Any = env

    def begin(self) -> np.ndarray:
        """See `Contender`."""
        if isinstance(self.env, TokenVectorEnv):
            self.env.settle_rewards()
        return self.env.reset(seed=0)[0]

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `Contender`."""
        return self.env.step(actions)[0]


class StableBaselinesRows:
    """An SB3 `VecEnv`."""

    def __init__(self, env: Any) -> None:
        """Take the environment."""
        self.env = env

    def begin(self) -> np.ndarray:
        """See `Contender`."""
        self.env.seed(0)
        return self.env.reset()

    def step(self, actions: np.ndarray) -> np.ndarray:
        """See `Contender`."""
        return self.env.step(actions)[0]


def contenders(num_rows: int, width: int = WIDTH) -> dict[str, Contender]:
    """Return the three ways to play `num_rows` rows."""
    sizes = {"max_prompt_tokens": PROMPT_TOKENS, "max_new_tokens": width - PROMPT_TOKENS}

    def single() -> TokenEnv:
        return TokenEnv(build_task, **sizes)

    singles: list[Callable[[], TokenEnv]] = [single] * num_rows
    native = TokenVectorEnv(build_task, num_rows, reward_timing="deferred", **sizes)
    sync = SyncVectorEnv(singles, autoreset_mode=AutoresetMode.SAME_STEP)
    return {
        NATIVE: GymnasiumRows(native),
        SYNC: GymnasiumRows(sync),
        DUMMY: StableBaselinesRows(DummyVecEnv(singles)),  # type: ignore[arg-type]
    }


@dataclass(frozen=True, kw_only=True)
class Actions:
    """What all contenders play in one round.

    Attributes:
        plain: (T, N) int64, no end among them; T below the longest response.
        ending: (T, N) int64, in each step a twentieth of the rows (at least one) ends.
    """

    plain: np.ndarray
    ending: np.ndarray

    @classmethod
    def drawn(cls, num_rows: int, num_steps: int) -> Actions:
        """Draw them; the rows that end move on from step to step."""
        plain, ending = np.random.default_rng(0).integers(
            0, VOCABULARY - 1, (2, num_steps, num_rows)
        )
        count = max(1, num_rows // ROWS_PER_END)
        for step in range(num_steps):
            ending[step, (step * count + np.arange(count)) % num_rows] = VOCABULARY - 1
        return cls(plain=plain, ending=ending)


def step_times(contender: Contender, actions: np.ndarray) -> list[float]:
    """Return the microseconds of each step; as in a loop, one observation is kept at a time."""
    times = []
    for chosen in actions:
        start = time.perf_counter()
        obs = contender.step(chosen)
        times.append(1e6 * (time.perf_counter() - start))
    assert obs.shape[0] == actions.shape[1]
    return times


def measure(num_rows: int, num_steps: int, repeats: int) -> dict[str, dict[str, float]]:
    """Let the contenders take turns, round by round.

    Returns:
        Contender to the median microseconds of its steps, by "plain" and "ending".
    """
    rows, actions = contenders(num_rows), Actions.drawn(num_rows, num_steps)
    times: dict[str, dict[str, list[float]]] = {name: {"plain": [], "ending": []} for name in rows}
    for round_index in range(repeats + 1):
        for name, contender in rows.items():
            contender.begin()
            plain, ending = (step_times(contender, a) for a in (actions.plain, actions.ending))
            if round_index:
                times[name]["plain"] += plain
                times[name]["ending"] += ending
    return {
        name: {kind: median(found) for kind, found in kinds.items()}
        for name, kinds in times.items()
    }


def ratios_of(measured: dict[int, dict[str, dict[str, float]]]) -> dict[str, float]:
    """Return microseconds of the native steps and how many times longer the others take."""
    ratios = {}
    for num_rows, by_name in measured.items():
        for kind, suffix in (("plain", ""), ("ending", "_with_ends")):
            own = by_name[NATIVE][kind]
            ratios[f"env_step_us_n{num_rows}{suffix}"] = own
            ratios[f"dummy_over_env_step_n{num_rows}{suffix}"] = by_name[DUMMY][kind] / own
            ratios[f"sync_over_env_step_n{num_rows}{suffix}"] = by_name[SYNC][kind] / own
    return ratios


def main() -> None:
    """Measure, print the table, write the JSON."""
    args = parse_arguments(__doc__ or "")
    num_steps = 40 if args.quick else 100
    measured = {num_rows: measure(num_rows, num_steps, args.repeats) for num_rows in ROWS}
    ratios = ratios_of(measured)
    print_table(
        f"microseconds per vector step, L = {WIDTH}, median",
        ("rows", "environment", "no ends", f"N/{ROWS_PER_END} rows end"),
        [
            (num_rows, name, kinds["plain"], kinds["ending"])
            for num_rows, by_name in measured.items()
            for name, kinds in by_name.items()
        ],
    )
    print_table(
        "goals: env_step_us_n256 <= 300, dummy_over >= 5", ("figure", "value"), list(ratios.items())
    )
    write_json(args.json, "env_step", ratios, {"microseconds": measured})


if __name__ == "__main__":
    main()
