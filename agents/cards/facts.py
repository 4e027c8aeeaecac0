"""What an environment says of itself: the part of a card that needs nothing to be measured."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from textgym.envs_registry.specs import EnvRow
from textgym.testing.run_checks import section_of

HEADINGS = (
    "Description",
    "Observation",
    "Action",
    "Reward",
    "Episode end",
    "Info",
    "Arguments",
    "Data",
    "Version history",
)
COUNT = 5
OWN_LICENCE = "made by the code of this repository, under its licence (Apache-2.0)"
NO_DATA = "no data"
USERS_LICENCE = "that of the data set which the arguments name"


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """The facts of one environment.

    Attributes:
        row: Its row in the table of environments.
        sections: Heading to text, in the order of `HEADINGS`, from the module's docstring.
        spaces: The observation and the action space, written out; empty where it needs arguments.
        samples: `COUNT` sample prompts (of worlds: first views), none where it needs arguments.
        licence: Of its data.
    """

    row: EnvRow
    sections: Mapping[str, str]
    spaces: tuple[str, ...]
    samples: tuple[str, ...]
    licence: str


def facts_of(row: EnvRow) -> CardFacts:
    """Read an environment: its docstring, and a made one for spaces and prompts.

    Raises:
        ImportError: It needs a package that is not installed.
    """
    module = importlib.import_module(row.entry_point.split(":")[0])
    docstring = inspect.getdoc(module) or ""
    sections = {heading: section_of(docstring, heading) for heading in HEADINGS}
    spaces: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    if not row.needs:
        kwargs: dict[str, Any] = {"split": "validation"} if row.family == "token" else {}
        env = gym.make(row.id, **kwargs)
        spaces = (_plain(env.observation_space), _plain(env.action_space))
        samples = sample_prompts(row, env)
        env.close()
    return CardFacts(
        row=row,
        sections=sections,
        spaces=spaces,
        samples=samples,
        licence=_licence(row, sections["Data"]),
    )


def sample_prompts(row: EnvRow, env: gym.Env) -> tuple[str, ...]:
    """Return the first prompts of the validation split; of worlds, what is seen at first."""
    if row.family == "token":
        prompts = env.unwrapped.task.prompts  # type: ignore[attr-defined]
        return tuple(prompts[index].text for index in range(min(COUNT, len(prompts))))
    if "ansi" not in env.metadata["render_modes"]:
        return ()
    shown = gym.make(row.id, render_mode="ansi")
    found = []
    for seed in range(COUNT):
        shown.reset(seed=seed)
        found.append(str(shown.render()))
    shown.close()
    return tuple(dict.fromkeys(found))


def _licence(row: EnvRow, data: str) -> str:
    if row.needs:
        return USERS_LICENCE
    return NO_DATA if data.strip() in ("None.", "") else OWN_LICENCE


def _plain(space: gym.Space) -> str:
    """Return a space on one line; long bounds are cut."""
    return re.sub(r"\s+", " ", str(space))[:120]


def as_plain(facts: CardFacts) -> dict[str, Any]:
    """Return what is compared with a card that was written before, as JSON values."""
    return {"spaces": list(facts.spaces), "samples": list(facts.samples), "licence": facts.licence}
