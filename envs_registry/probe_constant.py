"""Probe-Constant-v0: write the one right token, again and again.

Description:
    The prompt is always the same, and every token that is "c" pays. The fault that it isolates:
    the policy does not follow the reward at all (a wrong sign, a detached loss, actions paired
    with other steps' advantages). With it the return stays at 1/6, the one of random tokens.
    Solved: a mean score of at least 0.95.
Observation:
    `Box(0, 6, (5,), int64)`: the prompt ">", up to four response tokens, 6 where empty.
Action:
    `Discrete(6)`: the tokens `> a b c d e`.
Reward:
    At the end the score, the share of tokens that are "c". The reference is uniform, so its half
    of the KL penalty is the same for every response; `kl_coef` is 0 by default.
Episode end:
    After four tokens; there is no end token.
Info:
    As in every text environment (docs/environment.md); `gold_score` is the score. At the end
    `regret`, the best score of the prompt less the score.

Arguments:
    Those of `TextEnvConfig` but for data, models, `tokenizer` and `action_tokens`, which are
    fixed. `solution` of the unwrapped environment has V*, Q* and the best return, exactly. With
    another `reward`, `action_mask`, `stop` or `missing_eos_score` what is best is not known: no
    `regret`, and `solution` raises.
Data:
    One prompt; `reset` takes no other text.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence

from textgym.envs_registry.probe_machine import Probe, State
from textgym.envs_registry.probes import ProbeConfig, ProbeEnv, ProbeVectorEnv, probe_task
from textgym.task import TextTask


class ConstantProbe(Probe):
    """Counts the right tokens."""

    symbols = "> a b c d e"
    prompts = (">",)

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the count of right tokens."""
        return 0

    def advance(self, state: State, symbol: str) -> State:
        """Count `symbol` if it is the right one."""
        return state + (symbol == "c")

    def score(self, state: State, num_tokens: int) -> float:
        """Return the share of tokens that are "c"."""
        return state / num_tokens

    def faulty_choices(self, state: State) -> str:
        """Return all symbols: nothing was learned."""
        return self.symbols


def build_task(config: ProbeConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, ConstantProbe())


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 1, "max_new_tokens": 4}


class ConstantEnv(ProbeEnv):
    """One row of Probe-Constant-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class ConstantVectorEnv(ProbeVectorEnv):
    """N rows of Probe-Constant-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
