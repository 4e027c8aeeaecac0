"""What a single environment does while it is played: seeds, infos, rewards, ends."""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from textgym.info_keys import expected_reset_keys, expected_step_keys
from textgym.testing.case import TOLERANCE, Case, assert_same, equivalent, random_actions

# Played on beyond `num_steps` until this many episodes have ended, at most so many steps.
EPISODES, MOST_STEPS = 2, 3000
SEEDS = 8


class Played(NamedTuple):
    """What one call returned; a reset has no reward and has ended nothing."""

    observation: Any
    reward: float | None
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def is_end(self) -> bool:
        """Whether the step ended the episode."""
        return self.terminated or self.truncated


def played(case: Case, env: Any) -> Iterator[Played]:
    """Play random steps, resets included, until enough episodes have ended."""
    draw = random_actions(env, case.seed)
    observation, info = env.reset(seed=case.seed)
    yield Played(observation, None, False, False, info)
    step = ended = 0
    while step < case.num_steps or (ended < EPISODES and step < MOST_STEPS):
        found = Played(*env.step(draw()))
        yield found
        step += 1
        if found.is_end:
            ended += 1
            observation, info = env.reset()
            yield Played(observation, None, False, False, info)


def check_seeding(case: Case) -> None:
    """Check that the same seed and actions give the same episodes, and that seeds matter."""
    first, second = case.make(), case.make()
    for one, other in zip(played(case, first), played(case, second), strict=True):
        assert_same(one, other, "the same seed and actions")
    if _should_differ(case, first.unwrapped):
        starts = [first.reset(seed=seed) for seed in range(SEEDS)]
        assert not all(equivalent(start, starts[0]) for start in starts), (
            f"seeds 0 to {SEEDS - 1} all begin with {starts[0]}"
        )


def _should_differ(case: Case, env: Any) -> bool:
    if case.family == "token":
        return len(env.task.prompts) > 1
    return case.family in ("tag", "control")


def check_spaces(case: Case) -> None:
    """Check that every observation lies in its space and shares no memory with later ones."""
    env = case.make()
    kept, copies = [], []
    for found in played(case, env):
        assert found.observation in env.observation_space, (
            f"the observation {found.observation} is not in {env.observation_space}"
        )
        kept.append(found.observation)
        copies.append(_copy(found.observation))
    assert all(map(equivalent, kept, copies)), "an observation changed after it was returned"


def _copy(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: _copy(value) for key, value in observation.items()}
    return observation.copy() if hasattr(observation, "copy") else observation


def check_ends(case: Case) -> None:
    """Check that episodes end, and that only tasks that go on for ever are truncated."""
    ends = [found for found in played(case, case.make()) if found.is_end]
    assert ends, f"no episode ended within {MOST_STEPS} random steps"
    if case.family in ("token", "tag"):
        assert not any(found.truncated for found in ends), (
            "an episode was truncated: a cap is part of a task of text, so it terminates"
        )


def check_terms(case: Case) -> None:
    """Check that the terms of a reward sum to it, wherever an info has them."""
    ended = has_terms = False
    for found in played(case, case.make()):
        ended |= found.is_end
        if found.reward is None or "reward_terms" not in found.info:
            continue
        has_terms, terms = True, found.info["reward_terms"]
        total = sum(terms.values())
        assert math.isclose(total, found.reward, abs_tol=TOLERANCE), (
            f"the terms {terms} sum to {total}, not to the reward {found.reward}"
        )
    assert has_terms or not ended or case.family != "token", "no final info has reward_terms"


def check_infos(case: Case) -> None:
    """Check that infos hold the documented keys, all of them and no others.

    Of text environments these are the table of docs/environment.md; beyond it, and of others, the
    names in backticks in the section "Info:" of the docstring of the class or of its module.
    Names of arguments stand there for themselves.
    """
    env: Any = case.make()
    documented = documented_keys(type(env.unwrapped))
    seen: set[str] = set()
    for found in played(case, env):
        keys = set(found.info)
        expected = _expected(case, env.unwrapped, found)
        assert keys >= expected, f"an info lacks {sorted(expected - keys)}, it has {sorted(keys)}"
        unknown = keys - expected - documented
        assert not unknown, f"an info has {sorted(unknown)}, which no documentation names"
        seen |= keys
    if case.family != "token":
        missing = documented - seen
        assert not missing, f"documented but never returned: {sorted(missing)}"


def _expected(case: Case, env: Any, found: Played) -> frozenset[str]:
    if case.family != "token":
        return frozenset()
    if found.reward is None:
        return expected_reset_keys(env)
    return expected_step_keys(env, is_end=found.is_end)


def documented_keys(env_class: type) -> set[str]:
    """Return the names in backticks of a docstring's section "Info:", arguments left out."""
    module = sys.modules[env_class.__module__]
    texts = [inspect.getdoc(env_class) or "", inspect.getdoc(module) or ""]
    section = next((found for text in texts if (found := section_of(text, "Info"))), "")
    config = getattr(env_class, "config_class", None) or env_class
    return set(re.findall(r"`([a-z]\w*)`", section)) - set(inspect.signature(config).parameters)


def section_of(docstring: str, heading: str) -> str:
    """Return the indented lines below `heading:`, empty where there is none."""
    found = re.search(rf"^{heading}:\n((?:[ \t]+.*\n|\n)+)", docstring + "\n", re.MULTILINE)
    return "" if found is None else inspect.cleandoc(found.group(1))
