"""Prompts to ids, with the cut of prompts that are too long, and reset options."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from textgym.prompt_choice import PromptChooser, PromptEncoder
from textgym.prompts import PromptList
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Prompt

TOKENIZER = SymbolTokenizer(["a", "b", "c", "d", "<eos>"])


def encode(text: str, limit: int = 3, overflow: str = "truncate") -> str:
    ids = PromptEncoder(TOKENIZER, limit, overflow).encode(Prompt(prompt_id=4, text=text))
    return TOKENIZER.decode(ids)


def test_whole_lines_are_cut_from_the_left() -> None:
    assert encode("a b\nc d") == "c d"
    assert encode("a\nb\n\nc d") == "b c d"
    assert encode("a b c") == "a b c"


def test_one_long_line_loses_tokens_from_its_left() -> None:
    assert encode("a b c d") == "b c d"
    assert encode("a\na b c d") == "b c d"


def test_too_long_or_empty_by_choice() -> None:
    with pytest.raises(ValueError, match="prompt 4 has 4 tokens, expected at most max_prompt_toke"):
        encode("a b c d", overflow="error")
    with pytest.raises(ValueError, match="prompt 4 encodes to no tokens"):
        encode(" ")


def test_prompts_of_one_step_are_encoded_together_and_the_same_text_once() -> None:
    asked: list[list[str]] = []

    class Counting(SymbolTokenizer):
        def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
            asked.append(list(texts))
            return super().encode_batch(texts)

    encoder = PromptEncoder(Counting(TOKENIZER.symbols), 3, "truncate")
    texts = ["a b", "c", "a b", "a\nb c d", "a b c d"]
    prompts = [Prompt(prompt_id=i, text=text) for i, text in enumerate(texts)]
    ids = encoder.encode_all(prompts)
    assert ids == [[0, 1], [2], [0, 1], [1, 2, 3], [1, 2, 3]]
    assert asked == [["a b", "c", "a\nb c d", "a b c d"]]
    assert ids == [encoder.encode(prompt) for prompt in prompts]
    with pytest.raises(ValueError, match="prompt 9 encodes to no tokens"):
        encoder.encode_all([*prompts, Prompt(prompt_id=9, text="")])


def test_options_for_one_row() -> None:
    chooser = PromptChooser(PromptList(["a", "b"]), TOKENIZER)
    assert chooser.chosen(None, 1) == [None] and chooser.chosen({}, 2) == [None, None]
    (prompt,) = chooser.chosen({"prompt": "c d"}, 1)
    assert prompt is not None and (prompt.text, prompt.prompt_id) == ("c d", -1)
    with pytest.raises(ValueError, match="got both"):
        chooser.chosen({"prompt": "a", "prompt_id": 1}, 1)
    with pytest.raises(ValueError, match=r"integer in \[0, 2\), got True"):
        chooser.chosen({"prompt_id": [True]}, 1)
    with pytest.raises(ValueError, match="text or a list of messages"):
        chooser.chosen({"prompt": [3]}, 1)


def test_a_task_may_know_its_own_prompts_only() -> None:
    texts = [" ".join("abcd"[: 1 + i % 4] * (1 + i // 4)) for i in range(10)]
    for count, listed in (
        (2, r"2 prompts \('a', 'a b'\)"),
        (10, r"10 prompts \('a', .*, \.\.\.\)"),
    ):
        chooser = PromptChooser(PromptList(texts[:count]), TOKENIZER, only_of_source=True)
        chosen = chooser.chosen({"prompt": ["a b", None]}, 2)
        assert chosen[0] == Prompt(prompt_id=-1, text="a b") and chosen[1] is None
        with pytest.raises(ValueError, match=rf"one of this task's {listed}, got prompt='b'"):
            chooser.chosen({"prompt": ["a b", "b"]}, 2)


def test_chats_are_rendered_by_the_tokenizer() -> None:
    class Chatty(SymbolTokenizer):
        def render_chat(self, messages: object) -> str:
            return "a b c"

    chooser = PromptChooser(PromptList(["a"]), Chatty(["a", "b", "c", "<eos>"]))
    chat = [{"role": "user", "content": "hi"}]
    assert [p.text for p in chooser.chosen({"prompt": chat}, 2) if p] == ["a b c"] * 2
    assert [p.text for p in chooser.chosen({"prompt": [chat, "b"]}, 2) if p] == ["a b c", "b"]
    with pytest.raises(ValueError, match="no chat template"):
        PromptChooser(PromptList(["a"]), TOKENIZER).chosen({"prompt": chat}, 1)
