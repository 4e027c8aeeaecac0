"""Probe-Copy-v0: say again what the prompt says.

Description:
    The prompt is three letters and ">"; the response must be the same letters in the same order.
    The fault that it isolates: actions do not depend on the observation (rows mixed up, a cache
    that holds another episode, positions that are off by one). A policy that is blind to the
    prompt gets 1/5. Solved: a mean score of at least 0.95.
Observation:
    `Box(0, 6, (7,), int64)`: three letters and ">", up to three response tokens, 6 where empty.
Action:
    `Discrete(6)`: the tokens `> a b c d e`.
Reward:
    At the end the score, the share of the three letters that stand in their place. The reference
    is uniform, so its half of the KL penalty is the same for every response; `kl_coef` is 0 by
    default.
Episode end:
    After three tokens; there is no end token.
Info:
    As in every text environment (docs/environment.md); `gold_score` is the score. At the end
    `regret`, the best score of the prompt less the score.

Arguments:
    Those of `TextEnvConfig` but for data, models, `tokenizer` and `action_tokens`, which are
    fixed. `solution` of the unwrapped environment has V*, Q* and the best return, exactly. With
    another `reward`, `action_mask`, `stop` or `missing_eos_score` what is best is not known: no
    `regret`, and `solution` raises.
Data:
    All 125 prompts, in every split; `reset` takes no other text.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from textgym.envs_registry.probe_machine import Probe, State
from textgym.envs_registry.probes import ProbeConfig, ProbeEnv, ProbeVectorEnv, probe_task
from textgym.task import TextTask


class CopyProbe(Probe):
    """Compares each token with the letter in its place."""

    symbols = "> a b c d e"
    prompts = tuple(f"{' '.join(letters)} >" for letters in product("abcde", repeat=3))

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the letters to come, and the count of right ones."""
        return tuple(prompt[:-1]), 0

    def advance(self, state: State, symbol: str) -> State:
        """Compare `symbol` with the next letter."""
        letters, right = state
        return (letters[1:], right + (symbol == letters[0])) if letters else state

    def score(self, state: State, num_tokens: int) -> float:
        """Return the share of the three letters that stand in their place."""
        return state[1] / 3

    def faulty_choices(self, state: State) -> str:
        """Return the letters, whatever the prompt says."""
        return "a b c d e"


def build_task(config: ProbeConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, CopyProbe())


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 4, "max_new_tokens": 3}


class CopyEnv(ProbeEnv):
    """One row of Probe-Copy-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class CopyVectorEnv(ProbeVectorEnv):
    """N rows of Probe-Copy-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
