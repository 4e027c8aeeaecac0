"""Probe-ValueOnly-v0: nothing to decide, all to predict.

Description:
    The prompt is a digit, and the score is that digit over 7, whatever is written. There is
    nothing for the policy to learn; the value of every state is known, and that is the test. The
    fault that it isolates: the critic does not learn (no gradient, targets of other steps, a
    discount it was not told of). A critic that says the mean everywhere is wrong by .327 (root of
    the mean square). Solved: the values of all states are off by at most 0.05 (likewise), with a
    discount of 1.
Observation:
    `Box(0, 11, (4,), int64)`: the digit in the prompt, up to three letters, 11 where empty.
Action:
    `Discrete(3)`: the letters `a b c`, of the tokens `0 1 2 3 4 5 6 7 a b c`.
Reward:
    At the end the score, the prompt's digit over 7. The reference is uniform, so its half of the
    KL penalty is the same for every response; `kl_coef` is 0 by default.
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
    The eight prompts, in every split; `reset` takes no other text.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence

from textgym.envs_registry.probe_machine import Probe, State
from textgym.envs_registry.probes import ProbeConfig, ProbeEnv, ProbeVectorEnv, probe_task
from textgym.task import TextTask


class ValueOnlyProbe(Probe):
    """Knows the score from the beginning."""

    symbols = "0 1 2 3 4 5 6 7 a b c"
    actions = "a b c"
    prompts = ("0", "1", "2", "3", "4", "5", "6", "7")

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the digit."""
        return int(prompt[-1])

    def advance(self, state: State, symbol: str) -> State:
        """Change nothing."""
        return state

    def score(self, state: State, num_tokens: int) -> float:
        """Return the prompt's digit over 7."""
        return state / 7

    def faulty_choices(self, state: State) -> str:
        """Return all letters: there is nothing to choose."""
        return self.actions


def build_task(config: ProbeConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, ValueOnlyProbe())


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 1, "max_new_tokens": 3}


class ValueOnlyEnv(ProbeEnv):
    """One row of Probe-ValueOnly-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class ValueOnlyVectorEnv(ProbeVectorEnv):
    """N rows of Probe-ValueOnly-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
