"""TextGym: reinforcement learning from human feedback as a literal Gymnasium loop.

Importing the package registers its environments and loads no torch; the names below are imported
when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from textgym import suites
from textgym.envs_registry.specs import register_all
from textgym.rollout import rollout
from textgym.types import Episode, Prompt

__version__ = "0.1.0"

# Name to module: these need much of the package, so they wait for their first use. `rollout` may
# not: importing the module of the same name would put the module in the function's place.
_LAZY = {
    "register_text_env": "textgym.registration",
    "check_text_env": "textgym.testing",
}

__all__ = [
    "Episode",
    "Prompt",
    "__version__",
    "check_text_env",
    "register_text_env",
    "rollout",
    "suites",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _LAZY:
        raise AttributeError(f"module 'textgym' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


register_all()
