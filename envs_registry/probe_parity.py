"""Probe-Parity-v0: is the number of ones odd?

Description:
    The prompt is four bits and "="; the answer is one token: 1 where the number of ones is odd,
    else 0. The fault that it isolates: inputs are not combined (a layer without its nonlinearity,
    an attention that sees one position only). A policy that is linear in the tokens, or lacks one
    of the bits, gets 1/2. With more tokens (`max_new_tokens`) the last one is the answer, and
    those before it are room to work in. Solved: a mean score of at least 0.95.
Observation:
    `Box(0, 3, (6,), int64)`: four bits and "=", then the answer, 3 where empty.
Action:
    `Discrete(3)`: the tokens `0 1 =`.
Reward:
    At the end the score, 1 where the last token is the parity of the bits, else 0. The reference
    is uniform, so its half of the KL penalty is the same for every response; `kl_coef` is 0 by
    default.
Episode end:
    After one token; there is no end token.
Info:
    As in every text environment (docs/environment.md); `gold_score` is the score. At the end
    `regret`, the best score of the prompt less the score.

Arguments:
    Those of `TextEnvConfig` but for data and models, which are fixed. `solution` of the unwrapped
    environment has V*, Q* and the best return, exactly.
Data:
    All 16 prompts, in every split.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from textgym.envs_registry.probes import (
    Probe,
    ProbeConfig,
    ProbeEnv,
    ProbeVectorEnv,
    State,
    probe_task,
)
from textgym.task import TextTask


class ParityProbe(Probe):
    """Compares the last token with the parity of the bits."""

    symbols = "0 1 ="
    prompts = tuple(f"{' '.join(bits)} =" for bits in product("01", repeat=4))

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the right answer, and that there is none yet."""
        return str(prompt.count("1") % 2), None

    def advance(self, state: State, symbol: str) -> State:
        """Take `symbol` as the answer so far."""
        return state[0], symbol

    def score(self, state: State, num_tokens: int) -> float:
        """Return 1 where the last token is the parity of the bits, else 0."""
        return float(state[0] == state[1])

    def faulty_choices(self, state: State) -> str:
        """Return the two answers."""
        return "0 1"


def build_task(config: ProbeConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, ParityProbe())


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 5, "max_new_tokens": 1}


class ParityEnv(ProbeEnv):
    """One row of Probe-Parity-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class ParityVectorEnv(ProbeVectorEnv):
    """N rows of Probe-Parity-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
