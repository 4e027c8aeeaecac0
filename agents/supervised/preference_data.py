"""Comparisons for reward models: TRL's format, whole dialogues (HH), or any columns by mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgym.agents.supervised.text_data import prompts_of_splits, spaced
from textgym.dataset_files import Row, column_value, parse_columns, read_rows
from textgym.dialogues import (
    RenderChat,
    message_text,
    render_dialogue,
    render_messages,
    split_dialogue,
)

COLUMN_NAMES = ("prompt", "chosen", "rejected", "first", "second", "label", "margin")


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
    """

    prompt: str
    chosen: str
    rejected: str
    chosen_ids: tuple[int, ...] = ()
    rejected_ids: tuple[int, ...] = ()
    margin: float | None = None
    gold_margin: float | None = None
    is_tie: bool = False


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
            better, `"prompt=topic,first=a1,second=a2,label=label"`; `margin=…` may be added.
            A label is 1 or 2 (0 is a tie), "first", "second" or "tie", or the name of a column.
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
        (row, _judgement(row, mapping, number, render_chat))
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
            margin = _number(row, mapping.get("margin", "margin"))
            found.append(_pair(prompt, chosen, rejected, margin, is_tie))
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
    prompt: str, chosen: str, rejected: str, margin: float | None, is_tie: bool
) -> PreferencePair:
    return PreferencePair(
        prompt=prompt,
        chosen=spaced(prompt, chosen),
        rejected=spaced(prompt, rejected),
        margin=margin,
        is_tie=is_tie,
    )


def _judgement(
    row: Row, mapping: Mapping[str, str], number: int, render_chat: RenderChat | None
) -> tuple[str, str, str, int | None]:
    """Return prompt, chosen, rejected, and the label (None where the columns themselves say)."""
    if "label" in mapping or "first" in mapping or "second" in mapping:
        return _labelled(row, mapping, number, render_chat)
    chosen = column_value(row, mapping.get("chosen", "chosen"), number)
    rejected = column_value(row, mapping.get("rejected", "rejected"), number)
    if "prompt" in mapping or "prompt" in row:
        prompt = _prompt(column_value(row, mapping.get("prompt", "prompt"), number), render_chat)
        return prompt, _response(chosen), _response(rejected), None
    if isinstance(chosen, list):
        return (*_common_messages(chosen, rejected, number, render_chat), None)
    prompt, good = split_dialogue(chosen)
    other_prompt, bad = split_dialogue(rejected)
    if prompt != other_prompt:  # a few dialogues of HH part earlier: compare from there on
        prompt, good, bad = _common_turns(chosen, rejected)
    if render_chat is not None:
        prompt, good, bad = render_dialogue(prompt, render_chat), good.strip(), bad.strip()
    return prompt, good, bad, None


def _environments_prompt(
    row: Row, prompt: str, mapping: Mapping[str, str], render_chat: RenderChat | None
) -> str:
    """Return the prompt that an environment reads in this row: the longer where dialogues part."""
    chosen = row.get("chosen")
    is_dialogue = not mapping and "prompt" not in row and isinstance(chosen, str)
    return split_dialogue(str(chosen), render_chat)[0] if is_dialogue else prompt


def _labelled(
    row: Row, mapping: Mapping[str, str], number: int, render_chat: RenderChat | None
) -> tuple[str, str, str, int]:
    missing = [name for name in ("prompt", "first", "second", "label") if name not in mapping]
    if missing:
        raise ValueError(f"columns must also name {missing!r}, got {dict(mapping)!r}")
    first = _response(column_value(row, mapping["first"], number))
    second = _response(column_value(row, mapping["second"], number))
    prompt = _prompt(column_value(row, mapping["prompt"], number), render_chat)
    label = _label(column_value(row, mapping["label"], number), mapping, number)
    return (prompt, second, first, label) if label == 2 else (prompt, first, second, label)


def _label(value: Any, mapping: Mapping[str, str], number: int) -> int:
    known: dict[Any, int] = {0: 0, 1: 1, 2: 2, "0": 0, "1": 1, "2": 2}
    known.update({"tie": 0, "first": 1, "second": 2, mapping["first"]: 1, mapping["second"]: 2})
    key = value.strip() if isinstance(value, str) else value
    if isinstance(key, bool) or not isinstance(key, (str, int, float)) or key not in known:
        raise ValueError(f"row {number}: label must be one of {list(known)!r}, got {value!r}")
    return known[key]


def _common_messages(
    chosen: list[Any], rejected: Any, number: int, render_chat: RenderChat | None
) -> tuple[str, str, str]:
    if not isinstance(rejected, list) or not chosen or chosen[:-1] != rejected[:-1]:
        raise ValueError(
            f"row {number}: expected chosen and rejected to be message lists that differ in the "
            f"last message only, got {len(chosen)} messages and {str(rejected)[:60]!r}"
        )
    prompt = render_messages(chosen[:-1], render_chat)
    return prompt, message_text(chosen[-1]), message_text(rejected[-1])


def _common_turns(chosen: str, rejected: str) -> tuple[str, str, str]:
    same = 0
    while same < min(len(chosen), len(rejected)) and chosen[same] == rejected[same]:
        same += 1
    prompt, _ = split_dialogue(chosen[:same])
    return prompt, chosen[len(prompt) :], rejected[len(prompt) :]


def _prompt(value: Any, render_chat: RenderChat | None) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return render_messages(value, render_chat)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _response(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        return message_text(value[-1])
    return "" if value is None else str(value)


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
