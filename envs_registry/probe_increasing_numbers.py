"""Probe-IncreasingNumbers-v0: climb, and leave room to climb.

Description:
    The prompt is a number from 0 to 4; five tokens follow, and they pay as long as each is larger
    than the one before it. A large step is as good as a small one now, and worse later: after a 9
    nothing can follow. The fault that it isolates: no looking ahead (a value function that is not
    bootstrapped or not of the state, a discount of 0). Drawing among all that climb now gets .51.
    Solved: a mean score of at least 0.95.
Observation:
    `Box(0, 10, (6,), int64)`: the number in the prompt, up to five response tokens, 10 where
    empty.
Action:
    `Discrete(10)`: the tokens `0 1 2 3 4 5 6 7 8 9`.
Reward:
    At the end the score, the share of tokens before the first that does not climb. The reference
    is uniform, so its half of the KL penalty is the same for every response; `kl_coef` is 0 by
    default.
Episode end:
    After five tokens; there is no end token.
Info:
    As in every text environment (docs/environment.md); `gold_score` is the score. At the end
    `regret`, the best score of the prompt less the score.

Arguments:
    Those of `TextEnvConfig` but for data, models, `tokenizer` and `action_tokens`, which are
    fixed. `solution` of the unwrapped environment has V*, Q* and the best return, exactly. With
    another `reward`, `action_mask`, `stop` or `missing_eos_score` what is best is not known: no
    `regret`, and `solution` raises.
Data:
    The five prompts, in every split; `reset` takes no other text.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence

from textgym.envs_registry.probe_machine import Probe, State
from textgym.envs_registry.probes import ProbeConfig, ProbeEnv, ProbeVectorEnv, probe_task
from textgym.task import TextTask


class IncreasingNumbersProbe(Probe):
    """Follows the climb until it breaks."""

    symbols = "0 1 2 3 4 5 6 7 8 9"
    prompts = ("0", "1", "2", "3", "4")

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the last number, None once the climb is broken, and its length."""
        return int(prompt[-1]), 0

    def advance(self, state: State, symbol: str) -> State:
        """Climb on with `symbol`, or break."""
        last, length = state
        is_climbing = last is not None and int(symbol) > last
        return (int(symbol), length + 1) if is_climbing else (None, length)

    def score(self, state: State, num_tokens: int) -> float:
        """Return the share of tokens before the first that does not climb."""
        return state[1] / num_tokens

    def faulty_choices(self, state: State) -> str:
        """Return every number that climbs now; any, where none does."""
        last = state[0]
        higher = self.symbols.split()[0 if last is None else last + 1 :]
        return " ".join(higher) or self.symbols


def build_task(config: ProbeConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, IncreasingNumbersProbe())


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 1, "max_new_tokens": 5}


class IncreasingEnv(ProbeEnv):
    """One row of Probe-IncreasingNumbers-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class IncreasingVectorEnv(ProbeVectorEnv):
    """N rows of Probe-IncreasingNumbers-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
