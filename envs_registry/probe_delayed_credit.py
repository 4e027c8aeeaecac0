"""Probe-DelayedCredit-v0: the first token decides, ten tokens later.

Description:
    Eleven tokens, of which only the first matters: "c" wins, but the score comes behind ten more
    that change nothing. The fault that it isolates: credit does not reach back (a discount or a
    lambda that decays too fast without a value function to carry the news, advantages that are cut
    at the wrong step, a bootstrap at a true end). With it the return stays at 1/6, the one of
    random tokens. Solved: a mean score of at least 0.95.
Observation:
    `Box(0, 6, (12,), int64)`: the prompt ">", up to eleven response tokens, 6 where empty.
Action:
    `Discrete(6)`: the tokens `> a b c d e`.
Reward:
    At the end the score, 1 where the first token is "c", else 0. The reference is uniform, so its
    half of the KL penalty is the same for every response; `kl_coef` is 0 by default.
Episode end:
    After eleven tokens; there is no end token.
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


class DelayedCreditProbe(Probe):
    """Remembers the first token."""

    symbols = "> a b c d e"
    prompts = (">",)

    def begin(self, prompt: Sequence[str]) -> State:
        """Return that no token was written yet."""
        return None

    def advance(self, state: State, symbol: str) -> State:
        """Judge the first token, and no other."""
        return symbol == "c" if state is None else state

    def score(self, state: State, num_tokens: int) -> float:
        """Return 1 where the first token is "c", else 0."""
        return float(bool(state))

    def faulty_choices(self, state: State) -> str:
        """Return all symbols: nothing was learned."""
        return self.symbols


def build_task(config: ProbeConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, DelayedCreditProbe())


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 1, "max_new_tokens": 11}


class DelayedCreditEnv(ProbeEnv):
    """One row of Probe-DelayedCredit-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class DelayedCreditVectorEnv(ProbeVectorEnv):
    """N rows of Probe-DelayedCredit-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
