r"""Dialogues written as "\n\nHuman: … \n\nAssistant: …": cut, read as messages, rendered again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from textgym.dialogues import (
    dialogue_messages,
    render_messages,
    split_dialogue,
    visible_messages,
)
from textgym.file_prompts import FilePrompts

DIALOGUE = "\n\nHuman: Hi: you\n\nAssistant: Yes?\n\nHuman: Why\n\nnot?\n\nAssistant: Because. "


def chat(messages: Sequence[Mapping[str, str]]) -> str:
    """Stand in for a chat template."""
    return "".join(f"<{m['role']}>{m['content']}</>" for m in messages) + "<assistant>"


def test_messages_of_a_dialogue() -> None:
    assert dialogue_messages(DIALOGUE) == [
        {"role": "user", "content": "Hi: you"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Why\n\nnot?"},
        {"role": "assistant", "content": "Because."},
    ]
    first, *_ = dialogue_messages("Be kind." + DIALOGUE)
    assert first == {"role": "system", "content": "Be kind."}


def test_messages_render_back_to_the_dialogue() -> None:
    prompt, reply = split_dialogue(DIALOGUE)
    assert render_messages(dialogue_messages(prompt)[:-1]) == prompt
    assert prompt + reply == DIALOGUE


def test_a_chat_template_renders_the_turns_before_the_reply() -> None:
    assert split_dialogue(DIALOGUE, chat) == (
        "<user>Hi: you</><assistant>Yes?</><user>Why\n\nnot?</><assistant>",
        "Because.",
    )
    with pytest.raises(ValueError, match="expected a dialogue"):
        split_dialogue("Hello", chat)


def test_what_is_left_of_a_cut_conversation() -> None:
    messages = dialogue_messages(DIALOGUE)[:3]
    whole = "\n\nHuman: Hi: you\n\nAssistant: Yes?\n\nHuman: Why\n\nnot?\n\nAssistant:"
    assert visible_messages(messages, whole) == messages
    left = [{"role": "user", "content": "Why\n\nnot?"}]
    for start in ("Assistant: Yes?", "Yes?", "Human: Why"):
        assert visible_messages(messages, whole[whole.index(start) :]) == left
    assert visible_messages(messages, whole[whole.index("you") :])[0]["content"] == "you"
    assert visible_messages(messages, "not?\n\nAssistant:") == [{"role": "user", "content": "not?"}]
    # Letters of the template's own words are no part of a message.
    assert visible_messages([{"role": "user", "content": "a bit of a"}], "assistant:") == []


def test_prompts_of_a_file_of_dialogues(tmp_path: Path) -> None:
    file = tmp_path / "dialogues.jsonl"
    file.write_text(json.dumps({"chosen": DIALOGUE, "rejected": "?"}) + "\n", encoding="utf-8")
    (plain,) = FilePrompts(file)
    (rendered,) = FilePrompts(file, render_chat=chat)
    assert plain.text.endswith("Why\n\nnot?\n\nAssistant:")
    assert rendered.text.endswith("<user>Why\n\nnot?</><assistant>")
    assert plain.references == rendered.references == ("Because.",)
    assert list(plain.messages) == list(rendered.messages) == dialogue_messages(DIALOGUE)[:3]
