"""Supervised fine-tuning: how pairs are encoded, what is saved, resuming, errors."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from textgym.agents.supervised.language_modelling import encode_turns, held_out_losses
from textgym.agents.supervised.sft import SFTConfig, encode_pair, train_sft
from textgym.agents.supervised.text_data import TextPair, conversation_pair
from textgym.intervals import Estimate
from textgym.tokenizer import load_tokenizer

FRESH = "scratch:llama,layers=1,width=32,heads=2,positions=64"
PAIRS = [
    TextPair(prompt=f"my friend {w} home:", response=f" {w} home") for w in ["a", "i", "you", "he"]
]


def test_encoding_cuts_the_beginning_of_prompts_and_the_end_of_responses(tiny_tokenizer_folder):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    pair = TextPair(prompt="my friend said that:", response=" go home")
    prompt, response = tokenizer.encode(pair.prompt), tokenizer.encode(pair.response)
    long = SFTConfig(tokenizer="x", max_prompt_tokens=100, max_response_tokens=100)
    whole = encode_pair(pair, tokenizer, long)
    assert list(whole.ids) == [*prompt, *response, *tokenizer.eos_ids]
    assert whole.prompt_length == len(prompt)
    short = SFTConfig(tokenizer="x", max_prompt_tokens=2, max_response_tokens=1)
    cut = encode_pair(pair, tokenizer, short)
    assert list(cut.ids) == [*prompt[-2:], response[0]]


def test_each_own_turn_ends_with_an_end_token(tiny_tokenizer_folder):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    pair = conversation_pair("my friend", " go home\nYou: that\nI: later", r"\nYou:[^\n]*\nI:")
    assert pair.turns == ((True, " go home"), (False, "\nYou: that\nI:"), (True, " later"))
    own, other, last = (tokenizer.encode(text) for _, text in pair.turns)
    eos = list(tokenizer.eos_ids)
    ids, is_own = encode_turns(pair, tokenizer)
    assert ids == [*own, *eos, *other, *last, *eos]
    assert is_own == [True] * (len(own) + 1) + [False] * len(other) + [True] * (len(last) + 1)
    settings = SFTConfig(tokenizer="x", max_prompt_tokens=9, max_response_tokens=len(ids) - 2)
    cut = encode_pair(pair, tokenizer, settings)
    assert cut.is_own == tuple(is_own[:-2]) and len(cut.ids) == cut.prompt_length + len(ids) - 2


def config(folder, **changes):
    settings = {"model": FRESH, "tokenizer": str(folder), "batch_tokens": 128, "device": "cpu"}
    return SFTConfig(**{**settings, "epochs": 30, "learning_rate": 1e-2, **changes})


def test_it_learns_and_saves_an_ordinary_folder(tmp_path, tiny_tokenizer_folder):
    result = train_sft(config(tiny_tokenizer_folder), PAIRS, PAIRS, output=tmp_path / "run")
    assert result.held_out_loss.mean < 1.0
    assert isinstance(result.perplexity, Estimate)
    assert result.perplexity.mean == pytest.approx(np.exp(result.held_out_loss.mean))
    assert result.held_out_loss.low <= result.held_out_loss.mean <= result.held_out_loss.high
    model = AutoModelForCausalLM.from_pretrained(result.folder)
    tokenizer = load_tokenizer(result.folder)
    pair = encode_pair(PAIRS[0], tokenizer, config(tiny_tokenizer_folder))
    sums, counts = held_out_losses(model.eval(), [pair], 100)
    assert sums[0] / counts[0] < 1.5
    generation = GenerationConfig.from_pretrained(result.folder)
    assert generation.eos_token_id == tokenizer.eos_ids[0]


def test_resumed_equals_uninterrupted(tmp_path, tiny_tokenizer_folder, monkeypatch):
    settings = config(tiny_tokenizer_folder, epochs=4, eval_every=2)
    whole = train_sft(settings, PAIRS, PAIRS, output=tmp_path / "whole")
    calls = []

    def interrupting(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return held_out_losses(*args)

    monkeypatch.setattr("textgym.agents.supervised.sft.held_out_losses", interrupting)
    saving = config(tiny_tokenizer_folder, epochs=4, eval_every=2, save_seconds=1e-9)
    with pytest.raises(KeyboardInterrupt):
        train_sft(saving, PAIRS, PAIRS, output=tmp_path / "parts")
    monkeypatch.undo()
    parts = train_sft(settings, PAIRS, PAIRS, output=tmp_path / "parts")
    one, two = (AutoModelForCausalLM.from_pretrained(r.folder).state_dict() for r in (whole, parts))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_a_tokenizer_is_trained_where_asked(tmp_path):
    settings = SFTConfig(
        model=FRESH, tokenizer="train:300", max_steps=1, device="cpu", held_out_fraction=0.25
    )
    result = train_sft(settings, PAIRS, output=tmp_path / "run")
    assert load_tokenizer(result.folder).vocab_size == 300
    assert (result.n_train, result.n_held_out) == (3, 1)


def test_an_existing_model_is_continued(tmp_path, tiny_model_folder):
    settings = SFTConfig(model=str(tiny_model_folder), max_steps=1, learning_rate=1e-9)
    result = train_sft(settings, PAIRS, PAIRS, output=tmp_path / "run")
    before, after = (
        AutoModelForCausalLM.from_pretrained(f).state_dict()
        for f in (tiny_model_folder, result.folder)
    )
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_errors_name_the_value(tmp_path, make_model_folder, tiny_tokenizer_folder, make_tiny_model):
    with pytest.raises(ValueError, match="got 0"):
        train_sft(config(tiny_tokenizer_folder), [], output=tmp_path / "a")
    with pytest.raises(ValueError, match="64 positions"):
        long = [TextPair(prompt="my friend " * 60, response=" a")] * 2
        train_sft(config(tiny_tokenizer_folder), long, long, output=tmp_path / "b")
    small = make_model_folder("llama", vocab_size=100)
    with pytest.raises(ValueError, match="100 rows"):
        bad = SFTConfig(model=str(small), tokenizer=str(tiny_tokenizer_folder))
        train_sft(bad, PAIRS, PAIRS, output=tmp_path / "c")
    bare = tmp_path / "bare"
    make_tiny_model("llama").save_pretrained(bare)
    with pytest.raises(ValueError, match="no tokenizer in the folder"):
        train_sft(SFTConfig(model=str(bare)), PAIRS, PAIRS, output=tmp_path / "d")
    with pytest.raises(ValueError, match="got 'train:x'"):
        train_sft(config("train:x"), PAIRS, PAIRS, output=tmp_path / "e")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_on": "prompt", "tokenizer": "x"}, "got 'prompt'"),
        ({"max_response_tokens": 0, "tokenizer": "x"}, "got 0"),
        ({"tokenizer": None}, "a fresh model needs tokenizer"),
    ],
)
def test_config_is_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SFTConfig(**settings)
