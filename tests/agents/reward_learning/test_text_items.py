"""What a text reward model reads: known ids, encoded text, parts, cuts, and what it refuses."""

import pytest

from textgym.agents.reward_learning.labels import Judged
from textgym.agents.reward_learning.text_items import ItemEncoder, TextReading
from textgym.feedback.responses import PromptText, Response, Span
from textgym.tokenizer import load_tokenizer

PROMPT = PromptText(text="my friend said:")


@pytest.fixture
def tokenizer(tiny_tokenizer_folder):
    return load_tokenizer(tiny_tokenizer_folder)


def encoded(tokenizer, response, span=None, **reading):
    encoder = ItemEncoder(tokenizer, TextReading(**reading))
    return encoder.encode([Judged(response=response, span=span)])[0]


def test_text_is_encoded_with_the_space_between_and_the_end_token(tokenizer):
    prompt, response = encoded(tokenizer, Response(prompt=PROMPT, text="the dog"))
    assert list(prompt) == tokenizer.encode(PROMPT.text)
    assert list(response) == [*tokenizer.encode(" the dog"), *tokenizer.eos_ids[:1]]
    cut = Response(prompt=PROMPT, text=" the dog", finish_reason="length")
    assert list(encoded(tokenizer, cut)[1]) == tokenizer.encode(" the dog")


def test_sampled_ids_are_read_as_they_are_unless_told_otherwise(tokenizer):
    known = Response(
        prompt=PromptText(text=PROMPT.text, token_ids=(9, 8, 7)), text=" the dog", token_ids=(5, 6)
    )
    assert encoded(tokenizer, known) == ((9, 8, 7), (5, 6))
    assert encoded(tokenizer, known, max_prompt_tokens=2, max_response_tokens=1) == ((8, 7), (5,))
    again = encoded(tokenizer, known, use_token_ids=False)
    assert list(again[1]) == [*tokenizer.encode(" the dog"), *tokenizer.eos_ids[:1]]


def test_a_part_is_read_at_its_last_token_and_loses_its_beginning(tokenizer):
    known = Response(prompt=PROMPT, text=" the dog", token_ids=(5, 6, 7, 8))
    part = Span(start=1, end=3)
    assert encoded(tokenizer, known, part)[1] == (5, 6, 7)
    assert encoded(tokenizer, known, part, max_response_tokens=2)[1] == (6, 7)
    letters = Span(start=4, end=7, unit="character")
    plain = Response(prompt=PROMPT, text="the dog said")
    assert list(encoded(tokenizer, plain, letters)[1]) == tokenizer.encode(" the dog")


def test_without_a_prompt_something_stands_before_the_response(tokenizer):
    prompt, response = encoded(tokenizer, Response(prompt=PromptText(text=""), text="the dog"))
    assert prompt == tokenizer.eos_ids[:1]
    assert list(response) == [*tokenizer.encode("the dog"), *tokenizer.eos_ids[:1]]


@pytest.mark.parametrize(
    ("response", "span", "message"),
    [
        (Response(prompt=PROMPT, text=" a", token_ids=(9999,)), None, "got 9999"),
        (Response(prompt=PROMPT, text=" a dog"), Span(start=0, end=1), "counted in tokens"),
        (
            Response(prompt=PROMPT, text="", finish_reason="length"),
            None,
            "expected a response with text",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tokenizer, response, span, message):
    with pytest.raises(ValueError, match=message):
        encoded(tokenizer, response, span)


def test_trajectories_are_refused(tokenizer, segment_response):
    with pytest.raises(ValueError, match="trajectory of 3 steps"):
        encoded(tokenizer, segment_response([1, 2, 3]))


def test_lengths_below_one_are_refused():
    with pytest.raises(ValueError, match="max_response_tokens must be at least 1, got 0"):
        TextReading(max_response_tokens=0)
