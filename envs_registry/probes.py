"""What the probes share: a tiny task of symbols whose every value is known exactly.

A `Probe` says what a response is worth as a small machine (`probe_machine.py`). The environment
scores responses by running it, and `ProbeSolution` (`probe_solution.py`) finds V*, Q* and the mean
return of any policy by backward induction over its states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from textgym.config import TextEnvConfig
from textgym.env_parts import EnvParts
from textgym.envs_registry.known_optimum import (
    FIXED,
    differences,
    refuse_fixed,
    refuse_tokenizer,
    require_known,
)
from textgym.envs_registry.probe_machine import Probe, ProbeScore
from textgym.envs_registry.probe_solution import ProbeSolution
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.token_env import TokenEnv
from textgym.types import Episode, Prompt
from textgym.vector_env import TokenVectorEnv


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(TextEnvConfig):
    """Arguments of a probe: its prompts, its symbols and its reference are its own."""

    def __post_init__(self) -> None:
        """Check the ranges, and refuse what would make another task of it."""
        super().__post_init__()
        refuse_fixed(self, FIXED)


def probe_task(config: ProbeConfig, probe: Probe) -> TextTask:
    """Return the task of a probe: its prompts, its score, and a uniform reference.

    Raises:
        ValueError: Other symbols or actions, or a prompt that does not fit.
    """
    tokenizer = f"symbols:{probe.symbols}"
    refuse_tokenizer(config, tokenizer)
    refuse_fixed(config, ("action_tokens",))
    longest = max(len(prompt.split()) for prompt in probe.prompts)
    if config.max_prompt_tokens < longest:
        raise ValueError(
            f"max_prompt_tokens must be at least the {longest} of the longest prompt, "
            f"got {config.max_prompt_tokens!r}"
        )
    solution = ProbeSolution(probe, config.max_new_tokens, 0.0)
    prompts = PromptList(
        Prompt(prompt_id=index, text=text, references=(" ".join(solution.best_response(text)),))
        for index, text in enumerate(probe.prompts)
    )
    written = [probe.symbols.split().index(action) for action in probe.actions.split()]
    config = replace(
        config,
        tokenizer=tokenizer,
        action_tokens=",".join(str(token) for token in written) or None,
    )
    gold = ProbeScore(probe)
    task = text_task(config, prompts=prompts, gold=gold)
    num_actions = len(task.action_tokens)

    def regret(episode: Episode, kl_coef: float, temperature: float) -> float:
        # The reference's half of the KL penalty is the same for every response.
        return solution.value(episode.prompt.text) - gold.score(episode)

    return replace(
        task,
        regret=None if differences(task, gold) else regret,
        make_reference=lambda num_rows, width: TableReference(
            lambda state: np.zeros(num_actions), task.action_tokens
        ),
    )


class ProbeParts(EnvParts):
    """What the single and the vector environment of a probe add: the solution."""

    config_class = ProbeConfig
    takes_any_prompt = False  # the machine reads its own prompts only

    @property
    def solution(self) -> ProbeSolution:
        """V*, Q* and the best return, for the current `kl_coef`.

        Raises:
            ValueError: Another score is paid, actions are masked, or responses end elsewhere: what
                is best is then another.
        """
        gold = self.task.gold
        assert isinstance(gold, ProbeScore), f"a probe is scored by its machine, not by {gold!r}"
        require_known(differences(self.task, gold))
        return ProbeSolution(gold.probe, self.max_new_tokens, self.kl_coef)


class ProbeEnv(ProbeParts, TokenEnv):
    """One row of a probe; a subclass sets `task_builder` and `default_kwargs`."""


class ProbeVectorEnv(ProbeParts, TokenVectorEnv):
    """N rows of a probe; a subclass sets the same."""
