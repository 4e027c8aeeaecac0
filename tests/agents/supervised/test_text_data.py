"""Reading prompts with responses: formats, mapping, dialogues, errors, the real files."""

import gzip
import json
from pathlib import Path

import pytest

from textgym.agents.supervised.text_data import (
    TextPair,
    load_text_pairs,
    pairs_from_prompts,
    spaced,
    symbol_pair,
)
from textgym.types import Prompt

REAL = Path(__file__).resolve().parents[4] / "shared" / "data"


def write(path, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def test_pairs_from_prompts_are_spaced_and_one_per_reference():
    prompts = [
        Prompt(prompt_id=0, text="POST: x\n\nTL;DR:", references=("a b", "c")),
        Prompt(prompt_id=1, text="POST: y\n\nTL;DR:"),
    ]
    assert pairs_from_prompts(prompts) == [
        TextPair(prompt="POST: x\n\nTL;DR:", response=" a b"),
        TextPair(prompt="POST: x\n\nTL;DR:", response=" c"),
    ]
    with pytest.raises(ValueError, match="references, got none in 1 prompts"):
        pairs_from_prompts(prompts, [1])


@pytest.mark.parametrize(
    ("prompt", "response", "expected"),
    [("a:", "b", " b"), ("a: ", "b", "b"), ("a:", " b", " b"), ("a:\n", "b", "b"), ("", "b", "b")],
)
def test_spaced(prompt, response, expected):
    assert spaced(prompt, response) == expected


def test_mapping_template_and_lists(tmp_path):
    rows = [{"source": ["One {x}.", "Two."], "target": ["first", "second"]}]
    pairs = load_text_pairs(
        write(tmp_path / "d.jsonl.gz", rows),
        columns="prompt=source,response=target",
        template="{prompt}\n\nTL;DR:",
    )
    assert [pair.response for pair in pairs] == [" first", " second"]
    assert pairs[0].prompt == "One {x}. Two.\n\nTL;DR:"


def test_whole_dialogue_is_cut_behind_the_last_assistant(tmp_path):
    dialogue = "\n\nHuman: hi\n\nAssistant: yes?\n\nHuman: why\n\nAssistant: because"
    (pair,) = load_text_pairs(write(tmp_path / "d.jsonl", [{"chosen": dialogue}]))
    assert pair.prompt == "\n\nHuman: hi\n\nAssistant: yes?\n\nHuman: why\n\nAssistant:"
    assert pair.response == " because"


def test_messages_and_a_tokenizers_own_template(tmp_path):
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    path = write(tmp_path / "d.jsonl", [{"messages": messages}])
    (plain,) = load_text_pairs(path)
    assert (plain.prompt, plain.response) == ("\n\nHuman: hi\n\nAssistant:", " yes")
    (own,) = load_text_pairs(path, render_chat=lambda m: f"<{m[0]['content']}>\n")
    assert (own.prompt, own.response) == ("<hi>\n", "yes")


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([{"a": 1}], None, r"expected the columns .* it has \['a'\]"),
        ([{"a": "x", "b": "y"}], "prompt=a,response=c", r"no column 'c'; it has \['a', 'b'\]"),
        ([{"a": "x"}], "prompt:a", "columns must look like"),
        ([{"a": "x"}], "prompt=a", "columns must name 'response'"),
        ([], None, "got none"),
        ([{"prompt": "x", "response": "  "}], None, "got none"),
    ],
)
def test_bad_data_names_what_was_expected(tmp_path, rows, columns, message):
    with pytest.raises(ValueError, match=message):
        load_text_pairs(write(tmp_path / "d.jsonl", rows), columns=columns)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.jsonl"):
        load_text_pairs(tmp_path / "nothing.jsonl")


@pytest.mark.skipif(not REAL.is_dir(), reason="the public data is not there")
def test_real_files():
    pairs = load_text_pairs(REAL / "hh_rlhf_helpful_base.train.jsonl.gz")
    assert len(pairs) == 1875
    assert all(pair.prompt.endswith("\n\nAssistant:") for pair in pairs)
    papers = load_text_pairs(
        REAL / "scitldr_a.train.jsonl.gz",
        columns="prompt=source,response=target",
        template="{prompt}\n\nTL;DR:",
    )
    assert len(papers) >= 1988
    assert all(pair.prompt.endswith("TL;DR:") for pair in papers)


def test_parts_of_a_response_that_others_say() -> None:
    pair = TextPair(prompt="p", response="ab-cd", others=((0, 1), (3, 5)))
    assert pair.turns == ((False, "a"), (True, "b-"), (False, "cd"))
    assert TextPair(prompt="p", response="ab").turns == ((True, "ab"),)
    for others in (((2, 1),), ((0, 3), (2, 4)), ((4, 9),)):
        with pytest.raises(ValueError, match="parts of a response of 5 characters, in order, got"):
            TextPair(prompt="p", response="ab-cd", others=others)


def test_others_in_references_are_found_by_their_expression() -> None:
    source = [Prompt(prompt_id=0, text="Q:", references=("a [b] c", "d"))]
    first, second = pairs_from_prompts(source, others=r"\[.\]")
    assert first.turns == ((True, " a "), (False, "[b]"), (True, " c")) and not second.others


def test_symbols_alone_are_learned_and_no_turn_is_closed():
    pair = symbol_pair("p", "<w> the<w> bed<yes>", ["<w>", "<yes>"])
    assert pair.turns == (
        (True, "<w>"), (False, " the"), (True, "<w>"), (False, " bed"), (True, "<yes>"),
    )  # fmt: skip
    assert not pair.ends_turns
    side_by_side = symbol_pair("p", "[A][B] liked", ["[A]", "[B]"])
    assert side_by_side.turns == ((True, "[A][B]"), (False, " liked"))
