"""How an environment reads a user's data set: which columns, what prompt, which utility."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from textgym.dataset_files import columns_hint
from textgym.prompts import PromptList, PromptSource
from textgym.rewards.base import RewardFn
from textgym.types import Prompt


@dataclass(frozen=True, kw_only=True)
class DatasetForm:
    """What an environment asks of a data set, and what it makes of its items.

    Attributes:
        env_id: The environment, for messages.
        needs: What items must have, name to what it is for: "reference" (at least one item has
            one), or a column, which is found in the facts.
        to_prompt: The environment's prompt of an item (`text` is the column `prompt`, `facts` hold
            the other columns); raises ValueError where the item cannot be used.
        gold: Hidden utility of these prompts, None for none.
        learn_gold: Makes the hidden utility of the data set's own "train" split, of items before
            `to_prompt`; None where it need not be learned.
        columns: The mapping for rows that have these columns and no `prompt`, None for none:
            `"prompt=context,question=question,reference=answers"`.
        names: What `dataset_columns` may map beside the usual names.
    """

    env_id: str
    to_prompt: Callable[[Prompt], Prompt]
    needs: dict[str, str]
    gold: RewardFn | None = None
    learn_gold: Callable[[PromptSource], RewardFn] | None = None
    columns: str | None = None
    names: tuple[str, ...] = ()

    def fit(self, source: PromptSource) -> PromptSource:
        """Return the environment's prompts; those in memory are all made, and checked, at once.

        Raises:
            ValueError: The data set lacks what the environment needs.
        """
        looked_at = self._checked(source)
        if isinstance(source, PromptList):
            return PromptList([self.prompt_of(prompt) for prompt in looked_at])
        self.prompt_of(looked_at[0])
        return FormedPrompts(source, self)

    def gold_of(self, train: Callable[[], PromptSource]) -> RewardFn | None:
        """Return the hidden utility of the data set; `train` gives its "train" split.

        Raises:
            ValueError: The data set lacks what there is to learn from.
        """
        if self.learn_gold is None:
            return self.gold
        source = train()
        self._checked(source)
        try:
            return self.learn_gold(source)
        except ValueError as error:
            raise ValueError(f"{self.env_id}: the dataset's gold: {error}") from error

    def prompt_of(self, prompt: Prompt) -> Prompt:
        """Return the environment's prompt of one item.

        Raises:
            ValueError: The item cannot be used; the message names it.
        """
        try:
            return replace(self.to_prompt(prompt), prompt_id=prompt.prompt_id)
        except ValueError as error:
            raise ValueError(
                f"{self.env_id}: prompt {prompt.prompt_id} of the dataset: {error}"
            ) from error

    def _checked(self, source: PromptSource) -> list[Prompt]:
        """The prompts that are in memory, or the first, after a check of what they have."""
        count = len(source) if isinstance(source, PromptList) else 1
        prompts = [source[i] for i in range(count)]
        for name, purpose in self.needs.items():
            self._check(name, purpose, prompts)
        return prompts

    def _check(self, name: str, purpose: str, prompts: list[Prompt]) -> None:
        if name == "reference":
            is_there = any(prompt.references for prompt in prompts)
        else:
            is_there = all(name in prompt.facts for prompt in prompts)
        if not is_there:
            has = sorted(set().union(*(prompt.facts for prompt in prompts)))
            raise ValueError(
                f"{self.env_id} needs {purpose} in the dataset, got prompts without {name!r} "
                f"(other columns: {has}); say which is which with {columns_hint(self.needs)}"
            )


class FormedPrompts:
    """Another source's prompts in an environment's form, made when they are asked for."""

    def __init__(self, source: PromptSource, form: DatasetForm) -> None:
        """Wrap `source`."""
        self._source, self._form = source, form

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self._source)

    def __getitem__(self, prompt_id: int) -> Prompt:
        """Return one prompt; see `DatasetForm.prompt_of`."""
        return self._form.prompt_of(self._source[prompt_id])
