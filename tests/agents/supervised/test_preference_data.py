"""Reading comparisons: TRL's format, dialogues, labels, ties, splits, errors, the real files."""

import json
from pathlib import Path

import pytest

from textgym.agents.supervised.preference_data import (
    PreferencePair,
    load_preferences,
    split_by_prompt,
)

REAL = Path(__file__).resolve().parents[4] / "shared" / "data"
USER = {"role": "user", "content": "hi"}
LABELLED = "prompt=topic,first=a1,second=a2,label=label"


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def reply(text):
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "\n\nHuman: hi\n\nAssistant:", "chosen": "good", "rejected": "bad"},
        {"prompt": [USER], "chosen": [reply("good")], "rejected": [reply("bad")]},
        {"chosen": [USER, reply("good")], "rejected": [USER, reply("bad")]},
        {
            "chosen": "\n\nHuman: hi\n\nAssistant: good",
            "rejected": "\n\nHuman: hi\n\nAssistant: bad",
        },
    ],
    ids=["strings", "messages", "implicit messages", "dialogues"],
)
def test_all_formats_give_the_same_pair(tmp_path, row):
    (pair,) = load_preferences(write(tmp_path / "d.jsonl", [row])).pairs
    assert pair == PreferencePair(
        prompt="\n\nHuman: hi\n\nAssistant:", chosen=" good", rejected=" bad"
    )


def test_dialogues_that_part_early_are_compared_from_there(tmp_path):
    start = "\n\nHuman: hi\n\nAssistant:"
    row = {
        "chosen": f"{start} good\n\nHuman: more\n\nAssistant: x",
        "rejected": f"{start} bad\n\nHuman: why\n\nAssistant: x",
    }
    (pair,) = load_preferences(write(tmp_path / "d.jsonl", [row])).pairs
    assert pair.prompt == start
    assert pair.chosen == " good\n\nHuman: more\n\nAssistant: x"
    assert pair.rejected == " bad\n\nHuman: why\n\nAssistant: x"


def test_labels_ties_and_margin(tmp_path):
    rows = [
        {"topic": "t", "a1": "x", "a2": "y", "label": "a2", "margin": 2},
        {"topic": "t", "a1": "x", "a2": "y", "label": 1},
        {"topic": "t", "a1": "x", "a2": "y", "label": 0},
        {"topic": "t", "a1": "x", "a2": "x", "label": 1},
        {"topic": "t", "a1": "x", "a2": "", "label": 1},
    ]
    found = load_preferences(write(tmp_path / "d.jsonl", rows), columns=LABELLED)
    assert [(p.chosen, p.rejected, p.margin) for p in found.pairs] == [
        (" y", " x", 2.0),
        (" x", " y", None),
    ]
    assert (found.n_ties, found.n_unusable) == (2, 1)
    kept = load_preferences(tmp_path / "d.jsonl", columns=LABELLED, keep_ties=True)
    assert [pair.is_tie for pair in kept.pairs] == [False, False, True]
    assert kept.n_ties == 2


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([{"prompt": "p", "chosen": "x"}], None, r"no column 'rejected'; it has \['chosen'"),
        ([], None, "got none"),
        ([{"prompt": "p", "chosen": "x", "rejected": "x"}], None, "1 rows were ties or empty"),
        ([{"topic": "t", "a1": "x", "a2": "y", "label": 1}] * 2, LABELLED, "one class only"),
        ([{"topic": "t", "a1": "x", "a2": "y", "label": "b"}], LABELLED, "label must be one of"),
        ([{"topic": "t", "a1": "x", "a2": "y", "label": True}], LABELLED, "got True"),
        ([{"a1": "x"}], "prompt=a1,first=a1", r"must also name \['second', 'label'\]"),
        ([{"chosen": "no turns", "rejected": "here"}], None, "expected a dialogue"),
        (
            [{"chosen": [USER, reply("a")], "rejected": [reply("b")]}],
            None,
            "differ in the last message only",
        ),
    ],
)
def test_bad_data_names_what_was_expected(tmp_path, rows, columns, message):
    with pytest.raises(ValueError, match=message):
        load_preferences(write(tmp_path / "d.jsonl", rows), columns=columns)


def test_split_shares_no_prompt_and_loses_nothing():
    pairs = [PreferencePair(prompt=f"p{i % 10}", chosen=f"c{i}", rejected="r") for i in range(40)]
    train, held = split_by_prompt(pairs, 0.2, seed=3)
    assert {p.prompt for p in train}.isdisjoint({p.prompt for p in held})
    assert len({p.prompt for p in held}) == 2
    assert sorted(p.chosen for p in train + held) == sorted(p.chosen for p in pairs)
    assert split_by_prompt(pairs, 0.2, seed=3)[1] == held
    with pytest.raises(ValueError, match="at least 2 distinct prompts to split, got 1"):
        split_by_prompt(pairs[:1], 0.5)
    with pytest.raises(ValueError, match="got 1.5"):
        split_by_prompt(pairs, 1.5)


@pytest.mark.skipif(not REAL.is_dir(), reason="the public data is not there")
@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("hh_rlhf_helpful_base", None, 1875),
        ("hh_rlhf_helpful_online", None, 918),
        ("hh_rlhf_helpful_rejection_sampled", None, 2192),
        ("oasst_ranked_pairs", "prompt=history,chosen=chosen,rejected=rejected", 618),
        ("llmbar", "prompt=input,first=output_1,second=output_2,label=label", 332),
        ("hhh_alignment", None, 162),
        ("ukp_convarg1_strict", LABELLED, 4000),
        (
            "pandalm_human",
            "prompt=instruction,first=response1,second=response2,label=annotator1",
            818,
        ),
    ],
)
def test_real_files(name, columns, rows):
    found = load_preferences(REAL / f"{name}.train.jsonl.gz", columns=columns)
    assert len(found.pairs) + found.n_ties + found.n_unusable == rows
    assert len(found.pairs) > 0.8 * rows
    assert all(pair.chosen != pair.rejected for pair in found.pairs)
