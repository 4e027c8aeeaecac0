"""Probe-ExactKL-v0: a token MDP small enough to enumerate.

Description:
    Six tokens, four steps: every response can be listed, so the optimum of the KL-regularised
    objective is known exactly (`exact_kl_solution.exact_solution`) and an algorithm's distance to
    it can be measured. Nothing here loads a model. Solved: a relative regret of at most
    0.01: of J* - J as a share of J* - J_ref, what can be gained over the reference.
Observation:
    `Box(0, 6, (5,), int64)`: the prompt "<bos>" (token 0), up to four response tokens, 6 where
    empty.
Action:
    `Discrete(6)`: the tokens `<bos> a b c d <eos>`; `<bos>` may be written like any other.
Reward:
    `kl_coef * log pi_ref(a|s)` at each step, from a seeded random table of logits, plus at the end
    the score: a seeded random table over whole responses, standard normal.
Episode end:
    `<eos>`, or four tokens.
Info:
    As in every text environment (docs/environment.md); no `gold_score`. At the end `regret`: J*
    less what the environment paid for the episode. With the agent's half, `kl_coef` times the sum
    of log pi, added, its mean is J* - J(pi). Not where the solution is not known, see below.

Arguments:
    `table_seed` (0): draws both tables. Those of `TextEnvConfig` but for data, models, `tokenizer`,
    `reward` and `stop`, which are fixed; `kl_coef` is 0.1 by default: the optimum is nearly one
    response, and whoever finds it passes. To see which objective an algorithm seeks take
    `kl_coef=0.25`, where the best response alone has a relative regret of 0.046. `solution` of the
    unwrapped environment has V*, Q*, pi* and J* exactly. With `action_tokens`, `action_mask`,
    `min_new_tokens` or `missing_eos_score` the optimum is another: no `regret`, and `solution`
    raises.
Data:
    One prompt; `reset` takes no other text.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from textgym.config import TextEnvConfig, check_int
from textgym.env_parts import EnvParts
from textgym.envs_registry.exact_kl_solution import (
    EpisodeRegret,
    ExactSolution,
    exact_solution,
    unlike_the_tables,
)
from textgym.envs_registry.exact_kl_tables import (
    EOS,
    MAX_NEW_TOKENS,
    VOCAB_SIZE,
    ExactKLTables,
)
from textgym.envs_registry.known_optimum import FIXED, refuse_fixed, refuse_tokenizer
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.task import TextTask
from textgym.task_parts import action_tokens_from, mask_from, refuse_idle
from textgym.token_env import TokenEnv
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv

__all__ = ["EOS", "MAX_NEW_TOKENS", "VOCAB_SIZE", "ExactKLEnv", "ExactKLTables", "ExactKLVectorEnv"]

SYMBOLS = "symbols:<bos> a b c d <eos>"


@dataclass(frozen=True, kw_only=True)
class ExactKLConfig(TextEnvConfig):
    """Arguments of Probe-ExactKL-v0.

    Attributes:
        table_seed: Draws the reference's logits and the score of every response.
    """

    table_seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges, and refuse what would make another task of it."""
        super().__post_init__()
        check_int("table_seed", self.table_seed, at_least=0)
        # The table has no score for a response that ends in the middle.
        refuse_fixed(self, (*FIXED, "stop"))
        refuse_tokenizer(self, SYMBOLS)
        refuse_idle(self)
        if self.reward != "model":
            raise ValueError(
                f"reward must be 'model', the table of scores: it is fixed, got {self.reward!r}"
            )


class TableReward:
    """The score of a response, looked up."""

    name = "table"

    def __init__(self, tables: ExactKLTables) -> None:
        """Keep the tables."""
        self._tables = tables

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        scores = [self._tables.scores[episode.response_ids] for episode in episodes]
        return np.array(scores, dtype=np.float32)


def build_task(config: ExactKLConfig) -> TextTask:
    """Return the task: tables instead of models."""
    tokenizer = load_tokenizer(SYMBOLS)
    tables = ExactKLTables(config.table_seed, config.max_new_tokens)
    action_tokens = action_tokens_from(config, tokenizer)
    task = TextTask(
        config=config,
        prompts=PromptList(["<bos>"]),
        tokenizer=tokenizer,
        reward=TableReward(tables),
        make_reference=lambda num_rows, width: TableReference(
            lambda state: tables.reference_logits(state)[action_tokens], action_tokens
        ),
        eos_ids=tokenizer.eos_ids,
        stop=config.stop_strings,
        action_tokens=action_tokens,
        mask_fn=mask_from(config, action_tokens, tokenizer.eos_ids),
    )
    return task if unlike_the_tables(task) else replace(task, regret=EpisodeRegret(tables))


DEFAULTS = {"kl_coef": 0.1, "max_prompt_tokens": 1, "max_new_tokens": MAX_NEW_TOKENS}


class ExactKLParts(EnvParts):
    """What the single and the vector environment add: the solution."""

    config_class = ExactKLConfig
    default_kwargs = DEFAULTS
    takes_any_prompt = False  # the tables are those behind "<bos>"

    @property
    def solution(self) -> ExactSolution:
        """V*, Q*, pi* and J* for the current `kl_coef` and `temperature`.

        Raises:
            ValueError: `kl_coef` is 0, actions are masked or left out, or responses end or are
                paid otherwise than the tables say.
        """
        return exact_solution(self)


class ExactKLEnv(ExactKLParts, TokenEnv):
    """One row of Probe-ExactKL-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)


class ExactKLVectorEnv(ExactKLParts, TokenVectorEnv):
    """N rows of Probe-ExactKL-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
