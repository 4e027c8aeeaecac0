"""Probe-Parity-v0: is the number of ones odd?

Description:
    The prompt is three bits and "="; the answer is one token: 1 where the number of ones is odd,
    else 0. The fault that it isolates: inputs are not combined (a layer without its nonlinearity,
    an attention that sees one position only). A policy that lacks one of the bits gets 1/2, and
    one that is linear in them cannot solve it. With more tokens (`max_new_tokens`) the last one is
    the answer, and those before it are room to work in. Solved: a mean score of at least 0.95.
Observation:
    `Box(0, 3, (5,), int64)`: three bits and "=", then the answer, 3 where empty.
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
    `num_bits` (3), 1 to 8; more than 3 need `max_prompt_tokens` of as many and one. A transformer
    from scratch needs very long for 4. Those of `TextEnvConfig` but for data, models, `tokenizer`
    and `action_tokens`, which are fixed. `solution` of the unwrapped environment has V*, Q* and the
    best return, exactly. With another `reward`, `action_mask`, `stop` or `missing_eos_score` what
    is best is not known: no `regret`, and `solution` raises.
Data:
    All prompts, in every split; `reset` takes no other text.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from textgym.config import check_int
from textgym.envs_registry.probe_machine import Probe, State
from textgym.envs_registry.probes import ProbeConfig, ProbeEnv, ProbeVectorEnv, probe_task
from textgym.task import TextTask


@dataclass(frozen=True, kw_only=True)
class ParityConfig(ProbeConfig):
    """Arguments of Probe-Parity-v0.

    Attributes:
        num_bits: Bits of a prompt, 1 to 8.
    """

    num_bits: int = 3

    def __post_init__(self) -> None:
        """Check the range."""
        super().__post_init__()
        check_int("num_bits", self.num_bits, at_least=1)
        if self.num_bits > 8:
            raise ValueError(f"num_bits must be at most 8, got {self.num_bits!r}")


class ParityProbe(Probe):
    """Compares the last token with the parity of the bits."""

    symbols = "0 1 ="

    def __init__(self, num_bits: int) -> None:
        """List the prompts of so many bits."""
        self.prompts = tuple(f"{' '.join(bits)} =" for bits in product("01", repeat=num_bits))

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


def build_task(config: ParityConfig) -> TextTask:
    """Return the task."""
    return probe_task(config, ParityProbe(config.num_bits))


DEFAULTS = {"reward": "gold", "kl_coef": 0.0, "max_prompt_tokens": 4, "max_new_tokens": 1}


class ParityEnv(ProbeEnv):
    """One row of Probe-Parity-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    config_class = ParityConfig
    default_kwargs = DEFAULTS


class ParityVectorEnv(ProbeVectorEnv):
    """N rows of Probe-Parity-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    config_class = ParityConfig
    default_kwargs = DEFAULTS
