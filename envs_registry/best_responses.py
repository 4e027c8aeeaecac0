"""What is the best response to a procedural prompt, for environments whose facts say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.env_parts import EnvParts
from textgym.types import Prompt


class BestResponseParts(EnvParts):
    """What the single and the vector environment add: the best known response to a prompt.

    A subclass sets `best_by_facts`.
    """

    @staticmethod
    def best_by_facts(facts: Mapping[str, Any]) -> str:
        """Return the best response to a procedural prompt with these facts."""
        raise NotImplementedError

    def best_known_response(self, prompt: Prompt) -> str:
        """Return the best response that is known, empty where none is.

        None is for the items of a `dataset`, whatever its columns are called: its other columns
        are its facts, and say something else. Nor for a prompt of one's own, which has no facts.
        """
        is_procedural = self.config.dataset is None and bool(prompt.facts)
        return self.best_by_facts(prompt.facts) if is_procedural else ""
