"""Comparisons for reward models: TRL's format, whole dialogues (HH), or any columns by mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textgym.agents.supervised.text_data import prompts_of_splits, spaced
from textgym.comparison_rows import judgement_of
from textgym.dataset_files import Row, parse_columns, read_rows
from textgym.dialogues import RenderChat, split_dialogue

COLUMN_NAMES = ("prompt", "chosen", "rejected", "first", "second", "label", "margin", "subset")


@dataclass(frozen=True, kw_only=True)
class PreferencePair:
    """One judgement: of two responses to a prompt, which was preferred.

    Attributes:
        prompt: Exactly what is tokenised as the prompt.
        chosen: The preferred response, the space in front included.
        rejected: The other one.
        chosen_ids: Token ids of `chosen` with its end token, where it was sampled and must not be
            encoded again; empty: encode the text.
        rejected_ids: The same for `rejected`.
        margin: How much better, in the labeller's unit; None where nobody said.
        gold_margin: Noise-free utility of chosen minus rejected; None where unknown. Below 0
            where the labeller was wrong.
        is_tie: The labeller found them equal; which is called chosen then means nothing.
        subset: What sort of comparison it is, for measures apart; empty where nobody said.
    """

    prompt: str
    chosen: str
    rejected: str
    chosen_ids: tuple[int, ...] = ()
    rejected_ids: tuple[int, ...] = ()
    margin: float | None = None
    gold_margin: float | None = None
    is_tie: bool = False
    subset: str = ""


@dataclass(frozen=True, kw_only=True)
class PreferenceSet:
    """Comparisons and what was left out of them.

    Attributes:
        pairs: The comparisons, at least one.
        n_ties: Rows judged equal, or with the same text twice; left out unless asked for.
        n_unusable: Rows left out because a response was empty.
    """

    pairs: tuple[PreferencePair, ...]
    n_ties: int = 0
    n_unusable: int = 0


def load_preferences(
    dataset: str | Path,
    *,
    columns: str | None = None,
    template: str | None = None,
    render_chat: RenderChat | None = None,
    keep_ties: bool = False,
    splits: Sequence[str] | None = None,
) -> PreferenceSet:
    r"""Read comparisons from a file or from `datasets` (see `dataset_files.read_rows`).

    Without `columns`: `prompt`, `chosen`, `rejected` as strings or lists of messages; or `chosen`
    and `rejected` alone, each holding the prompt too (two lists of messages with a common
    beginning, or two dialogues that are cut behind their last "\n\nAssistant:").

    Args:
        dataset: JSONL, JSONL.gz, a folder saved by `datasets`, or `hf:org/name[:split]`.
        columns: `"prompt=question,chosen=good,rejected=bad"`, or, where a label says which is
            better, `"prompt=topic,first=a1,second=a2,label=label"`; `margin=…` and `subset=…` may
            be added. A label is 1 or 2 (0 is a tie), "first", "second" or "tie", or the name of a
            column.
        template: Text around the prompt, for example `"{prompt}\n\nTL;DR:"`.
        render_chat: Renders messages and dialogues; the plain Human/Assistant form where None.
        keep_ties: Keep rows judged equal as pairs with `is_tie`, to be trained as half a win for
            each side.
        splits: As `load_text_pairs`: only what an environment has in these splits.

    Raises:
        ValueError: A missing column (the message lists those there are), an unknown label, labels
            that are all the same, an unknown split, or no usable comparison.
    """
    mapping = parse_columns(columns, COLUMN_NAMES) if columns else {}
    found: list[PreferencePair] = []
    labels: set[int] = set()
    n_ties = n_unusable = 0
    judged = [
        (row, judgement_of(row, mapping, number, render_chat))
        for number, row in enumerate(read_rows(dataset))
    ]
    keys = [_environments_prompt(row, j[0], mapping, render_chat) for row, j in judged]
    kept = prompts_of_splits(keys, splits)
    for key, (row, (prompt, chosen, rejected, label)) in zip(keys, judged, strict=True):
        if key not in kept:
            continue
        if label:
            labels.add(label)
        is_tie = label == 0 or chosen == rejected
        n_ties += is_tie
        if is_tie and not (keep_ties and chosen != rejected):
            continue
        if not (chosen.strip() and rejected.strip()):
            n_unusable += 1
        else:
            prompt = template.replace("{prompt}", prompt) if template else prompt
            found.append(_pair(row, mapping, prompt, chosen, rejected, is_tie))
    _check(found, labels, mapping, dataset, n_ties + n_unusable)
    return PreferenceSet(pairs=tuple(found), n_ties=n_ties, n_unusable=n_unusable)


def split_by_prompt(
    pairs: Sequence[PreferencePair], held_out_fraction: float, seed: int = 0
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Split so that no prompt is on both sides.

    Args:
        pairs: Comparisons of at least two prompts.
        held_out_fraction: Share of the prompts that is held out, in (0, 1).
        seed: Draws which.

    Returns:
        Training pairs and held-out pairs, neither empty.

    Raises:
        ValueError: One prompt only, or a fraction outside (0, 1).
    """
    if not 0 < held_out_fraction < 1:
        raise ValueError(f"held_out_fraction must lie in (0, 1), got {held_out_fraction!r}")
    held = held_out_items([pair.prompt for pair in pairs], held_out_fraction, seed)
    return (
        [pair for pair in pairs if pair.prompt not in held],
        [pair for pair in pairs if pair.prompt in held],
    )


def held_out_items(prompts: Iterable[str], fraction: float, seed: int) -> set[str]:
    """Draw the prompts to hold out: at least one, and never all.

    Raises:
        ValueError: Fewer than two distinct prompts.
    """
    distinct = sorted(set(prompts))
    if len(distinct) < 2:
        raise ValueError(f"expected at least 2 distinct prompts to split, got {len(distinct)}")
    count = min(len(distinct) - 1, max(1, round(fraction * len(distinct))))
    drawn = np.random.default_rng(seed).permutation(len(distinct))[:count]
    return {distinct[i] for i in drawn}


def _pair(
    row: Row, mapping: Mapping[str, str], prompt: str, chosen: str, rejected: str, is_tie: bool
) -> PreferencePair:
    return PreferencePair(
        prompt=prompt,
        chosen=spaced(prompt, chosen),
        rejected=spaced(prompt, rejected),
        margin=_number(row, mapping.get("margin", "margin")),
        is_tie=is_tie,
        subset=str(row.get(mapping.get("subset", "subset")) or ""),
    )


def _environments_prompt(
    row: Row, prompt: str, mapping: Mapping[str, str], render_chat: RenderChat | None
) -> str:
    """Return the prompt that an environment reads in this row: the longer where dialogues part."""
    chosen = row.get("chosen")
    is_dialogue = not mapping and "prompt" not in row and isinstance(chosen, str)
    return split_dialogue(str(chosen), render_chat)[0] if is_dialogue else prompt


def _number(row: Row, column: str) -> float | None:
    value = row.get(column)
    return None if value is None else float(value)


def _check(
    found: list[PreferencePair],
    labels: set[int],
    mapping: Mapping[str, str],
    dataset: str | Path,
    left_out: int,
) -> None:
    if not found:
        raise ValueError(
            f"expected at least one usable comparison, got none in {str(dataset)!r} "
            f"({left_out} rows were ties or empty)"
        )
    if "label" in mapping and len(labels) == 1 and len(found) > 1:
        raise ValueError(
            f"every label of {str(dataset)!r} is {labels.pop()!r}: one class only, expected both; "
            "where the order says which is better, name the columns chosen=… and rejected=…"
        )
