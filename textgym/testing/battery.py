"""Which checks each family of environments has to pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textgym.testing.api_checks import check_libraries, check_pickle, check_rendering, check_spec
from textgym.testing.case import Case
from textgym.testing.gold_order import check_gold_order
from textgym.testing.isolation import check_generators, check_offline
from textgym.testing.learning import check_ppo_update
from textgym.testing.run_checks import (
    check_ends,
    check_infos,
    check_seeding,
    check_spaces,
    check_terms,
)
from textgym.testing.vector_checks import (
    check_autoreset,
    check_deferred,
    check_vector_equals_single,
)

Check = Callable[[Case], None]

FAMILIES = ("token", "tag", "control", "tabular")

# Offline first: later environments find models in a cache, where nothing is looked for anew.
_EVERYWHERE: tuple[Check, ...] = (
    check_offline,
    check_libraries,
    check_spec,
    check_pickle,
    check_rendering,
    check_seeding,
    check_spaces,
    check_ends,
    check_infos,
    check_terms,
    check_generators,
    check_vector_equals_single,
    check_autoreset,
    check_ppo_update,
)
CHECKS: Mapping[str, tuple[Check, ...]] = {
    "token": (*_EVERYWHERE, check_deferred),
    "tag": (*_EVERYWHERE, check_deferred),
    "control": _EVERYWHERE,
    "tabular": _EVERYWHERE,
}


def check_env(
    id: str,
    family: str,
    *,
    num_envs: int = 3,
    num_steps: int = 60,
    seed: int = 0,
    gold_episodes: int = 0,
    **kwargs: Any,
) -> None:
    """Check that an environment keeps the contract of its family.

    Gymnasium's and SB3's `check_env` without warnings; `spec.to_json()`, pickling and render modes;
    same seed, same episodes; observations in their space; documented keys of infos; terms that
    sum to the reward; vector equal to single environments in the three autoreset modes; nothing
    looked for in a network; no global generator touched; one PPO update. Of text environments
    also: deferred rewards equal stepwise ones (of tags, where they can be deferred). With
    `gold_episodes` that better policies earn more, see `check_gold_order`.

    Args:
        id: A registered id.
        family: "token" (an action is a token), "tag" (a few actions over text), "control" (no
            text), "tabular" (states and actions that can be counted). The last two may truncate.
        num_envs: Rows of the vector environments, at least 2.
        num_steps: Random steps of each comparison.
        seed: Of resets and actions.
        gold_episodes: Episodes of each policy whose gold is compared, where a best policy or a
            reference is known: 64 is a good number; 0 leaves it out.
        **kwargs: For `gym.make`.

    Raises:
        AssertionError: Something does not hold; the message says what.
        ValueError: There is no such family, or `gold_episodes` is negative.
    """
    if gold_episodes < 0:
        raise ValueError(f"gold_episodes must be at least 0, got {gold_episodes!r}")
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, got {family!r}")
    case = Case(
        id=id, family=family, kwargs=kwargs, num_envs=num_envs, num_steps=num_steps, seed=seed
    )
    for check in CHECKS[family]:
        check(case)
    if gold_episodes:
        check_gold_order(case, gold_episodes)


def check_text_env(
    id: str,
    *,
    num_envs: int = 3,
    num_steps: int = 60,
    seed: int = 0,
    gold_episodes: int = 0,
    **kwargs: Any,
) -> None:
    """Check that an environment keeps the contract of docs/environment.md.

    As `check_env(id, "token", ...)`, which says what is checked.

    Raises:
        AssertionError: Something does not hold; the message says what.
    """
    sizes = {"num_envs": num_envs, "num_steps": num_steps, "gold_episodes": gold_episodes}
    check_env(id, "token", seed=seed, **sizes, **kwargs)
