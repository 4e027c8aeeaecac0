"""Training data cut as the environments cut it: what they hold out is never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgym.agents.supervised.preference_data import load_preferences
from textgym.agents.supervised.text_data import load_text_pairs
from textgym.file_prompts import FilePrompts

HELD_OUT = ("validation", "test")


def turns(*texts: str) -> str:
    names = ("Human", "Assistant")
    return "".join(f"\n\n{names[i % 2]}: {text}" for i, text in enumerate(texts))


@pytest.fixture
def dialogues(tmp_path: Path) -> Path:
    """Return 40 comparisons: two are empty or equal, three part before the last reply."""
    rows = []
    for i in range(40):
        chosen, rejected = turns(f"question {i}", f"good {i}"), turns(f"question {i}", "bad")
        if i in (3, 4):
            rejected = chosen if i == 3 else turns(f"question {i}", "")
        if i in (5, 6, 7):
            chosen = turns(f"question {i}", "good", "and then", "more")
        rows.append({"chosen": chosen, "rejected": rejected})
    file = tmp_path / "dialogues.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def environment_prompts(file: Path, *splits: str) -> set[str]:
    return {prompt.text for split in splits for prompt in FilePrompts(file, split=split)}


def test_text_pairs_follow_the_environments_splits(dialogues: Path) -> None:
    train = load_text_pairs(dialogues, splits=["train"])
    held_out = load_text_pairs(dialogues, splits=HELD_OUT, template="<{prompt}>")
    assert {pair.prompt for pair in train} == environment_prompts(dialogues, "train")
    wanted = {f"<{text}>" for text in environment_prompts(dialogues, *HELD_OUT)}
    assert {pair.prompt for pair in held_out} == wanted
    assert (len(train), len(held_out)) == (32, 8)


def test_comparisons_follow_them_where_rows_are_left_out_or_part_early(dialogues: Path) -> None:
    train = load_preferences(dialogues, splits=["train"])
    held_out = load_preferences(dialogues, splits=HELD_OUT)
    both = load_preferences(dialogues)
    assert {*train.pairs, *held_out.pairs} == set(both.pairs) and len(both.pairs) == 38
    assert train.n_ties + held_out.n_ties == train.n_unusable + held_out.n_unusable == 1
    allowed = environment_prompts(dialogues, "train")
    # A dialogue that parts early is compared from there on, so its prompt is a beginning of one.
    assert all(any(text.startswith(pair.prompt) for text in allowed) for pair in train.pairs)


def test_unknown_split(dialogues: Path) -> None:
    with pytest.raises(ValueError, match="got 'dev'"):
        load_text_pairs(dialogues, splits=["dev"])
